// Package saml has people sign in at another organisation's SAML identity provider.
//
// It owns what a service provider does: a signed request, and the checks of what comes back (SAML
// profiles, section 4.1.4.3). It keeps nothing and knows no account; the messages are
// protocol/saml/message's. Its neighbour is upstream, which binds each request to a browser. Its
// one invariant: what it returns of a person stood in an assertion that one of the registered
// keys signed, for us.
package saml

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/upstream/said"
)

// Provider is a SAML identity provider, as an administrator registered it.
type Provider struct {
	// Entity is its entity ID, SignIn where requests go (HTTP Redirect), and Certificates those of
	// its keys, in PEM.
	Entity, SignIn, Certificates string
	// Mail is the attribute that holds a mail address which it verified; empty believes none.
	Mail string
}

// Own is what we are to one provider: to each another.
type Own struct {
	// Entity is our entity ID, and Consumer where it sends browsers back to.
	Entity, Consumer string
}

// Visit is one browser's visit to a provider.
type Visit struct {
	// ID is the request's, which nobody can guess.
	ID string
	// Classes are demanded; none demands nothing.
	Classes []string
	// MaxAge is how long ago, at most, the person may have signed in there.
	MaxAge time.Duration
}

// Person is whom an assertion is about.
type Person struct {
	// Answers is the request that it answers: whoever did not make it has no use for it.
	Answers string
	Subject string
	Class   string
	Mail    string
	// Key names the key that signed: the SHA-256 of its certificate's public key, in base64url.
	Key string
}

func refuse(reason, format string, args ...any) error {
	return &said.Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Begin returns the address that a visit begins at: the request in it is signed.
func Begin(p Provider, own Own, by message.Credential, v Visit, now time.Time) (string, error) {
	return message.AskSignIn(message.SignIn{ID: v.ID, Issuer: own.Entity, Destination: p.SignIn, At: now, Consumer: own.Consumer, Classes: v.Classes}).Address(by, "")
}

// Finish reads what came back by a form. Whether it answers a request of this browser's, its
// caller decides.
func Finish(p Provider, own Own, form string, maxAge time.Duration, now time.Time) (Person, error) {
	in, err := message.FromForm(form, "")
	if err != nil {
		return Person{}, refuse("malformed", "%s", failure.Public(err))
	}
	a, key, err := read(p, in)
	if err != nil {
		return Person{}, err
	}
	if err := check(p, own, a, maxAge, now); err != nil {
		return Person{}, err
	}
	return Person{Answers: a.Answers, Subject: a.Name.Value, Class: a.Class, Mail: mailOf(p, a), Key: key}, nil
}

// read verifies a response by each of the registered keys in turn, so that it is known which one
// signed.
func read(p Provider, in message.Incoming) (message.Asserted, string, error) {
	all, err := Certificates(p.Certificates)
	if err != nil {
		return message.Asserted{}, "", err
	}
	var a message.Asserted
	for _, c := range all {
		a, err = in.AssertedOf(func(issuer string) ([]*x509.Certificate, error) {
			if issuer != p.Entity {
				return nil, failure.Refuse("wrong-issuer", "It is another issuer's.")
			}
			return []*x509.Certificate{c}, nil
		})
		if err == nil {
			return a, Thumbprint(c), nil
		}
		if failure.ReasonOf(err) != "wrong-signature" {
			break
		}
	}
	return a, "", refuse(reasonOf(err), "%s", failure.Public(err))
}

func reasonOf(err error) string {
	if r := failure.ReasonOf(err); r != "" {
		return r
	}
	return "malformed"
}

// Thumbprint names the key of a certificate.
func Thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// skew is how far its clock may stand from ours, and oldest how long ago it may have been issued.
const skew, oldest = time.Minute, 10 * time.Minute

// check finds an assertion to be this provider's, for us, and of now.
func check(p Provider, own Own, a message.Asserted, maxAge time.Duration, now time.Time) error {
	switch {
	case a.Code != message.Success:
		return refuse("upstream-refused", "it answered that it does not sign anybody in")
	case a.By == "":
		return refuse("malformed", "the response asserts nothing")
	case a.By != p.Entity:
		return refuse("wrong-issuer", "the assertion is another issuer's")
	case a.Proof == message.Signed && a.Destination == "", a.Destination != "" && a.Destination != own.Consumer:
		return refuse("wrong-audience", "the response was made for another address (Destination)")
	case a.Recipient != own.Consumer:
		return refuse("wrong-audience", "the assertion was made for another address (Recipient)")
	case len(a.Audiences) == 0, slices.ContainsFunc(a.Audiences, func(names []string) bool { return !slices.Contains(names, own.Entity) }):
		return refuse("wrong-audience", "the assertion is for somebody else")
	case a.Answers == "" || a.InResponseTo != "" && a.InResponseTo != a.Answers:
		return refuse("replayed", "nothing was asked that it answers")
	}
	if err := checkName(p, own, a.Name); err != nil {
		return err
	}
	return checkTimes(a, maxAge, now)
}

// checkName takes a name that stays.
func checkName(p Provider, own Own, n message.NameID) error {
	switch {
	case n.Format != "" && n.Format != message.FormatPersistent && n.Format != message.FormatUnspecified && n.Format != message.FormatMail:
		return refuse("passing-name", "the person is called by a name that does not stay: ask for a persistent one")
	case n.By != "" && n.By != p.Entity, n.For != "" && n.For != own.Entity:
		return refuse("wrong-audience", "the name holds between two other parties")
	case n.Value == "" || len(n.Value) > 255 || strings.ContainsFunc(n.Value, func(r rune) bool { return r <= ' ' || r > '~' }):
		return refuse("malformed", "the subject is not 1 to 255 characters of ASCII")
	}
	return nil
}

func checkTimes(a message.Asserted, maxAge time.Duration, now time.Time) error {
	early := func(t time.Time) bool { return t.After(now.Add(skew)) }
	over := func(t time.Time) bool { return !t.IsZero() && !now.Before(t.Add(skew)) }
	switch {
	case early(a.Issued) || now.Sub(a.Issued) > oldest:
		return refuse("late", "the assertion was not made just now")
	case over(a.Until) || over(a.To) || over(a.Over):
		return refuse("late", "the assertion has expired")
	case early(a.From):
		return refuse("late", "the assertion does not count yet")
	case early(a.Authenticated) || now.Sub(a.Authenticated) > maxAge+skew:
		return refuse("stale", "the person signed in there too long ago")
	}
	return nil
}

// mailOf is the address in the one attribute that an administrator named, if it is one.
func mailOf(p Provider, a message.Asserted) string {
	if values := a.Attributes[p.Mail]; p.Mail != "" && len(values) == 1 {
		return values[0]
	}
	return ""
}

// Metadata is what a provider is told of us.
func Metadata(own Own, by message.Credential, announced [][]byte, now time.Time) ([]byte, error) {
	return message.Consumer{ID: message.NewID(), Entity: own.Entity, At: own.Consumer, Certificates: announced, Until: now.Add(7 * 24 * time.Hour)}.Write(by)
}

// Certificates reads the certificates of a provider's keys, in PEM: one at least.
func Certificates(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, failure.New(failure.Invalid, "One of the certificates cannot be read.")
		}
		out = append(out, c)
	}
	if len(out) == 0 || len(out) > 10 {
		return nil, failure.New(failure.Invalid, "Give 1 to 10 certificates of its signing keys, in PEM.")
	}
	return out, nil
}

// PEM writes certificates in base64, as metadata has them, in PEM. What is no base64 is left in, so
// that [Certificates] refuses it.
func PEM(lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		der, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			der = []byte(line)
		}
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.String()
}
