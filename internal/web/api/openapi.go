package api

import (
	"cmp"
	"encoding"
	"encoding/json"
	"net/http"
	"path"
	"reflect"
	"strings"
	"time"

	"countersign/internal/web/look"
)

// openAPI serves the document.
func (a *API) openAPI(http.ResponseWriter, *http.Request) (any, error) { return a.Document(), nil }

type object = map[string]any

// Document describes the API by OpenAPI 3.1, from the same list that is served.
func (a *API) Document() map[string]any {
	paths := object{}
	d := &schemas{components: object{}}
	for _, r := range a.Requests() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		item, _ := paths[path].(object)
		if item == nil {
			item = object{}
			paths[path] = item
		}
		item[strings.ToLower(method)] = d.operation(r)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "Countersign", "version": "1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Every administrative command as one request. A person's session comes from `login`; a program uses an automation key. A command that changes something answers 401 with the error `insufficient_user_authentication` (RFC 9470) where the session shows too little, or, to a request with `Prefer: respond-async`, 202 with a page on which the person approves its exact text, unless a key was issued for it."},
		"servers": []any{object{"url": a.publicURL.String()}},
		"paths":   paths,
		"components": object{"schemas": d.components, "securitySchemes": object{
			"bearer": object{"type": "http", "scheme": "bearer", "description": "The secret of a command line's session, or an automation key (cskey_...)."}}},
	}
}

// schemas gathers the named types on the way.
type schemas struct{ components object }

func (d *schemas) operation(r Route) object {
	path := r.Pattern[strings.Index(r.Pattern, Root)+len(Root):]
	op := object{"summary": r.Summary, "operationId": strings.NewReplacer("/", ".", "commands.", "").Replace(strings.ToLower(strings.Fields(r.Pattern)[0]) + "." + path),
		"x-demands": r.Demand.String()}
	if id, ok := strings.CutPrefix(path, "commands/"); ok {
		op["operationId"] = id
	}
	if r.Demand != look.Public() {
		op["security"] = []any{object{"bearer": []any{}}}
	}
	if r.Takes != nil {
		op["requestBody"] = object{"required": true, "content": content("application/json", d.of(indirect(r.Takes)))}
	}
	good := object{"description": "Done."}
	if r.Answers != nil {
		good["content"] = content("application/json", d.of(indirect(r.Answers)))
	}
	responses := object{"200": good, "default": object{"description": "Refused, with one sentence why.", "content": content("application/problem+json", d.of(reflect.TypeFor[Problem]()))}}
	if strings.HasPrefix(path, "commands/") {
		responses["401"] = object{"description": "There is no session, or it shows too little for this (RFC 9470).", "content": content("application/problem+json", d.of(reflect.TypeFor[Problem]()))}
		responses["202"] = object{"description": "A person must approve it in their browser first.", "content": content("application/json", d.of(reflect.TypeFor[Approval]()))}
	}
	op["responses"] = responses
	return op
}

func content(kind string, schema object) object { return object{kind: object{"schema": schema}} }

var (
	timeType = reflect.TypeFor[time.Time]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType = reflect.TypeFor[json.Marshaler]()
)

// of returns the schema of a type as encoding/json writes it.
func (d *schemas) of(t reflect.Type) object {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t == rawType, t.Kind() == reflect.Interface, t.Implements(jsonType):
		return object{}
	case t.Implements(textType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return d.named(t)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": d.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	default:
		return object{"type": "integer"}
	}
}

func (d *schemas) named(t reflect.Type) object {
	if t.Name() == "" {
		return d.fields(t)
	}
	name := schemaName(t)
	if d.components[name] == nil {
		d.components[name] = object{} // a type that holds itself ends here
		d.components[name] = d.fields(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// schemaName names a type by its room and what it is called there: two rooms may have a
// List. A noun of admin stands in the name once, and the API's own types stand alone.
func schemaName(t reflect.Type) string {
	folder, room := path.Split(t.PkgPath())
	if room == "admin" || room == "api" {
		return t.Name()
	}
	word := strings.ToUpper(room[:1]) + room[1:]
	if strings.HasSuffix(folder, "/admin/") && strings.HasPrefix(t.Name(), word) {
		return t.Name()
	}
	return cmp.Or(keptNames[word+t.Name()], word+t.Name())
}

// keptNames are those under which clients were made from the document: they stay.
var keptNames = map[string]string{
	"AuditAlarm": "Alarm", "AuditAlarmPage": "Alarms", "GroupMemberAdd": "MemberAdd", "GroupMemberRemove": "MemberRemove", "PromptsDay": "PromptDay",
	"CoverageDeclared": "Declared", "CoverageDrillRecord": "DrillRecord", "CoverageRecorded": "Recorded",
	"PolicyExplainedAbility": "ExplainedAbility", "PolicyExplainedRule": "ExplainedRule",
}

func (d *schemas) fields(t reflect.Type) object {
	properties, required := object{}, []any{}
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		for f := range t.Fields() {
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && tag == "":
				add(f.Type)
			case !f.IsExported() || tag == "-":
			default:
				if tag == "" {
					tag = f.Name
				}
				schema := d.of(f.Type)
				if help := f.Tag.Get("help"); help != "" && schema["$ref"] == nil {
					schema["description"] = help
				}
				properties[tag] = schema
				if !strings.Contains(options, "omit") {
					required = append(required, tag)
				}
			}
		}
	}
	add(t)
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
