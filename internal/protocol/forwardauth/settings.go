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
}

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
	return nil
}

// Hosts lists the hosts that an application's settings name.
func Hosts(raw json.RawMessage) []string {
	s, err := parse(raw)
	if err != nil {
		return nil
	}
	return s.Hosts
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
