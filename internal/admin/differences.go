package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/prompt"
	"countersign/internal/text"
)

// leaf is one value of a JSON document, with where it stands: as people read it, and exactly.
type leaf struct{ path, value, exact string }

// Values compares two JSON documents value by value. What differs has a row, and so has all
// of the later one where there is none before. Secret reports which members are secrets, by
// their names: of those only that they change is said. Members of the same name are all there.
func Values(before, after json.RawMessage, secret func(name string) bool) ([]prompt.Field, error) {
	old, err := leaves(before)
	if err != nil {
		return nil, err
	}
	now, err := leaves(after)
	if err != nil {
		return nil, err
	}
	was, is := gathered(old), gathered(now)
	var out []prompt.Field
	same := 0
	for _, path := range paths(old, now) {
		f := prompt.Field{Name: path, Before: was[path].value, After: is[path].value}
		changed := was[path].exact != is[path].exact
		if names := strings.Split(path, under); changed && slices.ContainsFunc(names, secret) {
			f, changed = hidden(f), f.After != Hidden
		}
		if changed {
			out = append(out, f)
		} else {
			same++
		}
	}
	if same > 0 {
		out = append(out, prompt.Field{Name: "All other settings", After: fmt.Sprintf("stay as they are (%d)", same)})
	}
	return out, nil
}

// Hidden stands for a secret wherever settings are shown; sent back it stands for the one
// that is there.
const Hidden = "(hidden)"

// hidden says of a secret that it changes, and never what it is.
func hidden(f prompt.Field) prompt.Field {
	switch {
	case f.Before != "" && f.After != "":
		f.Before, f.After = "a secret", "another secret"
	case f.After != "":
		f.After = "a secret"
	default:
		f.Before = "a secret"
	}
	return f
}

// under stands between the names of a path. A name that holds it is quoted, so that no name
// looks like two.
const under = " › "

// gathered puts values of the same path together, in their order.
func gathered(all []leaf) map[string]leaf {
	out := map[string]leaf{}
	for _, l := range all {
		if g, ok := out[l.path]; ok {
			l.value, l.exact = g.value+", "+l.value, g.exact+"\n"+l.exact
		}
		out[l.path] = l
	}
	return out
}

// paths are those of two documents, each once, in the order of the later one.
func paths(old, now []leaf) []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range slices.Concat(now, old) {
		if !seen[l.path] {
			seen[l.path] = true
			out = append(out, l.path)
		}
	}
	return out
}

// leaves reads the values of a document in their order.
func leaves(doc json.RawMessage) ([]leaf, error) {
	if len(bytes.TrimSpace(doc)) == 0 {
		return nil, nil
	}
	v, err := Ordered(doc)
	if err != nil {
		return nil, err
	}
	var out []leaf
	walk(v, "", &out)
	return out, nil
}

func walk(v any, at string, out *[]leaf) {
	add := func(words, exact string) { *out = append(*out, leaf{at, words, exact}) }
	switch v := v.(type) {
	case Object:
		for _, m := range v {
			walk(m.Value, joined(at, text.Name(m.Name)), out)
		}
		if len(v) == 0 {
			add("nothing", "{}")
		}
	case []any:
		walkList(v, at, out)
	case string:
		add(text.OneLine(cmp.Or(v, `""`)), strconv.Quote(v))
	case bool:
		add(map[bool]string{true: "yes", false: "no"}[v], strconv.FormatBool(v))
	case nil:
		add("nothing", "null")
	default:
		add(text.OneLine(fmt.Sprint(v)), fmt.Sprint(v))
	}
}

// walkList reads the values of an array. Where all are plain they are one value. Where all are
// objects and each has a name of its own they go by it, and their order is a value as well:
// of rules it often decides which counts. All others go by their place.
func walkList(all []any, at string, out *[]leaf) {
	names, plain := memberNames(all), true
	for _, one := range all {
		switch one.(type) {
		case Object, []any:
			plain = false
		}
	}
	switch {
	case len(all) == 0:
		*out = append(*out, leaf{at, "nothing", "[]"})
	case plain:
		for _, one := range all {
			l := len(*out)
			walk(one, at, out)
			if s, ok := one.(string); ok {
				(*out)[l].value = text.Name(s)
			}
			(*out)[l].exact = "[" + (*out)[l].exact
		}
	default:
		for i, one := range all {
			name := strconv.Itoa(i + 1)
			if names != nil {
				name = text.Name(names[i])
			}
			walk(one, joined(at, name), out)
		}
		if len(names) > 1 {
			*out = append(*out, leaf{joined(at, "order"), Listed(names), Listed(names)})
		}
	}
}

// memberNames are the names of objects in an array; nil where one has none, or two have the
// same.
func memberNames(all []any) []string {
	var out []string
	for _, one := range all {
		members, _ := one.(Object)
		i := slices.IndexFunc(members, func(m Member) bool { return m.Name == "name" })
		if i < 0 {
			return nil
		}
		name, ok := members[i].Value.(string)
		if !ok || name == "order" || slices.Contains(out, name) {
			return nil
		}
		out = append(out, name)
	}
	return out
}

func joined(at, name string) string {
	if at == "" {
		return name
	}
	return at + under + name
}
