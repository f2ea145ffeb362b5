// Uploads: the ids that stand for them, what is signed for the page, and what is asked of the store.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Bytes of the largest file, of the largest that goes up in one request, and of the largest part.
const maxSize, single, maxPart = 100_000_000_000, 5 << 20, 5 << 30
const week, grantTime, binary = 7 * 24 * time.Hour, 15 * time.Minute, "application/octet-stream"

var (
	bucket, secret = os.Getenv("S3_BUCKET"), os.Getenv("UPLOAD_SECRET")
	endpoint       = must(url.Parse(or(os.Getenv("S3_ENDPOINT"), "https://s3.amazonaws.com")))
	store          = must(minio.NewCore(endpoint.Host, &minio.Options{Creds: credentials.NewEnvAWS(),
		Secure: endpoint.Scheme == "https", Region: or(os.Getenv("S3_REGION"), "us-east-1")}))
	// Not a request's own: what has begun goes on if the page's connection breaks.
	ctx = context.Background()
	// A type is signed and has to be sent as it was: only a plain one.
	mime    = regexp.MustCompile(`^[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,66}$`)
	nameEnd = regexp.MustCompile(`[\pL\pM\pN ._-]{0,80}$`)
	plain64 = base64.RawURLEncoding
)

// upload is what an id carries. Store is the store's own id of one in parts, End milliseconds since the Unix epoch.
type upload struct {
	Key, Type, Store string
	Size             uint64
	End              int64
}

type part struct {
	Number uint64 `json:"number"`
	Size   uint64 `json:"size"`
	Etag   string `json:"etag"`
}

func or(text, usual string) string {
	if text == "" {
		return usual
	}
	return text
}

func seal(text string) string {
	hash := hmac.New(sha256.New, []byte(secret))
	hash.Write([]byte("windlass " + text))
	return text + "." + plain64.EncodeToString(hash.Sum(nil))
}

// opened is the upload of an id that was sealed here, even one whose time is over.
func opened(id string) (u upload) {
	text, _, _ := strings.Cut(id, ".")
	need(hmac.Equal([]byte(id), []byte(seal(text))), problem{403, "id-refused"})
	must(0, json.Unmarshal(must(plain64.DecodeString(text)), &u))
	return u
}

func open(id string) upload { u := opened(id); need(now() < u.End, expired); return u }

func start(file asked) object {
	need(file.Size != nil, problem{422, "bad-file"})
	need(*file.Size <= maxSize, problem{413, "too-large"})
	key, kind := uuid.NewString()+"-"+nameEnd.FindString(file.Name), or(mime.FindString(file.Type), binary)
	u := upload{Key: key, Type: kind, Size: *file.Size, End: now() + week.Milliseconds()}
	told := object{"provider": "s3", "key": u.Key, "method": "single", "expiresAt": u.End}
	if u.Size > single {
		told["method"] = "multipart"
		u.Store = must(store.NewMultipartUpload(ctx, bucket, u.Key, minio.PutObjectOptions{ContentType: kind}))
	} else {
		told["parts"] = []object{u.grant(part{Number: 1, Size: u.Size})}
	}
	told["id"] = seal(plain64.EncodeToString(must(json.Marshal(u))))
	return told
}

func sign(asked asked) object {
	u, grants := open(asked.ID), []object{}
	need(len(asked.Parts) <= 1000, badRequest)
	for _, part := range asked.Parts {
		grants = append(grants, u.grant(part))
	}
	return object{"parts": grants}
}

// grant is a presigned PUT. The store refuses a body of another length or type.
func (u upload) grant(part part) object {
	// Parts are of one size but for the last, which is no larger: none goes beyond the file.
	fits := part.Number >= 1 && part.Number <= 10_000 && part.Size >= 1 && part.Size <= maxPart
	query, headers := url.Values{"partNumber": {fmt.Sprint(part.Number)}, "uploadId": {u.Store}}, object{}
	signed := http.Header{"Content-Length": {fmt.Sprint(part.Size)}}
	if u.Store == "" {
		fits = part.Number == 1 && part.Size == u.Size
		query, headers = nil, object{"content-type": u.Type}
		signed.Set("Content-Type", u.Type)
	}
	need(fits && part.Number*part.Size <= u.Size, badParts)
	address := must(store.PresignHeader(ctx, "PUT", bucket, u.Key, grantTime, query, signed)).String()
	until := now() + grantTime.Milliseconds()
	return object{"number": part.Number, "method": "PUT", "url": address, "headers": headers, "expiresAt": until}
}

// held are the parts that the store has, those with a higher number.
func (u upload) held(after int) []part {
	parts, page := []part{}, minio.ListObjectPartsResult{IsTruncated: u.Store != "", NextPartNumberMarker: after}
	for page.IsTruncated {
		page = must(store.ListObjectParts(ctx, bucket, u.Key, u.Store, page.NextPartNumberMarker, 1000))
		for _, held := range page.ObjectParts {
			parts = append(parts, part{uint64(held.PartNumber), uint64(held.Size), held.ETag})
		}
	}
	return parts
}

// join makes the object of what the store holds, and only if that is the whole file and what the page named.
func (u upload) join(named []part) string {
	held, joined, size := u.held(0), []minio.CompletePart{}, uint64(0)
	need(len(held) == len(named), badParts)
	for at, part := range held {
		etag := or(named[at].Etag, part.Etag)
		need(part.Number == named[at].Number && strings.Trim(etag, `"`) == strings.Trim(part.Etag, `"`), badParts)
		joined = append(joined, minio.CompletePart{PartNumber: int(part.Number), ETag: part.Etag})
		size += part.Size
	}
	need(size == u.Size, badParts)
	return must(store.CompleteMultipartUpload(ctx, bucket, u.Key, u.Store, joined, minio.PutObjectOptions{}))
}

func finish(asked asked) object {
	u, failed := open(asked.ID), problem{}
	need(asked.Size != nil && *asked.Size == u.Size, problem{409, "size-mismatch"})
	if u.Store != "" {
		_, failed = try(u.join, asked.Parts)
	}
	need(failed != badParts, failed)
	// The key is this upload's alone: an object that is there was made by an earlier call, whatever joining met.
	head, err := store.StatObject(ctx, bucket, u.Key, minio.StatObjectOptions{})
	need(failed.Code == "" || err == nil, failed)
	need(uint64(must(head, err).Size) == u.Size, problem{409, "size-mismatch"})
	return object{"key": u.Key, "size": head.Size, "etag": head.ETag}
}

func abort(asked asked) object {
	need(asked.Ids != nil, badRequest)
	uploads := []upload{}
	// All ids first: a forged one must not have half an effect. Those whose time is over may still be freed.
	for _, id := range asked.Ids {
		uploads = append(uploads, opened(id))
	}
	for _, u := range uploads {
		if u.Store != "" {
			err := store.AbortMultipartUpload(ctx, bucket, u.Key, u.Store)
			need(err == nil || minio.ToErrorResponse(err).Code == "NoSuchUpload", err)
		} else if now() < u.End {
			must(0, store.RemoveObject(ctx, bucket, u.Key, minio.RemoveObjectOptions{}))
		}
	}
	return object{}
}
