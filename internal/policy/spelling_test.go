package policy

import (
	"strings"
	"testing"
	"time"
)

// A condition about a path that another spelling gets around is told of, and no
// other.
func TestWarnings(t *testing.T) {
	for when, want := range map[string]string{
		`path == "/admin"`:                             `"/ADMIN"`,
		`path == "/ADMIN" || path == "/admin"`:         `"/`,
		`path.startsWith("/admin/")`:                   `"/ADMIN/"`,
		`path.startsWith("/4711/")`:                    `"/4711"`,
		`path == "/4711"`:                              `"/4711/"`,
		`path.endsWith(".php")`:                        `".PHP"`,
		`path.contains("admin")`:                       `"ADMIN"`,
		`path.matches("^/admin")`:                      "pattern",
		`method == "POST" && path.startsWith("/x")`:    `"/X"`,
		`!(path.startsWith("/public/"))`:               "",
		`!(!(path.startsWith("/public/")))`:            `"/PUBLIC/"`,
		`path.startsWith("/")`:                         "",
		`path == ""`:                                   "",
		`method == "POST"`:                             "",
		`account.name == "ada" && action == "sign-in"`: "",
	} {
		p := compile(t, "rules:\n  - name: r\n    when: "+"'"+when+"'\n    require: two-factors\n")
		got := p.Warnings()
		switch {
		case want == "" && len(got) > 0:
			t.Errorf("%s: %v", when, got)
		case want != "" && (len(got) == 0 || !strings.Contains(got[0].Sentence, want) || got[0].Rule != "r" || got[0].Line == 0):
			t.Errorf("%s: %v", when, got)
		}
	}
	if got := compile(t, string(Default())).Warnings(); len(got) > 0 {
		t.Errorf("of the policy of a new installation: %v", got)
	}
}

// A request that names a second method meets what the strictest of all methods
// would, whichever it names, and a document that tells no methods apart asks it
// for no more than any other.
func TestAnyMethod(t *testing.T) {
	p := compile(t, `rules:
  - name: all
    require: two-factors
  - name: deletes
    when: 'method == "DELETE" && application.name == "wiki"'
    require: phishing-resistant
  - name: odd
    when: 'method == "FROBNICATE" && application.name == "wiki"'
    require: two-factors
    within: 5m
  - name: purges
    when: 'method.startsWith("PUR") && account.name == "grace"'
    deny: nobody purges
`)
	ask := func(name, app, method string) Decision {
		return p.Decide(Facts{Account: Account{Name: name, Kind: "person"}, Application: Application{Name: app, Kind: "wiki", Tier: "standard", Protocol: "forward-auth"}, Protocol: "browser", Action: "sign-in", Method: method, Path: "/", Now: time.Now()})
	}
	for _, c := range []struct{ name, app string }{{"ada", "wiki"}, {"ada", "vpn"}, {"grace", "wiki"}} {
		any := ask(c.name, c.app, AnyMethod)
		for _, m := range []string{"GET", "POST", "DELETE", "FROBNICATE", "PUR", ""} {
			if d := ask(c.name, c.app, m); !any.AtLeast(d) {
				t.Errorf("%s at %s: any method is asked for %v, %s for %v", c.name, c.app, any.Requirement, m, d.Requirement)
			}
		}
		if _, denied := any.Requirement.Denied(); denied != (c.name == "grace") {
			t.Errorf("%s at %s: %v", c.name, c.app, any.Requirement)
		}
		if c.app == "vpn" && any.Requirement.String() != ask(c.name, c.app, "GET").Requirement.String() {
			t.Errorf("where no rule tells methods apart any is asked for %v", any.Requirement)
		}
	}
}

// A request whose path may be any is denied where a rule would depend on the path, and
// otherwise asked for what every path is.
func TestAnyPath(t *testing.T) {
	p := compile(t, `rules:
  - name: all
    require: two-factors
  - name: secret
    when: 'path.startsWith("/secret") && application.name == "wiki"'
    require: phishing-resistant
  - name: outside
    when: '!(path.startsWith("/public")) && account.name == "grace"'
    deny: only what is public
  - name: posts
    when: 'method == "POST" && path == "/x" && application.name == "vpn"'
    require: phishing-resistant
`)
	for _, c := range []struct {
		name, app, method string
		denied            bool
	}{
		{"ada", "wiki", "GET", true}, {"grace", "mail", "GET", true}, {"ada", "mail", "GET", false},
		{"ada", "vpn", "GET", false}, {"ada", "vpn", "POST", true}, {"ada", "vpn", AnyMethod, true},
	} {
		f := Facts{Account: Account{Name: c.name, Kind: "person"}, Application: Application{Name: c.app, Kind: "wiki", Tier: "standard", Protocol: "forward-auth"}, Protocol: "browser", Action: "sign-in", Method: c.method, Path: AnyPath, Now: time.Now()}
		any := p.Decide(f)
		if _, denied := any.Requirement.Denied(); denied != c.denied {
			t.Errorf("%s at %s with %s: %v", c.name, c.app, c.method, any)
		}
		for _, path := range []string{"/", "/secret/x", "/public", "/x"} {
			if f.Path = path; !any.AtLeast(p.Decide(f)) {
				t.Errorf("%s at %s with %s: any path is asked for %v, %s for more", c.name, c.app, c.method, any.Requirement, path)
			}
		}
	}
}
