package apppassword

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

func issue(t testing.TB) (string, authenticator.Credential) {
	t.Helper()
	text, e, err := Issue(Terms{Application: "mail", Service: "imap"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Traits != assurance.AppPassword {
		t.Fatalf("it shows %s", e.Traits)
	}
	return text, authenticator.Credential{ID: 7, Account: 3, Kind: Kind, State: e.State, Handle: e.Handle}
}

func TestAppPassword(t *testing.T) {
	text, c := issue(t)
	other, _ := issue(t)
	plain, foreign := strings.ReplaceAll(text, "-", ""), strings.ReplaceAll(other, "-", "")
	if len(plain)-handleSize < 26 || strings.Contains(string(c.State), plain[handleSize:]) {
		t.Errorf("the secret half is short of 128 bits, or is kept: %d letters", len(plain)-handleSize)
	}
	wrong := "a"
	if strings.HasSuffix(plain, wrong) {
		wrong = "b"
	}
	for _, k := range []struct{ text, why string }{
		{text, ""}, {plain, ""}, {strings.ToUpper(text), ""}, {strings.ReplaceAll(text, "-", " "), ""},
		{other, "wrong"}, {plain[:handleSize] + foreign[handleSize:], "wrong"}, {plain[:len(plain)-1] + wrong, "wrong"},
		{"", "malformed"}, {plain[:len(plain)-1], "malformed"}, {plain + "a", "malformed"}, {plain[:len(plain)-1] + "1", "malformed"}, {plain[:len(plain)-1] + "é", "malformed"},
		{text + strings.Repeat("-", 200), "malformed"}, {"correct horse battery staple", "malformed"},
	} {
		r, err := Authenticator{}.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: k.text}, time.Now())
		if err != nil || r.OK != (k.why == "") || r.Reason != k.why || r.OK && (r.Credential != 7 || r.Traits != assurance.AppPassword) {
			t.Errorf("%q: %v %q, %v", k.why, r.OK, r.Reason, err)
		}
	}
	if handle, ok := (Authenticator{}).Discover(prompt.Answer{Text: text}); !ok || handle != c.Handle {
		t.Error("it does not name its row")
	}
}

func TestServes(t *testing.T) {
	_, c := issue(t)
	for what, why := range map[string]string{"mail/imap": "", "mail/pop3": "other-service", "other/imap": "other-service", "mail": "other-service", "": "other-service", "mail/imap/": "other-service"} {
		if got, err := (Authenticator{}).Serves(c, what, netip.Addr{}); err != nil || got != why {
			t.Errorf("%q: %q, %v", what, got, err)
		}
	}
	for _, terms := range []Terms{{}, {"mail", ""}, {"", "imap"}, {"mail/imap", "imap"}, {"mail", "imap/x"}} {
		if _, _, err := Issue(terms); err == nil {
			t.Errorf("%v: it was made", terms)
		}
	}
	c.State = []byte(`{"v":2}`)
	if _, err := (Authenticator{}).Serves(c, "mail/imap", netip.Addr{}); err == nil {
		t.Error("a state of another release was read")
	}
}

// A place is told once, and the first use as the first.
func TestSeen(t *testing.T) {
	_, c := issue(t)
	for i, k := range []struct {
		from       string
		new, first bool
	}{
		{"192.0.2.1", true, true}, {"192.0.2.1", false, false}, {"::ffff:192.0.2.1", false, false}, {"192.0.2.2", true, false},
		{"2001:db8::1", true, false}, {"2001:db8::2", false, false}, {"2001:db8:0:1::2", true, false},
	} {
		next, first, err := Authenticator{}.Seen(c, netip.MustParseAddr(k.from))
		if err != nil || (next != nil) != k.new || first != k.first {
			t.Errorf("%d %s: new %v, first %v, %v", i, k.from, next != nil, first, err)
		}
		if next != nil {
			c.State = next
		}
	}
	for i := range 40 {
		next, _, _ := Authenticator{}.Seen(c, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		c.State = next
	}
	if s, _ := read(c.State); len(s.Networks) != mostNetworks {
		t.Errorf("%d networks are remembered", len(s.Networks))
	}
	if next, first, err := (Authenticator{}).Seen(c, netip.Addr{}); next != nil || first || err != nil {
		t.Error("an unknown address is a place")
	}
}

func FuzzCheck(f *testing.F) {
	text, c := issue(f)
	plain := strings.ReplaceAll(text, "-", "")
	f.Add(text[:20])
	f.Add("----")
	f.Fuzz(func(t *testing.T, typed string) {
		r, err := Authenticator{}.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: typed}, time.Now())
		if err != nil || r.OK && strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(typed)) != plain {
			t.Errorf("%v %q, %v", r.OK, r.Reason, err)
		}
	})
}
