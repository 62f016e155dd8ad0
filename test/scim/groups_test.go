package scim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

func members(ids ...string) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = `{"value":"` + id + `"}`
	}
	return "[" + strings.Join(all, ",") + "]"
}

// The promise: a group is made, called otherwise, filled and emptied by SCIM; the name by which
// policy knows it stays; each member has an entry in the log.
func TestGroupsAreChanged(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		ada, bob, carl := c.user("ada"), c.user("bob"), c.user("carl")
		made := c.must(http.StatusCreated, "POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Sales Team (EMEA)","externalId":"g1","members":`+members(ada)+`}`)
		id := made.text("id")
		if made.text("displayName") != "Sales Team (EMEA)" || made.text("members.value") != ada || made.text("members.display") != "ada" || made.text("externalId") != "g1" {
			t.Errorf("made %s", made.raw)
		}
		if _, err := c.w.Groups.Find(t.Context(), c.w.DB, "sales-team-emea"); err != nil {
			t.Error(err)
		}
		c.refused(http.StatusConflict, "uniqueness", "POST", "/Groups", `{"displayName":"sales team emea"}`)
		is := func(when string, want ...string) string {
			t.Helper()
			got := c.must(http.StatusOK, "GET", "/Groups/"+id, "")
			all, _ := got.body["members"].([]any)
			if len(all) != len(want) {
				t.Errorf("%s it has %v", when, all)
			}
			for _, one := range want {
				if !strings.Contains(got.raw, `"value":"`+one+`"`) {
					t.Errorf("%s %s is missing in %s", when, one, got.raw)
				}
			}
			return got.text("meta.version")
		}
		versions := map[string]bool{is("at first", ada): true}
		for _, step := range []struct {
			operations string
			want       []string
		}{
			{`{"op":"add","path":"members","value":` + members(bob, carl) + `}`, []string{ada, bob, carl}},
			{`{"op":"add","path":"members","value":` + members(bob) + `}`, []string{ada, bob, carl}}, // who is in it is in it
			{`{"op":"remove","path":"members[value eq \"` + ada + `\"]"}`, []string{bob, carl}},
			{`{"op":"Remove","path":"members","value":` + members(bob) + `}`, []string{carl}}, // as Microsoft Entra writes it
			{`{"op":"replace","path":"members","value":` + members(ada, bob) + `}`, []string{ada, bob}},
			{`{"op":"replace","value":{"id":"` + id + `","displayName":"Sales"}}`, []string{ada, bob}}, // as Okta writes it
			{`{"op":"remove","path":"members"},{"op":"add","path":"members","value":` + members(carl) + `}`, []string{carl}},
			{`{"op":"add","path":"members","value":` + members(ada) + `},{"op":"remove","path":"members[value eq \"` + ada + `\"]"}`, []string{carl}},
			{`{"op":"remove","path":"members"}`, nil},
		} {
			c.must(http.StatusNoContent, "PATCH", "/Groups/"+id, patch(step.operations))
			version := is("after "+step.operations, step.want...)
			versions[version] = true
		}
		if len(versions) != 8 { // ten readings, of which one changed nothing and another came and went
			t.Errorf("the versions are %v", versions)
		}
		if got := c.must(http.StatusOK, "PUT", "/Groups/"+id, `{"displayName":"Sales","members":`+members(ada, carl)+`}`); got.text("displayName") != "Sales" {
			t.Errorf("put %s", got.raw)
		}
		is("after PUT", ada, carl)
		c.must(http.StatusOK, "PUT", "/Groups/"+id, `{"displayName":"Sales"}`)
		is("after PUT without members", ada, carl)
		if got := events(c, "carl", 1)[0]; got != "group.member-added" {
			t.Errorf("the log has %s", got)
		}
		if got := c.must(http.StatusOK, "GET", "/Users/"+ada, ""); got.text("groups.value") != id || got.text("groups.display") != "sales-team-emea" {
			t.Errorf("ada is in %s", got.raw)
		}
		for query, want := range map[string]string{`displayName eq "SALES"`: "1", `displayName eq "sales-team-emea"`: "0", `externalId eq "g1"`: "1", `members.value eq "` + carl + `"`: "1", `members[value eq "` + bob + `"]`: "0", `members eq "` + ada + `"`: "1", `members.value eq "x"`: "0", `id eq "` + id + `" and members eq "` + ada + `"`: "1", `id eq "` + id + `" and members eq "` + bob + `"`: "0", `members eq "` + ada + `" and displayName eq "other"`: "0"} {
			if got := c.must(http.StatusOK, "GET", "/Groups?filter="+escape(query), ""); got.text("totalResults") != want {
				t.Errorf("%s finds %s", query, got.raw)
			}
		}
		c.refused(http.StatusBadRequest, "invalidFilter", "GET", "/Groups?filter="+escape(`members.value co "1"`), "")
		c.refused(http.StatusBadRequest, "invalidFilter", "GET", "/Groups?filter="+escape(`members.value eq "1" or displayName pr`), "")
		c.refused(http.StatusBadRequest, "invalidFilter", "GET", "/Groups?filter="+escape(`members.value eq "1" and members.value eq "2"`), "")
		if got := c.must(http.StatusOK, "GET", "/Users?filter="+escape(`groups.value eq "`+id+`"`), ""); got.text("totalResults") != "2" {
			t.Errorf("its people are %s", got.raw)
		}
		for _, body := range []string{`{"op":"add","path":"members","value":[{"value":"999999"}]}`, `{"op":"add","path":"members","value":[{"value":"` + ada + `","type":"Group"}]}`, `{"op":"add","path":"members","value":[{}]}`, `{"op":"add","path":"members","value":[{"value":7}]}`, `{"op":"replace","path":"displayName","value":" "}`} {
			c.refused(http.StatusBadRequest, "invalidValue", "PATCH", "/Groups/"+id, patch(body))
		}
		c.refused(http.StatusBadRequest, "mutability", "PATCH", "/Groups/"+id, patch(`{"op":"replace","path":"members.display","value":"x"}`))
		c.refused(http.StatusBadRequest, "invalidPath", "PATCH", "/Groups/"+id, patch(`{"op":"remove","path":"members[value co \"1\"]"}`))
		c.must(http.StatusNoContent, "DELETE", "/Groups/"+id, "")
		c.refused(http.StatusNotFound, "", "GET", "/Groups/"+id, "")
		if got := c.must(http.StatusOK, "GET", "/Users/"+ada, ""); got.text("groups") != "" {
			t.Errorf("ada is in %s", got.raw)
		}
	})
}

// The promise: a group of thousands is filled by one request, in one change; it is read without its
// members, and they page by page; and it is emptied again.
func TestLargeGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes two thousand people")
	}
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		var ids []string
		for part := range 2 {
			got := c.must(http.StatusOK, "POST", "/Bulk", bulkOf(1000, part*1000))
			for _, o := range got.body["Operations"].([]any) {
				location := o.(map[string]any)["location"].(string)
				ids = append(ids, location[strings.LastIndexByte(location, '/')+1:])
			}
		}
		id := c.must(http.StatusCreated, "POST", "/Groups", `{"displayName":"everybody"}`).text("id")
		before := transactions(c)
		c.must(http.StatusNoContent, "PATCH", "/Groups/"+id, patch(`{"op":"add","path":"members","value":`+members(ids...)+`}`))
		if n := transactions(c) - before; n > 40 {
			t.Errorf("2000 members took %d changes", n)
		}
		if got := c.must(http.StatusOK, "GET", "/Groups/"+id+"?excludedAttributes=members", ""); got.text("members") != "" || len(got.raw) > 1000 {
			t.Errorf("without its members it is %d octets", len(got.raw))
		}
		page := c.must(http.StatusOK, "GET", "/Users?startIndex=1901&count=500&attributes=id&filter="+escape(`groups.value eq "`+id+`"`), "")
		if page.text("totalResults") != "2000" || page.text("itemsPerPage") != "100" {
			t.Errorf("a page of them is %.200s", page.raw)
		}
		c.refused(http.StatusBadRequest, "tooMany", "PATCH", "/Groups/"+id, patch(`{"op":"add","path":"members","value":`+members(strings.Split(strings.Repeat("7 ", 20_001), " ")[:20_001]...)+`}`))
		c.must(http.StatusNoContent, "PATCH", "/Groups/"+id, patch(`{"op":"remove","path":"members"}`))
		if got := c.must(http.StatusOK, "GET", "/Groups/"+id, ""); got.text("members") != "" {
			t.Errorf("it has %.200s", got.raw)
		}
		c.must(http.StatusNoContent, "DELETE", "/Groups/"+id, "")
	})
}

// bulkOf makes n people.
func bulkOf(n, from int) string {
	all := make([]string, n)
	for i := range n {
		all[i] = fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"b%d","data":{"userName":"person%06d@example.org","externalId":"x%d","displayName":"Person %d","emails":[{"value":"person%06d@example.org"}]}}`, i, from+i, from+i, from+i, from+i)
	}
	return bulk("", all...)
}

// bulk is a Bulk request.
func bulk(more string, operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],` + more + `"Operations":[` + strings.Join(operations, ",") + `]}`
}

// transactions is how many changes the database has made.
func transactions(c *client) int64 {
	return c.w.DB.Condition().Stats().Requests
}
