package scim

import (
	"net/http"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// recorded is one request of a party, and how it must be answered. In the path and the body, what
// stands in braces is an id that was answered before.
type recorded struct {
	method, path, body string
	status             int
	// keeps is the name of the id that the answer has.
	keeps string
	// says are texts that the answer must have.
	says []string
}

func (c *client) replays(all []recorded) {
	c.t.Helper()
	ids := map[string]string{}
	fill := func(s string) string {
		for name, id := range ids {
			s = strings.ReplaceAll(s, "{"+name+"}", id)
		}
		return s
	}
	for _, r := range all {
		got := c.must(r.status, r.method, fill(r.path), fill(r.body))
		if r.keeps != "" {
			ids[r.keeps] = got.text("id")
		}
		for _, text := range r.says {
			if !strings.Contains(got.raw, fill(text)) {
				c.t.Errorf("%s %s is answered without %s: %s", r.method, r.path, fill(text), got.raw)
			}
		}
	}
}

// The promise: the requests that Microsoft Entra ID, Okta and Keycloak document, in the order in which
// they send them, are each answered so that provisioning goes on. No tenant of any of them was asked.
func TestPartiesProvision(t *testing.T) {
	for name, all := range map[string][]recorded{"entra": entra, "okta": okta, "keycloak": keycloak} {
		t.Run(name, func(t *testing.T) {
			servertest.EachEngine(t, func(t *testing.T, dsn string) { provisioned(t, dsn, everything...).replays(all) })
		})
	}
}

const patchHead = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],`

// entra is as in "Tutorial: Develop and plan provisioning for a SCIM endpoint in Microsoft Entra ID".
var entra = []recorded{
	{method: "GET", path: "/Users?filter=userName+eq+%2290022a3d-8c8d-4ea3-a8a7-c3b1ee1b4b0b%22", status: http.StatusOK, says: []string{`"totalResults":0`, `"Resources":[]`}}, // "Test connection"
	{method: "GET", path: "/Users?filter=userName+eq+%22ada@contoso.test%22", status: http.StatusOK, says: []string{`"totalResults":0`}},
	{method: "POST", path: "/Users", status: http.StatusCreated, keeps: "ada", says: []string{`"userName":"ada@contoso.test"`, `"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef"`, `"active":true`}, body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
		"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"Ada@contoso.test","active":true,"addresses":[{"primary":false,"type":"work","country":"UK"}],"displayName":"Ada Lovelace",
		"emails":[{"primary":true,"type":"work","value":"Ada@contoso.test"}],"meta":{"resourceType":"User"},"name":{"formatted":"Ada Lovelace","familyName":"Lovelace","givenName":"Ada"},"roles":[],"title":"Countess",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Engines","manager":"x"}}`},
	{method: "GET", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"id":"{ada}"`}},
	{method: "GET", path: "/Users?filter=externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22", status: http.StatusOK, says: []string{`"totalResults":1`}},
	{method: "PATCH", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"value":"king@contoso.test"`, `"displayName":"Ada King"`}, body: patchHead + `"Operations":[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"king@contoso.test"},{"op":"Replace","path":"name.familyName","value":"King"},{"op":"Replace","path":"displayName","value":"Ada King"},{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":[{"$ref":"http://x/Users/2","value":"2"}]},{"op":"Replace","path":"addresses[type eq \"work\"].country","value":"FR"}]}`},
	{method: "PATCH", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"userName":"king@contoso.test"`}, body: patchHead + `"Operations":[{"op":"Replace","path":"userName","value":"King@contoso.test"}]}`},
	{method: "PATCH", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"active":false`}, body: patchHead + `"Operations":[{"op":"Replace","path":"active","value":"False"}]}`},
	{method: "PATCH", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"active":true`}, body: patchHead + `"Operations":[{"op":"Replace","path":"active","value":true}]}`},
	{method: "GET", path: "/Groups?excludedAttributes=members&filter=displayName+eq+%22Engine+Room%22", status: http.StatusOK, says: []string{`"totalResults":0`}},
	{method: "POST", path: "/Groups", status: http.StatusCreated, keeps: "g", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],"externalId":"8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159","displayName":"Engine Room","meta":{"resourceType":"Group"}}`},
	{method: "GET", path: "/Groups/{g}?excludedAttributes=members", status: http.StatusOK, says: []string{`"displayName":"Engine Room"`}},
	{method: "PATCH", path: "/Groups/{g}", status: http.StatusNoContent, body: patchHead + `"Operations":[{"op":"Add","path":"members","value":[{"$ref":null,"value":"{ada}"}]}]}`},
	{method: "GET", path: "/Groups?excludedAttributes=members&filter=id+eq+%22{g}%22+and+members+eq+%22{ada}%22", status: http.StatusOK, says: []string{`"totalResults":1`}},
	{method: "PATCH", path: "/Groups/{g}", status: http.StatusNoContent, body: patchHead + `"Operations":[{"op":"Replace","path":"displayName","value":"Engines"}]}`},
	{method: "PATCH", path: "/Groups/{g}", status: http.StatusNoContent, body: patchHead + `"Operations":[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"{ada}"}]}]}`},
	{method: "DELETE", path: "/Groups/{g}", status: http.StatusNoContent},
	{method: "DELETE", path: "/Users/{ada}", status: http.StatusNoContent},
	{method: "GET", path: "/Users/{ada}", status: http.StatusNotFound, says: []string{`"status":"404"`}},
}

// okta is as in "Okta and SCIM Version 2.0".
var okta = []recorded{
	{method: "GET", path: "/Users?startIndex=1&count=2", status: http.StatusOK, says: []string{`"itemsPerPage":1`}},
	{method: "GET", path: "/Groups?startIndex=1&count=100", status: http.StatusOK, says: []string{`"startIndex":1`}},
	{method: "GET", path: "/Users?filter=userName+eq+%22ada%40okta.test%22&startIndex=1&count=100", status: http.StatusOK, says: []string{`"totalResults":0`}},
	{method: "POST", path: "/Users", status: http.StatusCreated, keeps: "ada", says: []string{`"userName":"ada@okta.test"`, `"displayName":"Ada Lovelace"`}, body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@okta.test","name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"primary":true,"value":"ada@okta.test","type":"work"}],
		"displayName":"Ada Lovelace","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[],"password":"1mz050nq","active":true}`},
	{method: "GET", path: "/Users/{ada}", status: http.StatusOK},
	{method: "PUT", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"displayName":"Ada King"`}, body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{ada}","userName":"ada@okta.test","name":{"givenName":"Ada","middleName":"A","familyName":"King"},"displayName":"Ada King","emails":[{"primary":true,"value":"ada@okta.test","type":"work","display":"ada@okta.test"}],
		"active":true,"groups":[],"meta":{"resourceType":"User"}}`},
	{method: "PATCH", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"active":false`}, body: patchHead + `"Operations":[{"op":"replace","value":{"active":false}}]}`},
	{method: "GET", path: "/Users?filter=userName+eq+%22ada%40okta.test%22&startIndex=1&count=100", status: http.StatusOK, says: []string{`"totalResults":1`, `"active":false`}},
	{method: "PUT", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"active":true`}, body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@okta.test","active":true}`},
	{method: "GET", path: "/Groups?filter=displayName+eq+%22Test+SCIMv2%22&startIndex=1&count=100", status: http.StatusOK, says: []string{`"totalResults":0`}},
	{method: "POST", path: "/Groups", status: http.StatusCreated, keeps: "g", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Test SCIMv2","members":[]}`},
	{method: "PATCH", path: "/Groups/{g}", status: http.StatusNoContent, body: patchHead + `"Operations":[{"op":"replace","value":{"id":"{g}","displayName":"Test SCIMv2 renamed"}}]}`},
	{method: "PATCH", path: "/Groups/{g}", status: http.StatusNoContent, body: patchHead + `"Operations":[{"op":"add","path":"members","value":[{"value":"{ada}","display":"ada@okta.test"}]}]}`},
	{method: "GET", path: "/Groups/{g}", status: http.StatusOK, says: []string{`"value":"{ada}"`, `"displayName":"Test SCIMv2 renamed"`}},
	{method: "PATCH", path: "/Groups/{g}", status: http.StatusNoContent, body: patchHead + `"Operations":[{"op":"remove","path":"members[value eq \"{ada}\"]"},{"op":"add","path":"members","value":[{"value":"{ada}","display":"x"}]}]}`},
	{method: "PATCH", path: "/Groups/{g}", status: http.StatusNoContent, body: patchHead + `"Operations":[{"op":"replace","path":"members","value":[{"value":"{ada}","display":"x"}]}]}`},
	{method: "PUT", path: "/Groups/{g}", status: http.StatusOK, says: []string{`"value":"{ada}"`}, body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{g}","displayName":"Test SCIMv2","members":[{"value":"{ada}","display":"x"}]}`},
	{method: "DELETE", path: "/Groups/{g}", status: http.StatusNoContent},
}

// keycloak is as the extension scim-for-keycloak's client sends it: whole resources, by PUT.
var keycloak = []recorded{
	{method: "GET", path: "/ServiceProviderConfig", status: http.StatusOK},
	{method: "POST", path: "/Users", status: http.StatusCreated, keeps: "ada", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"f3a5a3c2-7c4e-4b8c-9c6c-7d3f1f0d9a11","userName":"ada","name":{"familyName":"Lovelace","givenName":"Ada"},"displayName":"Ada Lovelace","active":true,"emails":[{"value":"ada@keycloak.test"}],"roles":[{"value":"offline_access"}]}`},
	{method: "GET", path: "/Users?startIndex=1&count=50", status: http.StatusOK, says: []string{`"id":"{ada}"`}},
	{method: "POST", path: "/Users/.search", status: http.StatusOK, says: []string{`"totalResults":1`}, body: `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],"startIndex":1,"count":10,"filter":"userName eq \"ada\""}`},
	{method: "PUT", path: "/Users/{ada}", status: http.StatusOK, says: []string{`"value":"king@keycloak.test"`}, body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"{ada}","externalId":"f3a5a3c2-7c4e-4b8c-9c6c-7d3f1f0d9a11","userName":"ada","name":{"familyName":"King","givenName":"Ada"},"displayName":"Ada King","active":true,"emails":[{"value":"king@keycloak.test"}],"meta":{"resourceType":"User","location":"https://x/Users/{ada}"}}`},
	{method: "POST", path: "/Groups", status: http.StatusCreated, keeps: "g", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"externalId":"c1","displayName":"/engines","members":[{"value":"{ada}","$ref":"Users/{ada}"}]}`},
	{method: "PUT", path: "/Groups/{g}", status: http.StatusOK, says: []string{`"displayName":"/engines"`}, body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"{g}","externalId":"c1","displayName":"/engines","members":[]}`},
	{method: "DELETE", path: "/Groups/{g}", status: http.StatusNoContent},
	{method: "DELETE", path: "/Users/{ada}", status: http.StatusNoContent},
	{method: "DELETE", path: "/Users/{ada}", status: http.StatusNotFound},
}
