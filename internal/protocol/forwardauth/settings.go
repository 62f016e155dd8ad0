// Package forwardauth answers a reverse proxy's question: may this request go
// on to the application behind?
//
// It owns the proxies' dialects, the settings of an application behind one, and
// the way of a session to the application's own host. It decides nothing:
// signin.Check does, over what the session holds. Its one invariant: what could
// be read in two ways is refused, and an error never answers 200.
package forwardauth

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// Protocol is the word for it in an application.
const Protocol = "forward-auth"

// Settings are an application's.
type Settings struct {
	// Hosts are host names, with their port where it is not the scheme's own. One
	// that begins with *. stands for every name with exactly one label more; an
	// application that names a host exactly goes before it.
	Hosts []string `json:"hosts"`
	// Rules name what needs more than signing in: the first that covers a
	// request.
	Rules []Rule `json:"rules,omitempty"`
	// Ambiguous says what is done with legal addresses that programs may read in several
	// ways, such as /a%2Fb and /a;b: [Refuse] (or empty) refuses them wherever a rule or the
	// policy reads the path, [Pass] only where a rule covers some of the readings and not all.
	// Where nothing reads the path they pass under both.
	Ambiguous string `json:"ambiguous,omitempty"`
	// Public are the paths that need no session, and Preflight those at which pages of other
	// origins may ask what they may ask for. Rules go before them.
	Public    []Public    `json:"public,omitempty"`
	Preflight []Preflight `json:"preflight,omitempty"`
	// Programs are what a request may bring in its Authorization in the place of a session:
	// [AutomationKey], [PasswordAndCode], [AccessToken], or nothing.
	Programs []string `json:"programs,omitempty"`
	// TokensOf are the applications, OpenID clients, whose access tokens are taken where
	// Programs has [AccessToken].
	TokensOf []string `json:"tokens_of,omitempty"`
	// Backend is where the application itself is, as its proxy reaches it:
	// http://10.0.0.7:3000. Inside are the addresses and networks of the organisation's own in
	// which its hosts and its backend may be. Both are for the proxy's configuration as it is
	// shown and for the test of it, and let nobody in. Empty is not said.
	Backend string   `json:"backend,omitempty"`
	Inside  []string `json:"inside,omitempty"`
	// Sessions is [application.BoundSessions] for an application that takes sessions alone that are
	// bound to their device, or empty.
	Sessions string `json:"sessions,omitempty"`
}

// The values of [Settings.Ambiguous].
const (
	Refuse = "refuse"
	Pass   = "pass"
)

func parse(raw json.RawMessage) (s Settings, err error) {
	err = application.ReadSettings(raw, &s)
	return s, err
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
		if _, err := settingsHost(h); err != nil {
			return err
		}
	}
	for _, r := range s.Rules {
		if err := r.check(); err != nil {
			return err
		}
	}
	if s.Ambiguous != "" && s.Ambiguous != Refuse && s.Ambiguous != Pass {
		return failure.New(failure.Invalid, "%q is not what can be done with ambiguous addresses; use %q or %q.", s.Ambiguous, Refuse, Pass)
	}
	if s.Sessions != "" && (slices.Contains(s.Programs, AutomationKey) || slices.Contains(s.Programs, PasswordAndCode)) {
		return failure.New(failure.Invalid, "A program that brings no session has none that could be bound: leave out sessions, or %s and %s of programs.", AutomationKey, PasswordAndCode)
	}
	if err := errors.Join(application.CheckSessions(s.Sessions), s.checkPrograms(), s.checkPlaces()); err != nil {
		return err
	}
	return s.checkOpenings()
}

// checkPlaces says what is wrong with where the application is.
func (s Settings) checkPlaces() error {
	if s.Backend != "" {
		if _, err := backendURL(s.Backend); err != nil {
			return err
		}
	}
	_, err := s.inside()
	return err
}

// inside reads the networks of the organisation's own.
func (s Settings) inside() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range s.Inside {
		p, err := netip.ParsePrefix(text)
		if a, single := netip.ParseAddr(text); single == nil {
			p, err = a.Prefix(a.BitLen())
		}
		if err != nil || p.Bits() < 8 || p != p.Masked() || p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast() {
			return nil, failure.New(failure.Invalid, "%q is not an address or a network such as 10.0.0.7 or 10.0.0.0/24.", text)
		}
		out = append(out, p)
	}
	return out, nil
}

// Caveats says what an application's settings weaken.
func Caveats(raw json.RawMessage) []string {
	s, err := parse(raw)
	if err != nil {
		return nil
	}
	out := append(s.opened(), s.served()...)
	if s.Ambiguous == Pass {
		out = append(out, passesAmbiguous)
	}
	return out
}

const passesAmbiguous = "addresses that programs may read in several ways, such as /a%2Fb and /a;b, pass (ambiguous: pass): where the application reads one in a way that Countersign does not know, it is no longer what a rule or the policy says of its path"

// TakesKeys reports whether requests may come with automation keys.
func TakesKeys(raw json.RawMessage) bool {
	s, err := parse(raw)
	return err == nil && slices.Contains(s.Programs, AutomationKey)
}

// Hosts lists the hosts that an application's settings name.
func Hosts(raw json.RawMessage) []string {
	s, err := parse(raw)
	if err != nil {
		return nil
	}
	return s.Hosts
}

// Start is the front page of the first host that is named whole: of a name that stands for many
// nobody knows which.
func Start(raw json.RawMessage, scheme string) string {
	for _, h := range Hosts(raw) {
		if host, ok := plainHost(scheme, h); ok && !strings.HasPrefix(h, "*") {
			return scheme + "://" + host + "/"
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
