package apikey

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func issue(t testing.TB) (string, authenticator.Credential) {
	t.Helper()
	key, e, err := Issue(Terms{Actions: []string{"account.list"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Expires: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return key, authenticator.Credential{ID: 7, Account: 3, Kind: Kind, State: e.State, Handle: e.Handle}
}

func TestKey(t *testing.T) {
	key, c := issue(t)
	other, _ := issue(t)
	handle, _, _ := split(key)
	_, foreign, _ := split(other)
	for _, k := range []struct {
		text string
		at   time.Time
		why  string
	}{
		{key, now, ""}, {key, now.Add(59 * time.Minute), ""}, {key, now.Add(time.Hour), "expired"},
		{other, now, "wrong"}, {Prefix + handle + "_" + foreign, now, "wrong"}, {strings.ToUpper(key), now, "malformed"},
		{"", now, "malformed"}, {Prefix, now, "malformed"}, {key + strings.Repeat("a", 200), now, "malformed"}, {strings.TrimSuffix(key, "a") + "!", now, "wrong"},
	} {
		r, err := Authenticator{}.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: k.text}, k.at)
		if err != nil || r.OK != (k.why == "") || r.Reason != k.why {
			t.Errorf("%+v: %+v, %v", k, r, err)
		}
	}
}

func TestServes(t *testing.T) {
	_, c := issue(t)
	for _, k := range []struct{ action, source, why string }{
		{"account.list", "10.1.2.3", ""}, {"account.list", "::ffff:10.1.2.3", ""}, {"account.list", "192.0.2.1", "other-network"},
		{"account.lis", "10.1.2.3", "other-action"}, {"", "10.1.2.3", "other-action"}, {"account.create", "10.1.2.3", "other-action"},
	} {
		if why, err := (Authenticator{}).Serves(c, k.action, netip.MustParseAddr(k.source)); err != nil || why != k.why {
			t.Errorf("%+v: %q, %v", k, why, err)
		}
	}
	if why, _ := (Authenticator{}).Serves(c, "account.list", netip.Addr{}); why != "other-network" {
		t.Errorf("an unknown source: %q", why)
	}
	if _, _, err := Issue(Terms{Actions: []string{"x"}}); err == nil {
		t.Error("a key for anywhere, for ever")
	}
}

func FuzzCheck(f *testing.F) {
	key, c := issue(f)
	f.Add(key[:20])
	f.Add("cskey__")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Authenticator{}.Check(context.Background(), []authenticator.Credential{c}, nil, prompt.Answer{Text: text}, now)
		if err != nil || r.OK && text != key {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	})
}
