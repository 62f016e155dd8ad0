// Package apppassword checks app passwords: what a person makes for one device that cannot sign
// in on a page, such as a telephone's mail program.
//
// It owns the password's form and what it serves: one service of one application. It does not say
// who may make one (signin does) or what policy thinks of it, is never asked for, and is an answer
// nowhere. Its neighbour is signin, which asks [Authenticator.Serves] before it looks at what an
// app password shows. Its one invariant: an app password shows that its owner made it for this
// service, and nothing that the owner themselves could be taken for.
package apppassword

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// Kind is the word for app passwords in storage, policy and audit.
const Kind = "apppassword"

// The two halves of an app password, of rand.Text's alphabet (RFC 4648 base32, 5 bits a letter):
// one names its row, and the other, of 130 bits, is secret.
const (
	handleSize = 8
	secretSize = 26
	groupSize  = 4
)

// Terms are what an app password is good for.
type Terms struct {
	// Application is the one that may ask about it, Service what of it: "imap".
	Application, Service string
}

type state struct {
	Version     int    `json:"v"`
	Sum         []byte `json:"h"`
	Application string `json:"a"`
	Service     string `json:"s"`
	// Networks are those that it was used from, the newest last.
	Networks []netip.Prefix `json:"n,omitempty"`
}

// mostNetworks bounds how many networks are remembered. The oldest is new again after that.
const mostNetworks = 16

var words = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

func sum(secret string) []byte {
	h := sha256.Sum256([]byte("countersign app password\x00" + secret))
	return h[:]
}

// Issue makes an app password: its text, which is shown once, and what is kept. Its secret half has
// 130 random bits, so that a plain hash is enough. The text is in groups of four letters, and
// whoever types it may leave the hyphens out.
func Issue(t Terms) (string, authenticator.Enrolled, error) {
	if !words.MatchString(t.Application) || !words.MatchString(t.Service) {
		return "", authenticator.Enrolled{}, errors.New("apppassword: an app password is for one service of one application")
	}
	handle, secret := random(handleSize), random(secretSize)
	b, err := json.Marshal(state{Version: 1, Sum: sum(secret), Application: t.Application, Service: t.Service})
	return grouped(handle + secret), authenticator.Enrolled{State: b, Handle: handle, Traits: assurance.AppPassword, Label: "App password"}, err
}

// random is this many letters, 5 random bits each.
func random(n int) string {
	var all strings.Builder
	for all.Len() < n {
		all.WriteString(strings.ToLower(rand.Text()))
	}
	return all.String()[:n]
}

func grouped(s string) string {
	var out []string
	for group := range slices.Chunk([]byte(s), groupSize) {
		out = append(out, string(group))
	}
	return strings.Join(out, "-")
}

// Authenticator checks app passwords.
type Authenticator struct{}

// Describe returns what app passwords are. They come with a program's request and are an answer
// nowhere.
func (Authenticator) Describe() authenticator.Description {
	return authenticator.Description{Kind: Kind, Title: "App password", Noun: "app password", Document: "mailboxes.md", Mark: authenticator.MarkDots, Traits: assurance.AppPassword, Media: prompt.API}
}

// Ask is never played.
func (Authenticator) Ask([]authenticator.Credential, time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: Kind, Kind: prompt.Secret, Label: "App password"}, nil, nil
}

// Discover returns the half of an app password that names its row.
func (Authenticator) Discover(answer prompt.Answer) (string, bool) {
	handle, _, ok := split(answer.Text)
	return handle, ok
}

// longest bounds what is looked at: an app password with a blank between any two letters.
const longest = 2 * (handleSize + secretSize)

// split reads what was typed: capitals and small letters are the same, and hyphens and blanks are
// nothing.
func split(text string) (handle, secret string, ok bool) {
	if len(text) > longest {
		return "", "", false
	}
	text = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(text))
	if len(text) != handleSize+secretSize || strings.ContainsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '2' || r > '7') }) {
		return "", "", false
	}
	return text[:handleSize], text[handleSize:], true
}

// Check compares the secret half. A device uses its password many times on purpose, so the result
// has no Once.
func (Authenticator) Check(_ context.Context, credentials []authenticator.Credential, _ authenticator.Memo, answer prompt.Answer, _ time.Time) (authenticator.Result, error) {
	handle, secret, ok := split(answer.Text)
	if !ok {
		return authenticator.Wrong("malformed"), nil
	}
	for _, c := range credentials {
		if c.Handle != handle {
			continue
		}
		s, err := read(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if subtle.ConstantTimeCompare(s.Sum, sum(secret)) != 1 {
			return authenticator.Wrong("wrong"), nil
		}
		return authenticator.Result{OK: true, Credential: c.ID, Traits: assurance.AppPassword}, nil
	}
	return authenticator.Wrong("wrong"), nil
}

func read(b []byte) (state, error) {
	var s state
	if json.Unmarshal(b, &s) != nil || s.Version != 1 {
		return s, errors.New("apppassword: a stored app password cannot be read")
	}
	return s, nil
}

// Until says that an app password does not end by itself.
func (Authenticator) Until(c authenticator.Credential) (time.Time, error) {
	_, err := read(c.State)
	return time.Time{}, err
}

// Serves says why an app password does not serve what it is used for, such as "mail/imap"; empty
// when it does. It may be used from anywhere.
func (Authenticator) Serves(c authenticator.Credential, what string, _ netip.Addr) (string, error) {
	s, err := read(c.State)
	switch {
	case err != nil:
		return "", err
	case s.Application+"/"+s.Service != what:
		return "other-service", nil
	}
	return "", nil
}

// For is what an app password was made for.
func (Authenticator) For(c authenticator.Credential) (application, service string, err error) {
	s, err := read(c.State)
	return s.Application, s.Service, err
}

// Seen notes that an app password was used from an address. It returns the state to keep, nil
// where nothing is new, and whether it was the first use at all. Addresses of one network (an IPv4
// address, a /64 of IPv6) are one place; an unknown address is none.
func (Authenticator) Seen(c authenticator.Credential, from netip.Addr) (next []byte, first bool, err error) {
	s, err := read(c.State)
	if err != nil || !from.IsValid() {
		return nil, false, err
	}
	here := network(from)
	if slices.Contains(s.Networks, here) {
		return nil, false, nil
	}
	first = len(s.Networks) == 0
	s.Networks = append(s.Networks, here)
	s.Networks = s.Networks[max(0, len(s.Networks)-mostNetworks):]
	next, err = json.Marshal(s)
	return next, first, err
}

func network(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := 32
	if from.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(from, bits).Masked()
}
