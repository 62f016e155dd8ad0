package scim

import (
	"encoding/json"
	"net/http"
	"testing"
)

func patched(t *testing.T, operations string) (user, error) {
	t.Helper()
	v, err := decode([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`))
	if err != nil {
		return user{}, err
	}
	ops, err := readOperations(v.(object))
	if err != nil {
		return user{}, err
	}
	doc, err := patchUser(editable(ada), ops)
	if err != nil {
		return user{}, err
	}
	return wantedUser(doc, false)
}

// The promise: each operation of PATCH does what RFC 7644, section 3.5.2, says, one after the other,
// and so do the shapes that providers send.
func TestPatchUser(t *testing.T) {
	for operations, want := range map[string]func(user) bool{
		`{"op":"replace","path":"active","value":false}`:                                                         func(w user) bool { return w.active.given && !w.active.yes },
		`{"op":"Replace","path":"active","value":"False"}`:                                                       func(w user) bool { return w.active.given && !w.active.yes },
		`{"op":"replace","value":{"active":false}}`:                                                              func(w user) bool { return w.active.given && !w.active.yes },
		`{"op":"replace","value":{"id":"9","active":false,"groups":[]}}`:                                         func(w user) bool { return !w.active.yes }, // Okta
		`{"op":"add","path":"displayName","value":"Ada King"}`:                                                   func(w user) bool { return w.display.text == "Ada King" },
		`{"op":"replace","path":"name.formatted","value":"Ada King"}`:                                            func(w user) bool { return w.display.text == "Ada King" },
		`{"op":"replace","path":"name","value":{"givenName":"Ada","familyName":"King"}}`:                         func(w user) bool { return w.display.text == "Ada King" },
		`{"op":"replace","path":"name.familyName","value":"King"}`:                                               func(w user) bool { return w.display.text == "Ada Lovelace" },
		`{"op":"replace","value":{"name.givenName":"Augusta"}}`:                                                  func(w user) bool { return w.display.text == "Ada Lovelace" },
		`{"op":"remove","path":"displayName"}`:                                                                   func(w user) bool { return w.display.given && w.display.text == "" },
		`{"op":"remove","path":"externalId"}`:                                                                    func(w user) bool { return w.external.given && w.external.text == "" },
		`{"op":"replace","path":"userName","value":"king"}`:                                                      func(w user) bool { return w.name == "king" },
		`{"op":"replace","path":"emails[type eq \"work\"].value","value":"k@x.org"}`:                             func(w user) bool { return w.mail.text == "k@x.org" },
		`{"op":"replace","path":"emails[type eq \"home\"].value","value":"k@x.org"}`:                             func(w user) bool { return w.mail.text == "ada@example.org" }, // the primary one is kept
		`{"op":"add","path":"emails[type eq \"other\"].value","value":"k@x.org"}`:                                func(w user) bool { return w.mail.text == "ada@example.org" },
		`{"op":"add","path":"emails","value":[{"value":"k@x.org","primary":true}]}`:                              func(w user) bool { return w.mail.text == "k@x.org" },
		`{"op":"replace","path":"emails","value":[{"value":"k@x.org"}]}`:                                         func(w user) bool { return w.mail.text == "k@x.org" },
		`{"op":"replace","path":"emails","value":{"value":"k@x.org"}}`:                                           func(w user) bool { return w.mail.text == "k@x.org" },
		`{"op":"remove","path":"emails[type eq \"work\"]"}`:                                                      func(w user) bool { return w.mail.text == "ada@home.test" },
		`{"op":"remove","path":"emails"}`:                                                                        func(w user) bool { return w.mail.given && w.mail.text == "" },
		`{"op":"remove","path":"emails"},{"op":"add","path":"emails[type eq \"work\"].value","value":"k@x.org"}`: func(w user) bool { return w.mail.text == "k@x.org" },
		`{"op":"add","path":"title","value":"Countess"}`:                                                         func(w user) bool { return w.name == "ada@example.org" },
		`{"op":"add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"x"}`: func(w user) bool {
			return w.name == "ada@example.org"
		},
		`{"op":"add","value":{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"x"},"urn:ietf:params:scim:schemas:core:2.0:User":{"displayName":"K"}}}`: func(w user) bool {
			return w.display.text == "K"
		},
		`{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:displayName","value":"K"}`: func(w user) bool { return w.display.text == "K" },
		`{"op":"replace","path":"password","value":"t1meMa$heen"}`:                                     func(w user) bool { return w.name == "ada@example.org" },
	} {
		w, err := patched(t, operations)
		if err != nil || !want(w) {
			t.Errorf("%s makes %+v, %v", operations, w, err)
		}
	}
	for operations, scimType := range map[string]string{
		`{"op":"move","path":"active"}`: "invalidSyntax", `{"path":"active","value":true}`: "invalidSyntax", `1`: "invalidSyntax", ``: "invalidSyntax",
		`{"op":"replace","path":"active"}`: "invalidValue", `{"op":"replace","path":"active","value":"perhaps"}`: "invalidValue", `{"op":"replace","path":"active","value":0}`: "invalidValue",
		`{"op":"replace","path":7,"value":1}`: "invalidPath", `{"op":"replace","path":"a b","value":1}`: "invalidPath", `{"op":"replace","path":"shoeSize","value":1}`: "invalidPath", `{"op":"replace","value":{"shoeSize":1}}`: "invalidPath",
		`{"op":"replace","path":"urn:x:y:userName","value":"1"}`: "invalidPath", `{"op":"replace","path":"__proto__","value":{}}`: "invalidPath", `{"op":"replace","path":"userName[value eq \"x\"]","value":"x"}`: "invalidPath",
		`{"op":"remove"}`: "noTarget", `{"op":"replace","path":"emails[type eq \"fax\"].value","value":"k@x.org"}`: "noTarget", `{"op":"remove","path":"emails[value eq \"x\"]"}`: "noTarget", `{"op":"add","path":"emails[value co \"zz\"].value","value":"x"}`: "noTarget",
		`{"op":"replace","path":"id","value":"9"}`: "mutability", `{"op":"add","path":"groups","value":[{"value":"1"}]}`: "mutability", `{"op":"remove","path":"meta"}`: "mutability", `{"op":"replace","path":"groups[value eq \"1\"].display","value":"x"}`: "mutability",
		`{"op":"remove","path":"userName"}`: "invalidValue", `{"op":"replace","path":"userName","value":null}`: "invalidValue", `{"op":"remove","path":"active"}`: "invalidValue", `{"op":"replace","value":"x"}`: "invalidValue", `{"op":"replace","path":"emails","value":7}`: "invalidValue",
		`{"op":"replace","path":"displayName","value":{"a":1}}`: "invalidValue", `{"op":"replace","path":"name","value":"x"}`: "invalidValue", `{"op":"replace","path":"emails[type eq \"work\"]","value":"x"}`: "invalidValue", `{"op":"add","path":"emails[active gt true]","value":{}}`: "noTarget",
	} {
		w, err := patched(t, operations)
		if err == nil {
			t.Errorf("%s makes %+v", operations, w)
		} else if f := faultOf(err); f.status != http.StatusBadRequest || f.scimType != scimType {
			t.Errorf("%s is refused with %v and not %s", operations, f, scimType)
		}
	}
}

func FuzzPatch(f *testing.F) {
	for _, s := range []string{`{"op":"replace","path":"emails[type eq \"work\"].value","value":"x"}`, `{"op":"add","value":{"name":{"givenName":"a"},"emails":["x"]}}`, `{"op":"remove","path":"members[value eq \"1\"]"}`, `{"op":"remove","path":"members","value":[{"value":"1"}]}`,
		`{"op":"add","path":"emails","value":[{"value":"x","primary":"true"}]},{"op":"replace","path":"emails.type","value":null}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := decode([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + s + `]}`))
		if err != nil {
			return
		}
		o, ok := v.(object)
		if !ok {
			return
		}
		before, _ := json.Marshal(ada)
		ops, err := readOperations(o)
		if err == nil {
			var doc object
			if doc, err = patchUser(editable(ada), ops); err == nil {
				_, err = wantedUser(doc, false)
			}
			_, also := patchGroup(&request{refs: map[string]string{}}, ops)
			if told := faultOf(also); also != nil && told.status != http.StatusBadRequest {
				t.Fatalf("a group is refused with %v", also)
			}
		}
		if told := faultOf(err); err != nil && told.status != http.StatusBadRequest {
			t.Fatalf("refused with %v", err)
		}
		if after, _ := json.Marshal(ada); string(before) != string(after) {
			t.Fatal("what was read is changed")
		}
		readBulk(o) //nolint:errcheck // whatever it is
	})
}
