package scim

import (
	"net/http"
	"slices"
	"strings"
)

// The schemas of RFC 7643.
const (
	userSchema     = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema    = "urn:ietf:params:scim:schemas:core:2.0:Group"
	configSchema   = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	typeSchema     = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema   = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	enterpriseName = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user" // in lower case, as names are compared
)

// attribute describes an attribute (RFC 7643, section 7). The names in JSON are those of the
// standard.
type attribute struct {
	Name        string      `json:"name"`
	Type        string      `json:"type"`
	SubAttrs    []attribute `json:"subAttributes,omitempty"`
	MultiValued bool        `json:"multiValued"`
	Description string      `json:"description"`
	Required    bool        `json:"required"`
	Canonical   []string    `json:"canonicalValues,omitempty"`
	CaseExact   bool        `json:"caseExact"`
	Mutability  string      `json:"mutability"`
	Returned    string      `json:"returned"`
	Uniqueness  string      `json:"uniqueness"`
	References  []string    `json:"referenceTypes,omitempty"`
}

func one(name, kind, description string) attribute {
	return attribute{Name: name, Type: kind, Description: description, Mutability: "readWrite", Returned: "default", Uniqueness: "none"}
}

func (a attribute) readOnly() attribute {
	a.Mutability = "readOnly"
	for i := range a.SubAttrs {
		a.SubAttrs[i] = a.SubAttrs[i].readOnly()
	}
	return a
}

func (a attribute) exact() attribute { a.CaseExact = true; return a }

func (a attribute) with(subs ...attribute) attribute { a.SubAttrs = subs; return a }

func (a attribute) many() attribute { a.MultiValued = true; return a }

func (a attribute) refers(to ...string) attribute { a.References = to; return a }

// common are the attributes that each resource has (RFC 7643, section 3.1). They are in no schema.
var common = []attribute{
	{Name: "id", Type: "string", CaseExact: true, Mutability: "readOnly", Returned: "always", Uniqueness: "server"},
	one("externalId", "string", "By which identifier the client knows the resource.").exact(),
	one("schemas", "string", "The schemas of the resource.").exact().many(),
	one("meta", "complex", "About the resource.").with(
		one("resourceType", "string", "").exact(), one("created", "dateTime", ""), one("lastModified", "dateTime", ""), one("location", "reference", "").exact(), one("version", "string", "").exact()).readOnly(),
}

// userAttributes are those of people that are kept. What else a client sends of the standard's is
// left out, and the answer shows it.
var userAttributes = []attribute{
	func() attribute {
		a := one("userName", "string", "The account's name, as the person types it; kept in lower case. A name that an account had before leads to it still.")
		a.Required, a.Uniqueness = true, "server"
		return a
	}(),
	one("name", "complex", "What the person is called.").with(one("formatted", "string", "The same as displayName. givenName and familyName make it up where neither is there.")),
	one("displayName", "string", "What people call the person."),
	one("active", "boolean", "False for an account that is suspended or has ended: it gets nothing, and its sessions are over."),
	one("emails", "complex", "Where notices go. One address is kept: the primary one, or that of type work, or the first.").many().with(
		one("value", "string", "The address."), func() attribute {
			a := one("type", "string", "Always work.")
			a.Canonical = []string{"work", "home", "other"}
			return a
		}(), one("primary", "boolean", "Always true.")),
	one("groups", "complex", "The groups that the person is in; they are changed at the groups.").many().with(
		one("value", "string", "The group's id.").exact(), one("$ref", "reference", "Where the group is.").exact().refers("Group"),
		one("display", "string", "The group's name."), one("type", "string", "Always direct.")).readOnly(),
}

var groupAttributes = []attribute{
	func() attribute {
		a := one("displayName", "string", "What the group is called. The name by which policy and applications know it is made from this once, in lower case and with - for what no name may have, and stays.")
		a.Required = true
		return a
	}(),
	one("members", "complex", "The people in the group. Groups in groups are not kept.").many().with(
		func() attribute {
			a := one("value", "string", "The person's id.").exact()
			a.Mutability = "immutable"
			return a
		}(), one("$ref", "reference", "Where the person is.").exact().refers("User").readOnly(), one("display", "string", "The person's userName.").readOnly(),
		func() attribute {
			a := one("type", "string", "Always User.")
			a.Mutability, a.Canonical = "immutable", []string{"User"}
			return a
		}()),
}

// left are the attributes of RFC 7643, section 4.1 and 4.3, that are not kept. Whoever sends one is
// not refused, because a provisioning client would never come to an end with the person.
var left = []string{"nickname", "profileurl", "title", "usertype", "preferredlanguage", "locale", "timezone", "password", "phonenumbers", "ims", "photos", "addresses",
	"entitlements", "roles", "x509certificates", "honorificprefix", "honorificsuffix", "middlename", "givenname", "familyname"}

// kind is a type of resources.
type kind struct {
	name, endpoint, schema string
	description            string
	attributes             []attribute
}

var (
	userKind  = kind{"User", "/Users", userSchema, "People.", userAttributes}
	groupKind = kind{"Group", "/Groups", groupSchema, "Groups of people.", groupAttributes}
)

// find returns the attribute that a path names, with its parent where it is a sub-attribute; false
// where there is none.
func (k kind) find(p attrPath) (attribute, bool) {
	if p.schema != "" && p.schema != strings.ToLower(k.schema) {
		return attribute{}, false
	}
	a, ok := named(append(slices.Clone(common), k.attributes...), p.name)
	if !ok || p.sub == "" {
		return a, ok
	}
	return named(a.SubAttrs, p.sub)
}

func named(all []attribute, name string) (attribute, bool) {
	i := slices.IndexFunc(all, func(a attribute) bool { return strings.EqualFold(a.Name, name) })
	if i < 0 {
		return attribute{}, false
	}
	return all[i], true
}

// leftOut reports whether a path names an attribute of the standard that is not kept.
func (k kind) leftOut(p attrPath) bool {
	if p.schema == enterpriseName {
		return true
	}
	if k.name != "User" || p.schema != "" && p.schema != strings.ToLower(userSchema) {
		return false
	}
	return slices.Contains(left, p.name) || p.name == "name" && slices.Contains(left, p.sub) || p.name == "emails" && p.sub == "display"
}

type list struct {
	Schemas      []string `json:"schemas"`
	TotalResults int      `json:"totalResults"`
	StartIndex   int      `json:"startIndex,omitempty"`
	ItemsPerPage int      `json:"itemsPerPage"`
	Resources    []any    `json:"Resources"`
}

// fixed answers what is always the same: all of it, or what the id names. It is open to everybody,
// because it is the same of every server of this release.
func (s *Server) fixed(r *request, all map[string]any, order []string) (*answer, error) {
	if r.http.URL.Query().Has("filter") {
		return nil, &fault{status: http.StatusForbidden, detail: "There is no filter here."} // RFC 7644, section 4
	}
	if r.id != "" {
		one, ok := all[strings.ToLower(r.id)]
		if !ok {
			return nil, notFound
		}
		return &answer{status: http.StatusOK, body: one}, nil
	}
	l := list{Schemas: []string{listMessage}, TotalResults: len(order), StartIndex: 1, ItemsPerPage: len(order)}
	for _, id := range order {
		l.Resources = append(l.Resources, all[strings.ToLower(id)])
	}
	return &answer{status: http.StatusOK, body: l}, nil
}

func (s *Server) config(r *request) (*answer, error) {
	if r.http.URL.Query().Has("filter") {
		return nil, &fault{status: http.StatusForbidden, detail: "There is no filter here."}
	}
	supported := func(yes bool) map[string]any { return map[string]any{"supported": yes} }
	return &answer{status: http.StatusOK, body: map[string]any{
		"schemas":        []string{configSchema},
		"patch":          supported(true),
		"bulk":           map[string]any{"supported": true, "maxOperations": maxOperations, "maxPayloadSize": most},
		"filter":         map[string]any{"supported": true, "maxResults": maxCount},
		"changePassword": supported(false),
		"sort":           supported(true),
		"etag":           supported(true),
		"authenticationSchemes": []any{map[string]any{"type": "oauthbearertoken", "name": "Automation key", "primary": true,
			"description": "An automation key of a service account, as a bearer token. It names the actions that it may do.", "specUri": "https://www.rfc-editor.org/info/rfc6750"}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": s.base + "/ServiceProviderConfig"},
	}}, nil
}

func (s *Server) resourceTypes(r *request) (*answer, error) {
	all, order := map[string]any{}, []string{}
	for _, k := range []kind{userKind, groupKind} {
		order = append(order, k.name)
		all[strings.ToLower(k.name)] = map[string]any{"schemas": []string{typeSchema}, "id": k.name, "name": k.name, "endpoint": k.endpoint, "description": k.description, "schema": k.schema,
			"meta": map[string]any{"resourceType": "ResourceType", "location": s.base + "/ResourceTypes/" + k.name}}
	}
	return s.fixed(r, all, order)
}

func (s *Server) schemas(r *request) (*answer, error) {
	all, order := map[string]any{}, []string{}
	for _, k := range []kind{userKind, groupKind} {
		order = append(order, k.schema)
		all[strings.ToLower(k.schema)] = map[string]any{"schemas": []string{schemaSchema}, "id": k.schema, "name": k.name, "description": k.description, "attributes": k.attributes,
			"meta": map[string]any{"resourceType": "Schema", "location": s.base + "/Schemas/" + k.schema}}
	}
	return s.fixed(r, all, order)
}
