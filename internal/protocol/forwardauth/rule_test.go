package forwardauth

import "testing"

func ask(t *testing.T, s rules, method, raw string) (string, bool) {
	t.Helper()
	tg, ok := readTarget(raw)
	if !ok {
		t.Fatalf("%q cannot be read", raw)
	}
	return s.action(request{method: method, target: tg})
}

func TestRules(t *testing.T) {
	s := prepare([]Rule{{Path: "/admin/", Methods: []string{"POST"}, Action: "change"}, {Path: "/admin/", Methods: []string{"GET"}, Action: "look"},
		{Path: "/export", Action: "export"}, {Path: "/café", Action: "coffee"}, {Path: "/a b", Action: "space"}})
	for _, c := range []struct {
		method, raw, action string
		clear               bool
	}{
		{"POST", "/admin/users", "change", true},
		{"GET", "/admin/users", "look", true},
		{"HEAD", "/admin/users", "look", true},
		{"GET", "/admin", "look", true}, // with or without the slash is the same to most
		{"PUT", "/admin/users", "", true},
		{"post", "/admin/users", "", false},
		{"Post", "/other", "", true},
		{"GET", "/ADMIN/users", "", false},
		{"GET", "/admin%20/users", "", false},
		{"GET", "/admin./users", "", false},
		{"GET", "/administration", "", true},
		{"GET", "/export", "export", true},
		{"GET", "/export/", "export", true},
		{"GET", "/export/x", "export", true}, // as path info to a script
		{"GET", "/export.csv", "", true},
		{"GET", "/caf%C3%A9", "coffee", true},
		{"GET", "/cafe%CC%81", "", false}, // the same letter in two code points
		{"GET", "/a%20b", "space", true},
		{"GET", "/%61%64min", "look", true},
	} {
		if got, clear := ask(t, s, c.method, c.raw); got != c.action || clear != c.clear {
			t.Errorf("%s %s is %q, %v", c.method, c.raw, got, clear)
		}
	}
	tg, _ := readTarget("/admin/users")
	if _, clear := s.action(request{method: "POST", target: tg, overridden: true}); clear {
		t.Error("a request with a second method has one reading")
	}
}

// A rule by query is not passed by repeating, respelling or hiding the name,
// whether it is the stricter rule or the laxer one that comes first.
func TestRulesByQuery(t *testing.T) {
	strict := prepare([]Rule{{Path: "/do", Query: []string{"action=delete"}, Action: "delete"}, {Path: "/page", Query: []string{"edit"}, Action: "edit"},
		{Path: "/two", Query: []string{"a=1", "b=2"}, Action: "two"}})
	lax := prepare([]Rule{{Path: "/do", Query: []string{"action=view"}, Action: "view"}, {Path: "/do", Action: "change"}})
	for _, c := range []struct {
		s           rules
		raw, action string
		clear       bool
	}{
		{strict, "/do?action=delete", "delete", true},
		{strict, "/do?action=%64elete&x=1", "delete", true},
		{strict, "/do?%61ction=delete", "delete", true},
		{strict, "/do?action=view", "", true},
		{strict, "/do", "", true},
		{strict, "/do?action=view&action=delete", "", false},
		{strict, "/do?action=delete&action=view", "", false},
		{strict, "/do?action=delete&action=delete", "", false},
		{strict, "/do?Action=delete", "", false},
		{strict, "/do?action=DELETE", "", false},
		{strict, "/do?action=delete%20", "", false},
		{strict, "/do?action[]=delete", "", false},
		{strict, "/do?+action=delete", "", false},
		{strict, "/do?x=1;action=delete", "", false},
		{strict, "/do?action%00=delete", "", false},
		{strict, "/do?action=%", "", false},
		{strict, "/do?xaction=delete", "", true},
		{strict, "/page?edit", "edit", true},
		{strict, "/page?edit=", "edit", true},
		{strict, "/page?edit=1&edit=2", "", false},
		{strict, "/page?editor", "", true},
		{strict, "/two?b=2&a=1", "two", true},
		{strict, "/two?b=2", "", true},
		{strict, "/other?action=delete;", "", true},
		{lax, "/do?action=view", "view", true},
		{lax, "/do?action=view&action=delete", "", false},
		{lax, "/do?action=delete", "change", true},
		{lax, "/do?action=View", "", false},
	} {
		if got, clear := ask(t, c.s, "GET", c.raw); got != c.action || clear != c.clear {
			t.Errorf("%s is %q, %v", c.raw, got, clear)
		}
	}
}

func FuzzReadQuery(f *testing.F) {
	f.Add("action=delete&a[]=1", "action=delete")
	f.Fuzz(func(t *testing.T, raw, condition string) {
		pairs, ok := readQuery(raw)
		if ok && pairs.read(condition) == yes && len(pairs) == 0 {
			t.Errorf("%q meets %q with nothing", raw, condition)
		}
	})
}

func TestMethods(t *testing.T) {
	for m, good := range map[string]bool{"GET": true, "PROPFIND": true, "M-SEARCH": true, "": false, "TRACE": false, "trace": false, "CONNECT": false, "GET ": false, "G\nT": false, "GÉT": false} {
		if method(m) != good {
			t.Errorf("%q: %v", m, !good)
		}
	}
}
