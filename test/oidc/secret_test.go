package oidc

import (
	"fmt"
	"maps"
	"net/url"
	"strings"
	"testing"
)

// secrets are the names of what lets whoever has it in: a failing test says that it came, and
// never what it is.
var secrets = []string{"code", "access_token", "refresh_token", "id_token", "request_uri", "client_secret"}

// reply is what we answer a client. It is printed without its secrets.
type reply map[string]any

func (r reply) String() string {
	shown := maps.Clone(map[string]any(r))
	for _, name := range secrets {
		if v, there := shown[name]; there {
			shown[name] = fmt.Sprintf("(%d characters)", len(fmt.Sprint(v)))
		}
	}
	return fmt.Sprint(shown)
}

// came is what a browser brings a client. It is printed without its secrets.
type came url.Values

// Get is [url.Values.Get].
func (c came) Get(name string) string { return url.Values(c).Get(name) }

func (c came) String() string {
	shown := maps.Clone(map[string][]string(c))
	for _, name := range secrets {
		if all, there := shown[name]; there {
			shown[name] = []string{fmt.Sprintf("(%d characters)", len(strings.Join(all, "")))}
		}
	}
	return fmt.Sprint(shown)
}

// What a failing test prints of an answer has what is wrong in it, and nothing that lets in.
func TestNothingSecretIsPrinted(t *testing.T) {
	for _, name := range secrets {
		said, brought := reply{name: "hidden", "error": "shown"}, came{name: {"hidden"}, "error": {"shown"}}
		for _, text := range []string{fmt.Sprint(said), fmt.Sprintf("%v %+v %s", said, said, said), fmt.Sprint(brought), fmt.Sprintf("%v %+v %s", brought, brought, brought)} {
			if strings.Contains(text, "hidden") || !strings.Contains(text, "shown") || !strings.Contains(text, name) {
				t.Errorf("%s is printed as %s", name, text)
			}
		}
	}
	if got := fmt.Sprint(came(nil)); got != "map[]" {
		t.Errorf("nothing is printed as %s", got)
	}
}
