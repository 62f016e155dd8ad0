package look

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"countersign/internal/failure"
)

// TokenField is the name of the hidden field that ties a form to its browser.
const TokenField = "form-token"

const tokenCookie = "form"

var errStrayForm = &failure.Error{Class: failure.Refused, Reason: "stray-form",
	Public: "This form is out of date, or cookies are off. Go back, load the page again and send it once more."}

// token returns the token for this browser's forms, giving it its cookie first
// where it has none. The token is a hash of the cookie, which only our own host
// can set and only our server reads, so that a form from elsewhere cannot know
// it. It stands behind [http.CrossOriginProtection] and not instead of it.
func (j Jar) token(w http.ResponseWriter, r *http.Request) string { return tokenOf(j.random(w, r)) }

// random is the value of this browser's cookie; it is given one where it has none.
func (j Jar) random(w http.ResponseWriter, r *http.Request) string {
	value := j.Get(r, tokenCookie)
	if !wellFormed(value) {
		var raw [32]byte
		rand.Read(raw[:])
		value = base64.RawURLEncoding.EncodeToString(raw[:])
		j.Set(w, tokenCookie, value, 0)
	}
	return value
}

// FormToken is the token of this browser's forms, for a script that sends them.
func (j Jar) FormToken(w http.ResponseWriter, r *http.Request) string { return j.token(w, r) }

func tokenOf(cookie string) string { return hashed("countersign form", cookie) }

func hashed(what, cookie string) string {
	sum := sha256.Sum256([]byte(what + "\x00" + cookie))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Browser is what this browser is known by as long as it is open: another hash of the
// cookie that its forms are tied to, which it is given where it has none.
func (j Jar) Browser(w http.ResponseWriter, r *http.Request) string {
	return hashed("countersign browser", j.random(w, r))
}

func wellFormed(value string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return err == nil && len(raw) == 32
}

// checkToken refuses a form that this browser was not given.
func (j Jar) checkToken(r *http.Request) error {
	value := j.Get(r, tokenCookie)
	if !wellFormed(value) || subtle.ConstantTimeCompare([]byte(r.PostForm.Get(TokenField)), []byte(tokenOf(value))) != 1 {
		return errStrayForm
	}
	return nil
}
