package signin

import (
	"net/netip"
	"testing"
)

// The promise: what an application opens to everybody goes on unless a rule denies it whoever
// asks. Our own pages, actions that need more than signing in, and what nobody knows stay shut.
func TestOpens(t *testing.T) {
	r, _, _ := withAda(t)
	r.rules(`
networks: {office: [192.0.2.0/24]}
rules:
  - {name: all, when: 'account.kind != "service"', require: two-factors}
  - {name: inner, when: 'path.startsWith("/inner") && !(source in networks.office)', deny: from the office}
  - {name: nobody suspended, when: 'account.suspended', deny: suspended}
`)
	far := netip.MustParseAddr("203.0.113.9")
	for _, k := range []struct {
		q    Request
		want bool
	}{
		{Request{Application: "wiki", Path: "/assets", Method: "GET", Source: far}, true},
		{Request{Application: "wiki", Path: "/inner", Method: "GET", Source: netip.MustParseAddr("192.0.2.7")}, true},
		{Request{Application: "wiki", Path: "/inner", Method: "GET", Source: far}, false},
		{Request{Application: "wiki", Path: "*", Method: "GET", Source: far}, false},
		{Request{Application: "wiki", Path: "/assets", Method: AnyMethod, Source: far}, false},
		{Request{Application: "wiki", Action: "wiki.admin", Path: "/assets", Method: "GET"}, false},
		{Request{Application: "nowhere", Path: "/assets", Method: "GET"}, false},
		{Request{Application: Self, Path: "/assets", Method: "GET"}, false},
	} {
		k.q.Protocol = "forward-auth"
		if got, err := r.Opens(t.Context(), k.q); err != nil || got != k.want {
			t.Errorf("%+v: %v, %v", k.q, got, err)
		}
	}
}
