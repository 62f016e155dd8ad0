// Package push is the Countersign app: a browser that keeps a P-256 key which no
// script can read out, and signs what is approved with it.
//
// It owns the key's stored form, its binding by a code, and the check of a
// signature, with a gesture of its owner where the device can ask for one (how
// that is verified, passkey knows). It does not know what is approved (signin
// does) and sends nothing (webpush does). Its one invariant: a signature counts
// for exactly the bytes that the server made, by a key that its owner has
// confirmed in a session of their own; and it shows that its owner was verified
// only with a gesture for the same bytes.
package push

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Kind is the word in storage, policy and audit.
const Kind = "push"

const (
	pointSize = 65 // an uncompressed point of P-256
	codeSize  = 24 // 192 random bits in a binding code, as internal/ticket has it
	// maxSent is how long what a device sends may be, in bytes of JSON: an
	// attestation of its gestures by a TPM takes some 10 KiB.
	maxSent = 32 << 10
	// life is how long a question may wait for its signature.
	life = 5 * time.Minute
)

// Authenticator checks the app's signatures. It is safe for concurrent use.
type Authenticator struct {
	page     string
	gestures *passkey.Authenticator
}

// New returns an Authenticator. The page is the app's address, and gestures
// verifies those of its owner there.
func New(page string, gestures *passkey.Authenticator) *Authenticator {
	return &Authenticator{page, gestures}
}

// Describe returns what the app is.
func (a *Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Signal: "app", Title: "Countersign app", Noun: "approval on a phone", Pitch: "An app on your phone, without a store: you type the number of a sign-in and approve it there. It comes after a password.", Document: "app.md", Mark: authenticator.MarkPhone, Traits: assurance.Held | assurance.UserVerified, Media: prompt.Display | prompt.Browser}
}

// The versions of a state. One without a gesture stays as it was, and an older
// node refuses one that has it: it would drop it with the next address.
const (
	plainState   = 1
	gestureState = 2
)

type state struct {
	Version int                    `json:"v"`
	Key     []byte                 `json:"k"`
	Address *authenticator.Address `json:"a,omitempty"`
	// Gesture is the state of the credential for gestures; nil is a device that
	// asks for none.
	Gesture []byte `json:"g,omitempty"`
}

func (s state) encode() ([]byte, error) {
	s.Version = plainState
	if len(s.Gesture) > 0 {
		s.Version = gestureState
	}
	return json.Marshal(s)
}

// traits are what the device shows at its best.
func (s state) traits() assurance.Trait {
	if len(s.Gesture) > 0 {
		return assurance.Held | assurance.UserVerified
	}
	return assurance.Held
}

func decode(b []byte) (state, *ecdsa.PublicKey, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != plainState && s.Version != gestureState || (s.Version == gestureState) != (len(s.Gesture) > 0) {
		return state{}, nil, errors.New("push: a stored key cannot be read")
	}
	key, err := parseKey(s.Key)
	return s, key, err
}

func parseKey(point []byte) (*ecdsa.PublicKey, error) {
	if len(point) != pointSize {
		return nil, errors.New("push: a key of another length")
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}

// verify checks a signature of r and s, 32 bytes each, as WebCrypto makes it.
func verify(key *ecdsa.PublicKey, signed, signature []byte) bool {
	if len(signature) != 64 || len(signed) == 0 {
		return false
	}
	sum := sha256.Sum256(signed)
	return ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// Ask makes a statement to be signed. The engine makes its own, of what waits.
func (a *Authenticator) Ask(_ []authenticator.Credential, now time.Time) (prompt.Prompt, authenticator.Memo, error) {
	memo := authenticator.Statement("countersign ask", rand.Text(), now.UTC().Format(time.RFC3339))
	data, err := json.Marshal(memo)
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.PublicKey, Label: "Approve in your Countersign app", Data: data}, memo, err
}

// reply is the app's answer, as JSON.
type reply struct {
	App       string `json:"app"` // its handle
	Signature []byte `json:"signature"`
	Gesture   []byte `json:"gesture"` // the browser's reply; empty is none
}

// Check verifies a signature over the memo, and a gesture for it where one came:
// without it Held is all that is shown. A statement signs once. A wrong gesture
// beside a right signature names the credential in its refusal.
func (a *Authenticator) Check(ctx context.Context, credentials []authenticator.Credential, memo authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	var r reply
	if len(answer.Data) > maxSent || json.Unmarshal(answer.Data, &r) != nil || answer.Authenticator != Kind {
		return authenticator.Wrong("malformed"), nil
	}
	if reason := asked(memo, now); reason != "" {
		return authenticator.Wrong(reason), nil
	}
	for _, c := range credentials {
		if c.Handle != r.App || r.App == "" {
			continue
		}
		s, key, err := decode(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if handleOf(s.Key) != c.Handle || !verify(key, memo, r.Signature) {
			return authenticator.Wrong("forged"), nil
		}
		sum := sha256.Sum256(memo)
		signed := authenticator.Result{OK: true, Credential: c.ID, Traits: assurance.Held, Once: base64.RawURLEncoding.EncodeToString(sum[:18])}
		if len(r.Gesture) == 0 {
			return signed, nil
		}
		return a.gestured(ctx, s, signed, passkey.Gesture{Statement: memo, Reply: r.Gesture}, now)
	}
	return authenticator.Wrong("unknown-app"), nil
}

// asked says why a memo of [Authenticator.Ask] is over; the engine's own have an
// end of their own.
func asked(memo authenticator.Memo, now time.Time) string {
	const head = "15:countersign ask\n"
	rest, ok := bytes.CutPrefix(memo, []byte(head))
	if !ok {
		return ""
	}
	fields := bytes.Split(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n"))
	_, text, ok := bytes.Cut(fields[len(fields)-1], []byte(":"))
	at, err := time.Parse(time.RFC3339, string(text))
	if !ok || err != nil || now.Sub(at) >= life || at.Sub(now) >= life {
		return "stale"
	}
	return ""
}

// handleOf names a key.
func handleOf(point []byte) string {
	sum := sha256.Sum256(point)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Address returns where the app can be woken.
func (a *Authenticator) Address(c authenticator.Credential) (authenticator.Address, bool) {
	s, _, err := decode(c.State)
	if err != nil || s.Address == nil {
		return authenticator.Address{}, false
	}
	return *s.Address, true
}

// Move returns the state with another address.
func (a *Authenticator) Move(c authenticator.Credential, to authenticator.Address) ([]byte, error) {
	s, _, err := decode(c.State)
	if err != nil {
		return nil, err
	}
	if s.Address = &to; to.Endpoint == "" {
		s.Address = nil
	}
	return s.encode()
}

// offer is what an enrollment remembers.
type offer struct {
	Account assurance.AccountID `json:"a"`
	Code    string              `json:"c"`
}

// Offer makes a binding code, in a link for the device. The part after # is not
// sent to any server by opening it.
func (a *Authenticator) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	raw := make([]byte, codeSize)
	rand.Read(raw)
	code := base64.RawURLEncoding.EncodeToString(raw)
	memo, err := json.Marshal(offer{p.Account, code})
	if err != nil {
		return prompt.Prompt{}, nil, err
	}
	data, err := a.link("bind", code)
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Code, Digits: 6, Label: "Number that the app shows", Data: data,
		Hint: "Scan the picture with your phone. The app opens in its browser and shows a number of six digits: type it here. Nobody else needs the picture or the number."}, memo, err
}

// link is what is shown to be scanned: the app's page, and behind the # what it is
// opened for, which no server is sent.
func (a *Authenticator) link(what, value string) (json.RawMessage, error) {
	return json.Marshal(map[string]string{"uri": a.page + "#" + what + "=" + value})
}

// Scan returns a link that fills in a number in the app. It says nothing but the
// number, so a photograph of it is worth no more.
func (a *Authenticator) Scan(number string) (json.RawMessage, error) { return a.link("number", number) }

// Code returns the code of an offer.
func (a *Authenticator) Code(memo authenticator.Memo) (string, error) {
	var o offer
	if json.Unmarshal(memo, &o) != nil || o.Code == "" {
		return "", errors.New("push: an offer cannot be read")
	}
	return o.Code, nil
}

// proposal is a key that a device made, with its signature over the code.
type proposal struct {
	Key       []byte `json:"key"`
	Signature []byte `json:"signature"`
	Label     string `json:"label"`
	// Gesture is the browser's reply to the creation of a credential for gestures;
	// empty where the device can ask for none.
	Gesture []byte `json:"gesture,omitempty"`
}

// bound is what the device signs to be bound.
func bound(code string, key []byte) authenticator.Memo {
	return authenticator.Statement("countersign bind", code, base64.RawURLEncoding.EncodeToString(key))
}

func propose(code string, b []byte) (proposal, bool) {
	var p proposal
	if len(b) > maxSent || json.Unmarshal(b, &p) != nil || code == "" {
		return p, false
	}
	key, err := parseKey(p.Key)
	return p, err == nil && verify(key, bound(code, p.Key), p.Signature)
}

// Proposes reports whether a device signed this code.
func (a *Authenticator) Proposes(code string, b []byte) bool {
	_, ok := propose(code, b)
	return ok
}

// confirmation is the number that the device shows and its owner types where
// they are signed in: whoever saw the picture and was quicker shows it to
// nobody.
func confirmation(code string, key []byte) string {
	sum := sha256.Sum256(authenticator.Statement("countersign confirm", code, base64.RawURLEncoding.EncodeToString(key)))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000)
}

// Accept takes the key that a device proposed, in Data, if its owner typed the
// number that the device shows.
func (a *Authenticator) Accept(ctx context.Context, p authenticator.Person, memo authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Enrolled, error) {
	var o offer
	if json.Unmarshal(memo, &o) != nil || o.Account != p.Account || o.Code == "" {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "wrong-offer", Public: "This set-up has ended. Start it again."}
	}
	if len(answer.Data) == 0 {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "not-bound", Public: "No device has opened the link yet. Scan the picture first."}
	}
	device, ok := propose(o.Code, answer.Data)
	if !ok {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "forged", Public: "The device's key could not be checked. Start it again."}
	}
	if digits, _ := typed.Digits(answer.Text); digits != confirmation(o.Code, device.Key) {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "wrong", Public: "That is not the number of the device that opened the link. If yours shows another one, somebody else was quicker: start again."}
	}
	kept, detail, err := a.bindGesture(ctx, o.Code, device, now)
	if err != nil {
		return authenticator.Enrolled{}, err
	}
	b, err := kept.encode()
	label := device.Label
	if label == "" {
		label = "Countersign app"
	}
	return authenticator.Enrolled{State: b, Handle: handleOf(device.Key), Traits: kept.traits(), Label: label, Detail: detail}, err
}
