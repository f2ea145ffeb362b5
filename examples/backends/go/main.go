// Windlass' backend contract, version 1, with minio-go for any store that speaks S3. It keeps nothing: an upload's id
// carries, signed, what the server has to know of it. No URL is ever logged. HTTP and batches are here; upload.go has
// what is done with an upload.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

type object = map[string]any

// problem is a refusal. `need` and `must` throw it by a panic and `try` catches it, so that each step reads as what it
// does. The page has the sentences.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
}

var (
	badRequest, badParts = problem{400, "bad-request"}, problem{422, "bad-parts"}
	gone, expired, full  = problem{404, "upload-gone"}, problem{410, "upload-expired"}, problem{507, "store-full"}
	// What the store's own codes mean; others go by their status.
	meanings = map[string]problem{
		"NoSuchUpload": gone, "NoSuchKey": gone, "QuotaExceeded": full, "XMinioStorageFull": full,
		"InvalidPart": badParts, "InvalidPartOrder": badParts, "EntityTooSmall": badParts,
	}
)

func need(isRight bool, refusal any) {
	if !isRight {
		panic(refusal)
	}
}

func must[T any](told T, err error) T { need(err == nil, err); return told }

// try does the work and tells what came of it, or the problem that was thrown.
func try[In, Out any](work func(In) Out, in In) (told Out, refused problem) {
	defer func() { refused = problemOf(recover()) }()
	return work(in), problem{}
}

// problemOf is what was thrown, as the page is told. An error's own words may repeat a URL, and stay here.
func problemOf(thrown any) problem {
	if refused, isRefusal := thrown.(problem); isRefusal || thrown == nil {
		return refused
	}
	_, isFault := thrown.(runtime.Error)
	answer, _ := thrown.(minio.ErrorResponse)
	log.Printf("%T: the store answers %d %s", thrown, answer.StatusCode, answer.Code)
	switch meaning, isKnown := meanings[answer.Code]; {
	case isKnown:
		return meaning
	case isFault:
		return problem{500, "internal"}
	case answer.StatusCode/100 == 4 && answer.StatusCode != http.StatusTooManyRequests:
		return problem{502, "store-refused"}
	}
	return problem{503, "store-unavailable"}
}

// asked is what the page sends: each route, entry of a batch and part takes some of it.
type asked struct {
	Files, Uploads      []asked
	Ids                 []string
	Ref, ID, Name, Type string
	Size                *uint64
	After               uint16
	Parts               []part
}

// each answers for every entry; what is wrong with one does not keep the others from going on.
func each(entries []asked, name string, work func(asked) object) []object {
	need(entries != nil && len(entries) <= 1000, badRequest)
	outcomes, running := make([]object, len(entries)), sync.WaitGroup{}
	for at, entry := range entries {
		running.Add(1)
		go func(at int, entry asked) {
			defer running.Done()
			told, refused := try(work, entry)
			if refused.Code != "" {
				told = object{"problem": refused}
			}
			told[name], outcomes[at] = entry.Ref+entry.ID, told
		}(at, entry)
	}
	running.Wait()
	return outcomes
}

func now() int64 { return time.Now().UnixMilli() }

var routes = map[string]func(asked) object{
	"create":   func(a asked) object { return object{"uploads": each(a.Files, "ref", start), "serverTime": now()} },
	"sign":     func(a asked) object { return object{"uploads": each(a.Uploads, "id", sign), "serverTime": now()} },
	"list":     func(a asked) object { return object{"parts": open(a.ID).held(int(a.After))} },
	"complete": func(a asked) object { return object{"objects": each(a.Uploads, "id", finish)} },
	"abort":    abort,
}

func call(request *http.Request) any {
	route := routes[strings.TrimPrefix(request.URL.Path, "/windlass/")]
	need(route != nil, problem{404, "not-found"})
	need(request.Method == http.MethodPost, problem{405, "bad-request"})
	need(strings.HasPrefix(request.Header.Get("Content-Type"), "application/json"), problem{415, "bad-request"})
	body, err := io.ReadAll(request.Body)
	need(err == nil, problem{413, "too-large"})
	var asked asked
	need(json.Unmarshal(body, &asked) == nil, badRequest)
	return route(asked)
}

func serve(answer http.ResponseWriter, request *http.Request) {
	header, origin := answer.Header(), request.Header.Get("Origin")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/json")
	header.Set("Vary", "Origin")
	if origin != "" && strings.Contains(","+os.Getenv("ALLOW_ORIGIN")+",", ","+origin+",") {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
		header.Set("Access-Control-Expose-Headers", "Retry-After")
	}
	if request.Method == http.MethodOptions {
		return
	}
	told, refused := try(call, request)
	if refused.Code != "" {
		header.Set("Content-Type", "application/problem+json")
		header.Set("Allow", http.MethodPost)
		answer.WriteHeader(refused.Status)
		told = refused
	}
	// Who has gone away needs no answer.
	_ = json.NewEncoder(answer).Encode(told)
}

func main() {
	if bucket == "" || len(secret) < 32 {
		log.Fatal("Set S3_BUCKET, and UPLOAD_SECRET to 32 letters or more.")
	}
	address := "127.0.0.1:" + or(os.Getenv("PORT"), "8788")
	log.Fatal(http.ListenAndServe(address, http.MaxBytesHandler(http.HandlerFunc(serve), 4<<20)))
}
