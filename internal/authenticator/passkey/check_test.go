package passkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/prompt"
	"countersign/internal/virtualauth"
)

const proven = assurance.Held | assurance.PhishingResistant | assurance.UserVerified

func TestSignIn(t *testing.T) {
	a := open(t, options())
	for _, algorithm := range []virtualauth.Algorithm{virtualauth.ES256, virtualauth.EdDSA, virtualauth.RS256} {
		k := &virtualauth.Key{Algorithm: algorithm}
		c := enroll(t, a, k, ada)
		memo, reply := ask(t, a, k, c)
		got := check(t, a, memo, reply, c)
		if !got.OK || got.Credential != c.ID || got.Traits != proven || got.Bound != origin {
			t.Fatalf("algorithm %d: %+v", algorithm, got)
		}
		asked := challengeOf(t, reply)
		if challenge, err := base64.RawURLEncoding.DecodeString(asked); err != nil || len(challenge) != 32 || got.Once != "w"+asked {
			t.Fatalf("once is %q for the challenge %q", got.Once, asked)
		}
		if handle, ok := a.Discover(reply); !ok || handle != c.Handle {
			t.Fatalf("discovered %q, want %q", handle, c.Handle)
		}
	}
}

// challengeOf reads what a key says that it was asked.
func challengeOf(t *testing.T, answer prompt.Answer) string {
	t.Helper()
	var reply struct {
		Response struct{ ClientDataJSON string }
	}
	var client struct{ Challenge string }
	if err := json.Unmarshal(answer.Data, &reply); err != nil {
		t.Fatal(err)
	}
	data, err := base64.RawURLEncoding.DecodeString(reply.Response.ClientDataJSON)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &client); err != nil {
		t.Fatal(err)
	}
	return client.Challenge
}

func TestSignInWithoutName(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	c := enroll(t, a, k, ada)
	memo, reply := ask(t, a, k)
	if got := check(t, a, memo, reply, c); !got.OK || got.Traits != proven {
		t.Fatalf("%+v", got)
	}
	// Nobody was named, so the key must name its account, and this one.
	for _, handle := range [][]byte{{}, eve.UserHandle} {
		k.Lie.UserHandle = handle
		memo, reply = ask(t, a, k)
		if got := check(t, a, memo, reply, c); got.Reason != "unknown-credential" {
			t.Fatalf("user handle %q: %+v", handle, got)
		}
	}
}

// A question without a list demands user verification even where the policy
// only prefers it.
func TestDiscoverableDemandsVerification(t *testing.T) {
	o := options()
	o.UserVerification = passkey.Preferred
	a := open(t, o)
	k := &virtualauth.Key{}
	c := enroll(t, a, k, ada)
	k.NoUV = true
	if got := signIn(t, a, k, c); !got.OK || got.Traits != assurance.Held|assurance.PhishingResistant {
		t.Fatalf("named: %+v", got)
	}
	k.Lie.Disobey = true
	if got := func() authenticator.Result { memo, reply := ask(t, a, k); return check(t, a, memo, reply, c) }(); got.Reason != "not-verified" {
		t.Fatalf("unnamed: %+v", got)
	}
}

func TestRefusals(t *testing.T) {
	a := open(t, options())
	back := uint32(1)
	for _, test := range []struct {
		name, reason string
		lie          virtualauth.Lie
	}{
		{"no lie", "", virtualauth.Lie{}},
		{"suffix origin", "wrong-origin", virtualauth.Lie{Origin: "https://evil-login.example.org"}},
		{"subdomain origin", "wrong-origin", virtualauth.Lie{Origin: "https://x.login.example.org"}},
		{"parent origin", "wrong-origin", virtualauth.Lie{Origin: "https://example.org"}},
		{"sibling origin", "wrong-origin", virtualauth.Lie{Origin: "https://wiki.example.org"}},
		{"prefix origin", "wrong-origin", virtualauth.Lie{Origin: "https://login.example.org.evil.example"}},
		{"http origin", "wrong-origin", virtualauth.Lie{Origin: "http://login.example.org"}},
		{"other port", "wrong-origin", virtualauth.Lie{Origin: "https://login.example.org:8443"}},
		{"default port", "wrong-origin", virtualauth.Lie{Origin: "https://login.example.org:443"}},
		{"upper case", "wrong-origin", virtualauth.Lie{Origin: "https://LOGIN.example.org"}},
		{"trailing slash", "wrong-origin", virtualauth.Lie{Origin: "https://login.example.org/"}},
		{"trailing dot", "wrong-origin", virtualauth.Lie{Origin: "https://login.example.org."}},
		{"homograph", "wrong-origin", virtualauth.Lie{Origin: "https://login.ex\u0430mple.org"}},
		{"punycode of it", "wrong-origin", virtualauth.Lie{Origin: "https://login.xn--exmple-4nf.org"}},
		{"app origin", "wrong-origin", virtualauth.Lie{Origin: "android:apk-key-hash:AAAA"}},
		{"null origin", "wrong-origin", virtualauth.Lie{Origin: "null"}},
		{"wrong rpId", "wrong-relying-party", virtualauth.Lie{RPID: "evil.example"}},
		{"rpId is the host", "wrong-relying-party", virtualauth.Lie{RPID: "login.example.org"}},
		{"create type", "wrong-type", virtualauth.Lie{Type: "webauthn.create"}},
		{"payment type", "wrong-type", virtualauth.Lie{Type: "payment.get"}},
		{"no type", "wrong-type", virtualauth.Lie{ClientData: []byte(`{"origin":"https://login.example.org"}`)}},
		{"other challenge", "wrong-challenge", virtualauth.Lie{Challenge: make([]byte, 32)}},
		{"short challenge", "wrong-challenge", virtualauth.Lie{Challenge: []byte{}}},
		{"cross-origin", "cross-origin", virtualauth.Lie{CrossOrigin: true}},
		{"top origin", "cross-origin", virtualauth.Lie{CrossOrigin: true, TopOrigin: origin}},
		{"top origin alone", "cross-origin", virtualauth.Lie{TopOrigin: origin}},
		{"not present", "not-present", virtualauth.Lie{ClearFlags: 1}},
		{"not verified", "not-verified", virtualauth.Lie{ClearFlags: 4}},
		{"backed up, not eligible", "wrong-backup-flags", virtualauth.Lie{SetFlags: 16}},
		{"became eligible", "wrong-backup-flags", virtualauth.Lie{SetFlags: 8}},
		{"attested data flag", "malformed", virtualauth.Lie{SetFlags: 64}},
		{"extension flag", "malformed", virtualauth.Lie{SetFlags: 128}},
		{"bogus signature", "wrong-signature", virtualauth.Lie{BogusSignature: true}},
		{"truncated", "malformed", virtualauth.Lie{Truncate: 1}},
		{"empty", "malformed", virtualauth.Lie{Truncate: 100}},
		{"client data not JSON", "malformed", virtualauth.Lie{ClientData: []byte("{")}},
		{"counter back", "cloned", virtualauth.Lie{Counter: &back}},
		{"other user handle", "unknown-credential", virtualauth.Lie{UserHandle: eve.UserHandle}},
		{"other id", "unknown-credential", virtualauth.Lie{CredentialID: []byte("somebody else's")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := &virtualauth.Key{}
			c := enroll(t, a, k, ada)
			for range 2 { // so that a counter can go back
				c.State = signIn(t, a, k, c).Next
			}
			k.Lie = test.lie
			k.Lie.Disobey = true
			got := signIn(t, a, k, c)
			if got.Reason != test.reason {
				t.Fatalf("refused as %q, want %q", got.Reason, test.reason)
			}
			if test.reason == "wrong-origin" && (!strings.Contains(got.Detail, origin) || !strings.Contains(got.Detail, "saw")) {
				t.Fatalf("the detail %q lacks an origin", got.Detail)
			}
		})
	}
}

// An honest browser does not even sign on a look-alike page; the server refuses
// the same answer from a dishonest one.
func TestBrowserRefusesLookAlike(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	c := enroll(t, a, k, ada)
	question, memo, err := a.Ask([]authenticator.Credential{c}, now)
	if err != nil {
		t.Fatal(err)
	}
	const fake = "https://login.examp1e.org"
	if _, err := k.Get(fake, question.Data); err != virtualauth.ErrSecurity {
		t.Fatalf("the browser said %v", err)
	}
	k.Lie.Disobey = true
	reply, err := k.Get(fake, question.Data)
	if err != nil {
		t.Fatal(err)
	}
	got := check(t, a, memo, answer(reply), c)
	if got.Reason != "wrong-origin" || !strings.Contains(got.Detail, fake) || !strings.Contains(got.Detail, origin) {
		t.Fatalf("%+v", got)
	}
}

func TestEveryConfiguredOrigin(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	c := enroll(t, a, k, ada)
	k.Lie.Origin = "https://portal.example.org:8443"
	if got := signIn(t, a, k, c); !got.OK || got.Bound != k.Lie.Origin {
		t.Fatalf("%+v", got)
	}
}

func TestMemos(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	c := enroll(t, a, k, ada)
	memo, reply := ask(t, a, k, c)
	_, creation, err := a.Offer(ada, now)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := options()
	elsewhere.RPID, elsewhere.Origins = "login.example.org", []string{origin}
	_, other, err := open(t, elsewhere).Ask([]authenticator.Credential{c}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		memo   authenticator.Memo
		at     time.Time
		reason string
	}{
		"in time":             {memo, now.Add(300 * time.Second), ""},
		"too late":            {memo, now.Add(301 * time.Second), "stale"},
		"long before":         {memo, now.Add(-time.Minute), "stale"},
		"clock set back":      {memo, now.Add(-2 * time.Second), ""},
		"none":                {nil, now, "wrong-challenge"},
		"empty":               {authenticator.Memo("{}"), now, "wrong-challenge"},
		"noise":               {authenticator.Memo("\xff"), now, "wrong-challenge"},
		"of an enrollment":    {creation, now, "wrong-challenge"},
		"of another rpId":     {other, now, "wrong-challenge"},
		"of another question": {func() authenticator.Memo { m, _ := ask(t, a, k, c); return m }(), now, "wrong-challenge"},
	} {
		got, err := a.Check(t.Context(), []authenticator.Credential{c}, test.memo, reply, test.at)
		if err != nil || got.Reason != test.reason {
			t.Errorf("%s: %q, %v; want %q", name, got.Reason, err, test.reason)
		}
	}
}

// A memo of one account's question never serves another's credential, not even
// with a right signature over it.
func TestCrossAccount(t *testing.T) {
	a := open(t, options())
	adas, eves := &virtualauth.Key{}, &virtualauth.Key{}
	hers, his := enroll(t, a, adas, ada), enroll(t, a, eves, eve)
	his.ID = 2
	question, memo, err := a.Ask([]authenticator.Credential{hers}, now)
	if err != nil {
		t.Fatal(err)
	}
	eves.Lie.Disobey = true
	reply, err := eves.Get(origin, question.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, credentials := range [][]authenticator.Credential{{hers}, {his}, {hers, his}, {}} {
		if got := check(t, a, memo, answer(reply), credentials...); got.Reason != "unknown-credential" {
			t.Fatalf("%d credentials: %+v", len(credentials), got)
		}
	}
	// The same account's credential that was not asked for does not serve either.
	second := hers
	second.ID = 3
	memo, good := ask(t, a, adas, hers)
	if got := check(t, a, memo, good, second); got.Reason != "unknown-credential" {
		t.Fatalf("%+v", got)
	}
}

// Check keeps nothing, so a replay is for the engine to see, by the same Once;
// and once the next state is kept, a counting key refuses by itself.
func TestReplay(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	c := enroll(t, a, k, ada)
	memo, reply := ask(t, a, k, c)
	first, second := check(t, a, memo, reply, c), check(t, a, memo, reply, c)
	if !first.OK || first.Once == "" || first.Once != second.Once {
		t.Fatalf("%+v, %+v", first, second)
	}
	c.State = first.Next
	if got := check(t, a, memo, reply, c); got.Reason != "cloned" {
		t.Fatalf("%+v", got)
	}
}

func TestCounter(t *testing.T) {
	o := options()
	o.CounterRegression = passkey.Accept
	strict, lenient := open(t, options()), open(t, o)
	k := &virtualauth.Key{}
	c := enroll(t, strict, k, ada)
	thief := k.Clone()
	c.State = signIn(t, strict, k, c).Next
	memo, reply := ask(t, strict, thief, c)
	if got := check(t, strict, memo, reply, c); got.Reason != "cloned" || got.Detail != "signature counter went from 1 to 1" {
		t.Fatalf("%+v", got)
	}
	if got := check(t, lenient, memo, reply, c); !got.OK || got.Detail == "" || got.Next != nil {
		t.Fatalf("%+v", got)
	}
	// A key that never counts is no clone, and one that stops counting is.
	still := &virtualauth.Key{NoCounter: true}
	s := enroll(t, strict, still, ada)
	for range 2 {
		if got := signIn(t, strict, still, s); !got.OK || got.Next != nil {
			t.Fatalf("%+v", got)
		}
	}
	zero := uint32(0)
	k.Lie.Counter = &zero
	if got := signIn(t, strict, k, c); got.Reason != "cloned" {
		t.Fatalf("%+v", got)
	}
}

func TestBackupStateIsKept(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{BackupEligible: true, NoCounter: true}
	c := enroll(t, a, k, ada)
	k.Lie.SetFlags = 16
	got := signIn(t, a, k, c)
	if !got.OK || !passkey.BackedUp(t, got.Next) {
		t.Fatalf("%+v", got)
	}
	k.Lie = virtualauth.Lie{ClearFlags: 8}
	if got := signIn(t, a, k, c); got.Reason != "wrong-backup-flags" {
		t.Fatalf("%+v", got)
	}
}

// A key that enrolled without user verification never proves it later: whoever
// found it may have set the PIN.
func TestVerificationIsNotRaisedLater(t *testing.T) {
	o := options()
	o.UserVerification = passkey.Preferred
	a := open(t, o)
	k := &virtualauth.Key{NoUV: true}
	e, err := enrollment(t, a, k, ada)
	if err != nil {
		t.Fatal(err)
	}
	if e.Traits != assurance.Held|assurance.PhishingResistant {
		t.Fatalf("enrolled with %v", e.Traits)
	}
	c := credential(e, ada, 1)
	k.NoUV = false
	for range 3 {
		got := signIn(t, a, k, c)
		if !got.OK || got.Traits.Has(assurance.UserVerified) {
			t.Fatalf("%+v", got)
		}
		c.State = got.Next
	}
}

func TestNoCredentials(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	enroll(t, a, k, ada)
	memo, reply := ask(t, a, k)
	if got := check(t, a, memo, reply); got.Reason != "unknown-credential" {
		t.Fatalf("%+v", got)
	}
}

func TestMalformed(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	c := enroll(t, a, k, ada)
	memo, good := ask(t, a, k, c)
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(good.Data, &parts); err != nil {
		t.Fatal(err)
	}
	with := func(key, value string) []byte {
		changed := map[string]json.RawMessage{}
		for k, v := range parts {
			changed[k] = v
		}
		changed[key] = json.RawMessage(value)
		b, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	padded := `"` + c.Handle + `="`
	for name, data := range map[string][]byte{
		"nothing": nil, "null": []byte("null"), "a list": []byte("[]"), "text": []byte(`"x"`), "cut": good.Data[:len(good.Data)-1],
		"trailing": append(bytes.Clone(good.Data), '{'), "other type": with("type", `"password"`), "no id": with("id", `""`),
		"other rawId": with("rawId", `"AAAA"`), "padded id": with("id", padded), "padded rawId": with("rawId", padded),
		"line break": with("rawId", `"`+c.Handle[:4]+`\n`+c.Handle[4:]+`"`), "no response": with("response", `{}`),
		"huge": with("x", `"`+strings.Repeat("x", 70000)+`"`),
	} {
		if got := check(t, a, memo, prompt.Answer{Data: data}, c); got.Reason != "malformed" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// A state that is not ours is a breakdown, not a wrong answer.
	for name, state := range map[string]string{"empty": "", "other version": `{"v":2}`, "no id": `{"v":1}`} {
		broken := c
		broken.State = []byte(state)
		if _, err := a.Check(t.Context(), []authenticator.Credential{broken}, memo, good, now); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDescribe(t *testing.T) {
	d := open(t, options()).Describe()
	if d.Kind != "passkey" || d.Title != "Passkey or security key" || d.Slow || d.Guessable || !d.First ||
		!d.Media.Can(prompt.Browser) || d.Media.Can(prompt.Line) || d.Traits != proven|assurance.HardwareBound {
		t.Fatalf("%+v", d)
	}
}

func TestQuestion(t *testing.T) {
	o := options()
	o.Hints = []string{"security-key"}
	a := open(t, o)
	k := &virtualauth.Key{Transports: []string{"usb", "bogus", "nfc"}}
	c := enroll(t, a, k, ada)
	question, _, err := a.Ask([]authenticator.Credential{c}, now)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(question.Data, &got); err != nil {
		t.Fatal(err)
	}
	if len(got["challenge"].(string)) != 43 {
		t.Fatalf("challenge %v", got["challenge"])
	}
	delete(got, "challenge")
	b, _ := json.Marshal(got)
	want := `{"allowCredentials":[{"id":"` + c.Handle + `","transports":["usb","nfc"],"type":"public-key"}],` +
		`"hints":["security-key"],"rpId":"example.org","timeout":300000,"userVerification":"required"}`
	if string(b) != want {
		t.Fatalf("got  %s\nwant %s", b, want)
	}
	question, _, err = a.Ask(nil, now)
	if err != nil || !bytes.Contains(question.Data, []byte(`"allowCredentials":[]`)) {
		t.Fatalf("%s, %v", question.Data, err)
	}
}
