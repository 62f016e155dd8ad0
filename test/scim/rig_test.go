package scim

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"countersign/internal/admin/key"
	"countersign/internal/servertest"
)

// everything is what a provisioning client's key names in docs/scim.md.
var everything = []string{"account.list", "account.show", "account.create", "account.rename", "account.set-display", "account.set-mail", "account.set-external",
	"account.suspend", "account.resume", "account.remove", "group.list", "group.show", "group.create", "group.set-display", "group.set-external",
	"group.member.add", "group.member.remove", "group.remove"}

// client is a provisioning client: a service account with a key.
type client struct {
	t      testing.TB
	w      *servertest.World
	clerk  *servertest.Clerk
	name   string
	key    string
	header http.Header // beside the usual
}

// provisioned is a world with a client whose key names these actions.
func provisioned(t testing.TB, dsn string, actions ...string) *client {
	t.Helper()
	w := servertest.NewWorldOn(t, dsn)
	return another(t, w, servertest.OfficeOf(w, "operator")[0], "entra", actions...)
}

func another(t testing.TB, w *servertest.World, clerk *servertest.Clerk, name string, actions ...string) *client {
	t.Helper()
	c := &client{t: t, w: w, clerk: clerk, name: name, header: http.Header{}}
	if err := clerk.Do(context.Background(), "account.create", map[string]any{"name": name, "kind": "service"}, nil); err != nil {
		t.Fatal(err)
	}
	var k key.Key
	if err := clerk.Do(context.Background(), "key.issue", map[string]any{"account": name, "actions": actions, "networks": []string{"127.0.0.0/8"}}, &k); err != nil {
		t.Fatal(err)
	}
	c.key = k.Key
	return c
}

// answer is what a request was answered with.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// text is a value of the answer by the names that lead to it.
func (a answer) text(path string) string {
	var v any = a.body
	for name := range strings.SplitSeq(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			if len(at) == 0 {
				return ""
			}
			v = at[0].(map[string]any)[name]
		default:
			return ""
		}
	}
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// does sends one request. The body is JSON, or empty.
func (c *client) does(method, path, body string) answer {
	c.t.Helper()
	r, err := http.NewRequest(method, c.w.Base+"/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for name, values := range c.header {
		r.Header[name] = values
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := answer{status: got.StatusCode, header: got.Header, raw: string(b)}
	if len(b) > 0 {
		if err := json.Unmarshal(b, &a.body); err != nil {
			c.t.Fatalf("%s %s is answered with no JSON: %s", method, path, b)
		}
		if kind := got.Header.Get("Content-Type"); kind != "application/scim+json" {
			c.t.Errorf("%s %s is answered as %s", method, path, kind)
		}
	}
	return a
}

// must is does for what must be answered so.
func (c *client) must(status int, method, path, body string) answer {
	c.t.Helper()
	a := c.does(method, path, body)
	if a.status != status {
		c.t.Fatalf("%s %s %s is answered %d and not %d: %s", method, path, body, a.status, status, a.raw)
	}
	return a
}

// refused is does for what must be answered with an error of SCIM.
func (c *client) refused(status int, scimType, method, path, body string) answer {
	c.t.Helper()
	a := c.does(method, path, body)
	if a.status != status || a.text("scimType") != scimType || a.text("schemas") != `["urn:ietf:params:scim:api:messages:2.0:Error"]` {
		c.t.Errorf("%s %s %s is answered %d %q and not %d %q: %s", method, path, body, a.status, a.text("scimType"), status, scimType, a.raw)
	}
	return a
}

// user makes a person, and returns the id.
func (c *client) user(name string) string {
	c.t.Helper()
	return c.must(http.StatusCreated, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+name+`","emails":[{"value":"`+name+`@example.org"}]}`).text("id")
}

// patch is the body of a PATCH.
func patch(operations string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` + operations + `]}`
}

// route is a request of a pattern.
func route(pattern, id string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.ReplaceAll(strings.TrimPrefix(path, "/scim/v2"), "{id}", id)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
