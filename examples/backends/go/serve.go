// The routes over HTTP: what may be asked, and batches.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

var routes = map[string]func(asked) (object, error){
	"create": create, "sign": sign, "list": list, "complete": complete, "abort": abort,
}

// part is one as the page names it and as the store lists it.
type part struct {
	Number uint32  `json:"number" xml:"PartNumber"`
	Size   *uint64 `json:"size" xml:"Size"`
	Etag   *string `json:"etag" xml:"ETag"`
}

// asked is what the routes are asked for, each for some of it.
type asked struct {
	Files *[]struct {
		Ref, Name *string
		Size      *uint64
		Type      string
	}
	Uploads *[]struct {
		ID    *string
		Size  *uint64
		Parts []part
	}
	Ids   *[]string
	ID    *string
	After uint32
}

// each answers for n entries; what is wrong with one does not keep the others from going on.
func each(n int, name string, one func(at int) (ref any, told object, err error)) []object {
	outcomes, running, slots := make([]object, n), sync.WaitGroup{}, make(chan bool, 16)
	for at := range outcomes {
		running.Add(1)
		slots <- true
		go func(at int) {
			defer func() { <-slots; running.Done() }()
			ref, told, err := one(at)
			if err != nil {
				told = object{"problem": asProblem(err).json()}
			}
			told[name] = ref
			outcomes[at] = told
		}(at)
	}
	running.Wait()
	return outcomes
}

// perUpload opens the id of each upload of a batch and has one answer for it.
func perUpload(ask asked, as string, one func(upload, *uint64, []part) (object, error)) (object, error) {
	if ask.Uploads == nil || len(*ask.Uploads) > 1000 {
		return nil, problem("400 bad-request")
	}
	uploads, parts := *ask.Uploads, 0
	for _, entry := range uploads {
		parts += len(entry.Parts)
		if entry.ID == nil || entry.Parts == nil || as == "uploads" && parts > 1000 {
			return nil, problem("400 bad-request")
		}
	}
	outcomes := each(len(uploads), "id", func(at int) (any, object, error) {
		upload, err := open(*uploads[at].ID, time.Now())
		if err != nil {
			return uploads[at].ID, nil, err
		}
		told, err := one(upload, uploads[at].Size, uploads[at].Parts)
		return uploads[at].ID, told, err
	})
	return object{as: outcomes}, nil
}

func asProblem(err error) problem {
	if told := problem(""); errors.As(err, &told) {
		return told
	}
	// Not its words: they may repeat a URL.
	log.Printf("a fault: %T", err)
	return "500 internal"
}

func serve(answer http.ResponseWriter, request *http.Request) {
	header := answer.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Origin")
	for _, allowed := range strings.Split(os.Getenv("ALLOW_ORIGIN"), ",") {
		if allowed != "" && allowed == request.Header.Get("Origin") {
			header.Set("Access-Control-Allow-Origin", allowed)
			header.Set("Access-Control-Allow-Headers", "content-type, authorization")
			header.Set("Access-Control-Expose-Headers", "retry-after")
			header.Set("Access-Control-Max-Age", "3000")
		}
	}
	if request.Method == http.MethodOptions {
		answer.WriteHeader(http.StatusNoContent)
		return
	}
	told, err := handle(answer, request)
	status, kind := "200", "application/json"
	if err != nil {
		refusal := asProblem(err)
		status, kind, told = string(refusal)[:3], "application/problem+json", refusal.json()
	}
	header.Set("Content-Type", kind)
	code, _ := json.Number(status).Int64()
	answer.WriteHeader(int(code))
	// Who has gone away needs no answer.
	_ = json.NewEncoder(answer).Encode(told)
}

func handle(answer http.ResponseWriter, request *http.Request) (object, error) {
	route := routes[strings.TrimPrefix(request.URL.Path, "/windlass/")]
	if route == nil || !strings.HasPrefix(request.URL.Path, "/windlass/") {
		return nil, problem("404 not-found")
	}
	answer.Header().Set("Allow", http.MethodPost)
	if request.Method != http.MethodPost {
		return nil, problem("405 bad-request")
	}
	kind, _, _ := strings.Cut(request.Header.Get("Content-Type"), ";")
	if strings.ToLower(strings.TrimSpace(kind)) != "application/json" {
		return nil, problem("415 bad-request")
	}
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, 4<<20))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, problem("413 too-large")
	}
	var ask asked
	if err != nil || json.Unmarshal(body, &ask) != nil {
		return nil, problem("400 bad-request")
	}
	return route(ask)
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8788"
	}
	if bucket == "" || accessKey == "" || len(secret) < 32 {
		log.Fatal("Set S3_BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and UPLOAD_SECRET to 32 letters or more.")
	}
	server := http.Server{Addr: "127.0.0.1:" + port, Handler: http.HandlerFunc(serve), ReadTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}
