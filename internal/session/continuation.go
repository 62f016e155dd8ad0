package session

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/ticket"
)

// Continuations sends browsers to sign in, and keeps what they had begun.
type Continuations struct {
	keys    *keyring.Keyring
	tickets *ticket.Tickets
	holds   signin.ActiveSessions
	now     func() time.Time
}

// NewContinuations makes Continuations; sessions say who holds one.
func NewContinuations(p Parts, sessions signin.ActiveSessions) *Continuations {
	return &Continuations{keys: p.Keys, tickets: p.Tickets, holds: sessions, now: p.Now}
}

// Continuation is where a browser was going when it had to sign in or to step up.
//
// One that only signs in may travel in an address, sealed ([Continuations.Send]): it lets
// nobody in and does nothing, so anybody may make one and send it to anybody. Every
// other one stays where it was begun ([Continuations.Keep]): behind a cookie of one browser,
// for one session, with what was posted. See docs/decisions/0011.
type Continuation struct {
	// Application, Action, Object, Method, Path and Protocol are the engine's request.
	Application    string
	Action, Object string `json:",omitempty"`
	Method, Path   string `json:",omitempty"`
	// Protocol is whose continuation it is; empty is the browser's own.
	Protocol string                 `json:",omitempty"`
	Raise    *assurance.Requirement `json:",omitempty"`
	Since    time.Time              `json:",omitzero"`
	// Looks says that the action only looks: what is proved for it joins the
	// session, as for a sign-in, and there is nothing to claim.
	Looks bool `json:",omitempty"`
	// Return is where to go when it is granted: a path of ours, or an absolute
	// URL that the protocol has checked.
	Return string
	// Says is what is done, in words for whoever proves themselves for it; empty says
	// action and object.
	Says string `json:",omitempty"`
	// Told is Says in the language of whoever began it; empty is Says itself.
	Told string `json:",omitempty"`
	// Reading is what is read before it is approved, where an action has more to say; nil
	// is action and object. It is of this action and this object, or shown to nobody.
	Reading *prompt.Reading `json:",omitempty"`
	// Hint is the name that somebody may be about to sign in by: it is filled in, and nothing more.
	Hint string `json:",omitempty"`
	// Back is the page of ours that whoever thinks better of it goes to; empty is the portal.
	Back string `json:",omitempty"`
	// Form is what was posted, to be done once it is granted.
	Form url.Values `json:",omitempty"`
}

// travels reports whether a continuation may be in an address: it signs in, and nothing else.
func (e Continuation) travels() bool {
	ours := e.Application == signin.Self && e.Action != "" && e.Action != signin.SignIn
	return e.Application != "" && !ours && e.Object == "" && !e.Looks && e.Says == "" && e.Reading == nil && len(e.Form) == 0
}

const (
	continuationKind, continuationLife = "errand", 15 * time.Minute
	// continuationMost is how long a sealed continuation may be, so that it fits in an address and
	// in a cookie (RFC 6265bis section 5.6: 4096 bytes of name and value).
	continuationMost = 3000
	// stored begins the code of a continuation that is in the store.
	stored = "~"
)

// ErrLongWay says that a continuation is too long to travel. Whoever sends one says less.
var ErrLongWay = failure.New(failure.Invalid, "That address is too long to come back to.")

var strayContinuation = &failure.Error{Class: failure.Refused, Reason: "other-browser", Public: "This was begun in another browser, by somebody else, or too long ago. Begin again."}

// sealed is a continuation on its way.
type sealed struct {
	Continuation
	Until time.Time
}

// Send seals a continuation that signs in for an address, good for 15 minutes. Nothing of it
// is stored, so that strangers leave nothing behind.
func (er *Continuations) Send(e Continuation) (string, error) {
	if !e.travels() {
		return "", failure.New(failure.Internal, "an errand that does more than sign in was to be put in an address")
	}
	return er.seal(keyring.AAD{Table: "errand", Column: "address"}, e)
}

// Sent opens what [Continuations.Send] sealed.
func (er *Continuations) Sent(code string) (Continuation, error) {
	e, err := er.unseal(keyring.AAD{Table: "errand", Column: "address"}, code)
	if err == nil && !e.travels() {
		return Continuation{}, strayContinuation
	}
	return e, err
}

func (er *Continuations) seal(place keyring.AAD, e Continuation) (string, error) {
	plain, err := json.Marshal(sealed{e, er.now().Add(continuationLife)})
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression) // an address is in it twice
	if err != nil {
		return "", err
	}
	if _, err := w.Write(plain); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	code := base64.RawURLEncoding.EncodeToString(er.keys.Seal(keyring.Ticket, place, b.Bytes()))
	if len(code) > continuationMost {
		return "", ErrLongWay
	}
	return code, nil
}

func (er *Continuations) unseal(place keyring.AAD, code string) (Continuation, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(code)
	if err != nil || len(code) > continuationMost {
		return Continuation{}, strayContinuation
	}
	if b, err = er.keys.Open(keyring.Ticket, place, b); err != nil {
		return Continuation{}, strayContinuation
	}
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(b)))
	if err != nil {
		return Continuation{}, err
	}
	var e sealed
	if err := json.Unmarshal(plain, &e); err != nil {
		return Continuation{}, err
	}
	if !er.now().Before(e.Until) {
		return Continuation{}, strayContinuation
	}
	return e.Continuation, nil
}

// Bearer is the browser that a continuation belongs to.
type Bearer struct {
	// Browser is known by a random cookie; it is never empty.
	Browser string
	// Session is the number of the session that it holds, and Account whose that is;
	// empty before there is one.
	Session string
	Account assurance.AccountID
}

// Bearer is the browser that is known by this cookie and holds the session of this secret,
// if that stands.
func (er *Continuations) Bearer(ctx context.Context, browser, secret string) (Bearer, error) {
	by := Bearer{Browser: browser}
	if secret == "" {
		return by, nil
	}
	held, err := er.holds.Active(ctx, secret)
	if failure.ClassOf(err) == failure.Refused {
		return by, nil
	}
	by.Session, by.Account = held.Number, held.Account
	return by, err
}

// kept is a continuation with whose it is.
type kept struct {
	Continuation
	Bearer
}

// Keep keeps a continuation in Countersign itself for 15 minutes, for one browser and its
// session, and returns the code for the browser's cookie. Without a session there is
// nobody to keep one for, but what is begun without one ([Continuations.Hold]).
func (er *Continuations) Keep(ctx context.Context, e Continuation, by Bearer) (string, error) {
	if by.Browser == "" || by.Session == "" || e.Application != signin.Self {
		return "", failure.New(failure.Internal, "an errand was to be kept for nobody")
	}
	b, err := json.Marshal(kept{e, by})
	if err != nil {
		return "", err
	}
	code, err := er.tickets.Issue(ctx, ticket.Spec{Kind: continuationKind, Owner: int64(by.Account), Payload: b, Lifetime: continuationLife})
	return stored + code, err
}

// Hold seals a continuation for the cookie of a browser that has no session yet: to set up
// with a pass, or to get back in. It has no form, and nothing of it is stored.
func (er *Continuations) Hold(e Continuation, browser string) (string, error) {
	if browser == "" || len(e.Form) > 0 {
		return "", failure.New(failure.Internal, "an errand was to be held by nobody")
	}
	return er.seal(held(browser), e)
}

func held(browser string) keyring.AAD {
	return keyring.AAD{Table: "errand", Column: "cookie", Key: browser}
}

// Kept returns the continuation behind a cookie's code, to the browser and the session that
// began it and to nobody else. It leaves it there.
func (er *Continuations) Kept(ctx context.Context, code string, by Bearer) (Continuation, error) {
	if by.Browser == "" {
		return Continuation{}, strayContinuation
	}
	secret, there := strings.CutPrefix(code, stored)
	if !there {
		return er.unseal(held(by.Browser), code)
	}
	t, err := er.tickets.Peek(ctx, continuationKind, secret)
	if err != nil {
		return Continuation{}, err
	}
	var k kept
	if err := json.Unmarshal(t.Payload, &k); err != nil {
		return Continuation{}, err
	}
	if k.Bearer != by || by.Session == "" || t.Owner != int64(by.Account) {
		return Continuation{}, strayContinuation
	}
	return k.Continuation, nil
}

// Done ends a kept continuation: what was done once is not done again.
func (er *Continuations) Done(ctx context.Context, code string) error {
	secret, there := strings.CutPrefix(code, stored)
	if !there {
		return nil
	}
	_, err := er.tickets.Take(ctx, continuationKind, secret)
	return err
}
