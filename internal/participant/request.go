package participant

import (
	"encoding/base64"
	"encoding/json"
	"time"

	"countersign/internal/failure"
	"countersign/internal/keyring"
)

// Requests seals what an application asked for while the browser that brought it signs in.
// Nothing of it is stored, so that strangers leave nothing behind.
type Requests struct {
	keys *keyring.Keyring
	now  func() time.Time
}

// NewRequests makes Requests.
func NewRequests(keys *keyring.Keyring, now func() time.Time) *Requests {
	return &Requests{keys: keys, now: now}
}

// ErrStray says that a request was not begun here, or too long ago.
var ErrStray = failure.Refuse("stray-request", "This was begun too long ago, or not here. Go back to the application and begin again.")

const (
	// requestLife is how long somebody may take to sign in.
	requestLife = 15 * time.Minute
	// requestMost bounds a sealed request, so that it and what carries it fit in an address.
	requestMost = 2000
)

type held struct {
	Kind  string
	Until time.Time
	State json.RawMessage
}

func requestPlace() keyring.AAD { return keyring.AAD{Table: table, Column: "request"} }

// Seal returns a code for an address, good for 15 minutes and for one kind of state. What does not fit is Invalid.
func (r *Requests) Seal(kind string, state any) (string, error) {
	raw, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(held{Kind: kind, Until: r.now().Add(requestLife), State: raw})
	if err != nil {
		return "", err
	}
	code := base64.RawURLEncoding.EncodeToString(r.keys.Seal(keyring.Ticket, requestPlace(), plain))
	if len(code) > requestMost {
		return "", failure.New(failure.Invalid, "The request is too long to be carried while somebody signs in.")
	}
	return code, nil
}

// Open reads into state, a pointer, what Seal sealed for the same kind, which is a
// protocol with a word for the state. Anything else is
// [ErrStray].
func (r *Requests) Open(kind, code string, state any) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(code) > requestMost {
		return ErrStray
	}
	if b, err = r.keys.Open(keyring.Ticket, requestPlace(), b); err != nil {
		return ErrStray
	}
	var h held
	if json.Unmarshal(b, &h) != nil || h.Kind != kind || !r.now().Before(h.Until) || json.Unmarshal(h.State, state) != nil {
		return ErrStray
	}
	return nil
}
