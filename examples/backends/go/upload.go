// Uploads: the ids that stand for them, what is signed for the page, and what is asked of the store.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
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

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Bytes of the largest file, of the largest that goes up in one request, and of the largest part.
const maxSize, single, maxPart = 100_000_000_000, 5 << 20, 5 << 30
const week, grantTime = 7 * 24 * time.Hour, 15 * time.Minute

var (
	bucket, secret = os.Getenv("S3_BUCKET"), os.Getenv("UPLOAD_SECRET")
	region         = or(os.Getenv("S3_REGION"), "us-east-1")
	endpoint       = must(url.Parse(or(os.Getenv("S3_ENDPOINT"), "https://s3."+region+".amazonaws.com")))
	store          = must(minio.NewCore(endpoint.Host, &minio.Options{
		Creds: credentials.NewEnvAWS(), Secure: endpoint.Scheme == "https", Region: region,
	}))
	// Not a request's own: what has begun goes on if the page's connection breaks.
	ctx = context.Background()
	// A type is signed and has to be sent as it was: only a plain one.
	mime     = regexp.MustCompile(`^[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,66}$`)
	plainEnd = regexp.MustCompile(`[\pL\pM\pN ._-]{0,80}$`)
)

// upload is what an id carries. Store is the store's own id of one in parts, End milliseconds since the Unix epoch.
type upload struct {
	Key, Type, Store string
	Size             uint64
	End              int64
}

func tag(text string) string {
	hash := hmac.New(sha256.New, []byte(secret))
	hash.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
}

func (u upload) seal() string {
	text := base64.RawURLEncoding.EncodeToString(must(json.Marshal(u)))
	return text + "." + tag(text)
}

func open(id string, now time.Time) (u upload) {
	text, sealed, _ := strings.Cut(id, ".")
	need(hmac.Equal([]byte(sealed), []byte(tag(text))), 403, "id-refused")
	must(0, json.Unmarshal(must(base64.RawURLEncoding.DecodeString(text)), &u))
	need(now.UnixMilli() < u.End, 410, "upload-expired")
	return u
}

// grant is a presigned PUT. The store refuses a body of another length or type.
func (u upload) grant(number, size uint64) object {
	query, headers := url.Values{"partNumber": {fmt.Sprint(number)}, "uploadId": {u.Store}}, object{}
	signed := http.Header{"Content-Length": {fmt.Sprint(size)}}
	if u.Store == "" {
		query, headers = nil, object{"content-type": u.Type}
		signed.Set("Content-Type", u.Type)
	}
	until := time.Now().Add(grantTime).UnixMilli()
	address := must(store.PresignHeader(ctx, "PUT", bucket, u.Key, grantTime, query, signed)).String()
	return object{"number": number, "method": "PUT", "url": address, "headers": headers, "expiresAt": until}
}

// held are the parts that the store has.
func (u upload) held() (parts []minio.ObjectPart) {
	page := minio.ListObjectPartsResult{IsTruncated: u.Store != ""}
	for page.IsTruncated {
		page = must(store.ListObjectParts(ctx, bucket, u.Key, u.Store, page.NextPartNumberMarker, 1000))
		parts = append(parts, page.ObjectParts...)
	}
	return parts
}

func start(file asked) object {
	need(file.Size != nil, 422, "bad-file")
	need(*file.Size <= maxSize, 413, "too-large")
	kind := or(mime.FindString(file.Type), "application/octet-stream")
	u := upload{Type: kind, Size: *file.Size, End: time.Now().Add(week).UnixMilli()}
	random := make([]byte, 16)
	must(rand.Read(random))
	u.Key = fmt.Sprintf("%x-%s", random, plainEnd.FindString(file.Name))
	told := object{"provider": "s3", "key": u.Key, "expiresAt": u.End, "method": "single"}
	if u.Size > single {
		told["method"] = "multipart"
		u.Store = must(store.NewMultipartUpload(ctx, bucket, u.Key, minio.PutObjectOptions{ContentType: kind}))
	} else {
		told["parts"] = []object{u.grant(1, u.Size)}
	}
	told["id"] = u.seal()
	return told
}

func sign(asked asked) object {
	u, grants := open(asked.ID, time.Now()), []object{}
	need(len(asked.Parts) <= 1000, 400, "bad-request")
	for _, part := range asked.Parts {
		// Parts are of one size but for the last, which is no larger: none goes beyond the file.
		fits := part.Number >= 1 && part.Number <= 10_000 && part.Size >= 1 && part.Size <= maxPart
		if u.Store == "" {
			fits = part.Number == 1 && part.Size == u.Size
		}
		need(fits && part.Number*part.Size <= u.Size, 422, "bad-parts")
		grants = append(grants, u.grant(part.Number, part.Size))
	}
	return object{"parts": grants}
}

func list(asked asked) object {
	parts := []object{}
	for _, held := range open(asked.ID, time.Now()).held() {
		if held.PartNumber > int(asked.After) {
			parts = append(parts, object{"number": held.PartNumber, "size": held.Size, "etag": held.ETag})
		}
	}
	return object{"parts": parts}
}

// finish joins what the store holds, and only if that is the whole file and what the page named.
func finish(asked asked) object {
	u, joined, size := open(asked.ID, time.Now()), []minio.CompletePart{}, uint64(0)
	need(asked.Size != nil && *asked.Size == u.Size, 409, "size-mismatch")
	failed := try(func() {
		for at, held := range u.held() {
			need(at < len(asked.Parts) && held.PartNumber == at+1, 422, "bad-parts")
			known := strings.Trim(asked.Parts[at].Etag, `"`)
			need(known == "" || known == strings.Trim(held.ETag, `"`), 422, "bad-parts")
			joined = append(joined, minio.CompletePart{PartNumber: at + 1, ETag: held.ETag})
			size += uint64(held.Size)
		}
		if u.Store != "" {
			need(len(joined) == len(asked.Parts) && size == u.Size, 422, "bad-parts")
			must(store.CompleteMultipartUpload(ctx, bucket, u.Key, u.Store, joined, minio.PutObjectOptions{}))
		}
	})
	// The key is this upload's alone: an object that is there was made by an earlier call, whatever joining met.
	head, err := store.StatObject(ctx, bucket, u.Key, minio.StatObjectOptions{})
	if failed != nil && (err != nil || failed.Code == "bad-parts") {
		panic(failed)
	}
	need(uint64(must(head, err).Size) == u.Size, 409, "size-mismatch")
	return object{"key": u.Key, "size": head.Size, "etag": head.ETag}
}

func abort(asked asked) object {
	need(asked.Ids != nil, 400, "bad-request")
	uploads := []upload{}
	// All ids first: a forged one must not have half an effect. Those whose time is over may still be freed.
	for _, id := range asked.Ids {
		uploads = append(uploads, open(id, time.Time{}))
	}
	for _, u := range uploads {
		if u.Store != "" {
			err := store.AbortMultipartUpload(ctx, bucket, u.Key, u.Store)
			need(err == nil || minio.ToErrorResponse(err).Code == "NoSuchUpload", 503, "store-unavailable")
		} else if time.Now().UnixMilli() < u.End {
			must(0, store.RemoveObject(ctx, bucket, u.Key, minio.RemoveObjectOptions{}))
		}
	}
	return object{}
}
