package admin

import (
	"strings"
	"testing"

	"countersign/internal/admin/group"
	"countersign/internal/admin/policy"
	documents "countersign/internal/policy"
	"countersign/internal/server"
)

// The promise: a document that demands what nobody can show at an application is told so before it
// is saved, by the check and by the comparison: for everybody, for administrators and for the groups
// that it names. What can be met, also by an approval or a number elsewhere, and what is denied in
// words is not told.
func TestWhatCanNeverBeMet(t *testing.T) {
	o := newOffice(t)
	do1[group.Group](o, &group.Create{Name: "staff"})
	first := "  - {name: first, when: 'account.new && action == \"authenticator.enroll\"', require: access-pass}\n  - {name: two, when: '!(account.new && action == \"authenticator.enroll\")', require: two-factors}\n"
	for name, k := range map[string]struct {
		rules string
		says  []string
	}{
		"two factors":                  {"", nil},
		"phishing-resistant on a VPN":  {`  - {name: strict, when: 'application.kind == "vpn" && action == "sign-in"', require: phishing-resistant}`, []string{"people can never sign in to vpn: the rules demand", "phishing-resistant", "nobody can show by radius"}},
		"phishing-resistant on a wiki": {`  - {name: strict, when: 'application.kind == "wiki" && action == "sign-in"', require: phishing-resistant-hardware}`, nil},
		"administrators alone":         {`  - {name: strict, when: 'account.privileged && action == "sign-in"', require: phishing-resistant}`, []string{"administrators can never sign in to vpn"}},
		"a group whose kinds are refused": {`  - {name: no keys, when: '"staff" in account.groups && application.kind == "wiki"', refuse: [passkey, certificate]}
  - {name: strict, when: '"staff" in account.groups && application.kind == "wiki" && action == "sign-in"', require: phishing-resistant}`, []string{"members of staff can never sign in to wiki", "refuse every kind that could show it there (certificate, passkey)"}},
		"denied in words":         {`  - {name: shut, when: 'application.kind == "vpn" && action == "sign-in"', deny: closed}`, nil},
		"somewhere it can be met": {`  - {name: strict, when: 'application.kind == "vpn" && action == "sign-in" && now.hour > 20', require: phishing-resistant}`, nil},
	} {
		body := "rules:\n" + first + k.rules + "\n"
		got := do1[policy.Difference](o, &policy.Diff{Body: body}).Unmeetable
		known, err := server.Known(t.Context(), o.DB, o.Keys)
		if err != nil {
			t.Fatal(err)
		}
		p, err := documents.Compile([]byte(body), known)
		if err != nil {
			t.Fatal(err)
		}
		checked, err := server.Unmeetable(t.Context(), o.DB, o.Keys, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, told := range [][]string{got, checked} {
			said := strings.Join(told, "\n")
			if k.says == nil && said != "" {
				t.Errorf("%s: %s", name, said)
			}
			for _, part := range k.says {
				if !strings.Contains(said, part) {
					t.Errorf("%s: no %q in %q", name, part, said)
				}
			}
			if name == "administrators alone" && strings.Contains(said, "people can never") {
				t.Errorf("%s: %s", name, said)
			}
		}
	}
}
