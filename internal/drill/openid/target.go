package openid

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"countersign/internal/drill/web"
)

// Configured is an application by its name, its kind and its settings.
type Configured struct {
	Application, Kind string
	Settings          json.RawMessage
}

// settings are what a drill reads of an application's.
type settings struct {
	ID             string   `json:"client_id"`
	Secret         string   `json:"client_secret"`
	Redirects      []string `json:"redirect_uris"`
	Scopes         []string `json:"scopes"`
	Authentication string   `json:"authentication"`
	Requests       string   `json:"requests"`
	Profile        string   `json:"profile"`
	Consent        string   `json:"consent"`
	Sender         string   `json:"sender_constrained"`
}

// Here are the applications that a drill can play in the place of their programs. Left are those
// that it cannot, by their names as components, and why.
func Here(server web.Server, all []Configured) (out []Client, left map[string]string, err error) {
	left = map[string]string{}
	for _, one := range all {
		var s settings
		if err := json.Unmarshal(one.Settings, &s); err != nil {
			return nil, nil, fmt.Errorf("the settings of %s cannot be read", one.Application)
		}
		if len(s.Redirects) == 0 {
			continue // a resource server: nobody comes in by it
		}
		c := Client{Application: one.Application, Server: server, ID: s.ID, Secret: s.Secret, Redirect: s.Redirects[0], Code: one.Kind == "code", Mail: one.Kind == "webmail", Scope: strings.Join(append([]string{"openid"}, s.Scopes...), " "), Held: s.Sender}
		if why := s.unplayed(); why != "" {
			left[c.name()] = why
			continue
		}
		out = append(out, c)
	}
	return out, left, nil
}

// unplayed says why the application's requests cannot be played, or nothing.
func (s settings) unplayed() string {
	back, err := url.Parse(s.Redirects[0])
	switch {
	case s.Requests != "" || s.Profile != "":
		return "it must push or sign its requests, and a drill does not have its key"
	case s.Authentication != "" && s.Authentication != "secret" && s.Authentication != "none", s.Sender != "" && !strings.HasPrefix(s.Sender, "dpop"):
		return "it shows a key or a certificate of its own for its tokens, which a drill does not have"
	case s.Consent != "":
		return "it asks people for their consent, which a drill does not give"
	case err != nil || back.Host == "":
		return "people are sent back to a program on their machine, and not to an address"
	}
	return ""
}
