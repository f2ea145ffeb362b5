// What the server itself asks the store.
package main

import (
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// answer is what the store says, whichever of these it has.
type answer struct {
	Code                 string
	UploadID             string `xml:"UploadId"`
	IsTruncated          bool
	NextPartNumberMarker uint32
	Part                 []part
}

// client follows no redirect: a presigned URL is for one place.
var client = http.Client{Timeout: 15 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error {
	return http.ErrUseLastResponse
}}

// ask has a problem for what is no success, also where a 200 has an <Error> in its body.
func (u upload) ask(method string, query url.Values, headers map[string]string, body string) (
	*http.Response, answer, error) {
	var told answer
	address := presign(method, u.Key, query, headers, 5*time.Minute)
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return nil, told, problem("500 internal")
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		// Not the error itself: it repeats the URL.
		return nil, told, problem("503 store-unavailable")
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if len(text) > 0 && err == nil {
		err = xml.Unmarshal(text, &told)
	}
	if err != nil {
		return nil, told, problem("503 store-unavailable")
	}
	if response.StatusCode < 300 && told.Code == "" {
		return response, told, nil
	}
	log.Printf("the store answers %d %s", response.StatusCode, told.Code)
	return nil, told, meaning(response.StatusCode, told.Code)
}

func meaning(status int, code string) problem {
	switch {
	case code == "NoSuchUpload" || code == "NoSuchKey" || status == 404 && code == "":
		return "404 upload-gone"
	case code == "InvalidPart" || code == "InvalidPartOrder" || code == "EntityTooSmall":
		return "422 bad-parts"
	case status == 507:
		return "507 store-full"
	case status < 300 || status == 429 || status >= 500:
		return "503 store-unavailable"
	}
	return "502 store-refused"
}

func (u *upload) begin() error {
	_, told, err := u.ask("POST", url.Values{"uploads": {""}}, map[string]string{"content-type": u.Type}, "")
	u.Store = told.UploadID
	return err
}

// listed is a page of the parts that the store holds.
func (u upload) listed(after uint32) (answer, error) {
	if u.Store == "" {
		return answer{}, nil
	}
	query := url.Values{"uploadId": {u.Store}, "part-number-marker": {fmt.Sprint(after)}}
	_, told, err := u.ask("GET", query, nil, "")
	return told, err
}

// join joins what the store holds, and only if that is the whole file and what the page named.
func (u upload) join(named []part) error {
	if u.Store == "" {
		return nil
	}
	held := []part{}
	for page := (answer{IsTruncated: true}); page.IsTruncated; held = append(held, page.Part...) {
		var err error
		if page, err = u.listed(page.NextPartNumberMarker); err != nil {
			return err
		}
	}
	bytes, body := uint64(0), ""
	for at, part := range held {
		if at >= len(named) || part.Number != named[at].Number || part.Size == nil || part.Etag == nil {
			return problem("422 bad-parts")
		}
		known := named[at].Etag
		if known != nil && strings.Trim(*known, `"`) != strings.Trim(*part.Etag, `"`) {
			return problem("422 bad-parts")
		}
		bytes += *part.Size
		tag := html.EscapeString(*part.Etag)
		body += fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", part.Number, tag)
	}
	if len(held) != len(named) || bytes != u.Size {
		return problem("422 bad-parts")
	}
	body = "<CompleteMultipartUpload>" + body + "</CompleteMultipartUpload>"
	_, _, err := u.ask("POST", url.Values{"uploadId": {u.Store}}, nil, body)
	return err
}

// head is size and entity tag of the object.
func (u upload) head() (uint64, string, error) {
	response, _, err := u.ask("HEAD", url.Values{}, nil, "")
	if err != nil {
		return 0, "", err
	}
	return uint64(response.ContentLength), response.Header.Get("ETag"), nil
}

// free gives the upload up. The object of one in parts stays, that of a single one goes, unless its time is over.
func (u upload) free() error {
	query := url.Values{}
	if u.Store != "" {
		query.Set("uploadId", u.Store)
	} else if time.Now().UnixMilli() >= u.End {
		return nil
	}
	_, _, err := u.ask("DELETE", query, nil, "")
	return err
}
