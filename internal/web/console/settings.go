package console

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"countersign/internal/admin"
)

// The settings of each protocol are its own: here they are JSON with the fields
// that the form has, and what it does not have is left as it is.

func decodeNumbers(text string, into any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(into)
}

// rowNumbers counts the rows of a kind that the form has: those that were filled
// in or sent, at least so many, and one more where that was asked for.
func rowNumbers(f *form, kind string, least int) []int {
	n := least
	for i := range mostRows {
		if _, ok := f.values[fmt.Sprint(kind, "-", rowMarks[kind], "-", i)]; ok {
			n = max(n, i+1)
		}
	}
	if f.text(moreField) == kind {
		n = min(n+1, mostRows)
	}
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// mostRows bounds what one form is read for.
const mostRows = 200

// rowMarks is the field that every row of a kind has.
var rowMarks = map[string]string{"rule": "path", "client": "name"}

func (f *form) row(kind, name string, i int) string {
	return f.text(fmt.Sprint(kind, "-", name, "-", i))
}

func (f *form) setRow(kind, name string, i int, value string) {
	f.values.Set(fmt.Sprint(kind, "-", name, "-", i), value)
}

// Row begins an input of a row.
func (f *form) Row(kind, name string, i int, label string) field {
	return f.Field(fmt.Sprint(kind, "-", name, "-", i), label)
}

// Text is what was typed into a field.
func (f *form) Text(name string) string { return f.text(name) }

// RowText is what was typed into a field of a row.
func (f *form) RowText(kind, name string, i int) string { return f.row(kind, name, i) }

// words are what is separated by commas or white space.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
}

// put sets a field, or takes it away where there is nothing to set.
func put(m map[string]any, key string, value any, there bool) {
	if there {
		m[key] = value
		return
	}
	delete(m, key)
}

func fillForwardAuth(f *form, settings json.RawMessage) {
	var s struct {
		Hosts []string `json:"hosts"`
		Rules []struct {
			Path    string   `json:"path"`
			Methods []string `json:"methods"`
			Action  string   `json:"action"`
		} `json:"rules"`
	}
	if json.Unmarshal(settings, &s) != nil {
		return // the advanced form shows what is stored
	}
	f.values.Set("hosts", strings.Join(s.Hosts, "\n"))
	for i, r := range s.Rules {
		f.setRow("rule", "path", i, r.Path)
		f.setRow("rule", "methods", i, strings.Join(r.Methods, ", "))
		f.setRow("rule", "action", i, r.Action)
	}
}

func setForwardAuth(f *form, base map[string]any) {
	hosts := f.lines("hosts")
	if len(hosts) == 0 {
		f.wrong("hosts", "Name at least one host, such as wiki.example.org.")
	}
	base["hosts"] = hosts
	var rules []any
	for i := range mostRows {
		path, methods, action := f.row("rule", "path", i), words(strings.ToUpper(f.row("rule", "methods", i))), f.row("rule", "action", i)
		if path == "" && action == "" && len(methods) == 0 {
			continue
		}
		if path == "" || action == "" {
			f.wrong(fmt.Sprint("rule-path-", i), "A rule needs a path and an action; empty all of it to remove the rule.")
		}
		r := map[string]any{"path": path, "action": action}
		put(r, "methods", methods, len(methods) > 0)
		rules = append(rules, r)
	}
	put(base, "rules", rules, len(rules) > 0)
}

type radiusClient struct {
	Name     string   `json:"name"`
	Networks []string `json:"networks"`
	Secret   string   `json:"secret"`
	NAS      []string `json:"nas_identifiers"`
}

func fillRADIUS(f *form, settings json.RawMessage) {
	var s struct {
		Clients         []radiusClient
		Mode, Separator string
		CodeDigits      int `json:"code_digits"`
		Timeout         int
		Source          string `json:"source_attribute"`
		Bind            string
		Ports           []int
	}
	if json.Unmarshal(settings, &s) != nil {
		return
	}
	f.values.Set("mode", s.Mode)
	f.values.Set("separator", s.Separator)
	f.values.Set("bind", s.Bind)
	f.values.Set("source_attribute", s.Source)
	for name, n := range map[string]int{"code_digits": s.CodeDigits, "timeout": s.Timeout} {
		if n != 0 {
			f.values.Set(name, strconv.Itoa(n))
		}
	}
	f.values.Set("ports", strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Ports), " ", ", "), "[]"))
	for i, c := range s.Clients {
		f.setRow("client", "name", i, c.Name)
		f.setRow("client", "was", i, c.Name)
		f.setRow("client", "networks", i, strings.Join(c.Networks, "\n"))
		f.setRow("client", "nas", i, strings.Join(c.NAS, ", "))
	}
}

func setRADIUS(f *form, base map[string]any) {
	for _, name := range []string{"mode", "separator", "bind", "source_attribute"} {
		put(base, name, f.text(name), f.text(name) != "")
	}
	for _, name := range []string{"code_digits", "timeout"} {
		n, err := strconv.Atoi(f.text(name))
		if err != nil && f.text(name) != "" {
			f.wrong(name, "Write a number.")
		}
		put(base, name, n, f.text(name) != "")
	}
	var ports []int
	for _, w := range words(f.text("ports")) {
		n, err := strconv.Atoi(w)
		if err != nil {
			f.wrong("ports", "Write numbers of ports, such as 1812.")
		}
		ports = append(ports, n)
	}
	put(base, "ports", ports, len(ports) > 0)
	base["clients"] = setClients(f, base)
}

// setClients keeps of every stored client what the form does not have, such as
// its exceptions. An empty secret keeps the stored one, which admin puts back.
func setClients(f *form, base map[string]any) []any {
	stored := map[string]map[string]any{}
	old, _ := base["clients"].([]any)
	for _, c := range old {
		if m, ok := c.(map[string]any); ok {
			name, _ := m["name"].(string)
			stored[name] = m
		}
	}
	out := []any{}
	for i := range mostRows {
		name, secret, networks := f.row("client", "name", i), f.row("client", "secret", i), f.lines(fmt.Sprint("client-networks-", i))
		if f.row("client", "gone", i) != "" || name == "" && secret == "" && len(networks) == 0 {
			continue
		}
		c := map[string]any{}
		if was := stored[f.row("client", "was", i)]; was != nil {
			for k, v := range was {
				c[k] = v
			}
		}
		if name == "" {
			f.wrong(fmt.Sprint("client-name-", i), "Every client needs a name, for the audit log.")
		}
		if len(networks) == 0 {
			f.wrong(fmt.Sprint("client-networks-", i), "Say where the client sends from.")
		}
		if secret == "" && c["secret"] == nil {
			f.wrong(fmt.Sprint("client-secret-", i), "A new client needs a secret.")
		}
		c["name"], c["networks"] = name, networks
		if c["secret"] = secret; secret == "" {
			c["secret"] = admin.HiddenSecret
		}
		nas := words(f.row("client", "nas", i))
		put(c, "nas_identifiers", nas, len(nas) > 0)
		out = append(out, c)
	}
	return out
}
