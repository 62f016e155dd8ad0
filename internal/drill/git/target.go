package git

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"countersign/internal/drill/openid"
)

// Configured is an application of forward-auth, by its name and settings.
type Configured struct {
	Application string
	Settings    json.RawMessage
}

// Here is the repository at an address of the application: one that ends in .git, where the
// application takes access tokens of a client that a drill can play. It reports whether there is
// one.
func Here(c Configured, address string, clients []openid.Client) (r Repository, ok bool, err error) {
	var s struct {
		Programs []string `json:"programs"`
		TokensOf []string `json:"tokens_of"`
	}
	if err := json.Unmarshal(c.Settings, &s); err != nil {
		return r, false, fmt.Errorf("the settings of %s cannot be read", c.Application)
	}
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || !strings.HasSuffix(u.Path, ".git") || !slices.Contains(s.Programs, "access-token") {
		return r, false, nil
	}
	r = Repository{Application: c.Application, Door: u.Host, URL: u.String(), Codes: slices.Contains(s.Programs, "password-and-code")}
	for _, client := range clients {
		switch {
		case !slices.Contains(s.TokensOf, client.Application):
			r.Others = append(r.Others, client)
		case r.Client.ID == "":
			r.Client = client
		}
	}
	if len(r.Others) > 1 { // one shows it
		r.Others = r.Others[:1]
	}
	return r, r.Client.ID != "", nil
}

// Page is an address of the repository that a browser can read with a session.
func (r Repository) Page() string { return r.URL + "/info/refs" }
