package upstream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"countersign/internal/servertest"
)

// linked is a world in which ada is linked to the partner and has come in by it.
func linked(t testing.TB, more map[string]any) (*servertest.World, *servertest.Person, *servertest.Clerk, *provider) {
	w, ada, desk := office(t)
	partner := newProvider(w)
	register(desk, "partner", partner.settings(more))
	if err := link(desk, "ada", "upstream-ada"); err != nil {
		t.Fatal(err)
	}
	return w, ada, desk, partner
}

// heard reports whether a visit was taken for ada's.
func heard(p *servertest.Person) bool { return strings.Contains(p.Page, "authenticator app") }

// The promise: a token that is forged, unsigned, of another audience, replayed, too old or mixed
// up gets nothing, and the log says why.
func TestNoOtherTokenIsTaken(t *testing.T) {
	w, _, _, partner := linked(t, nil)
	plain := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	stranger, strangers := newKey(t, "one")
	for what, c := range map[string]struct {
		edit  func(claims map[string]any)
		token func(claims map[string]any) string
		want  string
	}{
		"another issuer":                        {edit: func(c map[string]any) { c["iss"] = "https://evil.example" }, want: "wrong-issuer"},
		"the issuer with a slash":               {edit: func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }, want: "wrong-issuer"},
		"another audience":                      {edit: func(c map[string]any) { c["aud"] = "wiki" }, want: "wrong-audience"},
		"no audience":                           {edit: func(c map[string]any) { delete(c, "aud") }, want: "wrong-audience"},
		"two audiences without azp":             {edit: func(c map[string]any) { c["aud"] = []string{clientID, "wiki"} }, want: "wrong-audience"},
		"issued to another party":               {edit: func(c map[string]any) { c["azp"] = "wiki" }, want: "wrong-audience"},
		"no nonce":                              {edit: func(c map[string]any) { delete(c, "nonce") }, want: "replayed"},
		"another nonce":                         {edit: func(c map[string]any) { c["nonce"] = "of another sign-in" }, want: "replayed"},
		"no subject":                            {edit: func(c map[string]any) { c["sub"] = "" }, want: "malformed"},
		"a subject with a line":                 {edit: func(c map[string]any) { c["sub"] = "upstream-ada\n" }, want: "malformed"},
		"it has expired":                        {edit: func(c map[string]any) { c["exp"] = w.Now().Add(-time.Hour).Unix() }, want: "late"},
		"it never expires":                      {edit: func(c map[string]any) { delete(c, "exp") }, want: "late"},
		"it is of yesterday":                    {edit: func(c map[string]any) { c["iat"] = w.Now().Add(-24 * time.Hour).Unix() }, want: "late"},
		"it is of tomorrow":                     {edit: func(c map[string]any) { c["nbf"] = w.Now().Add(24 * time.Hour).Unix() }, want: "late"},
		"signed in long ago":                    {edit: func(c map[string]any) { c["auth_time"] = w.Now().Add(-time.Hour).Unix() }, want: "stale"},
		"it does not say when":                  {edit: func(c map[string]any) { delete(c, "auth_time") }, want: "no-time"},
		"another subject":                       {edit: func(c map[string]any) { c["sub"] = "upstream-eve" }, want: "not-linked"},
		"the subject in capitals":               {edit: func(c map[string]any) { c["sub"] = "UPSTREAM-ADA" }, want: "not-linked"},
		"signed by a stranger":                  {token: func(c map[string]any) string { return signed(t, stranger, "one", c) }, want: "wrong-signature"},
		"signed by a key that is not published": {token: func(c map[string]any) string { return signed(t, stranger, "two", c) }, want: "unknown-key"},
		"unsigned":                              {token: func(c map[string]any) string { return plain(map[string]string{"alg": "none"}) + "." + plain(c) + "." }, want: "wrong-algorithm"},
		"signed with the public key as a secret": {token: func(c map[string]any) string {
			public, err := partner.keys[0].MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: "one"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return serialized(t, s, c)
		}, want: "wrong-algorithm"},
		"signed with the client's secret": {token: func(c map[string]any) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(clientSecret)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return serialized(t, s, c)
		}, want: "wrong-algorithm"},
		"it brings its own key": {token: func(c map[string]any) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: stranger}, &jose.SignerOptions{EmbedJWK: true})
			if err != nil {
				t.Fatal(err)
			}
			return serialized(t, s, c)
		}, want: "wrong-signature"},
		"encrypted": {token: func(map[string]any) string {
			e, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: strangers.Key}, nil)
			if err != nil {
				t.Fatal(err)
			}
			j, err := e.Encrypt([]byte("{}"))
			if err != nil {
				t.Fatal(err)
			}
			out, err := j.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}, want: "malformed"},
		"a claim that is there twice": {token: func(c map[string]any) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: partner.key, KeyID: "one"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			j, err := s.Sign([]byte(strings.Replace(string(b), "{", `{"sub":"upstream-eve",`, 1)))
			if err != nil {
				t.Fatal(err)
			}
			out, err := j.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return out
		}, want: "malformed"},
	} {
		partner.edit, partner.token = c.edit, c.token
		p := w.Person()
		visits(p)
		if heard(p) || in(p) {
			t.Errorf("%s was taken", what)
		}
		if e := lastRefused(w); e.Reason != c.want || e.Detail["authenticator"] != "upstream" {
			t.Errorf("%s: the log says %q of %q, and was to say %q", what, e.Reason, e.Detail["authenticator"], c.want)
		}
		w.Later(15 * time.Second) // keys may be asked for again
	}
	partner.edit, partner.token = nil, nil
	p := w.Person()
	if visits(p); !heard(p) {
		t.Error("the right token is not taken")
	}
}

func serialized(t testing.TB, s jose.Signer, claims map[string]any) string {
	t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	out, err := j.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The promise: what comes back counts in the browser that went away, once, for the provider that it
// went to.
func TestAVisitIsOneBrowsers(t *testing.T) {
	w, _, desk, partner := linked(t, nil)
	other := newProvider(w)
	register(desk, "other", other.settings(map[string]any{"title": "Other", "domains": []string{}}))
	// The address that a browser comes back to, caught before it gets there.
	caught := func(p *servertest.Person) string {
		t.Helper()
		var back string
		p.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.Path, "/sign-in/upstream/") {
				back = r.URL.String()
				return http.ErrUseLastResponse
			}
			return nil
		}
		visits(p)
		p.Client.CheckRedirect = nil
		return back
	}
	p, thief := w.Person(), w.Person()
	back := caught(p)
	thief.Get("/sign-in")
	if thief.Get(back); heard(thief) {
		t.Error("another browser came back in its place")
	}
	visitOfHis := caught(thief) // whose own visit does not help either
	if thief.Get(back); heard(thief) {
		t.Error("a browser came back with another's code")
	}
	if p.Get(visitOfHis); heard(p) { // login CSRF
		t.Error("a browser was signed in by another's answer")
	}
	back = caught(p)
	if p.Get(back); !heard(p) {
		t.Fatal("her own answer is not taken")
	}
	if p.Get(back); heard(p) {
		t.Error("an answer was taken twice")
	}
	back = caught(p)
	if p.Get(strings.Replace(back, "/upstream/partner", "/upstream/other", 1)); heard(p) {
		t.Error("the answer of one provider came to the address of another")
	}
	for what, edit := range map[string]func(q url.Values){
		"another issuer's": func(q url.Values) { q.Set("iss", other.server.URL) },
		"nobody's":         func(q url.Values) { q.Del("iss") },
		"two issuers'":     func(q url.Values) { q.Add("iss", other.server.URL) },
		"without a state":  func(q url.Values) { q.Del("state") },
		"with two states":  func(q url.Values) { q.Add("state", "x") },
		"without a code":   func(q url.Values) { q.Del("code") },
		"a made-up code":   func(q url.Values) { q.Set("code", "guessed") },
		"a refusal":        func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
	} {
		partner.back = edit
		q := w.Person()
		if visits(q); heard(q) {
			t.Errorf("an answer was taken that is %s", what)
		}
	}
	partner.back = nil
	late := w.Person()
	back = caught(late)
	w.Later(11 * time.Minute)
	if late.Get(back); heard(late) {
		t.Error("a visit of eleven minutes was taken")
	}
}

// The promise: a key that the upstream has not signed with before raises an alarm; where keys are
// pinned it is refused too, until an administrator accepts it.
func TestANewKeyRaisesAnAlarm(t *testing.T) {
	w, _, desk, partner := linked(t, nil)
	p := w.Person()
	if visits(p); !heard(p) || w.Events("upstream.key-learned") != 1 || w.Events("alarm.upstream-key") != 0 {
		t.Fatal("the first key is not learned")
	}
	rolls := func() string {
		key, public := newKey(t, "one")
		partner.key, partner.keys = key, []jose.JSONWebKey{public}
		w.Later(11 * time.Minute)
		sum, err := public.Thumbprint(5) // SHA-256
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(sum)
	}
	rolls()
	for range 2 {
		if visits(p); !heard(p) {
			t.Error("the new key is not followed")
		}
	}
	if n := w.Events("alarm.upstream-key"); n != 1 {
		t.Errorf("%d alarms", n)
	}
	if err := set(desk, "partner", versionOf(desk), partner.settings(map[string]any{"pinned_keys": true})); err != nil {
		t.Fatal(err)
	}
	if visits(p); !heard(p) {
		t.Error("the key that was accepted is not taken any more")
	}
	thumbprint := rolls()
	for range 2 {
		q := w.Person()
		if visits(q); heard(q) {
			t.Error("a key that nobody accepted is taken")
		}
	}
	if n := w.Events("alarm.upstream-key"); n != 2 {
		t.Errorf("%d alarms", n)
	}
	var tested struct {
		Works bool
		Keys  []string
	}
	if err := desk.Do(context.Background(), "upstream.test", map[string]any{"name": "partner"}, &tested); err != nil || tested.Works || len(tested.Keys) != 1 || tested.Keys[0] != thumbprint {
		t.Errorf("the test says %+v, %v", tested, err)
	}
	if err := desk.Do(context.Background(), "upstream.accept-key", map[string]any{"name": "partner", "key": thumbprint}, nil); err != nil {
		t.Fatal(err)
	}
	if visits(p); !heard(p) {
		t.Error("the key that was accepted is not taken")
	}
}

// The promise: what an upstream says of second factors is worth nothing; with accept it counts by
// the listed classes where policy says that it may, and nowhere else; with enforce nobody comes in
// without.
func TestItsWordOnSecondFactors(t *testing.T) {
	w, ada, desk, partner := linked(t, nil)
	partner.person["acr"], partner.person["amr"] = "urn:partner:mfa", []string{"mfa", "hwk"}
	p := w.Person()
	comesIn(p, ada.Code()) // confirms
	if !in(p) {
		t.Fatal("ada does not come in")
	}
	elsewhere := "rules:\n  - name: partners\n    require: two-factors-elsewhere\n"
	alone := func() bool {
		t.Helper()
		q := w.Person()
		visits(q)
		return in(q)
	}
	sets := func(trust string) {
		t.Helper()
		if err := set(desk, "partner", versionOf(desk), partner.settings(map[string]any{"trust": trust, "classes": []string{"urn:partner:mfa"}})); err != nil {
			t.Fatal(err)
		}
	}
	usual := servertest.PolicyInForce(w)
	sets("accept")
	if alone() {
		t.Error("accept: its word was two factors where policy asks for two of ours")
	}
	w.SetPolicy(elsewhere)
	if !alone() {
		t.Error("accept: its word does not count where policy takes it")
	}
	if partner.asked.Get("acr_values") != "urn:partner:mfa" {
		t.Errorf("the request asks for %q", partner.asked.Get("acr_values"))
	}
	partner.person["acr"] = "urn:partner:pwd"
	if alone() {
		t.Error("accept: a class that is not listed counts")
	}
	delete(partner.person, "acr")
	if alone() {
		t.Error("accept: amr counts")
	}
	w.SetPolicy(usual)
	sets("enforce")
	q := w.Person()
	if visits(q); heard(q) || lastRefused(w).Reason != "class-missing" {
		t.Errorf("enforce: somebody came without, %q", lastRefused(w).Reason)
	}
	if !strings.Contains(partner.asked.Get("claims"), `"essential":true`) {
		t.Errorf("the request demands %q", partner.asked.Get("claims"))
	}
	partner.person["acr"] = "urn:partner:mfa"
	if visits(q); !heard(q) || in(q) {
		t.Error("enforce: our own factor is not asked for beside it")
	}
	sets("reject")
	w.SetPolicy(elsewhere)
	if alone() {
		t.Error("reject: its word counts")
	}
}
