package scim

import (
	"encoding/json"
	"strings"
	"testing"
)

var ada = map[string]any{
	"id": "7", "userName": "ada@example.org", "displayName": "Ada Lovelace", "active": true, "externalId": "00uA",
	"emails": []map[string]any{{"value": "ada@example.org", "type": "work", "primary": true}, {"value": "ada@home.test", "type": "home"}},
	"groups": []map[string]any{{"value": "3", "display": "staff"}},
	"meta":   map[string]any{"created": "2026-01-02T03:04:05Z", "resourceType": "User"},
}

// The promise: a filter chooses what RFC 7644, section 3.4.2.2, says: precedence, brackets, not,
// filters over the values of an attribute, case, null, and attributes that are not there.
func TestFilterChooses(t *testing.T) {
	for s, want := range map[string]bool{
		`userName eq "ADA@example.org"`:                                true,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "ADA"`: true,
		`externalId eq "00ua"`:                                         false, // caseExact
		`externalId eq "00uA"`:                                         true,
		`USERNAME Eq "ada@example.org" AND Active EQ true`:             true,
		`active eq "True"`:                                             true, // as Microsoft Entra writes it
		`active ne true`:                                               false,
		`title pr`:                                                     false,
		`title pr or userName pr`:                                      true,
		`not (title pr)`:                                               true,
		`nickName eq null`:                                             true,
		`displayName ne null`:                                          true,
		`nickName ne "x"`:                                              true,
		`emails co "home"`:                                             true,
		`emails.type eq "home"`:                                        true,
		`emails[type eq "work" and value co "home"]`:                   false,
		`emails[type eq "home" and value co "home"] and groups.value eq "3"`:           true,
		`emails[not (type eq "work")]`:                                                 true,
		`groups[display eq "nobody"]`:                                                  false,
		`userName eq "x" and userName eq "y" or active eq true`:                        true, // and binds before or
		`userName eq "x" and (userName eq "y" or active eq true)`:                      false,
		`active eq true or userName eq "x" and userName eq "y"`:                        true,
		`(active eq true or userName eq "x") and userName eq "y"`:                      false,
		`meta.created gt "2026-01-01T00:00:00Z"`:                                       true,
		`meta.created lt "2026-01-02T04:04:05+01:00"`:                                  false, // the same moment
		`meta.created le "2026-01-02T04:04:05+01:00"`:                                  true,
		`displayName ew "LACE" and displayName gt "ad" and displayName lt "ae"`:        true,
		`displayName eq "Ada \"Lovelace\""`:                                            false,
		`displayName eq "Ada Lovel\u0061ce"`:                                           true,
		`schemas eq "urn:x"`:                                                           false,
		`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "x"`: false,
	} {
		f, err := parseFilter(s)
		if err == nil {
			err = userKind.check(f)
		}
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if got := userKind.matches(f, ada); got != want {
			t.Errorf("%s is %t", s, got)
		}
	}
}

// What is no filter is refused as one, with the word of the standard, and what came is not quoted.
func TestFilterRefuses(t *testing.T) {
	deep := strings.Repeat("(", 17) + "active eq true" + strings.Repeat(")", 17)
	notdeep := strings.Repeat("not (", 17) + "active eq true" + strings.Repeat(")", 17)
	valuedeep := strings.Repeat("emails[", 17) + "active eq true" + strings.Repeat("]", 17)
	for _, s := range []string{"", " ", "userName", "userName eq", "userName eq ", "userName eq x", `userName eq "x`, `userName eq "x" "y"`, `userName eq "x" and`, `and userName pr`,
		`userName xx "x"`, `userName eq {"a":1}`, `userName eq [1]`, `userName eq 1e`, `userName eq "\u0000"`, "userName eq \"\xff\"", `(userName pr`, `userName pr)`, `emails[type eq "work"`, `emails[]`, `emails[type eq "work"]]`,
		`not userName pr`, `not`, `user name pr`, `1name pr`, `.name pr`, `name. pr`, `a:b: pr`, `a.b.c pr`, `us'er eq "x"`, `userName eq "x";drop table account`, `userName eq "x" -- `,
		deep, notdeep, valuedeep, strings.Repeat("a pr or ", 64) + "a pr", `userName eq "` + strings.Repeat("x", 5000) + `"`,
		`active gt true`, `active co "t"`, `name eq "x"`, `meta.created gt "yesterday"`, `userName gt null`, `active[value eq "x"]`, `userName eq 12345678901234567890123456789012345`, `secret9 gt`} {
		f, err := parseFilter(s)
		if err == nil {
			err = userKind.check(f)
		}
		if err == nil {
			t.Errorf("%.60s is a filter", s)
			continue
		}
		if told := faultOf(err); told.status != 400 || told.scimType != "invalidFilter" || strings.Contains(told.detail, "secret9") {
			t.Errorf("%.60s is refused with %d %s %s", s, told.status, told.scimType, told.detail)
		}
	}
	for _, s := range []string{strings.Repeat("(", 15) + "active eq true" + strings.Repeat(")", 15), strings.Repeat("a pr or ", 63) + "a pr"} {
		if _, err := parseFilter(s); err != nil {
			t.Errorf("%.60s is refused: %v", s, err)
		}
	}
}

// The name of a group is plain, and two groups that are called differently have different names.
func TestGroupName(t *testing.T) {
	for display, want := range map[string]string{"Sales Team (EMEA)": "sales-team-emea", " --x-- ": "x", "Größe & Übermaß": "grosse-ubermass", "a.b_c+d@e": "a.b_c+d@e", "ｆｕｌｌ": "full", "Łódź": "lodz", "/engines": "engines"} {
		if got, err := groupName(display); got != want || err != nil {
			t.Errorf("%s is named %s, %v", display, got, err)
		}
	}
	seen := map[string]string{}
	for _, display := range []string{"销售", "采购", "Отдел продаж", "Отдел кадров", "team 销售", "team 采购", "team"} {
		got, err := groupName(display)
		if err != nil || seen[got] != "" || strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("%s is named %s, as %s, %v", display, got, seen[got], err)
		}
		seen[got] = display
	}
	for _, display := range []string{"", "!", "  ", "-", "...", "\u202e", strings.Repeat("a", 200)} {
		if got, err := groupName(display); err == nil {
			t.Errorf("%q is named %s", display, got)
		}
	}
}

// A path of PATCH is read as RFC 7644, section 3.5.2, says.
func TestPathIsRead(t *testing.T) {
	for s, want := range map[string]string{
		"active": "active", "name.familyName": "name.familyname", `emails[type eq "work"]`: "emails", `emails[type eq "work"].value`: "emails.value",
		"urn:ietf:params:scim:schemas:core:2.0:User:name.formatted": "urn:ietf:params:scim:schemas:core:2.0:user:name.formatted",
		`members[value eq "7"]`: "members",
	} {
		p, err := parsePath(s)
		if err != nil || p.String() != want || (p.where != nil) != strings.Contains(s, "[") {
			t.Errorf("%s is %s, %v", s, p, err)
		}
	}
	for _, s := range []string{"", " ", "a b", "emails[", "emails[]", `emails[type eq "work"`, `emails[type eq "work"].`, `emails[type eq "work"].a.b`, `emails[type eq "work"]value`, `emails.value[type eq "work"]`, "a..b", "../x", "a/b", "a.b.c",
		"emails[" + strings.Repeat("(", 20), strings.Repeat("a", 5000)} {
		if p, err := parsePath(s); err == nil {
			t.Errorf("%.60s is the path %v", s, p)
		} else if f := faultOf(err); f.scimType != "invalidPath" {
			t.Errorf("%.60s is refused with %s", s, f.scimType)
		}
	}
}

// The promise: a body that parsers read differently is refused before anything is done with it.
func TestBodyIsOneThing(t *testing.T) {
	for name, body := range map[string]string{
		"a name twice": `{"active":true,"active":false}`, "a name twice in another case": `{"userName":"ada","USERNAME":"root"}`, "a name twice below": `{"a":[{"b":{"x":1,"X":2}}]}`,
		"something after it": `{} {}`, "no end": `{"a":1`, "no UTF-8": "{\"a\":\"\xff\"}", "a NUL": `{"a":"x\u0000"}`, "too deep": strings.Repeat(`{"a":`, 13) + "1" + strings.Repeat("}", 13),
		"too deep in lists": strings.Repeat("[", 2000) + strings.Repeat("]", 2000), "too many values": "[" + strings.Repeat("1,", maxValues) + "1]", "too many digits": `{"a":` + strings.Repeat("9", 33) + "}", "no JSON": "userName=ada", "empty": "", "a comment": `{"a":1/*x*/}`, "a trailing comma": `{"a":1,}`,
	} {
		if v, err := decode([]byte(body)); err == nil {
			t.Errorf("%s is read as %v", name, v)
		}
	}
	v, err := decode([]byte(`{"userName":"Ada","n":1.5,"list":[{"A":null}]}`))
	if o, ok := v.(object); err != nil || !ok || o["username"] != "Ada" || o["n"] != json.Number("1.5") || o["list"].([]any)[0].(object)["a"] != nil {
		t.Errorf("%v, %v", v, err)
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{`userName eq "ada"`, `emails[type eq "work" and not (value co "x")] or a.b gt 1`, `((a pr))`, `urn:x:2.0:User:a sw "\u0041"`, `not (not (a pr))`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := parseFilter(s)
		if err != nil {
			if told := faultOf(err); told.status != 400 || told.scimType != "invalidFilter" {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if userKind.check(q) == nil {
			userKind.matches(q, ada)
			q.equals(userKind, "username", "")
			q.either()
		}
		if groupKind.check(q) == nil {
			groupKind.matches(q, ada)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"active", `emails[type eq "work"].value`, "name.givenName", "urn:ietf:params:scim:schemas:core:2.0:User:userName"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePath(s)
		if err != nil {
			if told := faultOf(err); told.status != 400 || told.scimType != "invalidPath" {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if !attrName(p.name) || p.sub != "" && !attrName(p.sub) {
			t.Fatalf("%q names %q", s, p)
		}
	})
}

// Searches that go through everybody have places of their own, and who finds none is told to wait.
func TestScansHavePlaces(t *testing.T) {
	s := &finding{people: &people{scans: make(chan struct{}, 1)}}
	s.scans <- struct{}{}
	if err := s.scan(); err != error(busy) {
		t.Errorf("a search more is answered %v", err)
	}
}
