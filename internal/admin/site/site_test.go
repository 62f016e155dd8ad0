package site

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"countersign/internal/failure"
	words "countersign/internal/text"
)

// What a file may not be is refused with the line on which it stands.
func TestWhatAFileMayNotBe(t *testing.T) {
	app := "- name: wiki\n  kind: wiki\n  protocol: forward-auth\n  settings: {hosts: [a]}\n"
	for name, c := range map[string]struct{ file, says string }{
		"empty":                         {"", "line 1: the file is empty"},
		"no YAML":                       {"countersign: 1\ngroups: [", "line 2: this is not YAML"},
		"no form":                       {"groups: []\n", "line 1: the file does not say its form"},
		"another form":                  {"countersign: 2\n", "has the form 2"},
		"a form in words":               {"countersign: one\n", "line 1: countersign must be a number"},
		"an unknown part":               {"countersign: 1\ngruops: []\n", `line 2: the file has no "gruops"; it can have applications, countersign, groups, policy, provisioning, sources, streams, upstreams`},
		"a part twice":                  {"countersign: 1\ngroups: []\ngroups: []\n", `line 3: the file says "groups" twice`},
		"two documents":                 {"countersign: 1\n---\ncountersign: 1\n", "a second document begins here"},
		"an anchor":                     {"countersign: 1\ngroups: &a []\n", "line 2: anchors, aliases and merges are not read"},
		"an alias":                      {"countersign: 1\ngroups: [&a {name: x}, *a]\n", "anchors, aliases and merges are not read"},
		"groups that are a block":       {"countersign: 1\ngroups: {a: 1}\n", "line 2: groups must be a list"},
		"a group with a stranger":       {"countersign: 1\ngroups:\n- name: a\n  members: [b]\n", `line 4: a group has no "members"`},
		"a group twice":                 {"countersign: 1\ngroups:\n- name: a\n- name: a\n", `line 4: the group "a" stands here twice`},
		"a group in capitals":           {"countersign: 1\ngroups:\n- name: Staff\n", `line 3: the group "Staff" is written "staff" here`},
		"privileged in words":           {"countersign: 1\ngroups:\n- name: a\n  privileged: \"yes\"\n", "line 4: privileged must be true or false"},
		"an application twice":          {"countersign: 1\napplications:\n" + app + app, `the application "wiki" stands here twice`},
		"one without settings":          {"countersign: 1\napplications:\n- name: wiki\n  kind: wiki\n  protocol: radius\n", "line 3: an application needs its name, kind, protocol and settings"},
		"settings that are a list":      {"countersign: 1\napplications:\n- name: wiki\n  settings: [1]\n", `line 4: settings must be a block of "key: value" lines`},
		"a setting twice":               {"countersign: 1\napplications:\n- name: wiki\n  settings:\n    a: 1\n    a: 2\n", `line 6: the settings says "a" twice`},
		"a day":                         {"countersign: 1\napplications:\n- name: wiki\n  settings:\n    a: 2026-01-01\n", `line 5: "2026-01-01" is neither`},
		"a policy that is a block":      {"countersign: 1\npolicy:\n  rules: []\n", "line 3: policy must be a text"},
		"an upstream with a stranger":   {"countersign: 1\nupstreams:\n- name: a\n  receiver: b\n", `line 4: one of upstreams has no "receiver"; it can have name, settings`},
		"one without a name":            {"countersign: 1\nsources:\n- settings: {}\n", "line 3: one of sources needs its name and settings"},
		"provisioning twice":            {"countersign: 1\nprovisioning:\n- {application: a, settings: {}}\n- {application: a, settings: {}}\n", `line 4: the SCIM target "a" stands here twice`},
		"a stream's settings in a list": {"countersign: 1\nstreams:\n- name: a\n  settings: [1]\n", `line 4: settings must be a block`},
		"too long":                      {"countersign: 1\n#" + strings.Repeat("x", longest), "is the most"},
	} {
		_, err := read(c.file)
		if failure.ClassOf(err) != failure.Invalid || failure.FieldOf(err) != "file" || !strings.Contains(failure.Public(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file is read as it is written: numbers keep their digits, and what it leaves out is not
// its to say.
func TestReading(t *testing.T) {
	d, err := read("countersign: 1\napplications:\n- name: vpn\n  title: VPN\n  kind: vpn\n  protocol: radius\n  over: [old]\n  settings: {port: 18120, big: 12345678901234567890, on: true, none: null, list: [a, {b: 1}]}\npolicy: |\n  rules: []\n")
	if err != nil {
		t.Fatal(err)
	}
	if d.hasGroups || !d.hasApplications || !d.hasPolicy || d.policy != "rules: []\n" || len(d.applications) != 1 {
		t.Fatalf("%+v", d)
	}
	e := d.applications[0]
	if want := `{"big":12345678901234567890,"list":["a",{"b":1}],"none":null,"on":true,"port":18120}`; string(e.Settings) != want || e.Name != "vpn" || !slices.Equal(e.Over, []string{"old"}) {
		t.Errorf("%+v, %s", e, e.Settings)
	}
}

// What is approved names every value that changes, and no secret.
func TestSettingsAreCompared(t *testing.T) {
	secret := func(name string) bool { return name == "secret" }
	before := `{"hosts":["a","b"],"clients":[{"name":"gate","secret":"old-one"},{"name":"left","secret":"gone-one"}],"mode":"plain","deep":{"secret":{"a":"deep-one"}}}`
	after := `{"hosts":["a","c"],"clients":[{"name":"gate","secret":"new-one"}],"ports":[1],"deep":{"secret":{"a":"deep-two"}}}`
	fields, err := compareSettings(secret, json.RawMessage(before), json.RawMessage(after))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(fields)
	if want := `[{settings.clients[0].secret (hidden) (hidden)} {settings.clients[1] {"name":"left","secret":"(hidden)"} } {settings.deep.secret (hidden) (hidden)} {settings.hosts ["a","b"] ["a","c"]} {settings.mode "plain" } {settings.ports  [1]}]`; got != want {
		t.Errorf("%s", got)
	}
	text := approved([]Change{{What: Changed, Kind: applicationKind, Name: "vpn", Fields: fields}})
	if strings.Contains(text, "one") || strings.Contains(text, "two") {
		t.Errorf("a secret is in %q", text)
	}
	if !strings.Contains(text, `change application vpn: settings.clients[0].secret another secret, settings.clients[1] no longer `) {
		t.Errorf("%q", text)
	}
}

// However much a file changes, its text can be shown whole, and two that differ anywhere have
// different texts.
func TestTheTextFits(t *testing.T) {
	many := func(n int, value string) (out []Change) {
		for i := range n {
			out = append(out, Change{What: Changed, Kind: applicationKind, Name: fmt.Sprintf("application-%d", i), Fields: []Field{{"settings.hosts", "", value}}})
		}
		return out
	}
	for _, n := range []int{0, 1, 20, 40, 100, 1000} {
		one, other := approved(many(n, strings.Repeat("a", 40))), approved(many(n, strings.Repeat("a", 39)+"b"))
		if len((&Apply{File: "x", Prune: true, Changes: one}).Object()) > words.Longest || !words.Clean(one) || n > 0 && one == other || n == 0 && one != Nothing {
			t.Errorf("%d changes are %d characters: %.200q", n, len(one), one)
		}
	}
	if got := approved(append(many(500, "x"), Change{What: Changed, Kind: policyKind, Name: "policy"}, Change{What: Made, Kind: groupKind, Name: "a"})); !strings.HasPrefix(got, "change 500 applications; change the policy; make 1 groups; all values: ") {
		t.Errorf("%q", got)
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"a\nb\nc\n", "a\nb\nc\n", ""},
		{"a\nb\nc\n", "a\nx\nc\n", "-b +x"},
		{"a\n", "a\nb\nc\n", "+b +c"},
		{"a\nb\nc\nd\n", "b\nd\ne\n", "-a -c +e"},
	} {
		if got := strings.Join(lines(c.before, c.after), " "); got != c.want {
			t.Errorf("%q to %q: %q", c.before, c.after, got)
		}
	}
	if lines(strings.Repeat("a\n", manyLines+1)+"x", strings.Repeat("b\n", manyLines+1)) != nil {
		t.Error("a comparison that grows with both was made")
	}
}

// Nothing that somebody sends stops the program, and what is read can be compared.
func FuzzRead(f *testing.F) {
	f.Add("countersign: 1\ngroups:\n- name: a\n  display: A\n  privileged: true\napplications:\n- name: w\n  kind: wiki\n  protocol: forward-auth\n  settings: {hosts: [a], n: 1e3}\npolicy: |\n  x\n")
	f.Add("countersign: 1\ngroups: &a [*a]\n")
	f.Add("? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, file string) {
		d, err := read(file)
		if err != nil {
			if failure.ClassOf(err) != failure.Invalid {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, e := range d.applications {
			if _, err := compareSettings(func(string) bool { return false }, json.RawMessage("{}"), e.Settings); err != nil {
				t.Fatalf("%s: %v", e.Settings, err)
			}
		}
	})
}
