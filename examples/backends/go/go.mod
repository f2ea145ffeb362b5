module example.com/windlass-backend

go 1.19
