package yubico

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Statuses of the protocol. The HTTP status is always 200.
const (
	statusOK        = "OK"
	statusBad       = "BAD_OTP"
	statusReplayed  = "REPLAYED_OTP"
	statusSignature = "BAD_SIGNATURE"
	statusMissing   = "MISSING_PARAMETER"
	statusNoClient  = "NO_SUCH_CLIENT"
	statusBroken    = "BACKEND_ERROR"
	statusAgain     = "REPLAYED_REQUEST"
)

// pairs are the parameters of one message, in the order in which they are sent.
type pairs [][2]string

// signature is the HMAC-SHA-1 over the pairs in the order of their names, without
// "h" (Validation Protocol Version 2.0, "Generating signatures").
func (p pairs) signature(key []byte) string {
	sorted := slices.DeleteFunc(slices.Clone(p), func(kv [2]string) bool { return kv[0] == "h" })
	slices.SortFunc(sorted, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	m := hmac.New(sha1.New, key)
	for i, kv := range sorted {
		if i > 0 {
			m.Write([]byte("&"))
		}
		m.Write([]byte(kv[0] + "=" + kv[1]))
	}
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// text is the body of an answer: a line for each pair, and an empty one.
func (p pairs) text() string {
	var b strings.Builder
	for _, kv := range p {
		b.WriteString(kv[0] + "=" + kv[1] + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// request is what was asked, as far as it could be read.
type request struct {
	all            pairs
	id, otp, nonce string
	h              string
	// first says that it came to the address of version 1 of the protocol.
	first bool
}

// old reports whether a request is of version 1 of the protocol, which has no nonce. Its
// answer says neither nonce nor one-time password.
func (r request) old() bool { return r.first && r.nonce == "" }

// maxQuery is far more than any client sends.
const maxQuery = 2048

// read reads a request: the query of a GET, the form of a POST. A POST with a query could be
// signed as one and read as the other, so it is not read.
func read(r *http.Request) (q request, ok bool) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		form, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		body, readErr := io.ReadAll(io.LimitReader(r.Body, maxQuery+1))
		if err != nil || readErr != nil || form != "application/x-www-form-urlencoded" || text != "" {
			return request{}, false
		}
		text = string(body)
	}
	q, ok = parse(text)
	q.first = r.URL.Path == OldPath
	return q, ok
}

// parse reads a query. A name that comes twice could be signed as one and read as
// the other, so it is not read at all.
func parse(query string) (request, bool) {
	var r request
	if len(query) > maxQuery {
		return r, false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return r, false
	}
	for name, v := range values {
		if len(v) != 1 {
			return r, false
		}
		r.all = append(r.all, [2]string{name, v[0]})
		switch name {
		case "id":
			r.id = v[0]
		case "otp":
			r.otp = v[0]
		case "nonce":
			r.nonce = v[0]
		case "h":
			r.h = v[0]
		}
	}
	return r, true
}

// signed reports whether the request bears the client's signature. Some clients
// leave the "+" of base64 as it is, which a query reads as a space.
func (r request) signed(key []byte) bool {
	return hmac.Equal([]byte(r.all.signature(key)), []byte(strings.ReplaceAll(r.h, " ", "+")))
}

// nonced reports whether the nonce has 16 to 40 letters and digits.
func (r request) nonced() bool {
	return len(r.nonce) >= 16 && len(r.nonce) <= 40 && strings.Trim(r.nonce, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// letters are what a key types: modhex, and what the same keys are on a Dvorak keyboard.
const letters = "cbdefghijklnrtuv" + "jxe.uidchtnbpygk"

// typed reports whether the otp can be what a key types: 32 characters after a
// public id of 2 to 32.
func (r request) typed() bool {
	return len(r.otp) >= 34 && len(r.otp) <= 64 && !strings.ContainsFunc(strings.ToLower(r.otp), func(c rune) bool { return !strings.ContainsRune(letters, c) })
}

// answer is what is said of a request; signed where the client is known. Every
// one-time password is judged in one place, so that all of "sl" per cent of the
// servers have agreed.
func answer(r request, status string, key []byte, now time.Time) string {
	now = now.UTC()
	p := pairs{{"t", now.Format("2006-01-02T15:04:05Z0") + now.Format(".000")[1:]}} // as Yubico's servers write it, with milliseconds
	if r.otp != "" && r.typed() && !r.old() {
		p = append(p, [2]string{"otp", r.otp})
	}
	if r.nonced() {
		p = append(p, [2]string{"nonce", r.nonce})
	}
	if status == statusOK && !r.old() {
		p = append(p, [2]string{"sl", "100"})
	}
	p = append(p, [2]string{"status", status})
	if key != nil {
		p = append(pairs{{"h", p.signature(key)}}, p...)
	}
	return p.text()
}
