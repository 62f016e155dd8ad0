package scim

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"countersign/internal/admin/pass"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// The promise: an identity provider makes a person by SCIM, finds them again by userName and by
// its own identifier, and the log says by which account it was done. The person is nobody yet: they
// have no authenticator, nobody lets them in, and nothing of SCIM gives them a pass.
func TestProvisionedHasNoAccess(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		made := c.must(http.StatusCreated, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Ada@Example.org","externalId":"00u1",
			"displayName":"Ada Lovelace","emails":[{"value":"ada@example.org","type":"work","primary":true}],"active":true,"password":"t1meMa$heen"}`)
		id := made.text("id")
		if made.text("userName") != "ada@example.org" || made.text("externalId") != "00u1" || made.text("active") != "true" || made.text("emails.value") != "ada@example.org" || made.text("password") != "" {
			t.Errorf("made %s", made.raw)
		}
		if made.header.Get("Location") != made.text("meta.location") || made.header.Get("ETag") != made.text("meta.version") || made.text("meta.version") == "" {
			t.Errorf("the headers are %v of %s", made.header, made.raw)
		}
		for _, path := range []string{"/Users/" + id, `/Users?filter=userName+eq+%22ADA@example.org%22`, `/Users?filter=externalId+eq+%2200u1%22`, `/Users?filter=emails.value+eq+%22ada@Example.org%22`} {
			got := c.must(http.StatusOK, "GET", path, "")
			if found := got.text("id"); found != id && got.text("Resources.id") != id {
				t.Errorf("%s finds %s", path, got.raw)
			}
		}
		if got := c.must(http.StatusOK, "GET", `/Users?filter=userName+eq+%22nobody%22`, ""); got.text("totalResults") != "0" || got.text("Resources") != "[]" {
			t.Errorf("nobody is %s", got.raw)
		}
		c.refused(http.StatusConflict, "uniqueness", "POST", "/Users", `{"userName":"ada@example.org"}`)

		entries, err := c.w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: "account.created", Newest: true, Limit: 1})
		if err != nil || len(entries) != 1 || entries[0].Actor.Name != "entra" || entries[0].AccountName != "ada@example.org" || entries[0].Action != "account.create" {
			t.Errorf("the log says %+v, %v", entries, err)
		}
		if kinds := servertest.AuthenticatorsOf(c.w, "ada@example.org"); len(kinds) != 0 {
			t.Errorf("somebody who was just made has %v", kinds)
		}
		ada := c.w.Person()
		ada.Get("/account")
		ada.Post("/sign-in", "name", "ada@example.org")
		ada.Post("/sign-in", "authenticator", "password", "text", "t1meMa$heen")
		if ada.Inside() {
			t.Error("somebody who has nothing is let in")
		}
		var issued pass.Pass
		if err := c.clerk.Do(t.Context(), "pass.issue", map[string]any{"account": "ada@example.org"}, &issued); err != nil {
			t.Fatal(err)
		}
		welcomed := c.w.Person()
		welcomed.Get(issued.Link)
		_, code, _ := strings.Cut(issued.Link, "code=")
		welcomed.Post("/welcome", "code", code)
		welcomed.EnrollPassword()
		if kinds := servertest.AuthenticatorsOf(c.w, "ada@example.org"); len(kinds) < 2 {
			t.Errorf("with a pass they have %v", kinds)
		}
		for _, s := range c.w.SCIM.Requests() {
			for _, action := range s.Actions {
				if slices.Contains([]string{"pass.issue", "pass.invite", "authenticator.enroll", "key.issue", "token.assign"}, action) {
					t.Errorf("%s can %s", s.Pattern, action)
				}
			}
		}
	})
}

// The promise: without a key that names the action nothing is read and nothing done, and the
// answer tells a stranger nothing.
func TestKeyNamesTheAction(t *testing.T) {
	c := provisioned(t, "", everything...)
	id := c.user("ada")
	reader := another(t, c.w, c.clerk, "reader", "account.list", "account.show")
	reader.must(http.StatusOK, "GET", "/Users/"+id, "")
	reader.refused(http.StatusForbidden, "", "POST", "/Users", `{"userName":"bob"}`)
	reader.refused(http.StatusForbidden, "", "DELETE", "/Users/"+id, "")
	reader.refused(http.StatusForbidden, "", "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"active","value":false}`))
	reader.refused(http.StatusForbidden, "", "GET", "/Groups", "")
	for _, key := range []string{"", "cskey_x", "cskey_abc_def", reader.key + "x", reader.key[:len(reader.key)-1]} {
		stranger := &client{t: t, w: c.w, key: key, header: http.Header{}}
		for _, r := range c.w.SCIM.Requests() {
			if len(r.Actions) == 0 {
				continue
			}
			for _, id := range []string{id, "999999"} {
				method, path := route(r.Pattern, id)
				body := ""
				if method != "GET" && method != "DELETE" {
					body = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest","urn:ietf:params:scim:api:messages:2.0:PatchOp","urn:ietf:params:scim:api:messages:2.0:SearchRequest",
						"urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:core:2.0:Group"],"userName":"x","displayName":"x","Operations":[{"op":"replace","method":"DELETE","path":"active","value":false}]}`
				}
				if got := stranger.does(method, path, body); got.status != http.StatusUnauthorized && !(path == "/Bulk" && key != "" && got.text("Operations.status") == "404") {
					t.Errorf("%s %s with the key %q is answered %d: %s", method, path, key, got.status, got.raw)
				}
			}
		}
	}
}
