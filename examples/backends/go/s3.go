// The store: what is signed for browsers and asked of it, and the ids that stand for uploads there.
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"
)

const maxPart, week, grantTime = 5 << 30, 7 * 24 * time.Hour, 15 * time.Minute

var (
	bucket, secret = os.Getenv("S3_BUCKET"), os.Getenv("UPLOAD_SECRET")
	region         = or(os.Getenv("S3_REGION"), "us-east-1")
	endpoint       = strings.TrimSuffix(or(os.Getenv("S3_ENDPOINT"), "https://s3."+region+".amazonaws.com"), "/")
	accessKey      = os.Getenv("AWS_ACCESS_KEY_ID")
	mime           = regexp.MustCompile(`^[\w!#$&^.+-]{1,60}/[\w!#$&^.+-]{1,66}$`)
	notPlain       = regexp.MustCompile(`[^\pL\pM\pN ._-]`)
	lastSlash      = regexp.MustCompile(`^.*[/\\]`)
)

func or(text, usual string) string {
	if text == "" {
		return usual
	}
	return text
}

// upload is what an id carries. Store is the store's own id of one in parts, End milliseconds since the Unix epoch.
type upload struct {
	Key, Store, Type string
	Size             uint64
	End              int64
}

func newUpload(name, kind string, size uint64) upload {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	plain := []rune(notPlain.ReplaceAllString(lastSlash.ReplaceAllString(name, ""), ""))
	if len(plain) > 80 {
		plain = plain[len(plain)-80:]
	}
	if !mime.MatchString(kind) {
		kind = "application/octet-stream"
	}
	key := hex.EncodeToString(random) + "/" + or(strings.Trim(string(plain), " ."), "file")
	return upload{Key: key, Type: kind, Size: size, End: time.Now().Add(week).UnixMilli()}
}

func mac(key, text string) string {
	hash := hmac.New(sha256.New, []byte(key))
	hash.Write([]byte(text))
	return string(hash.Sum(nil))
}

func (u upload) seal() string {
	payload, _ := json.Marshal(u)
	text := base64.RawURLEncoding.EncodeToString(payload)
	return text + "." + hex.EncodeToString([]byte(mac(secret, text)))
}

func open(id string, now time.Time) (u upload, err error) {
	text, tag, _ := strings.Cut(id, ".")
	payload, wrong := base64.RawURLEncoding.DecodeString(text)
	if !hmac.Equal([]byte(tag), []byte(hex.EncodeToString([]byte(mac(secret, text))))) || wrong != nil {
		return u, problem("403 id-refused")
	}
	if err = json.Unmarshal(payload, &u); err == nil && now.UnixMilli() >= u.End {
		err = problem("410 upload-expired")
	}
	return u, err
}

// has tells whether the file can have this part. Parts are of one size but for the last, which is no larger: none goes
// beyond the file.
func (u upload) has(part part) bool {
	if part.Size == nil || u.Store == "" {
		return part.Size != nil && part.Number == 1 && *part.Size == u.Size
	}
	fits := *part.Size >= 1 && *part.Size <= maxPart && uint64(part.Number)*(*part.Size) <= u.Size
	return part.Number >= 1 && part.Number <= 10_000 && fits
}

// presign is "Authenticating Requests: Using Query Parameters" of the S3 API reference.
func presign(method, key string, query url.Values, headers map[string]string, lives time.Duration) string {
	now := time.Now().UTC()
	day, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	scope := day + "/" + region + "/s3/aws4_request"
	base, _ := url.Parse(endpoint)
	signed, names := "", []string{"host"}
	for name := range headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		signed += name + ":" + or(headers[name], base.Host) + "\n"
	}
	query.Set("X-Amz-Algorithm", "AWS4-HMAC-SHA256")
	query.Set("X-Amz-Credential", accessKey+"/"+scope)
	query.Set("X-Amz-Date", stamp)
	query.Set("X-Amz-Expires", fmt.Sprint(int(lives.Seconds())))
	query.Set("X-Amz-SignedHeaders", strings.Join(names, ";"))
	if token := os.Getenv("AWS_SESSION_TOKEN"); token != "" {
		query.Set("X-Amz-Security-Token", token)
	}
	escaped := strings.ReplaceAll(query.Encode(), "+", "%20")
	folder, name, _ := strings.Cut(key, "/")
	path := "/" + bucket + "/" + folder + "/" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	canonical := strings.Join([]string{method, path, escaped, signed, strings.Join(names, ";"), "UNSIGNED-PAYLOAD"}, "\n")
	toSign := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", stamp, scope, sha256.Sum256([]byte(canonical)))
	sealed := "AWS4" + os.Getenv("AWS_SECRET_ACCESS_KEY")
	for _, text := range []string{day, region, "s3", "aws4_request", toSign} {
		sealed = mac(sealed, text)
	}
	return fmt.Sprintf("%s%s?%s&X-Amz-Signature=%x", endpoint, path, escaped, sealed)
}

// grant is a presigned PUT. The store refuses a body of another length or type.
func (u upload) grant(number uint32, size uint64) object {
	lives := time.Until(time.UnixMilli(u.End)).Truncate(time.Second)
	if lives > grantTime {
		lives = grantTime
	} else if lives < time.Second {
		lives = time.Second
	}
	query, headers, signed := url.Values{}, object{}, map[string]string{"content-length": fmt.Sprint(size)}
	if u.Store == "" {
		headers["content-type"], signed["content-type"] = u.Type, u.Type
	} else {
		query = url.Values{"partNumber": {fmt.Sprint(number)}, "uploadId": {u.Store}}
	}
	return object{"number": number, "method": "PUT", "url": presign("PUT", u.Key, query, signed, lives),
		"headers": headers, "expiresAt": time.Now().Add(lives).UnixMilli()}
}
