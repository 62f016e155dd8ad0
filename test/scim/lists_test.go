package scim

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

func escape(s string) string { return url.QueryEscape(s) }

// names are the userNames of a page.
func names(a answer) string {
	var out []string
	all, _ := a.body["Resources"].([]any)
	for _, one := range all {
		out = append(out, fmt.Sprint(one.(map[string]any)["userName"]))
	}
	return strings.Join(out, " ")
}

// The promise: people are listed in pages, sorted, and chosen by filters, by GET and by POST alike,
// on both databases; a filter never reaches SQL as text.
func TestUsersAreListed(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		c := provisioned(t, dsn, everything...)
		for i, name := range []string{"dora", "ada", "carl", "bob"} {
			c.must(http.StatusCreated, "POST", "/Users", fmt.Sprintf(`{"userName":%q,"displayName":"Number %d","externalId":"e%d","active":%t,"emails":[{"value":"%s@Example.org"}]}`, name, 9-i, i, i != 2, name))
		}
		for query, want := range map[string]string{
			"":                                     "operator dora ada carl bob",
			"sortBy=userName":                      "ada bob carl dora operator",
			"sortBy=userName&sortOrder=descending": "operator dora carl bob ada",
			"sortBy=displayName":                   "bob carl ada dora operator", // who has none comes last
			"startIndex=2&count=2":                 "dora ada",
			"startIndex=2&count=2&sortBy=userName": "bob carl",
			"startIndex=0&count=1":                 "operator", "startIndex=-5&count=1": "operator", "count=-1": "", "count=0": "", "startIndex=99": "", "startIndex=6": "",
			f(`userName eq "ADA"`): "ada", f(`userName eq "ada" or userName eq "bob"`): "ada bob", f(`userName eq "ada" and active eq false`): "",
			f(`active eq false`): "carl", f(`not (active eq true)`): "carl", f(`userName sw "A" or displayName eq "Number 7"`): "ada carl",
			f(`emails.value eq "BOB@example.ORG"`): "bob", f(`emails[type eq "work" and value eq "bob@example.org"]`): "bob", f(`emails[type eq "home" and value eq "bob@example.org"]`): "",
			f(`externalId eq "e1"`): "ada", f(`externalId eq "E1"`): "", f(`externalId sw "e" and externalId ne "e1"`): "dora carl bob", f(`externalId pr`): "dora ada carl bob",
			f(`userName eq "x' or '1'='1"`): "", f(`userName eq "%"`): "", f(`userName co "_"`): "", f(`displayName co "'; drop table account; --"`): "", f(`emails.value eq "%"`): "",
			f(`nickName pr`): "", f(`nickName eq "x"`): "", f(`title ne "x" and userName eq "ada"`): "ada",
			f(`meta.resourceType eq "User" and userName eq "bob"`): "bob",
		} {
			got := c.must(http.StatusOK, "GET", "/Users?"+query, "")
			if names(got) != want {
				t.Errorf("%s lists %q and not %q", query, names(got), want)
			}
		}
		if got := c.must(http.StatusOK, "GET", "/Users?count=2", ""); got.text("totalResults") != "5" || got.text("itemsPerPage") != "2" || got.text("startIndex") != "1" {
			t.Errorf("a page is %s", got.raw)
		}
		found := c.must(http.StatusOK, "POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"filter":"userName sw \"a\" or userName sw \"b\"","sortBy":"userName","sortOrder":"descending","startIndex":1,"count":1,"attributes":["userName"]}`)
		if names(found) != "bob" || found.text("totalResults") != "2" || found.text("Resources.active") != "" {
			t.Errorf("the search finds %s", found.raw)
		}
		for query, scimType := range map[string]string{f("userName"): "invalidFilter", f(strings.Repeat("(", 20) + "active eq true" + strings.Repeat(")", 20)): "invalidFilter", "sortBy=shoeSize": "invalidValue", "sortOrder=sideways": "invalidValue", "count=many": "invalidValue", "count=99999999999999999999": "invalidValue",
			"attributes=id&excludedAttributes=id": "invalidValue", f("userName pr") + "&" + f("active eq true"): "invalidValue", "attributes=" + strings.Repeat("a,", 200): "invalidValue"} {
			c.refused(http.StatusBadRequest, scimType, "GET", "/Users?"+query, "")
		}
	})
}

func f(filter string) string { return "filter=" + escape(filter) }

// The promise: what the server says of itself is what it does: each attribute of a resource is in its
// schema, and each that can be compared is compared.
func TestDiscovery(t *testing.T) {
	c := provisioned(t, "", everything...)
	c.user("ada")
	c.must(http.StatusCreated, "POST", "/Groups", `{"displayName":"staff"}`)
	config := c.must(http.StatusOK, "GET", "/ServiceProviderConfig", "")
	if config.text("patch.supported") != "true" || config.text("bulk.maxOperations") != "1000" || config.text("filter.maxResults") != "200" || config.text("changePassword.supported") != "false" || config.text("authenticationSchemes.type") != "oauthbearertoken" {
		t.Errorf("the configuration is %s", config.raw)
	}
	types := c.must(http.StatusOK, "GET", "/ResourceTypes", "")
	for _, v := range types.body["Resources"].([]any) {
		kind := v.(map[string]any)
		schema := c.must(http.StatusOK, "GET", "/Schemas/"+kind["schema"].(string), "")
		known := map[string]bool{"schemas": true, "id": true, "meta": true, "externalId": true}
		for _, v := range schema.body["attributes"].([]any) {
			a := v.(map[string]any)
			known[a["name"].(string)] = true
			for _, word := range []string{"type", "multiValued", "required", "mutability", "returned", "uniqueness"} {
				if a[word] == nil {
					t.Errorf("%s says nothing of %s", a["name"], word)
				}
			}
		}
		resource := c.must(http.StatusOK, "GET", kind["endpoint"].(string)+"?count=1&startIndex=2", "").body["Resources"].([]any)[0].(map[string]any)
		for name := range resource {
			if !known[name] {
				t.Errorf("%s of %s is in no schema", name, kind["name"])
			}
		}
		c.must(http.StatusOK, "GET", "/ResourceTypes/"+kind["name"].(string), "")
	}
	c.refused(http.StatusForbidden, "", "GET", "/Schemas?filter=id+pr", "")
	c.refused(http.StatusForbidden, "", "GET", "/ResourceTypes?filter=id+pr", "")
	c.refused(http.StatusNotFound, "", "GET", "/Schemas/urn:x", "")
	for _, r := range [][2]string{{"GET", "/Me"}, {"PATCH", "/Me"}, {"POST", "/.search"}} {
		c.refused(http.StatusNotImplemented, "", r[0], r[1], "")
	}
	c.refused(http.StatusNotFound, "", "GET", "/Nothing", "")
	c.refused(http.StatusNotFound, "", "GET", "/", "")
	for _, r := range [][2]string{{"DELETE", "/Users"}, {"PUT", "/Groups"}, {"GET", "/Bulk"}, {"POST", "/Schemas"}, {"POST", "/Users/7"}} {
		c.refused(http.StatusMethodNotAllowed, "", r[0], r[1], "")
	}
}
