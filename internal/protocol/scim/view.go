package scim

import (
	"slices"
	"strings"
)

// selection is what of resources a client wants (RFC 7644, section 3.9).
type selection struct {
	only, without []attrPath
}

// readSelection reads the lists of attributes, of which one is empty.
func readSelection(only, without []string) (selection, error) {
	if len(only) > 0 && len(without) > 0 {
		return selection{}, bad("invalidValue", "Ask with attributes or with excludedAttributes, and not with both.")
	}
	var s selection
	for _, list := range []struct {
		from []string
		to   *[]attrPath
	}{{only, &s.only}, {without, &s.without}} {
		if len(list.from) > 100 {
			return s, bad("invalidValue", "Name 100 attributes at most.")
		}
		for _, name := range list.from {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			p, ok := readPath(name)
			if !ok {
				return s, bad("invalidValue", "The name of an attribute is none.")
			}
			*list.to = append(*list.to, p)
		}
	}
	return s, nil
}

// wants reports whether an attribute is wanted at all.
func (s selection) wants(name string) bool {
	name = strings.ToLower(name)
	if len(s.only) > 0 {
		return slices.ContainsFunc(s.only, func(p attrPath) bool { return p.name == name })
	}
	return !slices.ContainsFunc(s.without, func(p attrPath) bool { return p.name == name && p.sub == "" })
}

// of returns what of a resource is wanted. Its id and its schemas always are.
func (s selection) of(from map[string]any) map[string]any {
	if len(s.only) == 0 && len(s.without) == 0 {
		return from
	}
	out := map[string]any{}
	for name, v := range from {
		switch {
		case name == "id" || name == "schemas":
			out[name] = v
		case s.wants(name):
			out[name] = s.within(strings.ToLower(name), v)
		}
	}
	return out
}

// within returns what of the value of an attribute is wanted.
func (s selection) within(name string, v any) any {
	var subs, not []string
	for _, p := range s.only {
		if p.name == name {
			if p.sub == "" {
				return v
			}
			subs = append(subs, p.sub)
		}
	}
	for _, p := range s.without {
		if p.name == name {
			not = append(not, p.sub)
		}
	}
	keep := func(o map[string]any) map[string]any {
		out := map[string]any{}
		for given, v := range o {
			name := strings.ToLower(given)
			if (len(subs) == 0 || slices.Contains(subs, name)) && !slices.Contains(not, name) {
				out[given] = v
			}
		}
		return out
	}
	switch v := v.(type) {
	case map[string]any:
		return keep(v)
	case []map[string]any:
		out := make([]map[string]any, len(v))
		for i, one := range v {
			out[i] = keep(one)
		}
		return out
	}
	return v
}
