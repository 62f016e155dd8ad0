package scim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// statuses are those of the operations of a Bulk request, in their order.
func statuses(a answer) string {
	var out []string
	all, _ := a.body["Operations"].([]any)
	for _, one := range all {
		out = append(out, fmt.Sprint(one.(map[string]any)["status"]))
	}
	return strings.Join(out, " ")
}

// The promise: the operations of a Bulk request are each done or refused by itself; one names what
// another makes by its bulkId, also one that comes later; those that wait for each other are refused;
// and failOnErrors ends it.
func TestBulk(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		user := func(id, name string) string {
			return `{"method":"POST","path":"/Users","bulkId":"` + id + `","data":{"userName":"` + name + `"}}`
		}
		got := c.must(http.StatusOK, "POST", "/Bulk", bulk("",
			`{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"team","members":[{"value":"bulkId:u2"},{"value":"bulkId:u1"}]}}`,
			user("u1", "ada"), user("u2", "bob"), user("u3", "ada"),
			`{"method":"PATCH","path":"/Users/bulkId:u1","data":`+patch(`{"op":"replace","path":"active","value":false}`)+`}`,
			`{"method":"PUT","path":"/Users/bulkId:u2","data":{"userName":"robert"}}`,
			`{"method":"PATCH","path":"/Groups/bulkId:g","data":`+patch(`{"op":"remove","path":"members[value eq \"bulkId:u2\"]"}`)+`}`))
		if statuses(got) != "201 201 201 409 200 200 204" {
			t.Errorf("it is answered %s", got.raw)
		}
		team := c.must(http.StatusOK, "GET", "/Groups?"+f(`displayName eq "team"`), "")
		if !strings.Contains(team.raw, `"display":"ada"`) || strings.Contains(team.raw, "robert") {
			t.Errorf("the team is %s", team.raw)
		}
		if got.text("Operations.location") != team.text("Resources.meta.location") || got.text("Operations.bulkId") != "g" || got.text("Operations.method") != "POST" {
			t.Errorf("it is answered %s", got.raw)
		}

		loop := c.must(http.StatusOK, "POST", "/Bulk", bulk("",
			`{"method":"POST","path":"/Groups","bulkId":"a","data":{"displayName":"loop a","members":[{"value":"bulkId:b"}]}}`,
			`{"method":"POST","path":"/Groups","bulkId":"b","data":{"displayName":"loop b","members":[{"value":"bulkId:a"}]}}`,
			`{"method":"POST","path":"/Groups","bulkId":"c","data":{"displayName":"loop c","members":[{"value":"bulkId:c"}]}}`,
			`{"method":"POST","path":"/Groups","bulkId":"d","data":{"displayName":"loop d","members":[{"value":"bulkId:nobody"}]}}`,
			user("u", "dora")))
		if statuses(loop) != "409 409 409 409 201" {
			t.Errorf("a loop is answered %s", loop.raw)
		}

		ends := c.must(http.StatusOK, "POST", "/Bulk", bulk(`"failOnErrors":2,`, user("a", "ada"), user("b", "erin"), user("c", "dora"), user("d", "frank"), user("e", "gwen")))
		if all := statuses(ends); all != "409 201 409" {
			t.Errorf("after two errors it is answered %s", ends.raw)
		}
		order := c.must(http.StatusOK, "POST", "/Bulk", bulk("", user("a", "hugo"), `{"method":"DELETE","path":"/Users/bulkId:a"}`, `{"method":"DELETE","path":"/Users/999999"}`, `{"method":"POST","path":"/Bulk","bulkId":"x","data":{}}`, `{"method":"POST","path":"/Users/7","bulkId":"y","data":{}}`, `{"method":"PATCH","path":"/Me","data":{}}`))
		if statuses(order) != "201 204 404 404 404 404" {
			t.Errorf("it is answered %s", order.raw)
		}
		version := c.must(http.StatusOK, "GET", "/Users?"+f(`userName eq "erin"`), "")
		stale := c.must(http.StatusOK, "POST", "/Bulk", bulk("", `{"method":"PUT","path":"/Users/`+version.text("Resources.id")+`","version":"W/\"0.0\"","data":{"userName":"erin","displayName":"E"}}`,
			`{"method":"PUT","path":"/Users/`+version.text("Resources.id")+`","version":`+fmt.Sprintf("%q", version.text("Resources.meta.version"))+`,"data":{"userName":"erin","displayName":"E"}}`))
		if statuses(stale) != "412 200" {
			t.Errorf("versions are answered %s", stale.raw)
		}
	})
}

// The promise: what a Bulk request may be is bounded, and one that is not as the standard says is
// refused as a whole before anything is done.
func TestBulkIsBounded(t *testing.T) {
	c := provisioned(t, "", everything...)
	delete7 := `{"method":"DELETE","path":"/Users/999999"}`
	c.refused(http.StatusRequestEntityTooLarge, "tooMany", "POST", "/Bulk", bulk("", strings.Split(strings.Repeat(delete7+"\n", 1001), "\n")[:1001]...))
	c.refused(http.StatusRequestEntityTooLarge, "", "POST", "/Bulk", bulk("", `{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"`+strings.Repeat("x", 1<<20)+`"}}`))
	made := `{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"first"}}`
	for body, scimType := range map[string]string{
		bulk("", made, `{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"second"}}`): "invalidValue",
		bulk("", made, `{"method":"GET","path":"/Users/7"}`):                                          "invalidSyntax",
		bulk("", made, `{"method":"POST","path":"/Users","data":{"userName":"second"}}`):              "invalidSyntax",
		bulk("", made, `{"method":"POST","path":"/Users","bulkId":"b"}`):                              "invalidSyntax",
		bulk("", made, `{"method":"PUT","path":7,"data":{}}`):                                         "invalidSyntax",
		bulk("", made, `7`):               "invalidSyntax",
		bulk(`"failOnErrors":0,`, made):   "invalidValue",
		bulk(`"failOnErrors":"1",`, made): "invalidValue",
		bulk(`"failOnErrors":1.5,`, made): "invalidValue",
		`{"Operations":[` + made + `]}`:   "invalidSyntax",
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":{}}`: "invalidSyntax",
	} {
		c.refused(http.StatusBadRequest, scimType, "POST", "/Bulk", body)
	}
	if got := c.must(http.StatusOK, "GET", "/Users?"+f(`userName eq "first"`), ""); got.text("totalResults") != "0" {
		t.Errorf("half of a refused request was done: %s", got.raw)
	}
	// A chain of references as long as a request may be, the wrong way round.
	var chain []string
	for i := range 300 {
		chain = append(chain, fmt.Sprintf(`{"method":"POST","path":"/Groups","bulkId":"g%d","data":{"displayName":"chain %d","members":[{"value":"bulkId:g%d"}]}}`, i, i, i+1))
	}
	if got := c.must(http.StatusOK, "POST", "/Bulk", bulk("", chain...)); statuses(got) != strings.TrimSpace(strings.Repeat("409 ", 300)) {
		t.Errorf("a chain is answered %.300s", got.raw)
	}
}
