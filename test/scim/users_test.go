package scim

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// events are the events of the newest entries about an account, the newest first.
func events(c *client, name string, n int) []string {
	c.t.Helper()
	d, err := c.w.Accounts.Find(context.Background(), c.w.DB, name)
	if err != nil {
		c.t.Fatal(err)
	}
	all, err := c.w.DB.AuditLog().Entries(context.Background(), store.Filter{Account: int64(d.ID), Newest: true, Limit: n})
	if err != nil {
		c.t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		out = append(out, e.Event)
	}
	return out
}

// The promise: a person is changed by PUT and by PATCH, in one change that is whole or not at all,
// with an entry for each command; nothing is written where nothing is to be changed; what a client
// does not assert stays.
func TestUsersAreChanged(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		id := c.user("ada")
		was := c.must(http.StatusOK, "GET", "/Users/"+id, "")
		put := c.must(http.StatusOK, "PUT", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"Countess","displayName":"Ada King","externalId":"x1","active":false,"emails":[{"value":"king@example.org"}],"nickName":"A","id":"99"}`)
		if put.text("userName") != "countess" || put.text("displayName") != "Ada King" || put.text("name.formatted") != "Ada King" || put.text("emails.value") != "king@example.org" || put.text("active") != "false" || put.text("externalId") != "x1" || put.text("id") != id {
			t.Errorf("it is %s", put.raw)
		}
		if got := events(c, "countess", 5); !slices.Equal(got, []string{"account.renamed", "account.suspended", "account.mail-set", "account.display-set", "account.external-set"}) {
			t.Errorf("the log has %v", got)
		}
		again := c.must(http.StatusOK, "PUT", "/Users/"+id, `{"userName":"Countess"}`)
		if again.text("meta.version") != put.text("meta.version") || again.text("active") != "false" || again.text("emails.value") != "king@example.org" {
			t.Errorf("what was not asserted is %s", again.raw)
		}
		if got := c.must(http.StatusOK, "GET", `/Users?filter=userName+eq+%22ada%22`, ""); got.text("totalResults") != "0" {
			t.Errorf("a former name finds %s", got.raw)
		}

		// One of two cannot be done, and neither is.
		c.user("bob")
		c.refused(http.StatusConflict, "uniqueness", "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"displayName","value":"X"},{"op":"replace","path":"userName","value":"bob"}`))
		if now := c.must(http.StatusOK, "GET", "/Users/"+id, ""); now.text("displayName") != "Ada King" || now.text("meta.version") != put.text("meta.version") {
			t.Errorf("half of a change was done: %s", now.raw)
		}

		// Versions.
		c.header.Set("If-Match", was.text("meta.version"))
		c.refused(http.StatusPreconditionFailed, "", "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"active","value":true}`))
		c.refused(http.StatusPreconditionFailed, "", "DELETE", "/Users/"+id, "")
		c.header.Set("If-Match", `"other", `+put.text("meta.version"))
		woken := c.must(http.StatusOK, "PATCH", "/Users/"+id, patch(`{"op":"Replace","path":"active","value":"True"}`))
		c.header = http.Header{"If-None-Match": {woken.text("meta.version")}}
		c.must(http.StatusNotModified, "GET", "/Users/"+id, "")
		c.header = http.Header{"If-None-Match": {put.text("meta.version")}}
		c.must(http.StatusOK, "GET", "/Users/"+id, "")
		c.header = http.Header{}

		if got := c.must(http.StatusOK, "GET", "/Users/"+id+"?attributes=userName,emails.value", ""); len(got.body) != 4 || got.text("emails") != `[{"value":"king@example.org"}]` {
			t.Errorf("the attributes are %s", got.raw)
		}
		if got := c.must(http.StatusOK, "GET", "/Users/"+id+"?excludedAttributes=emails,id,meta", ""); got.text("emails") != "" || got.text("id") != id || got.text("meta") != "" {
			t.Errorf("without them it is %s", got.raw)
		}
		c.must(http.StatusNoContent, "DELETE", "/Users/"+id, "")
		c.refused(http.StatusNotFound, "", "GET", "/Users/"+id, "")
		c.refused(http.StatusNotFound, "", "DELETE", "/Users/"+id, "")
		c.refused(http.StatusForbidden, "", "POST", "/Users", `{"userName":"countess"}`) // a removed name takes a person
		if got := c.must(http.StatusOK, "GET", `/Users?filter=externalId+eq+%22x1%22`, ""); got.text("totalResults") != "0" {
			t.Errorf("what is removed is found: %s", got.raw)
		}
		team := c.must(http.StatusCreated, "POST", "/Groups", `{"displayName":"team","externalId":"g1"}`).text("id")
		c.must(http.StatusNoContent, "DELETE", "/Groups/"+team, "")
		var kept int
		if err := c.w.DB.QueryRow(t.Context(), `select count(*) from external_id`).Scan(&kept); err != nil || kept != 0 {
			t.Errorf("of what is removed %d identifiers stay, %v", kept, err)
		}
	})
}

// The promise: who is suspended by SCIM is out at that moment: their sessions end and nothing of
// theirs is granted. So is who is removed.
func TestDeprovisionedIsOut(t *testing.T) {
	c := provisioned(t, "", everything...)
	ada := c.w.EnrollCodes("ada")
	secret := c.w.SignedIn(ada)
	id := c.must(http.StatusOK, "GET", `/Users?filter=userName+eq+%22ada%22`, "").text("Resources.id")
	if step := c.w.Check(secret, "account.home", ""); step.Reason == "no-session" {
		t.Fatal("ada has no session to begin with")
	}
	c.must(http.StatusOK, "PATCH", "/Users/"+id, patch(`{"op":"Replace","path":"active","value":"False"}`))
	if _, err := c.w.Sessions.Active(context.Background(), secret); err == nil {
		t.Error("a suspended person's session is active")
	}
	if step := c.w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); step.State != signin.Denied {
		t.Errorf("a suspended person is answered %v", step.State)
	}
	entries, err := c.w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "account.suspended", Newest: true, Limit: 1})
	if err != nil || len(entries) != 1 || entries[0].Actor.Name != "entra" || entries[0].AccountName != "ada" || entries[0].Detail["reason"] != "SCIM" || entries[0].Detail["approved-with"] != "apikey" {
		t.Errorf("the log says %+v, %v", entries, err)
	}
	c.must(http.StatusNoContent, "DELETE", "/Users/"+id, "")
	if _, err := c.w.Accounts.Find(t.Context(), c.w.DB, "ada"); err == nil {
		t.Error("a removed person is there")
	}
}

// The promise: whom an administrator suspended no provider wakes, however often it says that they are
// active; whom a provider suspended, it wakes.
func TestAdministratorsWordStays(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		id := c.user("ada")
		active := func(is string) string { return patch(`{"op":"Replace","path":"active","value":"` + is + `"}`) }
		c.must(http.StatusOK, "PATCH", "/Users/"+id, active("False"))
		c.must(http.StatusOK, "PATCH", "/Users/"+id, active("True"))
		if err := c.clerk.Do(t.Context(), "account.suspend", map[string]any{"name": "ada", "reason": "an incident"}, nil); err != nil {
			t.Fatal(err)
		}
		c.refused(http.StatusForbidden, "", "PATCH", "/Users/"+id, active("True"))
		c.refused(http.StatusForbidden, "", "PUT", "/Users/"+id, `{"userName":"ada","displayName":"Ada","active":true}`)
		if got := c.must(http.StatusOK, "GET", "/Users/"+id, ""); got.text("active") != "false" || got.text("displayName") != "" {
			t.Errorf("ada is %s", got.raw)
		}
		if err := c.clerk.Do(t.Context(), "account.resume", map[string]any{"name": "ada", "reason": "it is over"}, nil); err != nil {
			t.Fatal(err)
		}
		c.must(http.StatusOK, "PATCH", "/Users/"+id, active("False"))
		c.must(http.StatusOK, "PATCH", "/Users/"+id, active("True"))

		// A suspension of which the log says nothing yet is not the provider's, which was over.
		err := c.w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
			a, err := c.w.Accounts.Find(t.Context(), tx, "ada")
			if err != nil {
				return err
			}
			a.State = directory.Suspended
			if err := c.w.Accounts.Update(t.Context(), tx, a); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.suspended", Outcome: audit.OK})
		})
		if err != nil {
			t.Fatal(err)
		}
		c.refused(http.StatusForbidden, "", "PATCH", "/Users/"+id, active("True"))
	})
}

// The promise: SCIM neither takes an administrator away nor makes one, whatever its key names, and
// each try is in the log.
func TestPrivilegedAreLeftAlone(t *testing.T) {
	c := provisioned(t, "", everything...)
	operator := c.must(http.StatusOK, "GET", `/Users?filter=userName+eq+%22operator%22`, "").text("Resources.id")
	administrators := c.must(http.StatusOK, "GET", `/Groups?filter=displayName+eq+%22administrators%22&excludedAttributes=members`, "").text("Resources.id")
	mallory := c.user("mallory")
	before := c.w.Refusals("command.refused")
	tries := 0
	try := func(method, path, body string) {
		t.Helper()
		tries++
		c.refused(http.StatusForbidden, "", method, path, body)
	}
	for _, operation := range []string{`{"op":"replace","path":"active","value":false}`, `{"op":"replace","path":"userName","value":"nobody"}`, `{"op":"replace","path":"displayName","value":"Nobody"}`, `{"op":"replace","path":"emails","value":[{"value":"m@evil.test"}]}`} {
		try("PATCH", "/Users/"+operator, patch(operation))
	}
	try("DELETE", "/Users/"+operator, "")
	try("PATCH", "/Groups/"+administrators, patch(`{"op":"add","path":"members","value":[{"value":"`+mallory+`"}]}`))
	try("PATCH", "/Groups/"+administrators, patch(`{"op":"remove","path":"members[value eq \"`+operator+`\"]"}`))
	try("PUT", "/Groups/"+administrators, `{"displayName":"administrators","members":[]}`)
	try("PATCH", "/Groups/"+administrators, patch(`{"op":"replace","path":"displayName","value":"Guests"}`))
	try("DELETE", "/Groups/"+administrators, "")
	if got := c.w.Refusals("command.refused") - before; got != tries {
		t.Errorf("%d tries left %d entries", tries, got)
	}
	if !servertest.Administers(c.w, "operator") || servertest.Administers(c.w, "mallory") {
		t.Error("who administers was changed")
	}
}

// The promise: services are nobody here: no client reads, suspends or removes another's account, or
// its own.
func TestServicesAreNobody(t *testing.T) {
	c := provisioned(t, "", everything...)
	d, err := c.w.Accounts.Find(t.Context(), c.w.DB, "entra")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(itoa(int64(d.ID)))
	for _, r := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"PATCH", patch(`{"op":"replace","path":"active","value":false}`)}, {"PUT", `{"userName":"entra"}`}} {
		c.refused(http.StatusNotFound, "", r[0], "/Users/"+id, r[1])
	}
	for _, filter := range []string{"", "filter=userName+eq+%22entra%22", "filter=id+eq+%22" + id + "%22", "filter=userName+co+%22entra%22"} {
		if got := c.must(http.StatusOK, "GET", "/Users?"+filter, ""); strings.Contains(got.raw, "entra") {
			t.Errorf("%s finds %s", filter, got.raw)
		}
	}
	for _, id := range []string{"0", "-1", "007", "1e3", "9223372036854775808", "x", "1%2f2", "%00"} {
		if got := c.does("GET", "/Users/"+id, ""); got.status != http.StatusNotFound {
			t.Errorf("the id %s is answered %d", id, got.status)
		}
	}
}

// The promise: what one client calls a person no other client sees, finds or changes.
func TestExternalIdIsTheClients(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		id := c.must(http.StatusCreated, "POST", "/Users", `{"userName":"ada","externalId":"A1"}`).text("id")
		other := another(t, c.w, c.clerk, "okta", everything...)
		if got := other.must(http.StatusOK, "GET", "/Users/"+id, ""); got.text("externalId") != "" {
			t.Errorf("another client reads %s", got.raw)
		}
		if got := other.must(http.StatusOK, "GET", `/Users?filter=externalId+eq+%22A1%22`, ""); got.text("totalResults") != "0" {
			t.Errorf("another client finds %s", got.raw)
		}
		other.must(http.StatusOK, "PATCH", "/Users/"+id, patch(`{"op":"add","path":"externalId","value":"B1"}`))
		if got := c.must(http.StatusOK, "GET", `/Users?filter=externalId+eq+%22A1%22`, ""); got.text("Resources.externalId") != "A1" {
			t.Errorf("the first client has %s", got.raw)
		}
		c.must(http.StatusOK, "PATCH", "/Users/"+id, patch(`{"op":"remove","path":"externalId"}`))
		if got := c.must(http.StatusOK, "GET", "/Users/"+id, ""); got.text("externalId") != "" {
			t.Errorf("what was taken away is %s", got.raw)
		}
		if got := other.must(http.StatusOK, "GET", "/Users/"+id, ""); got.text("externalId") != "B1" {
			t.Errorf("the other client's is %s", got.raw)
		}
	})
}
