package scim

import (
	"slices"
	"strings"
)

// maxPatch is how many operations a PATCH has at most.
const maxPatch = 1000

// operation is one of a PATCH (RFC 7644, section 3.5.2).
type operation struct {
	op    string // add, remove, replace
	path  patchPath
	whole bool // it has no path: each name of its value is one
	value any
	given bool // it has a value
}

// readOperations reads a PATCH. Names and words do not tell case apart: Microsoft Entra writes Add.
func readOperations(o object) ([]operation, error) {
	if !o.declares(patchMessage) {
		return nil, bad("invalidSyntax", "The message is no PatchOp: name its schema in schemas.")
	}
	list, ok := o["operations"].([]any)
	if !ok || len(list) == 0 {
		return nil, bad("invalidSyntax", "Operations is a list of one or more.")
	}
	if len(list) > maxPatch {
		return nil, bad("tooMany", "A PATCH has %d operations at most.", maxPatch)
	}
	var out []operation
	for _, v := range list {
		one, ok := v.(object)
		if !ok {
			return nil, bad("invalidSyntax", "An operation is an object.")
		}
		all, err := readOperation(one)
		if err != nil {
			return nil, err
		}
		out = append(out, all...)
	}
	return out, nil
}

// readOperation reads one operation; one without a path is several, one for each name of its value.
func readOperation(o object) ([]operation, error) {
	word, _ := o["op"].(string)
	op := operation{op: strings.ToLower(word)}
	if op.op != "add" && op.op != "remove" && op.op != "replace" {
		return nil, bad("invalidSyntax", "op is add, remove or replace.")
	}
	op.value, op.given = o["value"]
	path, ok := o["path"].(string)
	if o["path"] != nil && !ok {
		return nil, bad("invalidPath", "path is a text.")
	}
	if path != "" {
		var err error
		if op.path, err = parsePath(path); err != nil {
			return nil, err
		}
		if op.op != "remove" && !op.given {
			return nil, bad("invalidValue", "An operation that adds or replaces has a value.")
		}
		return []operation{op}, nil
	}
	if op.op == "remove" {
		return nil, bad("noTarget", "An operation that removes has a path.")
	}
	values, ok := op.value.(object)
	if !ok {
		return nil, bad("invalidValue", "The value of an operation without a path is an object.")
	}
	return spread(op, values, "")
}

// spread is an operation for each name of a value. A name may be a path, as Microsoft Entra and
// Okta write some, or the name of an extension.
func spread(op operation, values object, schema string) ([]operation, error) {
	var out []operation
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if inner, ok := values[name].(object); ok && schema == "" && strings.HasPrefix(name, "urn:") && isSchema(name) {
			all, err := spread(op, inner, name+":")
			if err != nil {
				return nil, err
			}
			out = append(out, all...)
			continue
		}
		if name == "schemas" && schema == "" {
			continue // what the resource is stays
		}
		path, err := parsePath(schema + name)
		if err != nil {
			return nil, err
		}
		out = append(out, operation{op: op.op, path: path, value: values[name], given: true, whole: true})
	}
	return out, nil
}

func isSchema(name string) bool {
	return name == enterpriseName || strings.EqualFold(name, userSchema) || strings.EqualFold(name, groupSchema)
}

// editable is a resource as a client would send it, for PATCH to change.
func editable(resource map[string]any) object {
	out := object{}
	for _, name := range []string{"userName", "displayName", "externalId", "active"} {
		if v, ok := resource[name]; ok {
			out[strings.ToLower(name)] = v
		}
	}
	var mails []any
	all, _ := resource["emails"].([]map[string]any)
	for _, m := range all {
		mails = append(mails, object{"value": m["value"], "type": m["type"], "primary": m["primary"]})
	}
	if mails != nil {
		out["emails"] = mails
	}
	return out
}

// patchUser changes a person's resource by operations, one after the other.
func patchUser(doc object, ops []operation) (object, error) {
	for _, op := range ops {
		if err := patchOne(doc, op); err != nil {
			return nil, err
		}
	}
	if doc["username"] == nil {
		return nil, bad("invalidValue", "userName cannot be taken away.")
	}
	return doc, nil
}

func patchOne(doc object, op operation) error {
	a, ok := userKind.find(op.path.attrPath)
	switch {
	case !ok && userKind.leftOut(op.path.attrPath):
		if op.path.name == "name" && op.op != "remove" {
			return patchName(doc, op)
		}
		return nil // it is not kept
	case !ok:
		return bad("invalidPath", "The path names no attribute of a User.")
	case a.Mutability == "readOnly" && op.whole:
		return nil // Okta and Keycloak send the whole resource back
	case a.Mutability == "readOnly":
		return bad("mutability", "%s cannot be changed here.", a.Name)
	}
	if op.path.where != nil && op.path.name != "emails" {
		return bad("invalidPath", "%s has one value and no filter.", spelled(op.path.name))
	}
	switch op.path.name {
	case "emails":
		return patchMails(doc, op)
	case "name":
		return patchName(doc, op)
	}
	if op.op == "remove" || op.value == nil {
		if op.path.name == "active" || op.path.name == "username" {
			return bad("invalidValue", "%s cannot be taken away.", a.Name)
		}
		doc[op.path.name] = nil
		return nil
	}
	doc[op.path.name] = op.value
	return nil
}

// patchName changes what somebody is called by their name. givenName and familyName alone change
// nothing: they are not kept, and what they would replace is not known.
func patchName(doc object, op operation) error {
	if op.path.sub == "formatted" {
		doc["displayname"] = op.value
		if op.op == "remove" {
			doc["displayname"] = nil
		}
		return nil
	}
	if op.path.sub != "" {
		return nil
	}
	if op.op == "remove" {
		doc["displayname"] = nil
		return nil
	}
	name, ok := op.value.(object)
	if !ok {
		return bad("invalidValue", "name is an object.")
	}
	display, err := displayOf(object{"name": name})
	if err == nil && display.given {
		doc["displayname"] = display.text
	}
	return err
}

// patchMails changes the addresses, all of them or those that a filter chooses.
func patchMails(doc object, op operation) error {
	all, err := listOf(doc["emails"])
	if err != nil {
		return err
	}
	if op.path.where == nil {
		doc["emails"], err = patchAll(all, op)
		return err
	}
	inner := userKind.within(mustFind("emails"))
	if err := inner.check(op.path.where); err != nil {
		return bad("invalidPath", "%s", err.(*fault).detail)
	}
	found := false
	for i := len(all) - 1; i >= 0; i-- {
		o := all[i].(object)
		if !inner.matches(op.path.where, asSent(o, inner)) {
			continue
		}
		found = true
		if all, err = patchMail(all, i, op); err != nil {
			return err
		}
	}
	if !found {
		if all, err = addChosen(all, op); err != nil {
			return err
		}
	}
	doc["emails"] = all
	return nil
}

func mustFind(name string) attribute {
	a, _ := userKind.find(attrPath{name: name})
	return a
}

// listOf reads the values of an attribute with several, each of them an object of its own.
func listOf(v any) ([]any, error) {
	var out []any
	switch v := v.(type) {
	case nil:
	case object:
		out = []any{copied(v)}
	case []any:
		for _, one := range v {
			switch one := one.(type) {
			case object:
				out = append(out, copied(one))
			case string:
				out = append(out, object{"value": one})
			default:
				return nil, bad("invalidValue", "A value of the list is an object.")
			}
		}
	case string:
		out = []any{object{"value": v}}
	default:
		return nil, bad("invalidValue", "The value is a list.")
	}
	return out, nil
}

func copied(o object) object {
	out := object{}
	for name, v := range o {
		out[name] = v
	}
	return out
}

// asSent spells the names of an object as the standard does.
func asSent(o object, k kind) map[string]any {
	out := map[string]any{}
	for name, v := range o {
		if a, ok := named(k.attributes, name); ok {
			out[a.Name] = v
		}
	}
	return out
}

// patchAll changes all addresses.
func patchAll(all []any, op operation) ([]any, error) {
	switch {
	case op.op == "remove" && op.path.sub == "":
		return []any{}, nil
	case op.op == "remove":
		for _, one := range all {
			delete(one.(object), op.path.sub)
		}
		return all, nil
	case op.path.sub != "":
		if len(all) == 0 {
			all = []any{object{}}
		}
		for _, one := range all {
			one.(object)[op.path.sub] = op.value
		}
		return all, nil
	}
	values, err := listOf(op.value)
	if err != nil || op.op == "replace" {
		if values == nil {
			values = []any{}
		}
		return values, err
	}
	return append(demoted(all, values), values...), nil
}

// demoted takes primary away from values where a new one is (RFC 7644, section 3.5.2).
func demoted(all, come []any) []any {
	for _, v := range come {
		if primary, err := boolOf("primary", v.(object)["primary"]); err == nil && primary {
			for _, one := range all {
				one.(object)["primary"] = false
			}
		}
	}
	return all
}

// patchMail changes the address at i.
func patchMail(all []any, i int, op operation) ([]any, error) {
	o := all[i].(object)
	switch {
	case op.op == "remove" && op.path.sub == "":
		return slices.Delete(all, i, i+1), nil
	case op.op == "remove":
		delete(o, op.path.sub)
	case op.path.sub != "":
		o[op.path.sub] = op.value
	default:
		value, ok := op.value.(object)
		if !ok {
			return nil, bad("invalidValue", "An address of emails is an object.")
		}
		if op.op == "replace" {
			o = object{}
			all[i] = o
		}
		for name, v := range value {
			o[name] = v
		}
	}
	return all, nil
}

// addChosen adds an address where the filter of a path chooses none and says what it would be, as
// Microsoft Entra adds one: emails[type eq "work"].value.
func addChosen(all []any, op operation) ([]any, error) {
	switch {
	case op.op != "add", op.path.where.op != "eq", op.path.where.path.name != "type":
		return nil, noTarget // RFC 7644, section 3.5.2.3
	}
	o := object{"type": op.path.where.value}
	if op.path.sub != "" {
		o[op.path.sub] = op.value
	} else if value, ok := op.value.(object); ok {
		for name, v := range value {
			o[name] = v
		}
	} else {
		return nil, bad("invalidValue", "An address of emails is an object.")
	}
	return append(demoted(all, []any{o}), o), nil
}

var noTarget = bad("noTarget", "The filter of the path chooses nothing.")
