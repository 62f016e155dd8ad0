package scim

import (
	"net/http"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// The promise: meta.created stays, and meta.lastModified is when somebody changed what a client sees:
// names, addresses, identifiers, whether somebody is active, who is in a group. A sign-in is no
// change.
func TestLastModified(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		ada, bob := c.user("ada"), c.user("bob")
		team := c.must(http.StatusCreated, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Sales"}`).text("id")
		times := func(path string) (created, modified time.Time) {
			t.Helper()
			a := c.must(http.StatusOK, "GET", path, "")
			created, err := time.Parse(time.RFC3339, a.text("meta.created"))
			if err != nil {
				t.Fatal(err)
			}
			if modified, err = time.Parse(time.RFC3339, a.text("meta.lastModified")); err != nil {
				t.Fatal(err)
			}
			return created, modified
		}
		made, first := times("/Users/" + ada)
		if !first.Equal(made) {
			t.Errorf("just made at %v, and changed at %v", made, first)
		}
		changes := func(path, what string, does func()) {
			t.Helper()
			before, last := times(path)
			c.w.Later(time.Minute)
			does()
			if after, now := times(path); !after.Equal(before) || now.Sub(last) < time.Minute {
				t.Errorf("%s: made at %v and at %v, changed at %v and at %v", what, before, after, last, now)
			}
		}
		user := func(id, operation string) func() {
			return func() { c.must(http.StatusOK, "PATCH", "/Users/"+id, patch(operation)) }
		}
		group := func(operation string) func() {
			return func() { c.must(http.StatusNoContent, "PATCH", "/Groups/"+team, patch(operation)) }
		}
		changes("/Users/"+ada, "a name", user(ada, `{"op":"replace","path":"displayName","value":"Ada"}`))
		changes("/Users/"+ada, "an address", user(ada, `{"op":"replace","path":"emails[type eq \"work\"].value","value":"ada@example.com"}`))
		changes("/Users/"+ada, "an identifier", user(ada, `{"op":"replace","path":"externalId","value":"x1"}`))
		changes("/Users/"+ada, "suspended", user(ada, `{"op":"replace","path":"active","value":false}`))
		changes("/Users/"+ada, "resumed", user(ada, `{"op":"replace","path":"active","value":true}`))
		changes("/Users/"+ada, "renamed", user(ada, `{"op":"replace","path":"userName","value":"ada2"}`))
		changes("/Groups/"+team, "a group's name", group(`{"op":"replace","path":"displayName","value":"Sellers"}`))
		changes("/Groups/"+team, "a group's identifier", group(`{"op":"replace","path":"externalId","value":"g1"}`))
		changes("/Groups/"+team, "who joins", group(`{"op":"add","path":"members","value":[{"value":"`+ada+`"},{"value":"`+bob+`"}]}`))
		changes("/Users/"+bob, "who leaves", group(`{"op":"remove","path":"members[value eq \"`+bob+`\"]"}`))
		changes("/Groups/"+team, "who is left", group(`{"op":"remove","path":"members[value eq \"`+ada+`\"]"}`))

		_, before := times("/Users/" + ada)
		c.w.Later(2 * time.Hour)
		c.clerk.W.EnrollCodes("carol") // somebody else
		group(`{"op":"replace","path":"displayName","value":"Others"}`)()
		if _, now := times("/Users/" + ada); !now.Equal(before) {
			t.Errorf("changed at %v and at %v by nothing that is hers", before, now)
		}
		since := `/Users?filter=meta.lastModified+gt+%22` + before.Add(-time.Second).UTC().Format(time.RFC3339) + `%22`
		if got := c.must(http.StatusOK, "GET", since, ""); got.text("Resources.id") != ada {
			t.Errorf("changed since then: %s", got.raw)
		}
	})
}
