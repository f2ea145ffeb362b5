// Windlass' backend contract, version 1, with Go's standard library for any store that speaks S3. It keeps nothing: an
// upload's id carries, signed, what the server has to know of it. No URL is ever logged. HTTP is in serve.go, what is
// signed in s3.go, what is asked of the store in store.go.
package main

import (
	"encoding/json"
	"strings"
	"time"
)

// Bytes of the largest file, and of the largest that goes up in one request.
const maxSize, single = 100_000_000_000, 5 << 20

var details = map[string]string{
	"400 bad-request":       "The request is not JSON, or not the JSON of this route.",
	"403 id-refused":        "This upload was not started by this server, or its id was changed. Start it again.",
	"404 not-found":         "The backend has create, sign, list, complete and abort. Check the endpoint.",
	"404 upload-gone":       "The store does not know this upload any more. Start it again.",
	"405 bad-request":       "This route takes POST only.",
	"409 size-mismatch":     "The stored bytes are not as many as the file's. Upload it again.",
	"410 upload-expired":    "This upload was started too long ago. Start it again.",
	"413 too-large":         "Files of up to 100 GB are accepted, and requests of up to 4 MiB.",
	"415 bad-request":       "Send the request as application/json.",
	"422 bad-file":          "The file's size is not known, and this server cannot take such a file.",
	"422 bad-parts":         "These are not the parts of the file as the store should hold them.",
	"500 internal":          "The server made a mistake. Try again; if it stays, tell whoever runs it.",
	"502 store-refused":     "The store refused. Tell whoever runs this to check its keys, rights and bucket.",
	"503 store-unavailable": "The store does not answer as it should. Try again in a moment.",
	"507 store-full":        "The store has no room left. Make room there, or tell whoever runs it.",
}

// problem is the status and the code of a refusal.
type problem string

func (p problem) Error() string { return string(p) }

func (p problem) json() object {
	status, code, _ := strings.Cut(string(p), " ")
	return object{"status": json.Number(status), "code": code, "detail": details[string(p)]}
}

type object = map[string]any

func create(ask asked) (object, error) {
	if ask.Files == nil || len(*ask.Files) > 1000 {
		return nil, problem("400 bad-request")
	}
	files := *ask.Files
	for _, file := range files {
		if file.Ref == nil || file.Name == nil {
			return nil, problem("400 bad-request")
		}
	}
	uploads := each(len(files), "ref", func(at int) (any, object, error) {
		told, err := start(*files[at].Name, files[at].Type, files[at].Size)
		return files[at].Ref, told, err
	})
	return object{"uploads": uploads, "serverTime": time.Now().UnixMilli()}, nil
}

func start(name, kind string, size *uint64) (object, error) {
	if size == nil {
		return nil, problem("422 bad-file")
	}
	if *size > maxSize {
		return nil, problem("413 too-large")
	}
	upload := newUpload(name, kind, *size)
	told := object{"provider": "s3", "key": upload.Key, "expiresAt": upload.End, "method": "single"}
	if *size <= single {
		told["parts"] = []object{upload.grant(1, *size)}
	} else if err := upload.begin(); err != nil {
		return nil, err
	} else {
		told["method"] = "multipart"
	}
	told["id"] = upload.seal()
	return told, nil
}

func sign(ask asked) (object, error) {
	told, err := perUpload(ask, "uploads", func(upload upload, _ *uint64, parts []part) (object, error) {
		grants := make([]object, 0, len(parts))
		for _, part := range parts {
			if !upload.has(part) {
				return nil, problem("422 bad-parts")
			}
			grants = append(grants, upload.grant(part.Number, *part.Size))
		}
		return object{"parts": grants}, nil
	})
	if err == nil {
		told["serverTime"] = time.Now().UnixMilli()
	}
	return told, err
}

func list(ask asked) (object, error) {
	if ask.ID == nil || ask.After > 10_000 {
		return nil, problem("400 bad-request")
	}
	upload, err := open(*ask.ID, time.Now())
	if err != nil {
		return nil, err
	}
	page, err := upload.listed(ask.After)
	if err == nil && page.IsTruncated {
		return object{"parts": page.Part, "next": page.NextPartNumberMarker}, nil
	}
	return object{"parts": append([]part{}, page.Part...)}, err
}

func complete(ask asked) (object, error) {
	return perUpload(ask, "objects", finish)
}

func finish(upload upload, size *uint64, named []part) (object, error) {
	if size == nil || *size != upload.Size {
		return nil, problem("409 size-mismatch")
	}
	for at, part := range named {
		if int(part.Number) != at+1 {
			return nil, problem("422 bad-parts")
		}
	}
	failed := upload.join(named)
	if len(named) == 0 || failed == problem("422 bad-parts") {
		return nil, problem("422 bad-parts")
	}
	// The key is this upload's alone: an object that is there was made by an earlier call, whatever join met.
	length, etag, err := upload.head()
	if err != nil && failed != nil {
		return nil, failed
	} else if err == nil && length != upload.Size {
		return nil, problem("409 size-mismatch")
	}
	return object{"key": upload.Key, "size": length, "etag": etag}, err
}

func abort(ask asked) (object, error) {
	if ask.Ids == nil || len(*ask.Ids) > 1000 {
		return nil, problem("400 bad-request")
	}
	uploads := make([]upload, len(*ask.Ids))
	// All ids first: a forged one must not have half an effect. Those whose time is over may still be freed.
	for at, id := range *ask.Ids {
		var err error
		if uploads[at], err = open(id, time.Time{}); err != nil {
			return nil, err
		}
	}
	for _, upload := range uploads {
		if err := upload.free(); err != nil && err != problem("404 upload-gone") {
			return nil, err
		}
	}
	return object{}, nil
}
