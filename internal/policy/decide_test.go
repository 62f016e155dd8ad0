package policy

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
)

const example = `
timezone: Europe/Berlin
networks:
  office: [10.20.0.0/16, 2001:db8:20::/48]
  lab: [10.20.7.0/24, 192.0.2.7]
rules:
  - name: everybody
    require: two-factors
  - name: administrators
    when: account.privileged || application.tier == "control-plane"
    require: phishing-resistant
    within: 15m
  - name: no codes from outside
    when: '!(source in networks.office)'
    refuse: [totp, smscode]
  - name: lab
    when: source in networks.lab
    require: [two-factors, phishing-resistant-hardware]
  - name: contractors at night
    when: '"contractors" in account.groups && (now.hour < 7 || now.hour >= 20 || now.weekday in ["saturday", "sunday"])'
    deny: outside of hours
  - name: writes
    when: method in ["POST", "DELETE"] && path.startsWith("/admin/")
    require: two-factors
    within: 5m
  - name: nobody dormant
    when: account.dormant
    deny: dormant
`

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func addr(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// plainFacts is a person at noon on a Tuesday in the office.
func plainFacts() Facts {
	return Facts{
		Account:     Account{Name: "ada", Kind: "person", Groups: []string{"staff"}},
		Application: Application{Name: "wiki", Kind: "wiki", Tier: "standard", Protocol: "forward-auth"},
		Protocol:    "browser", Action: "sign-in", Method: "GET", Path: "/",
		Source: addr("10.20.1.1"), Now: at("2026-11-03T12:00:00+01:00"),
	}
}

func TestDecide(t *testing.T) {
	p := compile(t, example)
	two, phr := assurance.TwoFactors(), assurance.Phishing()
	tests := []struct {
		name   string
		change func(*Facts)
		want   assurance.Requirement
		rules  string
		refuse string
	}{
		{"plain", func(*Facts) {}, two, "everybody", ""},
		{"privileged", func(f *Facts) { f.Account.Privileged = true }, assurance.And(two, phr.Within(15*time.Minute)), "everybody,administrators", ""},
		{"control plane", func(f *Facts) { f.Application.Tier = "control-plane" }, assurance.And(two, phr.Within(15*time.Minute)), "everybody,administrators", ""},
		{"outside", func(f *Facts) { f.Source = addr("203.0.113.9") }, two, "everybody,no codes from outside", "smscode,totp"},
		{"unknown source", func(f *Facts) { f.Source = netip.Addr{} }, two, "everybody,no codes from outside", "smscode,totp"},
		{"IPv4 written as IPv6", func(f *Facts) { f.Source = addr("::ffff:10.20.1.1") }, two, "everybody", ""},
		{"IPv6 with a zone", func(f *Facts) { f.Source = addr("2001:db8:20::1%eth0") }, two, "everybody", ""},
		{"just outside", func(f *Facts) { f.Source = addr("10.21.0.0") }, two, "everybody,no codes from outside", "smscode,totp"},
		{"lab", func(f *Facts) { f.Source = addr("10.20.7.255") }, assurance.Hardware(), "everybody,lab", ""},
		{"lab's one address", func(f *Facts) { f.Source = addr("192.0.2.7") }, assurance.Hardware(), "everybody,no codes from outside,lab", "smscode,totp"},
		{"contractor by day", func(f *Facts) { f.Account.Groups = []string{"contractors"} }, two, "everybody", ""},
		{"contractor, 20:00 in Berlin", func(f *Facts) {
			f.Account.Groups, f.Now = []string{"staff", "contractors"}, at("2026-11-03T19:00:00Z")
		}, assurance.Deny(""), "everybody,contractors at night", ""},
		{"contractor, 19:59 in Berlin", func(f *Facts) {
			f.Account.Groups, f.Now = []string{"contractors"}, at("2026-11-03T18:59:59Z")
		}, two, "everybody", ""},
		{"contractor, Saturday in Berlin though Friday in UTC", func(f *Facts) {
			f.Account.Groups, f.Now = []string{"contractors"}, at("2026-11-06T23:30:00Z")
		}, assurance.Deny(""), "everybody,contractors at night", ""},
		{"a write", func(f *Facts) { f.Method, f.Path = "POST", "/admin/users" }, two.Within(5 * time.Minute), "everybody,writes", ""},
		{"a write elsewhere", func(f *Facts) { f.Method, f.Path = "POST", "/administration" }, two, "everybody", ""},
		{"dormant", func(f *Facts) { f.Account.Dormant = true }, assurance.Deny(""), "everybody,nobody dormant", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := plainFacts()
			tt.change(&f)
			d := p.Decide(f)
			if !d.Requirement.Implies(tt.want) || !tt.want.Implies(d.Requirement) {
				t.Errorf("got %v, want %v", d.Requirement, tt.want)
			}
			var rules []string
			for _, r := range d.Reasons {
				rules = append(rules, r.Rule)
			}
			if got := strings.Join(rules, ","); got != tt.rules {
				t.Errorf("rules %q, want %q", got, tt.rules)
			}
			if got := strings.Join(d.Refuse, ","); got != tt.refuse {
				t.Errorf("refuses %q, want %q", got, tt.refuse)
			}
			if again := p.Explain(f).Decision; !reflect.DeepEqual(again, d) {
				t.Errorf("Explain decides %v, Decide %v", again, d)
			}
		})
	}
}

func TestDenied(t *testing.T) {
	p := compile(t, example)
	tests := map[string]struct {
		p      *Policy
		change func(*Facts)
		why    string
	}{
		"no policy":                {nil, func(*Facts) {}, "no policy"},
		"zero policy":              {new(Policy), func(*Facts) {}, "unknown action"},
		"no action":                {p, func(f *Facts) { f.Action = "" }, "unknown action"},
		"unknown action":           {p, func(f *Facts) { f.Action = "Sign-In" }, "unknown action"},
		"unknown protocol":         {p, func(f *Facts) { f.Protocol = "telnet" }, "unknown protocol"},
		"unknown tier":             {p, func(f *Facts) { f.Application.Tier = "gold" }, "unknown tier"},
		"unknown application kind": {p, func(f *Facts) { f.Application.Kind = "fax" }, "unknown kind of application"},
		"unknown account kind":     {p, func(f *Facts) { f.Account.Kind = "robot" }, "unknown kind of account"},
		"no time":                  {p, func(f *Facts) { f.Now = time.Time{} }, "no time"},
		"no rule":                  {compile(t, "rules: [{name: r, when: account.new, require: two-factors}]"), func(*Facts) {}, "no rule"},
		"only a refusal matches":   {compile(t, "rules: [{name: r, refuse: [totp]}]"), func(*Facts) {}, "no rule"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := plainFacts()
			tt.change(&f)
			d := tt.p.Decide(f)
			if why, no := d.Requirement.Denied(); !no || why != tt.why {
				t.Errorf("got %v, want a denial for %q", d.Requirement, tt.why)
			}
			if len(d.Reasons) == 0 || d.Reasons[0] != (Reason{Effect: "deny: " + tt.why}) {
				t.Errorf("reasons %v", d.Reasons)
			}
		})
	}
	if (Decision{}).Requirement.Met([]assurance.Evidence{{Traits: ^assurance.Trait(0), Time: time.Now()}}, time.Now()) {
		t.Error("the zero Decision was met")
	}
}

// A condition that costs too much gives no answer, and that denies, also where
// other rules would grant.
func TestErrorDenies(t *testing.T) {
	p := compile(t, `
rules:
  - name: everybody
    require: two-factors
  - name: expensive
    when: path.matches("(a+)+(b+)+(c+)+(d+)+$")
    refuse: [totp]
`)
	f := plainFacts()
	f.Path = "/" + strings.Repeat("a", 1<<20)
	d := p.Decide(f)
	if why, no := d.Requirement.Denied(); !no || why != "error in rule expensive" {
		t.Errorf("got %v", d.Requirement)
	}
	e := p.Explain(f)
	if l := e.Rules[1]; l.Outcome != Failed || l.Error == "" || d.Reasons[1] != (Reason{"expensive", "error"}) {
		t.Errorf("explained as %+v, reasons %v", l, d.Reasons)
	}
}

func TestExplain(t *testing.T) {
	f := plainFacts()
	f.Account.Privileged = true
	e := compile(t, example).Explain(f)
	got := map[string]Outcome{}
	for _, l := range e.Rules {
		got[l.Rule] = l.Outcome
	}
	want := map[string]Outcome{"everybody": Matched, "administrators": Matched, "no codes from outside": Not, "lab": Not,
		"contractors at night": Not, "writes": Not, "nobody dormant": Not}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	l := e.Rules[1]
	if l.Number != 9 || l.Effect != "require phishing-resistant within 15m" || !l.Demands || !strings.HasPrefix(l.When, "account.privileged") {
		t.Errorf("line %+v", l)
	}
}

func TestDiff(t *testing.T) {
	before := compile(t, "rules: [{name: a, require: two-factors}, {name: b, when: account.new, deny: new}, {name: c, when: protocol == 'radius', require: phishing-resistant}]")
	after := compile(t, "rules: [{name: a, require: two-factors}, {name: c, when: protocol == 'radius', require: two-factors, within: 5m}, {name: d, when: account.suspended, deny: off}]")
	same, opened, closed, mixed := plainFacts(), plainFacts(), plainFacts(), plainFacts()
	opened.Account.New = true
	closed.Account.Suspended = true
	mixed.Protocol = "radius"
	changes := Diff(before, after, []Facts{same, opened, closed, mixed})
	if len(changes) != 3 {
		t.Fatalf("%d changes: %+v", len(changes), changes)
	}
	for i, want := range []struct {
		d             Direction
		opens, closes bool
	}{{Looser, true, false}, {Stricter, false, true}, {Mixed, false, false}} {
		if c := changes[i]; c.Direction != want.d || c.Opens() != want.opens || c.Closes() != want.closes {
			t.Errorf("change %d is %s, opens %v, closes %v", i, c.Direction, c.Opens(), c.Closes())
		}
	}
}

func TestExpectations(t *testing.T) {
	p := compile(t, example+`
tests:
  - {name: right, given: {action: sign-in, source: 10.20.0.1, time: "2026-11-03T12:00:00Z"}, expect: two-factors}
  - {name: unquoted time, given: {action: sign-in, time: 2026-11-03T12:00:00Z}, expect: two-factors}
  - {name: too little, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {privileged: true}}, expect: two-factors}
  - {name: enough, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {privileged: true}}, at-least: two-factors}
  - {name: fresh, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {privileged: true}}, expect: phishing-resistant, within: 15m}
  - {name: fresher, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {privileged: true}}, at-least: phishing-resistant, within: 5m}
  - {name: out, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {dormant: true}}, deny: dormant}
  - {name: out for another reason, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {dormant: true}}, deny: suspended}
  - {name: out for any reason, given: {action: sign-in, time: 2026-11-03T12:00:00Z, account: {dormant: true}}, expect: deny}
  - {name: not out, given: {action: sign-in, time: 2026-11-03T12:00:00Z}, expect: deny}
`)
	want := []bool{true, true, false, true, true, false, true, false, true, false}
	for i, r := range p.Test() {
		if r.OK != want[i] {
			t.Errorf("%s: %v; want %s, got %s", r.Name, r.OK, r.Want, r.Got)
		}
	}
}
