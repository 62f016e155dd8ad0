package policy

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a document means the same on a machine without zone files

	"go.yaml.in/yaml/v3"
)

// Limits of a document. They bound what a Decide can cost.
const (
	maxRules     = 1000
	maxNetworks  = 1000
	maxPrefixes  = 20000
	maxTests     = 1000
	maxName      = 100
	maxCondition = 4096
)

// draft is a document as read: everything checked but the conditions.
type draft struct {
	zone     *time.Location
	networks map[string]*network
	rules    []*ruleDraft
	tests    []expectation
}

// read fills a draft from the document's root.
func (r *reader) read(root *yaml.Node, known *vocabulary) *draft {
	d := &draft{zone: time.UTC, networks: map[string]*network{}}
	var rules, tests *yaml.Node
	r.mapping(root, "the policy",
		field{"timezone", func(n *yaml.Node) { r.timezone(n, d) }},
		field{"networks", func(n *yaml.Node) { r.networks(n, d) }},
		field{"rules", func(n *yaml.Node) { rules = n }},
		field{"tests", func(n *yaml.Node) { tests = n }},
	)
	if rules == nil || rules.Kind == yaml.SequenceNode && len(rules.Content) == 0 {
		r.fail(root, "the policy has no rules, so that nobody could sign in; write at least one under \"rules:\"")
		return d
	}
	(&ruleReader{r, known}).rules(rules, d)
	if tests != nil {
		(&testReader{r, known}).tests(tests, d)
	}
	return d
}

func (r *reader) timezone(n *yaml.Node, d *draft) {
	s, ok := r.word(n, "timezone")
	if !ok {
		return
	}
	zone, err := time.LoadLocation(s)
	if err != nil || s == "Local" {
		r.fail(n, "unknown timezone %q; write one as in Europe/Berlin or UTC", s)
		return
	}
	d.zone = zone
}

var networkName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// reserved are words that CEL keeps for itself, even behind a dot.
var reserved = setOf([]string{"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import",
	"in", "let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"})

func (r *reader) networks(n *yaml.Node, d *draft) {
	total := 0
	r.entries(n, "networks", func(key, value *yaml.Node) {
		name := key.Value
		switch {
		case !networkName.MatchString(name) || len(name) > maxName:
			r.fail(key, "%q cannot be a network's name; use letters, digits and _, as in branch_office", name)
		case reserved[name]:
			r.fail(key, "%q is a word of the condition language; give the network another name", name)
		case len(d.networks) == maxNetworks:
			r.fail(key, "there are more than %d networks", maxNetworks)
		}
		var prefixes []netip.Prefix
		r.words(value, "network "+name, func(item *yaml.Node, s string) {
			p, err := parsePrefix(s)
			if err != nil {
				r.fail(item, "network %s: %v", name, err)
				return
			}
			prefixes = append(prefixes, p)
		})
		if total += len(prefixes); total > maxPrefixes {
			r.fail(key, "the networks hold more than %d ranges", maxPrefixes)
		}
		d.networks[name] = newNetwork(name, prefixes)
	})
}

// peekName returns the name that a rule or test gives itself, for problems in it.
func peekName(n *yaml.Node) string {
	if v := valueOf(n, "name"); v != nil && v.Kind == yaml.ScalarNode && len(v.Value) <= maxName {
		return v.Value
	}
	return ""
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// brief writes a duration without its zero parts: 15m, not 15m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func sortedKeys(m map[string]bool) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
