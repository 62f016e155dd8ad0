package forwardauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/signin"
)

// Rule ties requests to an action, which policy can demand more for.
type Rule struct {
	// Path covers itself and everything under it; a slash at its end makes no
	// difference, as it makes none to most applications.
	Path string `json:"path"`
	// Methods are those it is for; all when empty. GET includes HEAD.
	Methods []string `json:"methods,omitempty"`
	// Query are conditions that must all hold: a name that must be there, or
	// name=value.
	Query []string `json:"query,omitempty"`
	// Action is what policy sees.
	Action string `json:"action"`
}

// reading is what a rule makes of a request. The zero one refuses.
type reading int

const (
	unclear reading = iota // one program would say yes, another no
	no
	yes
)

// both is yes when both are, and no when one is.
func both(a, b reading) reading {
	switch {
	case a == no || b == no:
		return no
	case a == yes && b == yes:
		return yes
	}
	return unclear
}

// request is what rules look at.
type request struct {
	method string
	target
	// overridden says that the request names a second method, for applications
	// that heed X-HTTP-Method-Override, _method and the like.
	overridden bool
}

// rules are an application's, prepared.
type rules []prepared

// prepared is a rule with its path decoded, and what is left of that when all is
// taken away that some program overlooks. A rule whose path cannot be read today
// makes everything unclear.
type prepared struct {
	Rule
	own, skeleton string
	readable      bool
}

func prepare(list []Rule) rules {
	var out rules
	for _, r := range list {
		own, ok := rulePath(r.Path)
		out = append(out, prepared{r, own, pathSkeleton(own), ok})
	}
	return out
}

// action returns what a request is, by the first rule that covers it, or none.
// It is false when a rule covers it in one spelling and not in another, as
// /ADMIN for a rule about /admin: that is refused, and never a way around.
func (rs rules) action(r request) (string, bool) {
	if len(rs) == 0 {
		return "", true
	}
	loose := pathSkeleton(r.path)
	for _, rule := range rs {
		switch rule.read(r, loose) {
		case yes:
			return rule.Action, true
		case unclear:
			return "", false
		}
	}
	return "", true
}

func (rule prepared) read(r request, loose string) reading {
	got := both(rule.readPaths(r.target, loose), rule.readMethod(r))
	if got == no || len(rule.Query) == 0 {
		return got
	}
	return both(got, rule.readQuery(r.query))
}

// readPaths is what a rule makes of all that programs may take a path for: if they do not
// agree, it is unclear.
func (rule prepared) readPaths(t target, loose string) reading {
	got := rule.readPath(t.path, loose)
	for _, other := range t.others {
		if rule.readPath(other, pathSkeleton(other)) != got {
			return unclear
		}
	}
	return got
}

func (rule prepared) readPath(path, loose string) reading {
	switch {
	case !rule.readable:
		return unclear
	case under(rule.own, path):
		return yes
	case under(rule.skeleton, loose):
		return unclear
	}
	return no
}

func under(own, p string) bool {
	own = strings.TrimSuffix(own, "/")
	rest, ok := strings.CutPrefix(p, own)
	return ok && (rest == "" || rest[0] == '/')
}

// rulePath reads the path of a rule, which may hold letters of any script as
// they are.
func rulePath(p string) (string, bool) {
	var sent strings.Builder
	for _, b := range []byte(p) {
		if b >= 0x80 || b == ' ' {
			const hex = "0123456789ABCDEF"
			sent.Write([]byte{'%', hex[b>>4], hex[b&15]})
			continue
		}
		sent.WriteByte(b)
	}
	t, ok := readTarget(sent.String())
	return t.path, ok && !strings.Contains(p, "?")
}

func (rule Rule) readMethod(r request) reading {
	same := func(m string) bool { return strings.EqualFold(m, r.method) }
	switch {
	case len(rule.Methods) == 0:
		return yes
	case r.overridden:
		return unclear
	case slices.Contains(rule.Methods, r.method), r.method == http.MethodHead && slices.Contains(rule.Methods, http.MethodGet):
		return yes
	case slices.ContainsFunc(rule.Methods, same):
		return unclear
	}
	return no
}

func (rule Rule) readQuery(raw string) reading {
	pairs, ok := readQuery(raw)
	if !ok {
		return unclear
	}
	got := yes
	for _, condition := range rule.Query {
		got = both(got, pairs.read(condition))
	}
	return got
}

type pair struct{ name, value string }

type pairs []pair

// readQuery splits a query and decodes it. A query that programs split in
// several ways has no reading.
func readQuery(raw string) (pairs, bool) {
	if strings.ContainsRune(raw, ';') {
		return nil, false
	}
	var out pairs
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			return nil, false
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, false
		}
		out = append(out, pair{name, value})
	}
	return out, true
}

// read tells whether a condition holds. A name that comes twice, or that only
// some programs take for the same, as action[] and Action for action, is
// unclear where one of its values would fit.
func (ps pairs) read(condition string) reading {
	name, value, valued := strings.Cut(condition, "=")
	var fitting, exact, all int
	for _, p := range ps {
		if nameSkeleton(p.name) != nameSkeleton(name) {
			continue
		}
		all++
		if !valued || skeleton(p.value) == skeleton(value) {
			fitting++
		}
		if p.name == name && (!valued || p.value == value) {
			exact++
		}
	}
	switch {
	case fitting == 0:
		return no
	case exact == 1 && all == 1:
		return yes
	}
	return unclear
}

// nameSkeleton is a parameter's name as loosely as any framework reads it: PHP
// drops spaces before it, ends it at a bracket and takes a dot for an underscore.
func nameSkeleton(name string) string {
	name, _, _ = strings.Cut(skeleton(name), "[")
	return strings.NewReplacer(".", "_", " ", "_").Replace(strings.TrimSpace(name))
}

// check says what is wrong with a rule that is to be saved.
func (rule Rule) check() error {
	if _, ok := rulePath(rule.Path); !ok || rule.Action == "" {
		return failure.New(failure.Invalid, "A rule has a plain path that begins with /, and an action.")
	}
	for _, m := range rule.Methods {
		if !method(m) || m != strings.ToUpper(m) {
			return failure.New(failure.Invalid, "%q is not a method in capital letters.", m)
		}
	}
	for _, q := range rule.Query {
		if name, _, _ := strings.Cut(q, "="); nameSkeleton(name) == "" {
			return failure.New(failure.Invalid, "%q is not a name or name=value.", q)
		}
	}
	return nil
}

// method reports whether a request's method is one that goes on at all: a token
// (RFC 9110 section 5.6.2), and not TRACE, which shows cookies, or CONNECT,
// which has no path.
func method(m string) bool {
	if m == "" || m == signin.AnyMethod || len(m) > 32 || strings.EqualFold(m, http.MethodTrace) || strings.EqualFold(m, http.MethodConnect) {
		return false
	}
	return !strings.ContainsFunc(m, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// capital reports whether a method has no small letter. Methods are told apart
// by case (RFC 9110 section 9.1), every registered one is in capitals, and many
// applications take delete for DELETE.
func capital(m string) bool {
	return !strings.ContainsFunc(m, func(r rune) bool { return r >= 'a' && r <= 'z' })
}
