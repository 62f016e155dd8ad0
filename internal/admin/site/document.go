package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"countersign/internal/directory"
	"countersign/internal/failure"
)

// Version is the form of the files that this program reads and writes.
const Version = 1

// longest is how long a file may be, in bytes.
const longest = 1 << 20

// document is a file as it was read. A part that it does not have is not its to say.
type document struct {
	hasGroups, hasApplications, hasPolicy bool

	groups       []groupEntry
	applications []entry
	// others are those of each part of [parts] that the file has.
	others map[string][]otherEntry
	policy string
}

// groupEntry is a group as a file has it.
type groupEntry struct {
	Name, Display string
	Privileged    bool
	place         place
}

func (g groupEntry) fields() []Field {
	out := compareTexts(Field{"display", "", g.Display})
	if g.Privileged {
		out = append(out, Field{"privileged", "", "true"})
	}
	return out
}

func (d document) names(app string) bool {
	return slices.ContainsFunc(d.applications, func(e entry) bool { return e.Name == app })
}

func (d document) namesGroup(name string) bool {
	return slices.ContainsFunc(d.groups, func(g groupEntry) bool { return g.Name == name })
}

// place is a line of the file.
type place int

func (p place) fail(format string, args ...any) error {
	return p.at(failure.New(failure.Invalid, format, args...))
}

// at says on which line the cause of an error stands, and keeps its class.
func (p place) at(err error) error {
	class := failure.ClassOf(err)
	if err == nil || class == failure.Internal {
		return err
	}
	return failure.At("file", &failure.Error{Class: class, Public: fmt.Sprintf("line %d: %s", int(p), failure.Public(err)), Reason: failure.ReasonOf(err), Cause: err})
}

// read reads a file. What is wrong with it is Invalid, and names the line.
func read(file string) (document, error) {
	if len(file) > longest {
		return document{}, failure.At("file", failure.New(failure.Invalid, "The file has %d bytes; %d is the most.", len(file), longest))
	}
	dec := yaml.NewDecoder(strings.NewReader(file))
	var root, second yaml.Node
	if err := dec.Decode(&root); errors.Is(err, io.EOF) || err == nil && len(root.Content) != 1 {
		return document{}, place(1).fail("the file is empty; begin with countersign: %d", Version)
	} else if err != nil {
		return document{}, notYAML(err)
	}
	if err := dec.Decode(&second); err == nil {
		return document{}, place(second.Line).fail("a second document begins here; write one, without ---")
	} else if !errors.Is(err, io.EOF) {
		return document{}, notYAML(err)
	}
	if err := plain(root.Content[0]); err != nil {
		return document{}, err
	}
	return readRoot(root.Content[0])
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

func notYAML(err error) error {
	what, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	return place(line).fail("this is not YAML; check the indentation, the colons and the quotes")
}

// plain refuses what would have one place of the file speak for another: it is read by
// people, and says everything where it stands.
func plain(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.ShortTag() == "!!merge" {
		return place(n.Line).fail("anchors, aliases and merges are not read; write it out")
	}
	for _, c := range n.Content {
		if err := plain(c); err != nil {
			return err
		}
	}
	return nil
}

func readRoot(n *yaml.Node) (document, error) {
	d := document{others: map[string][]otherEntry{}}
	version := 0
	known := keys{
		"countersign": func(v *yaml.Node) error { return whole(v, "countersign", &version) },
		"groups": func(v *yaml.Node) error {
			d.hasGroups = true
			return list(v, "groups", d.readGroup)
		},
		"applications": func(v *yaml.Node) error {
			d.hasApplications = true
			return list(v, "applications", d.readApplication)
		},
		"policy": func(v *yaml.Node) error {
			d.hasPolicy = true
			return text(v, "policy", &d.policy)
		},
	}
	for _, p := range parts {
		known[p.key] = func(v *yaml.Node) error {
			d.others[p.key] = []otherEntry{}
			return list(v, p.key, func(n *yaml.Node) error { return d.readOther(p, n) })
		}
	}
	err := mapping(n, "the file", known)
	switch {
	case err != nil:
		return d, err
	case version == 0:
		return d, place(n.Line).fail("the file does not say its form; write countersign: %d first", Version)
	case version != Version:
		return d, place(n.Line).fail("the file has the form %d, and this server reads %d", version, Version)
	}
	return d, nil
}

func (d *document) readGroup(n *yaml.Node) error {
	g := groupEntry{place: place(n.Line)}
	err := mapping(n, "a group", keys{
		"name":       func(v *yaml.Node) error { return text(v, "name", &g.Name) },
		"display":    func(v *yaml.Node) error { return text(v, "display", &g.Display) },
		"privileged": func(v *yaml.Node) error { return yes(v, "privileged", &g.Privileged) },
	})
	if err != nil {
		return err
	}
	canonical, err := directory.Canonical(g.Name)
	switch {
	case err != nil:
		return g.place.at(err)
	case canonical != g.Name:
		return g.place.fail("the group %q is written %q here; write it so", g.Name, canonical)
	case d.namesGroup(g.Name):
		return g.place.fail("the group %q stands here twice; remove one", g.Name)
	}
	d.groups = append(d.groups, g)
	return nil
}

func (d *document) readApplication(n *yaml.Node) error {
	e := entry{place: place(n.Line)}
	err := mapping(n, "an application", keys{
		"name":     func(v *yaml.Node) error { return text(v, "name", &e.Name) },
		"title":    func(v *yaml.Node) error { return text(v, "title", &e.Title) },
		"kind":     func(v *yaml.Node) error { return text(v, "kind", &e.Kind) },
		"tier":     func(v *yaml.Node) error { return text(v, "tier", &e.Tier) },
		"protocol": func(v *yaml.Node) error { return text(v, "protocol", &e.Protocol) },
		"vouches":  func(v *yaml.Node) error { return text(v, "vouches", &e.Vouches) },
		"over": func(v *yaml.Node) error {
			return list(v, "over", func(item *yaml.Node) error {
				var name string
				err := text(item, "over", &name)
				e.Over = append(e.Over, name)
				return err
			})
		},
		"settings": func(v *yaml.Node) (err error) {
			e.Settings, err = asJSON(v)
			return err
		},
	})
	switch {
	case err != nil:
		return err
	case e.Name == "" || e.Kind == "" || e.Protocol == "" || e.Settings == nil:
		return e.place.fail("an application needs its name, kind, protocol and settings")
	case d.names(e.Name):
		return e.place.fail("the application %q stands here twice; remove one", e.Name)
	}
	d.applications = append(d.applications, e)
	return nil
}

// asJSON is a value of a file as JSON, with its numbers as they are written.
func asJSON(n *yaml.Node) (json.RawMessage, error) {
	v, err := value(n)
	if err != nil {
		return nil, err
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, place(n.Line).fail("settings must be a block of \"key: value\" lines")
	}
	return json.Marshal(v)
}

func value(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		err := entries(n, "the settings", func(key string, v *yaml.Node) error {
			inner, err := value(v)
			out[key] = inner
			return err
		})
		return out, err
	case yaml.SequenceNode:
		out := []any{}
		for _, item := range n.Content {
			v, err := value(item)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	switch n.ShortTag() {
	case "!!str":
		return n.Value, nil
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), nil
		}
	}
	return nil, place(n.Line).fail("%q is neither a text, a number nor true or false; put it in quotes if you mean a text", n.Value)
}

// keys are what a block may have, and what reads each.
type keys map[string]func(*yaml.Node) error

func mapping(n *yaml.Node, what string, known keys) error {
	return entries(n, what, func(key string, v *yaml.Node) error {
		f, ok := known[key]
		if !ok {
			all := make([]string, 0, len(known))
			for k := range known {
				all = append(all, k)
			}
			slices.Sort(all)
			return place(v.Line).fail("%s has no %q; it can have %s", what, key, strings.Join(all, ", "))
		}
		return f(v)
	})
}

func entries(n *yaml.Node, what string, f func(key string, v *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return place(n.Line).fail("%s must be a block of \"key: value\" lines", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Value == "" {
			return place(k.Line).fail("a key of %s must be a plain word", what)
		}
		if seen[k.Value] {
			return place(k.Line).fail("%s says %q twice; remove one", what, k.Value)
		}
		seen[k.Value] = true
		if err := f(k.Value, v); err != nil {
			return err
		}
	}
	return nil
}

func list(n *yaml.Node, what string, f func(*yaml.Node) error) error {
	if n.Kind != yaml.SequenceNode {
		return place(n.Line).fail("%s must be a list; an empty one is []", what)
	}
	for _, item := range n.Content {
		if err := f(item); err != nil {
			return err
		}
	}
	return nil
}

func text(n *yaml.Node, what string, into *string) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		return place(n.Line).fail("%s must be a text; put it in quotes", what)
	}
	*into = n.Value
	return nil
}

func yes(n *yaml.Node, what string, into *bool) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(into) != nil {
		return place(n.Line).fail("%s must be true or false", what)
	}
	return nil
}

func whole(n *yaml.Node, what string, into *int) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || n.Decode(into) != nil {
		return place(n.Line).fail("%s must be a number", what)
	}
	return nil
}
