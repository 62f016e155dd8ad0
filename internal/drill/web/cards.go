package web

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"countersign/internal/drill"
)

// CardReader is the address at which browsers show smart cards to the server.
type CardReader struct {
	// URL is the one that browsers are sent to.
	URL string
	// Connect is the host and port to connect to where the name in URL does not resolve,
	// or empty.
	Connect string
}

// Cards is where smart cards are shown. On a deployment nobody has a card whom the attacker
// could be: what is shown there is a card of no authority, none at all, and what the reader
// never said. A test bed has an authority, which gives a canary one.
func (s Server) Cards(reader CardReader) drill.Component {
	of := cards{reader, string(s)}
	return drill.Component{Kind: drill.Portal, Application: Self, Name: of.name(), Doors: []drill.Door{{Name: of.name(), Guess: of.guess}},
		Moves: map[drill.Move]drill.Attack{drill.ShowCards: of.others}, Check: of.check}
}

type cards struct {
	CardReader
	server string
}

func (s cards) name() string { return "smart cards at " + strings.TrimPrefix(s.URL, "https://") }

// check asks whether the reader answers.
func (s cards) check(ctx context.Context) error {
	if _, err := s.show(ctx, &drill.Play{}, challenge(), nil); err != nil {
		return fmt.Errorf("the address for smart cards %s does not answer (%w); say where it is with --resolve", s.URL, err)
	}
	return nil
}

// guess types a name and a password, and shows in place of the second factor what anybody
// can make.
func (s cards) guess(ctx context.Context, p *drill.Play, g *drill.Guess) []drill.Try {
	forged, err := forgedCard(g.Name)
	if err != nil {
		return []drill.Try{drill.Tried("smart card", false, err)}
	}
	var tries []drill.Try
	for _, c := range []struct {
		name string
		card *tls.Certificate
	}{{"a smart card of no authority, in the name of the owner", forged}, {"no smart card", nil}} {
		b := attacker(p, s.server)
		err := b.typed(ctx, g.Name, g.Password, "")
		to := ""
		if err == nil {
			to, err = s.show(ctx, p, s.asked(b), c.card)
		}
		if err == nil && strings.HasPrefix(to, s.server+"/") {
			err = b.get(ctx, to)
		}
		in, err := b.enters(ctx, err)
		tries = append(tries, b.tried(p, c.name, in, err))
	}
	b := attacker(p, s.server)
	err = b.typed(ctx, g.Name, g.Password, "")
	if err == nil {
		err = b.get(ctx, s.server+"/sign-in/card?shown="+rand.Text())
	}
	in, err := b.enters(ctx, err)
	return append(tries, b.tried(p, "a statement that the reader never made", in, err))
}

var cardLink = regexp.MustCompile(`href="(https://[^"]+/sign-in/[^"]+)"`)

// asked is the challenge that the page asks a card for, or a made-up one.
func (s cards) asked(b *browser) string {
	for _, m := range cardLink.FindAllStringSubmatch(b.body, -1) {
		if rest, ok := strings.CutPrefix(m[1], s.URL+"/sign-in/"); ok {
			return rest
		}
	}
	return challenge()
}

// challenge is one that nobody gave.
func challenge() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// show shows a card for a challenge, or none, and returns where the browser is sent then.
// A handshake that is refused is an answer.
func (s cards) show(ctx context.Context, p *drill.Play, challenge string, card *tls.Certificate) (to string, _ error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return "", err
	}
	b := attacker(p, s.server)
	t := b.client.Transport.(*http.Transport)
	refused := false
	t.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		raw, err := t.DialContext(ctx, network, cmp.Or(s.Connect, address))
		if err != nil {
			return nil, err
		}
		// Whoever attacks does not care whose certificate the server has.
		c := tls.Client(raw, &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { //nolint:gosec // see above
			return cmp.Or(card, &tls.Certificate{}), nil
		}})
		if err := c.HandshakeContext(ctx); err != nil {
			refused = card != nil
			return nil, errors.Join(err, raw.Close())
		}
		return c, nil
	}
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/sign-in/"+challenge, nil)
	if err != nil {
		return "", err
	}
	resp, err := b.client.Do(r)
	if err != nil {
		var op *net.OpError
		if refused || errors.As(err, &op) && op.Op == "remote error" { // with TLS 1.3 it comes after the handshake
			err = nil
		}
		return "", err
	}
	defer resp.Body.Close()
	return resp.Header.Get("Location"), nil
}

// forgedCard is a certificate that says to be somebody's, and that nobody issued.
func forgedCard(name string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	of := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, EmailAddresses: []string{name + "@example.org"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	raw, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, nil
}
