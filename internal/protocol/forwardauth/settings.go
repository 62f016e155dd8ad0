// Package forwardauth answers a reverse proxy's question: may this request go
// on to the application behind?
//
// It owns the proxies' dialects, the settings of an application behind one, and
// the way of a session to the application's own host. It decides nothing:
// signin.Check does, over what the session holds. Its one invariant: a path
// that could be read in two ways is refused, and an error never answers 200.
package forwardauth

import (
	"bytes"
	"encoding/json"
	"net"
	"slices"
	"strings"

	"countersign/internal/failure"
)

// Protocol is the word for it in an application.
const Protocol = "forward-auth"

// Settings are an application's.
type Settings struct {
	// Hosts are the exact host names, with their port where it is not the
	// scheme's own.
	Hosts []string `json:"hosts"`
	// Rules name what needs more than signing in: the first that matches.
	Rules []Rule `json:"rules,omitempty"`
}

// Rule ties a path to an action, which policy can demand more for.
type Rule struct {
	// Path is exact, or a prefix when it ends with a slash.
	Path string `json:"path"`
	// Methods are those it is for; all when empty.
	Methods []string `json:"methods,omitempty"`
	// Action is what policy sees.
	Action string `json:"action"`
}

func parse(raw json.RawMessage) (Settings, error) {
	var s Settings
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, failure.New(failure.Invalid, "The settings cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: "))
	}
	return s, nil
}

// CheckSettings says what is wrong with settings that are to be saved.
func CheckSettings(raw json.RawMessage) error {
	s, err := parse(raw)
	if err != nil {
		return err
	}
	if len(s.Hosts) == 0 {
		return failure.New(failure.Invalid, "Name at least one host, such as wiki.example.org.")
	}
	for _, h := range s.Hosts {
		name := h
		if bare, _, err := net.SplitHostPort(h); err == nil {
			name = bare
		}
		if h != strings.ToLower(h) || name == "" || strings.ContainsAny(h, "/\\@*?# \t") {
			return failure.New(failure.Invalid, "%q is not a host name in small letters.", h)
		}
	}
	for _, r := range s.Rules {
		if _, ok := cleanPath(r.Path); !ok || r.Action == "" {
			return failure.New(failure.Invalid, "A rule has a plain path that begins with /, and an action.")
		}
	}
	return nil
}

// cleanPath returns the path of a request target when it has one reading only:
// no dot segments, no empty segments, no encoded or back slashes, no
// parameters, no control characters.
func cleanPath(target string) (string, bool) {
	path, _, _ := strings.Cut(target, "?")
	lower := strings.ToLower(path)
	if !strings.HasPrefix(path, "/") || len(target) > 8192 || strings.ContainsAny(path, "\\#;\x00") {
		return "", false
	}
	for _, encoded := range []string{"%2f", "%5c", "%2e", "%00", "%25", "%3b", "//"} {
		if strings.Contains(lower, encoded) {
			return "", false
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	for _, b := range []byte(path) {
		if b <= 0x20 || b == 0x7f {
			return "", false
		}
	}
	return path, true
}

// action returns what a request is, by the first rule that matches.
func (s Settings) action(method, path string) string {
	for _, r := range s.Rules {
		matches := path == r.Path || strings.HasSuffix(r.Path, "/") && strings.HasPrefix(path, r.Path)
		if len(r.Methods) > 0 && !slices.Contains(r.Methods, method) {
			matches = false
		}
		if matches {
			return r.Action
		}
	}
	return ""
}

// Actions lists the actions that an application's rules name, which policy may
// then mention.
func Actions(raw json.RawMessage) []string {
	s, err := parse(raw)
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range s.Rules {
		out = append(out, r.Action)
	}
	return out
}
