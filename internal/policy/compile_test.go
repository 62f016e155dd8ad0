package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// conditionIn puts a condition into a document, quoted.
func conditionIn(when string) string {
	return "networks:\n  office: [10.20.0.0/16, 2001:db8:20::/48]\nrules:\n  - name: r\n    when: " + quoted(when) + "\n    require: two-factors\n"
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func TestRefusedDocuments(t *testing.T) {
	const rule = "rules: [{name: r, require: two-factors}]\n"
	tests := []struct {
		name, document string
		line           int
		says           string
	}{
		{"nothing", "", 1, "empty"},
		{"only a comment", "# nothing\n", 1, "empty"},
		{"null", "~\n", 1, "block of"},
		{"a list", "- name: r\n", 1, "must be a block"},
		{"no rules", "timezone: UTC\n", 1, "no rules"},
		{"empty rules", "rules: []\n", 1, "no rules"},
		{"not YAML", "rules:\n  - name: [\n", 2, "not YAML"},
		{"a tab", "rules:\n\t- name: r\n", 2, "not YAML"},
		{"two documents", rule + "---\n" + rule, 2, "second document"},
		{"an anchor", "rules: [&a {name: r, require: two-factors}, *a]\n", 1, "anchor"},
		{"a merge", "rules:\n  - <<: {name: r}\n    require: two-factors\n", 2, "plain word"},
		{"an unknown key", rule + "network: {}\n", 2, `did you mean networks?`},
		{"a key twice", rule + rule, 2, `"rules" twice`},
		{"an unknown key in a rule", "rules:\n  - name: r\n    requires: two-factors\n", 3, "did you mean require?"},
		{"a key twice in a rule", "rules:\n  - name: r\n    deny: a\n    deny: b\n", 4, `"deny" twice`},
		{"no name", "rules:\n  - require: two-factors\n", 2, "no name"},
		{"an empty name", "rules:\n  - name:\n    require: two-factors\n", 2, "empty"},
		{"a number for a name", "rules:\n  - name: 7\n    require: two-factors\n", 2, "a number"},
		{"a control character", "rules:\n  - name: \"a\\eb\"\n    require: two-factors\n", 2, "printable"},
		{"a name twice", "rules:\n  - {name: r, deny: a}\n  - {name: r, deny: b}\n", 3, "another rule of this name on line 2"},
		{"no effect", "rules:\n  - name: r\n", 2, "does nothing"},
		{"both effects", "rules:\n  - {name: r, require: aal2, deny: x}\n", 2, "both requires and denies"},
		{"within alone", "rules:\n  - name: r\n    deny: x\n    within: 5m\n", 4, "add require"},
		{"an unknown requirement", "rules:\n  - name: r\n    require: two-factor\n", 3, "did you mean two-factors?"},
		{"an unknown one of several", "rules:\n  - name: r\n    require: [aal2, aal4]\n", 3, `unknown requirement "aal4"`},
		{"a requirement twice", "rules:\n  - name: r\n    require: [aal2, aal2]\n", 3, "twice"},
		{"no requirement of several", "rules:\n  - name: r\n    require: []\n", 3, "empty list"},
		{"within without a unit", "rules:\n  - name: r\n    require: aal2\n    within: 15\n", 4, "needs a unit"},
		{"within of words", "rules:\n  - name: r\n    require: aal2\n    within: soon\n", 4, "not a duration"},
		{"within too short", "rules:\n  - name: r\n    require: aal2\n    within: 999ms\n", 4, "from 1s to 24h"},
		{"within too long", "rules:\n  - name: r\n    require: aal2\n    within: 24h1s\n", 4, "from 1s to 24h"},
		{"within negative", "rules:\n  - name: r\n    require: aal2\n    within: -5m\n", 4, "from 1s to 24h"},
		{"within of part seconds", "rules:\n  - name: r\n    require: aal2\n    within: 1.5s\n", 4, "whole seconds"},
		{"an unknown authenticator", "rules:\n  - name: r\n    refuse: [totpp]\n", 3, "did you mean totp?"},
		{"an unknown timezone", "timezone: Mars/Olympus\n" + rule, 1, "unknown timezone"},
		{"the machine's timezone", "timezone: Local\n" + rule, 1, "unknown timezone"},
		{"a network's bad name", "networks: {head-office: [10.0.0.0/8]}\n" + rule, 1, "letters, digits"},
		{"a network's reserved name", "networks: {in: [10.0.0.0/8]}\n" + rule, 1, "condition language"},
		{"no addresses", "networks: {office: []}\n" + rule, 1, "empty list"},
		{"not an address", "networks:\n  office:\n    - ten\n" + rule, 3, "not an address"},
		{"bits behind the length", "networks: {office: [10.20.0.1/16]}\n" + rule, 1, "write 10.20.0.0/16"},
		{"IPv4 inside of IPv6", "networks: {office: ['::ffff:10.0.0.0/104']}\n" + rule, 1, "IPv4 inside of IPv6"},
		{"a network twice", "networks: {a: [10.0.0.0/8], a: [10.0.0.0/8]}\n" + rule, 1, "twice"},
		{"a test without facts", rule + "tests:\n  - {name: t, expect: aal2}\n", 3, "no facts"},
		{"a test without an action", rule + "tests:\n  - {name: t, given: {}, expect: aal2}\n", 3, "no action"},
		{"a test without an expectation", rule + "tests:\n  - {name: t, given: {action: sign-in}}\n", 3, "one of expect"},
		{"a test with two", rule + "tests:\n  - {name: t, given: {action: sign-in}, expect: aal2, deny: x}\n", 3, "one of expect"},
		{"a test's unknown group", rule + "tests:\n  - {name: t, given: {action: sign-in, account: {groups: [admin]}}, expect: aal2}\n", 3, "did you mean admins?"},
		{"a test's unknown action", rule + "tests:\n  - {name: t, given: {action: signin}, expect: aal2}\n", 3, "did you mean sign-in?"},
		{"a test's bad source", rule + "tests:\n  - {name: t, given: {action: sign-in, source: home}, expect: aal2}\n", 3, "not an address"},
		{"a test's bad flag", rule + "tests:\n  - {name: t, given: {action: sign-in, account: {new: maybe}}, expect: aal2}\n", 3, "true or false"},
		{"a test without the time", "rules: [{name: r, when: now.hour < 8, deny: night}]\ntests:\n  - {name: t, given: {action: sign-in}, deny: night}\n", 3, "has no time"},
		{"a condition that is a list", "rules:\n  - name: r\n    when: [a]\n    require: aal2\n", 3, "must be a text"},
		{"too long a document", "#" + strings.Repeat(" ", maxDocument) + "\n" + rule, 1, "is the most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Compile([]byte(tt.document), standard())
			expectProblem(t, p, err, tt.line, tt.says)
		})
	}
}

func expectProblem(t *testing.T, p *Policy, err error, line int, says string) {
	t.Helper()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 || p != nil {
		t.Fatalf("got %v, %v; want problems and no policy", p, err)
	}
	for _, one := range problems {
		if one.Line == line && strings.Contains(one.Sentence, says) {
			return
		}
	}
	t.Errorf("no problem on line %d says %q in:\n%v", line, says, err)
}

func TestRefusedConditions(t *testing.T) {
	tests := []struct{ when, says string }{
		{`account.privilegd`, "did you mean account.privileged?"},
		{`acount.privileged`, "did you mean account.privileged?"},
		{`account`, "unknown fact account"},
		{`account.groups.size() > 1`, "not part of"},
		{`application.teir == "standard"`, "did you mean application.tier?"},
		{`"admin" in account.groups`, `unknown group "admin"; did you mean admins?`},
		{`account.name in account.groups`, "name in quotes"},
		{`account.groups == ["admins"]`, "compared one by one"},
		{`account.groups.exists(g, g == "x")`, "not part of"},
		{`source in networks.ofice`, `unknown network "ofice"; did you mean office?`},
		{`source in network.office`, "unknown fact network.office; did you mean networks.office?"},
		{`source == "10.0.0.1"`, "source in networks.NAME"},
		{`source in ["10.0.0.1"]`, "not looked up in a list"},
		{`account.name in networks.office`, "only source is in a network"},
		{`networks.office == networks.office`, "source in networks.office"},
		{`action == "signin"`, "did you mean sign-in?"},
		{`action in ["sign-in", "policy.chang"]`, "did you mean policy.change?"},
		{`action.startsWith("athenticator.")`, `no action is like "athenticator."`},
		{`action in []`, "in needs a list"},
		{`application.kind == "vnp"`, "did you mean vpn?"},
		{`application.name != "vpm"`, "did you mean vpn?"},
		{`protocol == "radiuss"`, "did you mean radius?"},
		{`now.weekday == "Monday"`, "did you mean monday?"},
		{`now.hour == 24`, "0 to 23"},
		{`now.hour < -1`, "0 to 23"},
		{`now.hour < 8.5`, "a whole number"},
		{`now.hour == "8"`, "a whole number"},
		{`now.time < "2026-12-01"`, "timestamp("},
		{`now.time < timestamp("tomorrow")`, "timestamp("},
		{`method == "post"`, `write "POST"`},
		{`path == "admin"`, `write "/admin"`},
		{`path.startsWith("admin/")`, `write "/admin/"`},
		{`path.matches("(")`, "not a regular expression"},
		{`path.matches(action)`, "text in quotes"},
		{`startsWith(path, "/a")`, "write it as in path.startsWith"},
		{`path > "/a"`, "texts have no order"},
		{`account.privileged == true`, "by itself"},
		{`account.privileged == "yes"`, "by itself"},
		{`account.name`, "compare it"},
		{`account.name == application.name`, "a text in quotes"},
		{`"a" == "a"`, "must be a fact"},
		{`1`, "true or false"},
		{`{"a": 1}`, "cannot hold this"},
		{`now.hour + 1 == 9`, "+ is not part of"},
		{`account.new ? account.dormant : account.suspended`, "not part of"},
		{`has(account.name)`, "not part of"},
		{`account.privileged &&`, "cannot be read"},
		{`account.privileged & account.new`, "cannot be read"},
		{`account.privileged || (account.new`, "cannot be read"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), ""},
		{strings.Repeat("account.new || ", 250) + "account.new", "node count"},
		{"account.new" + strings.Repeat(" ", maxCondition), "is the most"},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			p, err := Compile([]byte(conditionIn(tt.when)), standard())
			expectProblem(t, p, err, 5, tt.says)
			for _, one := range err.(Problems) {
				if one.Rule != "r" {
					t.Errorf("rule %q", one.Rule)
				}
			}
		})
	}
}

func TestProblemShowsWhere(t *testing.T) {
	_, err := Compile([]byte("rules:\n  - name: admins\n    when: |\n      account.new &&\n      acount.privileged\n    require: aal2\n"), standard())
	want := `policy: line 5: rule "admins": unknown fact acount.privileged; did you mean account.privileged?
    acount.privileged
    ^`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	_, err = Compile([]byte("rules:\n  - name: admins\n    when: account.new && acount.privileged\n    require: aal2\n"), standard())
	if p := err.(Problems)[0]; p.Line != 3 || p.Column != 26 {
		t.Errorf("line %d, column %d; want 3, 26", p.Line, p.Column)
	}
}

func TestEveryProblemIsTold(t *testing.T) {
	_, err := Compile([]byte("rules:\n  - {name: a, require: x}\n  - {name: b, require: y}\n  - {nam: c}\n"), standard())
	if n := len(err.(Problems)); n < 4 {
		t.Errorf("%d problems:\n%v", n, err)
	}
}

func TestAcceptedConditions(t *testing.T) {
	for _, when := range []string{
		`true`, `!account.new`, `account.privileged || application.tier == "control-plane"`,
		`action == "authenticator.enroll" && !(source in networks.office)`,
		`"sign-in" == action`, `8 <= now.hour && now.hour < 18`, `now.hour in [1, 2, 3]`,
		`now.weekday in ["saturday", "sunday"]`, `now.time >= timestamp("2026-12-01T00:00:00Z")`,
		`path.startsWith("/admin/") || path.endsWith(".zip") || path == "/"`, `path.matches("^/v[0-9]+/")`,
		`method in ["POST", "REPORT"]`, `account.name == "ada"`, `application.name.startsWith("lab-")`,
		`action.startsWith("authenticator.")`, `account.kind != "service"`,
	} {
		if _, err := Compile([]byte(conditionIn(when)), standard()); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
}

// The zero Known knows nothing: a document that mentions anything is refused.
func TestNothingKnown(t *testing.T) {
	if _, err := Compile(Default(), Known{}); err == nil {
		t.Error("compiled although no action is known")
	}
	if p, err := Compile([]byte("rules: [{name: r, require: one-factor}]"), Known{}); err != nil {
		t.Error(err)
	} else if d := p.Decide(Facts{Action: "sign-in"}); !denies(d) {
		t.Errorf("an action that nobody knows got %v", d.Requirement)
	}
}
