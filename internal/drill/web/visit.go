package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"countersign/internal/drill"
)

// Visitor is a browser that an application of another host sends here to sign in. It ends where
// it is sent back: nothing needs to listen there, because what the application would be given is
// read off the address.
type Visitor struct {
	b *browser
	// back is where the application is, and came the last address there that the browser was sent
	// to.
	back string
	came *url.URL
}

// Visitor is a browser of the owner, or of the attacker, whom the application at an address
// sends here.
func (s Server) Visitor(p *drill.Play, back string, owner bool) *Visitor {
	b := attacker(p, string(s))
	if owner {
		b = honest(p, string(s))
	}
	v := &Visitor{b: b, back: back}
	b.client.Transport = ends{v, b.client.Transport}
	return v
}

// ends answers for the application, which is not there.
type ends struct {
	v    *Visitor
	here http.RoundTripper
}

func (e ends) RoundTrip(r *http.Request) (*http.Response, error) {
	if at := *r.URL; at.Scheme+"://"+at.Host+at.Path != e.v.back {
		return e.here.RoundTrip(r)
	}
	e.v.came = r.URL
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// Goes asks for an address, such as one at which signing in begins.
func (v *Visitor) Goes(ctx context.Context, address string) error {
	v.came = nil
	return v.b.get(ctx, address)
}

// Shows signs in with the owner's passkey where the application's request led, unless the browser
// is back already.
func (v *Visitor) Shows(ctx context.Context, c *drill.Canary) error {
	if v.came != nil {
		return nil
	}
	if err := v.b.passkey(ctx, c.Key); err != nil {
		return err
	}
	if v.came == nil {
		return fmt.Errorf("the owner is not sent back to the application: %s", v.b.answer)
	}
	return nil
}

// Types types a name, a password and a code where the application's request led. A page that has
// no form to type them in is a refusal, and no error.
func (v *Visitor) Types(ctx context.Context, name, password, code string) error {
	if v.came != nil {
		return nil
	}
	if err := v.b.types(ctx, name, password, code); err != nil && !errors.Is(err, errNoForm) {
		return err
	}
	return nil
}

// Came is what the application was sent with the browser; nil where it was not sent back.
func (v *Visitor) Came() url.Values {
	if v.came == nil {
		return nil
	}
	return v.came.Query()
}

// Answer is what came back last, in the words of the protocol.
func (v *Visitor) Answer() string { return v.b.answer }
