package passkey_test

import (
	"bytes"
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

func TestOffer(t *testing.T) {
	o := options()
	o.Attestation, o.ResidentKey, o.Timeout, o.Hints = passkey.Direct, passkey.Required, time.Minute, []string{"hybrid"}
	a := open(t, o)
	k := &virtualauth.Key{Transports: []string{"internal"}}
	p := ada
	p.Existing = []authenticator.Credential{enroll(t, a, k, ada)}
	question, _, err := a.Offer(p, now)
	if err != nil {
		t.Fatal(err)
	}
	if question.Kind != prompt.PublicKey || question.Authenticator != "passkey" {
		t.Fatalf("%+v", question)
	}
	var got map[string]any
	if err := json.Unmarshal(question.Data, &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "challenge")
	b, _ := json.Marshal(got)
	want := `{"attestation":"direct",` +
		`"authenticatorSelection":{"requireResidentKey":true,"residentKey":"required","userVerification":"required"},` +
		`"excludeCredentials":[{"id":"` + p.Existing[0].Handle + `","transports":["internal"],"type":"public-key"}],"hints":["hybrid"],` +
		`"pubKeyCredParams":[{"alg":-7,"type":"public-key"},{"alg":-8,"type":"public-key"},{"alg":-257,"type":"public-key"}],` +
		`"rp":{"id":"example.org","name":"Example"},"timeout":60000,` +
		`"user":{"displayName":"Ada","id":"aGFuZGxlIG9mIGFkYSwgMzIgcmFuZG9tIGJ5dGVzLi4","name":"ada"}}`
	if string(b) != want {
		t.Fatalf("got  %s\nwant %s", b, want)
	}
	if _, err := k.Create(origin, question.Data); err != virtualauth.ErrInvalidState {
		t.Fatalf("the browser did not see that the key is enrolled: %v", err)
	}
}

func TestUserHandleLength(t *testing.T) {
	a := open(t, options())
	for _, n := range []int{0, 65} {
		p := ada
		p.UserHandle = make([]byte, n)
		if _, _, err := a.Offer(p, now); err == nil {
			t.Errorf("a user handle of %d bytes was offered", n)
		}
		if _, err := a.Accept(t.Context(), p, nil, prompt.Answer{}, now); err == nil {
			t.Errorf("a user handle of %d bytes was accepted", n)
		}
	}
}

func TestEnroll(t *testing.T) {
	ca := newCA(t)
	device := assurance.Held | assurance.PhishingResistant | assurance.UserVerified
	for _, test := range []struct {
		name   string
		key    *virtualauth.Key
		traits assurance.Trait
		detail string
	}{
		{"asked for nothing", &virtualauth.Key{AAGUID: model}, device, "attestation none, trusted false"},
		{"self attestation", &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedSelf}, device, "attestation packed basic_surrogate, trusted false"},
		{"self attestation, EdDSA", &virtualauth.Key{Algorithm: virtualauth.EdDSA, AAGUID: model, Attestation: virtualauth.PackedSelf}, device, "packed basic_surrogate, trusted false"},
		{"wrong root", &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: newCA(t)}, device, "attestation packed basic_full, trusted false"},
		{"trusted root", &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: ca}, device | assurance.HardwareBound, "attestation packed basic_full, trusted true"},
		{"trusted root, RS256", &virtualauth.Key{Algorithm: virtualauth.RS256, AAGUID: model, Attestation: virtualauth.PackedX5C, CA: ca}, device | assurance.HardwareBound, "trusted true"},
		{"trusted root, no model", &virtualauth.Key{Attestation: virtualauth.PackedX5C, CA: ca}, device, "aaguid 00000000-0000-0000-0000-000000000000, attestation packed basic_full, trusted false"},
		{"trusted root, can be backed up", &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: ca, BackupEligible: true}, device, "trusted true, backup-eligible true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := open(t, attesting(ca))
			e, err := enrollment(t, a, test.key, ada)
			if err != nil {
				t.Fatal(err)
			}
			if e.Traits != test.traits || !strings.Contains(e.Detail, test.detail) || e.Once != "" {
				t.Fatalf("%+v", e)
			}
			if got := signIn(t, a, test.key, credential(e, ada, 1)); !got.OK || got.Traits != test.traits {
				t.Fatalf("%+v", got)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	a := open(t, options())
	for label, g := range map[string][16]byte{
		"iCloud Keychain": {0xfb, 0xfc, 0x30, 0x07, 0x15, 0x4e, 0x4e, 0xcc, 0x8c, 0x0b, 0x6e, 0x02, 0x05, 0x57, 0xd7, 0xbd},
		"Bitwarden":       {0xd5, 0x48, 0x82, 0x6e, 0x79, 0xb4, 0xdb, 0x40, 0xa3, 0xd8, 0x11, 0x11, 0x6f, 0x7e, 0x83, 0x49},
		"Passkey":         {1},
	} {
		e, err := enrollment(t, a, &virtualauth.Key{AAGUID: g}, ada)
		if err != nil || e.Label != label {
			t.Errorf("%q, %v; want %q", e.Label, err, label)
		}
	}
}

// Everything that the options ask for is held to on the server, whatever the
// browser makes of it.
func TestRefusedEnrollments(t *testing.T) {
	ca := newCA(t)
	other := [16]byte{9}
	listed, required, denied, bound, none := attesting(ca), attesting(ca), options(), options(), options()
	listed.AllowAAGUIDs = []string{modelText}
	required.RequireAttested = true
	denied.DenyAAGUIDs = []string{modelText}
	bound.BackupEligible = passkey.Deny
	for _, test := range []struct {
		name, reason string
		options      passkey.Options
		key          *virtualauth.Key
	}{
		{"no lie", "", none, &virtualauth.Key{}},
		{"suffix origin", "wrong-origin", none, &virtualauth.Key{Lie: virtualauth.Lie{Origin: "https://evil-login.example.org"}}},
		{"subdomain origin", "wrong-origin", none, &virtualauth.Key{Lie: virtualauth.Lie{Origin: "https://a.login.example.org"}}},
		{"http origin", "wrong-origin", none, &virtualauth.Key{Lie: virtualauth.Lie{Origin: "http://login.example.org"}}},
		{"wrong rpId", "wrong-relying-party", none, &virtualauth.Key{Lie: virtualauth.Lie{RPID: "evil.example"}}},
		{"get type", "wrong-type", none, &virtualauth.Key{Lie: virtualauth.Lie{Type: "webauthn.get"}}},
		{"other challenge", "wrong-challenge", none, &virtualauth.Key{Lie: virtualauth.Lie{Challenge: make([]byte, 32)}}},
		{"cross-origin", "cross-origin", none, &virtualauth.Key{Lie: virtualauth.Lie{CrossOrigin: true}}},
		{"top origin", "cross-origin", none, &virtualauth.Key{Lie: virtualauth.Lie{TopOrigin: origin}}},
		{"not present", "not-present", none, &virtualauth.Key{Lie: virtualauth.Lie{ClearFlags: 1}}},
		{"not verified", "not-verified", none, &virtualauth.Key{NoUV: true}},
		{"backed up, not eligible", "wrong-backup-flags", none, &virtualauth.Key{BackupState: true}},
		{"algorithm not asked for", "wrong-algorithm", none, &virtualauth.Key{Algorithm: virtualauth.ES384}},
		{"truncated", "malformed", none, &virtualauth.Key{Lie: virtualauth.Lie{Truncate: 1}}},
		{"empty", "malformed", none, &virtualauth.Key{Lie: virtualauth.Lie{Truncate: 9000}}},
		{"no credential", "malformed", none, &virtualauth.Key{Lie: virtualauth.Lie{ClearFlags: 64}}},
		{"extensions missing", "malformed", none, &virtualauth.Key{Lie: virtualauth.Lie{SetFlags: 128}}},
		{"client data not JSON", "malformed", none, &virtualauth.Key{Lie: virtualauth.Lie{ClientData: []byte("x")}}},
		{"no id", "malformed", none, &virtualauth.Key{Lie: virtualauth.Lie{CredentialID: []byte{}}}},
		{"long id", "", none, &virtualauth.Key{Lie: virtualauth.Lie{CredentialID: bytes.Repeat([]byte("x"), 1023)}}},
		{"longer id", "malformed", none, &virtualauth.Key{Lie: virtualauth.Lie{CredentialID: bytes.Repeat([]byte("x"), 1024)}}},
		{"self attestation, bogus", "wrong-attestation", none, &virtualauth.Key{Attestation: virtualauth.PackedSelf, Lie: virtualauth.Lie{BogusSignature: true}}},
		{"certificate, bogus", "wrong-attestation", none, &virtualauth.Key{Attestation: virtualauth.PackedX5C, CA: ca, Lie: virtualauth.Lie{BogusSignature: true}}},
		{"certificate of another model", "wrong-attestation", listed, &virtualauth.Key{AAGUID: other, Attestation: virtualauth.PackedX5C, CA: ca, Lie: virtualauth.Lie{ClaimedAAGUID: &model}}},

		{"listed: attested", "", listed, &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: ca}},
		{"listed: none", "not-attested", listed, &virtualauth.Key{AAGUID: model}},
		{"listed: self", "not-attested", listed, &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedSelf}},
		{"listed: wrong root", "not-attested", listed, &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: newCA(t)}},
		{"listed: zero AAGUID", "not-attested", listed, &virtualauth.Key{Attestation: virtualauth.PackedX5C, CA: ca}},
		{"listed: other model", "model-refused", listed, &virtualauth.Key{AAGUID: other, Attestation: virtualauth.PackedX5C, CA: ca}},
		{"attested: attested", "", required, &virtualauth.Key{AAGUID: other, Attestation: virtualauth.PackedX5C, CA: ca}},
		{"attested: none", "not-attested", required, &virtualauth.Key{AAGUID: model}},
		{"attested: self", "not-attested", required, &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedSelf}},
		{"attested: wrong root", "not-attested", required, &virtualauth.Key{AAGUID: model, Attestation: virtualauth.PackedX5C, CA: newCA(t)}},
		{"attested: zero AAGUID", "not-attested", required, &virtualauth.Key{Attestation: virtualauth.PackedX5C, CA: ca}},
		{"denied", "model-refused", denied, &virtualauth.Key{AAGUID: model}},
		{"denied: other model", "", denied, &virtualauth.Key{AAGUID: other}},
		{"bound: synced", "backup-eligible", bound, &virtualauth.Key{BackupEligible: true, BackupState: true}},
		{"bound: not synced yet", "backup-eligible", bound, &virtualauth.Key{BackupEligible: true}},
		{"bound: bound", "", bound, &virtualauth.Key{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.key.Lie.Disobey = true
			e, err := enrollment(t, open(t, test.options), test.key, ada)
			if test.reason != "" {
				refusedAs(t, err, test.reason)
				return
			}
			if err != nil || len(e.State) == 0 {
				t.Fatalf("%+v, %v", e, err)
			}
		})
	}
}

func TestEnrollmentMemos(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	question, memo, err := a.Offer(ada, now)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := k.Create(origin, question.Data)
	if err != nil {
		t.Fatal(err)
	}
	_, evesMemo, _ := a.Offer(eve, now)
	_, signInMemo, _ := a.Ask(nil, now)
	for name, test := range map[string]struct {
		person authenticator.Person
		memo   authenticator.Memo
		at     time.Time
		reason string
	}{
		"another account's memo":   {ada, evesMemo, now, "wrong-challenge"},
		"memo to another account":  {eve, memo, now, "wrong-challenge"},
		"memo of a sign-in":        {ada, signInMemo, now, "wrong-challenge"},
		"no memo":                  {ada, nil, now, "wrong-challenge"},
		"too late":                 {ada, memo, now.Add(301 * time.Second), "stale"},
		"from a clock set far off": {ada, memo, now.Add(-time.Hour), "stale"},
	} {
		_, err := a.Accept(t.Context(), test.person, test.memo, answer(reply), test.at)
		t.Run(name, func(t *testing.T) { refusedAs(t, err, test.reason) })
	}
	e, err := a.Accept(t.Context(), ada, memo, answer(reply), now)
	if err != nil {
		t.Fatal(err)
	}
	// The same again is a duplicate, once it is enrolled.
	p := ada
	p.Existing = []authenticator.Credential{credential(e, ada, 1)}
	_, err = a.Accept(t.Context(), p, memo, answer(reply), now)
	refusedAs(t, err, "already-enrolled")
	// And the answer to a sign-in is no enrollment.
	_, assertion := ask(t, a, k, p.Existing...)
	_, err = a.Accept(t.Context(), ada, memo, assertion, now)
	refusedAs(t, err, "malformed")
}

// Excluded credentials are refused by the server even if the browser let the
// same key make the same credential id again.
func TestExcludedOnTheServer(t *testing.T) {
	a := open(t, options())
	k := &virtualauth.Key{}
	k.Lie.CredentialID = []byte("the same id again")
	p := ada
	p.Existing = []authenticator.Credential{enroll(t, a, k, ada)}
	k.Lie.Disobey = true
	_, err := enrollment(t, a, k, p)
	refusedAs(t, err, "already-enrolled")
}

// A stricter option takes effect on the keys that were enrolled before it.
func TestOptionsHoldAtEveryCheck(t *testing.T) {
	ca := newCA(t)
	k := &virtualauth.Key{AAGUID: model, BackupEligible: true}
	c := enroll(t, open(t, options()), k, ada)
	required, listed, denied, bound := attesting(ca), attesting(ca), options(), options()
	required.RequireAttested = true
	listed.AllowAAGUIDs = []string{modelText}
	denied.DenyAAGUIDs = []string{strings.ToUpper(modelText)}
	bound.BackupEligible = passkey.Deny
	for reason, o := range map[string]passkey.Options{"model-refused": denied, "backup-eligible": bound, "not-attested": required} {
		if got := signIn(t, open(t, o), k, c); got.Reason != reason {
			t.Errorf("%q, want %q", got.Reason, reason)
		}
	}
	if got := signIn(t, open(t, listed), k, c); got.Reason != "not-attested" {
		t.Errorf("%+v", got)
	}
}

func TestSecurityKey(t *testing.T) {
	o := options()
	o.UserVerification, o.ResidentKey = passkey.Preferred, passkey.Discouraged
	a := open(t, o)
	k := &virtualauth.Key{NoUV: true, NoResident: true, Transports: []string{"usb"}}
	c := enroll(t, a, k, ada)
	if got := signIn(t, a, k, c); !got.OK || got.Traits != assurance.Held|assurance.PhishingResistant {
		t.Fatalf("%+v", got)
	}
	question, _, err := a.Ask(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(origin, question.Data); err != virtualauth.ErrNotAllowed {
		t.Fatalf("a key without discoverable credentials answered: %v", err)
	}
}
