// Windlass' backend contract, version 1, with minio-go for any store that speaks S3. It keeps nothing: an upload's id
// carries, signed, what the server has to know of it. No URL is ever logged. HTTP and batches are here, what is done
// with an upload is in upload.go.
package main

import (
	"encoding/json"
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

// problem is a refusal. It is thrown by a panic, which `try` catches, so that each step reads as what it does.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
}

func need(isRight bool, status int, code string) {
	if !isRight {
		panic(&problem{status, code})
	}
}

func must[T any](told T, err error) T {
	if err != nil {
		panic(err)
	}
	return told
}

func try(work func()) (refused *problem) {
	defer func() { refused = problemOf(recover()) }()
	work()
	return nil
}

// problemOf is what was thrown, as the page is told. An error's own words may repeat a URL, and stay here.
func problemOf(thrown any) *problem {
	if known, isOne := thrown.(*problem); isOne || thrown == nil {
		return known
	}
	err, _ := thrown.(error)
	answer := minio.ToErrorResponse(err)
	log.Printf("%T: the store answers %d %s", thrown, answer.StatusCode, answer.Code)
	if _, isFault := thrown.(runtime.Error); isFault {
		return &problem{500, "internal"}
	}
	switch code, status := answer.Code, answer.StatusCode; {
	case code == "NoSuchUpload" || code == "NoSuchKey":
		return &problem{404, "upload-gone"}
	case code == "InvalidPart" || code == "InvalidPartOrder" || code == "EntityTooSmall":
		return &problem{422, "bad-parts"}
	case status == 507:
		return &problem{507, "store-full"}
	case status/100 == 4 && status != 429:
		return &problem{502, "store-refused"}
	}
	return &problem{503, "store-unavailable"}
}

// asked is what the routes are asked for: each for some of it, and so is an entry of a batch.
type asked struct {
	Files, Uploads      []asked
	Ids                 []string
	Ref, ID, Name, Type string
	Size                *uint64
	After               uint16
	Parts               []struct {
		Number, Size uint64
		Etag         string
	}
}

// each answers for every entry; what is wrong with one does not keep the others from going on.
func each(entries []asked, name, as string, one func(asked) object) object {
	need(entries != nil && len(entries) <= 1000, 400, "bad-request")
	outcomes, running := make([]object, len(entries)), sync.WaitGroup{}
	running.Add(len(entries))
	for at := range entries {
		go func(at int) {
			defer running.Done()
			if refused := try(func() { outcomes[at] = one(entries[at]) }); refused != nil {
				outcomes[at] = object{"problem": refused}
			}
			outcomes[at][name] = entries[at].Ref + entries[at].ID
		}(at)
	}
	running.Wait()
	return object{as: outcomes, "serverTime": time.Now().UnixMilli()}
}

var routes = map[string]func(asked) object{
	"create":   func(asked asked) object { return each(asked.Files, "ref", "uploads", start) },
	"sign":     func(asked asked) object { return each(asked.Uploads, "id", "uploads", sign) },
	"complete": func(asked asked) object { return each(asked.Uploads, "id", "objects", finish) },
	"list":     list, "abort": abort,
}

func serve(answer http.ResponseWriter, request *http.Request) {
	header, origin := answer.Header(), request.Header.Get("Origin")
	header.Set("Cache-Control", "no-store")
	if origin != "" && strings.Contains(","+os.Getenv("ALLOW_ORIGIN")+",", ","+origin+",") {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Headers", "content-type, authorization")
	}
	header.Set("Vary", "Origin")
	if request.Method == http.MethodOptions {
		return
	}
	var told any
	refused := try(func() {
		route := routes[strings.TrimPrefix(request.URL.Path, "/windlass/")]
		need(route != nil, 404, "not-found")
		need(request.Method == http.MethodPost, 405, "bad-request")
		need(strings.HasPrefix(request.Header.Get("Content-Type"), "application/json"), 415, "bad-request")
		need(request.ContentLength <= 4<<20, 413, "too-large")
		var asked asked
		body := http.MaxBytesReader(answer, request.Body, 4<<20)
		need(json.NewDecoder(body).Decode(&asked) == nil, 400, "bad-request")
		told = route(asked)
	})
	header.Set("Content-Type", "application/json")
	if refused != nil {
		told = refused
		header.Set("Content-Type", "application/problem+json")
		answer.WriteHeader(refused.Status)
	}
	// Who has gone away needs no answer.
	_ = json.NewEncoder(answer).Encode(told)
}

func or(text, usual string) string {
	if text == "" {
		return usual
	}
	return text
}

func main() {
	if bucket == "" || len(secret) < 32 {
		log.Fatal("Set S3_BUCKET, and UPLOAD_SECRET to 32 letters or more.")
	}
	address := "127.0.0.1:" + or(os.Getenv("PORT"), "8788")
	log.Fatal(http.ListenAndServe(address, http.HandlerFunc(serve)))
}
