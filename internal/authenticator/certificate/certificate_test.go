package certificate_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/certificate"
	"countersign/internal/pki"
	"countersign/internal/prompt"
	"countersign/internal/testbed"
)

// seals stands for the keyring: a MAC over the challenge and the text.
type seals []byte

func (k seals) mac(challenge string, plain []byte) []byte {
	h := sha256.Sum256(append(append(append([]byte{}, k...), challenge...), plain...))
	return h[:]
}
func (k seals) Seal(challenge string, plain []byte) []byte {
	return append(k.mac(challenge, plain), plain...)
}
func (k seals) Open(challenge string, sealed []byte) ([]byte, error) {
	if len(sealed) < 32 || subtle.ConstantTimeCompare(sealed[:32], k.mac(challenge, sealed[32:])) != 1 {
		return nil, errors.New("sealed by another")
	}
	return sealed[32:], nil
}

var ours = seals("the key of the tests")

// bench is an authority and the authenticator that trusts it.
type bench struct {
	*testbed.Authority
	authority pki.Authority
	how       *certificate.Authenticator
}

func newBench(t testing.TB, edit ...func(*pki.Authority)) *bench {
	t.Helper()
	b := &bench{Authority: testbed.NewAuthority(t, "Staff Cards", nil)}
	b.authority = pki.Authority{Name: "staff", Certificates: []*x509.Certificate{b.Certificate}, Mapping: pki.IssuerSerial, Purpose: pki.ClientAuth}
	for _, f := range edit {
		f(&b.authority)
	}
	b.how = open(b.authority)
	return b
}

func open(all ...pki.Authority) *certificate.Authenticator {
	return certificate.New(certificate.Options{Authorities: all, Seals: ours, URL: &url.URL{Scheme: "https", Host: "card.example.org:8443"}})
}

func challengeOf(t testing.TB, p prompt.Prompt) string {
	t.Helper()
	var d struct{ URL string }
	if err := json.Unmarshal(p.Data, &d); err != nil {
		t.Fatal(err)
	}
	return path.Base(d.URL)
}

func said(t testing.TB, k pki.Seals, challenge string, s pki.Statement) prompt.Answer {
	t.Helper()
	text, err := pki.Write(k, challenge, s)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return prompt.Answer{Authenticator: certificate.Kind, Data: data}
}

func statement(c *x509.Certificate, now time.Time) pki.Statement {
	return pki.Statement{Certificate: c.Raw, Authority: "staff", Time: now.UnixMilli(), Detail: pki.Describe(c)}
}

var ada = authenticator.Person{Account: 7, Name: "ada", Mails: []string{"ada@example.org"}}

// enroll binds a certificate and returns the credential.
func (b *bench) enroll(t testing.TB, p authenticator.Person, c *x509.Certificate, attestation string) (authenticator.Credential, authenticator.Enrolled, error) {
	t.Helper()
	now := time.Now()
	offer, memo, err := b.how.Offer(p, now)
	if err != nil {
		t.Fatal(err)
	}
	answer := said(t, ours, challengeOf(t, offer), statement(c, now))
	answer.Text = attestation
	e, err := b.how.Accept(t.Context(), p, memo, answer, now)
	return authenticator.Credential{ID: 77, Account: p.Account, Kind: certificate.Kind, State: e.State, Handle: e.Handle}, e, err
}

// shows signs in with a statement and returns what became of it.
func (b *bench) shows(t testing.TB, how *certificate.Authenticator, c authenticator.Credential, s pki.Statement) authenticator.Result {
	t.Helper()
	now := time.Now()
	question, memo, err := how.Ask([]authenticator.Credential{c}, now)
	if err != nil {
		t.Fatal(err)
	}
	r, err := how.Check(t.Context(), []authenticator.Credential{c}, memo, said(t, ours, challengeOf(t, question), s), now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestExam(t *testing.T) {
	b := newBench(t)
	answerer := func(c *x509.Certificate) authenticatortest.Answerer {
		return func(t testing.TB, p prompt.Prompt, now time.Time) prompt.Answer {
			t.Helper()
			return said(t, ours, challengeOf(t, p), statement(c, now))
		}
	}
	authenticatortest.Exam(t, authenticatortest.Subject{
		Start: time.Now(),
		New:   func(testing.TB) authenticator.Authenticator { return b.how },
		Enroll: func(t testing.TB, a authenticator.Authenticator, p authenticator.Person, now time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			device := answerer(b.Issue(p.Name, testbed.NewKey(t).Public()))
			offer, memo, err := b.how.Offer(p, now)
			if err != nil {
				t.Fatal(err)
			}
			e, err := b.how.Accept(t.Context(), p, memo, device(t, offer, now), now)
			if err != nil {
				t.Fatal(err)
			}
			return e, device
		},
		Confirm: func(t testing.TB, offer prompt.Prompt, now time.Time) prompt.Answer {
			t.Helper()
			return answerer(b.Issue("ada", testbed.NewKey(t).Public()))(t, offer, now)
		},
		Wrong: func(t testing.TB, right prompt.Answer) []prompt.Answer {
			t.Helper()
			var out []prompt.Answer
			for _, at := range []int{3, 50, len(right.Data) / 2, len(right.Data) - 4} {
				data := bytes.Clone(right.Data)
				data[at] ^= 1
				out = append(out, prompt.Answer{Authenticator: certificate.Kind, Data: data})
			}
			return out
		},
		Unmoved: true, Pause: time.Second, Stale: 6 * time.Minute,
	})
}

// The promise: a statement is worth something only if our endpoint made it, for
// this question, and found nothing wrong.
func TestStatements(t *testing.T) {
	b := newBench(t)
	key := testbed.NewKey(t)
	card := b.Issue("ada", key.Public())
	c, _, err := b.enroll(t, ada, card, "")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	good := statement(card, now)
	if r := b.shows(t, b.how, c, good); !r.OK || r.Bound != "https://card.example.org:8443" || r.Traits != assurance.Held|assurance.PhishingResistant || !strings.Contains(r.Detail, "serial 65") {
		t.Fatalf("the right card: %+v", r)
	}
	// As if the endpoint had failed to look: each is refused here as well.
	impostor := testbed.NewAuthority(t, "Staff Cards", nil) // the same name
	same := func(x *x509.Certificate) { x.SerialNumber = card.SerialNumber }
	self := &x509.Certificate{SerialNumber: card.SerialNumber, Subject: card.Subject, NotBefore: card.NotBefore, NotAfter: card.NotAfter, ExtKeyUsage: card.ExtKeyUsage}
	self = testbed.Certify(t, self, self, key.Public(), key)
	for name, try := range map[string]struct {
		change func(*pki.Statement)
		reason string
	}{
		"revoked":                     {func(s *pki.Statement) { s.Refused = "revoked" }, "revoked"},
		"no certificate":              {func(s *pki.Statement) { s.Certificate = nil }, "malformed-certificate"},
		"another card of the same CA": {func(s *pki.Statement) { s.Certificate = b.Issue("ada", key.Public()).Raw }, "unknown-certificate"},
		"same issuer name and serial": {func(s *pki.Statement) { s.Certificate = impostor.Issue("ada", key.Public(), same).Raw }, "unknown-authority"},
		"self-signed, same subject":   {func(s *pki.Statement) { s.Certificate = self.Raw }, "unknown-authority"},
		"same serial, another key":    {func(s *pki.Statement) { s.Certificate = b.Issue("ada", testbed.NewKey(t).Public(), same).Raw }, "other-key"},
		"expired":                     {func(s *pki.Statement) { s.Certificate = b.Issue("ada", key.Public(), same, expired).Raw }, "expired"},
		"for servers":                 {func(s *pki.Statement) { s.Certificate = b.Issue("ada", key.Public(), same, serverOnly).Raw }, "wrong-usage"},
		"for nothing in particular":   {func(s *pki.Statement) { s.Certificate = b.Issue("ada", key.Public(), same, noUsage).Raw }, "wrong-usage"},
		"an authority's own":          {func(s *pki.Statement) { s.Certificate = b.Certificate.Raw }, "wrong-usage"},
		"asked of another authority":  {func(s *pki.Statement) { s.Authority = "other" }, "unknown-authority"},
		"from before the question":    {func(s *pki.Statement) { s.Time -= 60_000 }, "stale"},
		"from the future":             {func(s *pki.Statement) { s.Time += 60_000 }, "stale"},
		"nobody's":                    {func(s *pki.Statement) { *s = pki.Statement{Time: s.Time} }, "malformed-certificate"},
	} {
		s := good
		try.change(&s)
		if r := b.shows(t, b.how, c, s); r.OK || r.Reason != try.reason {
			t.Errorf("%s: ok is %t, reason %q, want %q", name, r.OK, r.Reason, try.reason)
		}
	}
	signing := testbed.Certify(t, &x509.Certificate{SerialNumber: card.SerialNumber, Subject: card.Subject, NotBefore: card.NotBefore, NotAfter: card.NotAfter, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: card.ExtKeyUsage}, b.Certificate, key.Public(), b.Key)
	if r := b.shows(t, b.how, c, statement(signing, now)); r.OK || r.Reason != "wrong-usage" {
		t.Errorf("a certificate that can make others: %+v", r)
	}
	t.Run("a card that was not asked for", func(t *testing.T) {
		second, _, err := b.enroll(t, ada, b.Issue("ada", key.Public()), "")
		if err != nil {
			t.Fatal(err)
		}
		second.ID = 78
		q, memo, _ := b.how.Ask([]authenticator.Credential{second}, now)
		r, _ := b.how.Check(t.Context(), []authenticator.Credential{c, second}, memo, said(t, ours, challengeOf(t, q), good), now)
		if r.OK || r.Reason != "unknown-certificate" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("sealed by another", func(t *testing.T) {
		q, memo, _ := b.how.Ask([]authenticator.Credential{c}, now)
		r, _ := b.how.Check(t.Context(), []authenticator.Credential{c}, memo, said(t, seals("another key"), challengeOf(t, q), good), now)
		if r.OK || r.Reason != "malformed" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("of another attempt", func(t *testing.T) {
		q, _, _ := b.how.Ask([]authenticator.Credential{c}, now)
		_, memo, _ := b.how.Ask([]authenticator.Credential{c}, now)
		r, _ := b.how.Check(t.Context(), []authenticator.Credential{c}, memo, said(t, ours, challengeOf(t, q), good), now)
		if r.OK || r.Reason != "wrong-challenge" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("of an enrollment", func(t *testing.T) {
		q, memo, _ := b.how.Offer(ada, now)
		r, _ := b.how.Check(t.Context(), []authenticator.Credential{c}, memo, said(t, ours, challengeOf(t, q), good), now)
		if r.OK || r.Reason != "wrong-challenge" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("the authority is not trusted any more", func(t *testing.T) {
		if r := b.shows(t, open(), c, good); r.OK || r.Reason != "unknown-authority" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("both authorities are trusted", func(t *testing.T) {
		other := b.authority
		other.Certificates = append([]*x509.Certificate{impostor.Certificate}, other.Certificates...)
		s := good
		s.Certificate = impostor.Issue("ada", testbed.NewKey(t).Public(), same).Raw
		if r := b.shows(t, open(other), c, s); r.OK || r.Reason != "other-key" {
			t.Errorf("%+v", r)
		}
	})
}

func expired(x *x509.Certificate)    { x.NotAfter = time.Now().Add(-time.Minute) }
func serverOnly(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
func noUsage(x *x509.Certificate)    { x.ExtKeyUsage = nil }

// The promise: a name in a certificate binds it to the account of that name only,
// and a renewed certificate of the same name goes on.
func TestNames(t *testing.T) {
	upn := func(names ...string) func(*x509.Certificate) {
		return func(x *x509.Certificate) {
			x.Subject = pkix.Name{}
			x.ExtraExtensions = append(x.ExtraExtensions, testbed.UPN(t, true, names...))
		}
	}
	mail := func(addresses ...string) func(*x509.Certificate) {
		return func(x *x509.Certificate) { x.EmailAddresses = addresses }
	}
	byUPN := func(a *pki.Authority) { a.Mapping, a.Realm = pki.UPN, "corp.example.org" }
	byMail := func(a *pki.Authority) { a.Mapping = pki.Email }
	for _, try := range []struct {
		mapping func(*pki.Authority)
		name    func(*x509.Certificate)
		reason  string
	}{
		{byUPN, upn("Ada@Corp.Example.Org"), ""},
		{byUPN, upn("eve@corp.example.org"), "other-name"},
		{byUPN, upn("ada@evil.example.org"), "other-name"},
		{byUPN, upn("ada"), "other-name"},
		{byUPN, upn("ada@corp.example.org", "eve@corp.example.org"), "no-name"},
		{byUPN, upn("аda@corp.example.org"), "no-name"}, // a Cyrillic letter
		{byUPN, mail("ada@corp.example.org"), "no-name"},
		{byMail, mail("ADA@example.org"), ""},
		{byMail, mail("eve@example.org"), "other-name"},
		{byMail, mail("ada@example.org", "eve@example.org"), "no-name"},
		{byMail, upn("ada@example.org"), "no-name"},
	} {
		b := newBench(t, try.mapping)
		c, _, err := b.enroll(t, ada, b.Issue("", testbed.NewKey(t).Public(), try.name), "")
		var refused *authenticator.Refused
		if errors.As(err, &refused) && refused.Reason == try.reason {
			continue
		}
		if err != nil || try.reason != "" {
			t.Errorf("enrolling: %v, want %q", err, try.reason)
			continue
		}
		renewed := b.Issue("", testbed.NewKey(t).Public(), try.name)
		if r := b.shows(t, b.how, c, statement(renewed, time.Now())); !r.OK {
			t.Errorf("the renewed certificate: %+v", r)
		}
	}
}

// The promise: that a key is on a card and behind a PIN is believed of the maker's
// attestation of that very key, or of an authority that certifies nothing else.
func TestHardware(t *testing.T) {
	maker := testbed.NewAuthority(t, "Maker Root", nil)
	b := newBench(t, func(a *pki.Authority) {
		a.Attestation, a.Mapping, a.Realm = []*x509.Certificate{maker.Certificate}, pki.UPN, "example.org"
	})
	named := func(x *x509.Certificate) {
		x.ExtraExtensions = []pkix.Extension{testbed.UPN(t, false, "ada@example.org")}
	}
	key := testbed.NewKey(t)
	card := b.Issue("ada", key.Public(), named)
	text := func(all []*x509.Certificate) string {
		var out strings.Builder
		for _, c := range all {
			pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		}
		return out.String()
	}
	right := testbed.PIVAttestation(t, maker, key.Public(), 2)
	soft, card9a := assurance.Held|assurance.PhishingResistant, assurance.Held|assurance.PhishingResistant|assurance.HardwareBound
	for name, try := range map[string]struct {
		attestation string
		traits      assurance.Trait // zero is refused
	}{
		"PIN once":                       {text(right), card9a | assurance.UserVerified},
		"PIN always":                     {text(testbed.PIVAttestation(t, maker, key.Public(), 3)), card9a | assurance.UserVerified},
		"PIN never":                      {text(testbed.PIVAttestation(t, maker, key.Public(), 1)), card9a},
		"PIN unheard of":                 {text(testbed.PIVAttestation(t, maker, key.Public(), 9)), card9a},
		"none":                           {"", soft},
		"another key":                    {text(testbed.PIVAttestation(t, maker, testbed.NewKey(t).Public(), 2)), 0},
		"another maker":                  {text(testbed.PIVAttestation(t, testbed.NewAuthority(t, "Maker Root", nil), key.Public(), 2)), 0},
		"the slot alone":                 {text(right[:1]), 0},
		"the wrong way round":            {text([]*x509.Certificate{right[1], right[0]}), 0},
		"no statement at all":            {text([]*x509.Certificate{b.Issue("x", key.Public()), maker.Certificate}), 0},
		"signed by its maker but silent": {text([]*x509.Certificate{maker.Issue("YubiKey PIV Attestation 9a", key.Public()), maker.Certificate}), 0},
		"garbage":                        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0},
	} {
		c, e, err := b.enroll(t, ada, card, try.attestation)
		if try.traits == 0 {
			var refused *authenticator.Refused
			if !errors.As(err, &refused) || refused.Reason != "not-attested" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || e.Traits != try.traits {
			t.Errorf("%s: enrolled with %s, %v", name, e.Traits, err)
			continue
		}
		if r := b.shows(t, b.how, c, statement(card, time.Now())); !r.OK || r.Traits != try.traits {
			t.Errorf("%s: shows %s", name, r.Traits)
		}
		// A renewed certificate of the same name with a key in a file.
		if r := b.shows(t, b.how, c, statement(b.Issue("ada", testbed.NewKey(t).Public(), named), time.Now())); !r.OK || r.Traits != soft {
			t.Errorf("%s: another key shows %s", name, r.Traits)
		}
	}
	cards := b.authority
	cards.Cards = true
	c, _, err := b.enroll(t, ada, card, "")
	if err != nil {
		t.Fatal(err)
	}
	if r := b.shows(t, open(cards), c, statement(card, time.Now())); r.Traits != card9a|assurance.UserVerified {
		t.Errorf("an authority of cards: %s", r.Traits)
	}
}

// The promise: a smart card names its own account, and only if our endpoint saw it.
func TestDiscover(t *testing.T) {
	b := newBench(t)
	card := b.Issue("ada", testbed.NewKey(t).Public())
	c, _, err := b.enroll(t, ada, card, "")
	if err != nil {
		t.Fatal(err)
	}
	q, _, _ := b.how.Ask(nil, time.Now())
	challenge, s := challengeOf(t, q), statement(card, time.Now())
	if h, ok := b.how.Discover(said(t, ours, challenge, s)); !ok || h != c.Handle {
		t.Errorf("%q, %t", h, ok)
	}
	if _, ok := b.how.Discover(said(t, seals("x"), challenge, s)); ok {
		t.Error("found by a forged statement")
	}
	s.Refused = "revoked"
	if _, ok := b.how.Discover(said(t, ours, challenge, s)); ok {
		t.Error("found by a revoked card")
	}
}

func FuzzRead(f *testing.F) {
	var raw [32]byte
	rand.Read(raw[:])
	b := newBench(f)
	c, _, err := b.enroll(f, ada, b.Issue("ada", testbed.NewKey(f).Public()), "")
	if err != nil {
		f.Fatal(err)
	}
	now := time.Now()
	q, memo, _ := b.how.Ask([]authenticator.Credential{c}, now)
	f.Add([]byte(said(f, seals("x"), challengeOf(f, q), pki.Statement{Time: now.UnixMilli()}).Data))
	f.Add([]byte(`"` + strings.Repeat("A", 43) + `.AAAA"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := b.how.Check(t.Context(), []authenticator.Credential{c}, memo, prompt.Answer{Data: data}, now)
		if err != nil || r.OK {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
