package entra

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/outside"
	"countersign/internal/protocol"
	"countersign/internal/signingkey"
)

const (
	tenant = "9122040d-6c67-4c5b-b112-36a304b66dad"
	ours   = "600b719b-3766-4dc5-95a6-3c4a8dc31885"
)

// The tenant's keys come from public addresses: a name that leads inside is connected to by nobody.
func TestKeysComeFromOutside(t *testing.T) {
	for _, address := range []string{"127.0.0.1:443", "localhost:443", "[::1]:443", "10.1.2.3:443", "169.254.169.254:443", "192.168.0.1:443"} {
		conn, err := dialOutside(t.Context(), "tcp", address)
		if !errors.Is(err, outside.ErrInside) {
			t.Errorf("%s: %v", address, err)
		}
		if conn != nil {
			conn.Close()
		}
	}
}

// Every server publishes the same certificate of a key, which is made of the key alone.
func TestEachServerHasTheSameCertificate(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	k := signingkey.Key{ID: "a-key", Algorithm: signingkey.RS256, Private: private, Created: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	var a, b certificates
	first, err := a.of(k)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.of(k)
	if err != nil || !first.Equal(second) || !private.PublicKey.Equal(first.PublicKey) || first.IsCA {
		t.Errorf("%v, %v, %v", first, second, err)
	}
}

// Settings name a tenant, our registration and a client, and nothing that could lead an answer
// elsewhere.
func TestSettings(t *testing.T) {
	good := map[string]any{"tenant_id": tenant, "application_id": strings.ToUpper(ours), "client_id": "entra"}
	with := func(name string, v any) json.RawMessage {
		m := map[string]any{}
		for k, v := range good {
			m[k] = v
		}
		m[name] = v
		b, _ := json.Marshal(m)
		return b
	}
	for name, c := range map[string]struct {
		raw  json.RawMessage
		good bool
	}{
		"the least": {with("client_id", "entra"), true}, "US Government": {with("cloud", "us-government"), true}, "China": {with("cloud", "china"), true}, "sessions": {with("evidence", "session"), true},
		"another cloud": {with("cloud", "login.evil.example"), false}, "a name for a tenant": {with("tenant_id", "contoso.onmicrosoft.com"), false}, "all tenants": {with("tenant_id", "common"), false}, "a path": {with("tenant_id", tenant+"/../x"), false},
		"no registration": {with("application_id", ""), false}, "no client": {with("client_id", ""), false}, "other evidence": {with("evidence", "any"), false}, "an address of its own": {with("redirect_uri", "https://evil.example"), false},
	} {
		if err := CheckSettings(c.raw); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	if id, err := identify(with("cloud", ""), " "+strings.ToUpper(ours)+" "); id != tenant+":"+ours || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	for _, typed := range []string{"", "ada", "ada@example.org", ours + "x", tenant + ":" + ours} {
		if _, err := identify(with("cloud", ""), typed); err == nil {
			t.Errorf("%q is an object ID", typed)
		}
	}
	what, shut, err := Clash(with("client_id", "a"), with("client_id", "b"))
	if what == "" || shut || err != nil {
		t.Errorf("%q, %t, %v", what, shut, err)
	}
	ready, err := guides()[0].Write(application.Application{Name: "m365", Settings: with("cloud", "")}, placed(t))
	if err != nil || !strings.Contains(ready[0].Text, "https://login.example.org/entra/m365/.well-known/openid-configuration") || !strings.Contains(ready[0].Text, "https://login.example.org/entra/m365/authorize") {
		t.Errorf("%+v, %v", ready, err)
	}
	if e, err := exposure(application.Application{Settings: with("evidence", "session")}); err != nil || len(e.Caveats) != 1 || len(e.Entrances) != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}

// What is told of a factor is true of it, and what nobody holds is told by nobody.
func TestWordsOfEvidence(t *testing.T) {
	all := []string{"face", "fido", "fpt", "hwk", "iris", "otp", "pop", "retina", "sc", "sms", "swk", "tel", "vbm"}
	method := func(kind string) string {
		return map[string]string{"password": "pwd", "card": "sc", "sms": "sms"}[kind]
	}
	held := assurance.Held
	for name, c := range map[string]struct {
		evidence []assurance.Evidence
		asked    []string
		want     string
	}{
		"nothing":               {nil, all, ""},
		"a password":            {[]assurance.Evidence{{Kind: "password", Traits: assurance.Known}}, all, ""},
		"a password and a code": {[]assurance.Evidence{{Kind: "totp", Traits: held}, {Kind: "password", Traits: assurance.Known}}, all, "otp"},
		"a key":                 {[]assurance.Evidence{{Kind: "passkey", Traits: held | assurance.PhishingResistant | assurance.HardwareBound}}, []string{"hwk"}, "hwk"},
		"a key that is copied":  {[]assurance.Evidence{{Kind: "passkey", Traits: held | assurance.PhishingResistant}}, []string{"hwk", "swk"}, "swk"},
		"a key is no hwk":       {[]assurance.Evidence{{Kind: "passkey", Traits: held | assurance.PhishingResistant}}, []string{"hwk"}, ""},
		"the best of two":       {[]assurance.Evidence{{Kind: "passkey", Traits: held | assurance.PhishingResistant}, {Kind: "totp", Traits: held}}, all, "fido"},
		"a card":                {[]assurance.Evidence{{Kind: "card", Traits: held | assurance.PhishingResistant}}, all, "sc"},
		"a message":             {[]assurance.Evidence{{Kind: "sms", Traits: held | assurance.Restricted}}, all, "sms"},
		"a recovery code":       {[]assurance.Evidence{{Kind: "recovery", Traits: held | assurance.Recovery}}, all, ""},
		"a code by mail":        {[]assurance.Evidence{{Kind: "mail", Traits: held | assurance.Mailed}}, all, ""},
		"a pass":                {[]assurance.Evidence{{Kind: "pass", Traits: held | assurance.Vouched}}, all, ""},
		"a key of a program":    {[]assurance.Evidence{{Kind: "key", Traits: held | assurance.Delegated}}, all, ""},
	} {
		if got := methodOf(c.asked, c.evidence, method); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Whatever a browser brings for a hint or for claims is read to its end or refused.
func FuzzHint(f *testing.F) {
	f.Add("a.b.c", `{"iss":1}`)
	f.Add("eyJhbGciOiJub25lIn0.e30.", `{"id_token":{"acr":null}}`)
	s := Settings{Tenant: tenant, App: ours}
	f.Fuzz(func(t *testing.T, hint, text string) {
		if signed, kid, ok := parseHint(hint); ok && (signed == nil || kid == "") {
			t.Errorf("%q is read", hint)
		}
		if about, fault := s.read([]byte(text), time.Unix(1e9, 0)); !fault.is() && (about.object == "" || about.tenant != tenant) {
			t.Errorf("%q is read as %+v", text, about)
		}
		if classes, methods, fault := wanted(text); !fault.is() && (len(classes) == 0 || len(methods) == 0) {
			t.Errorf("%q wants nothing", text)
		}
		s.signs(json.RawMessage(text))
	})
}

// The keys of a tenant are not asked for again at once after they could not be had.
func TestAnOutageIsNotAsked(t *testing.T) {
	now := time.Now()
	keys := newTenants(down{}, func() time.Time { return now })
	for range 3 {
		if _, err := keys.key(context.Background(), Settings{Tenant: tenant}, "x"); !errors.Is(err, errFetch) {
			t.Errorf("%v", err)
		}
	}
}

// down is a network that is not there.
type down struct{}

func (down) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }

func placed(t *testing.T) protocol.Place {
	t.Helper()
	u, err := url.Parse("https://login.example.org")
	if err != nil {
		t.Fatal(err)
	}
	return protocol.Place{Public: u}
}
