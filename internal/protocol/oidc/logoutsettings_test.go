package oidc

import (
	"encoding/json"
	"strings"
	"testing"
)

// Where a client is told is an address that everybody reads alike, and a frame is of the client's
// own host, and ends no rule of a policy.
func TestWhereClientsAreTold(t *testing.T) {
	const base = "https://wiki.example.org"
	for name, c := range map[string]struct {
		more map[string]any
		bad  bool
	}{
		"neither":                           {map[string]any{}, false},
		"the back channel":                  {map[string]any{"backchannel_logout_uri": base + "/bye?x=1", "backchannel_logout_session_required": true}, false},
		"another host's":                    {map[string]any{"backchannel_logout_uri": "https://hooks.example.org/bye"}, false},
		"this machine's":                    {map[string]any{"backchannel_logout_uri": "http://127.0.0.1:8080/bye", "inside": []string{"127.0.0.1"}}, false},
		"places inside":                     {map[string]any{"backchannel_logout_uri": base + "/bye", "inside": []string{"10.0.0.0/8", "fd00::1", "wiki.intern"}}, false},
		"the front channel":                 {map[string]any{"frontchannel_logout_uri": base + ":443/bye?x=1", "frontchannel_logout_session_required": true}, false},
		"a fragment":                        {map[string]any{"backchannel_logout_uri": base + "/bye#x"}, true},
		"relative":                          {map[string]any{"backchannel_logout_uri": "/bye"}, true},
		"without TLS":                       {map[string]any{"backchannel_logout_uri": "http://wiki.example.org/bye"}, true},
		"a name in front":                   {map[string]any{"backchannel_logout_uri": "https://wiki.example.org@evil.example/bye"}, true},
		"a scheme":                          {map[string]any{"backchannel_logout_uri": "file:///etc/passwd"}, true},
		"a backslash":                       {map[string]any{"backchannel_logout_uri": `https://wiki.example.org\@evil.example/`}, true},
		"a port inside that is no place":    {map[string]any{"backchannel_logout_uri": base + "/bye", "inside": []string{"10.0.0.1:8080"}}, true},
		"every place":                       {map[string]any{"backchannel_logout_uri": base + "/bye", "inside": []string{"*"}}, true},
		"a session and no address":          {map[string]any{"backchannel_logout_session_required": true}, true},
		"a session and no frame":            {map[string]any{"frontchannel_logout_session_required": true}, true},
		"a frame of another host":           {map[string]any{"frontchannel_logout_uri": "https://evil.example/bye"}, true},
		"a frame of another port":           {map[string]any{"frontchannel_logout_uri": base + ":444/bye"}, true},
		"a frame of another scheme":         {map[string]any{"frontchannel_logout_uri": "http://wiki.example.org/bye"}, true},
		"a frame that ends a rule":          {map[string]any{"frontchannel_logout_uri": base + "/bye?a=b;script-src"}, true},
		"a frame that ends a list":          {map[string]any{"frontchannel_logout_uri": base + "/bye,x"}, true},
		"a frame with a script in its name": {map[string]any{"frontchannel_logout_uri": "javascript:alert(1)"}, true},
	} {
		c.more["client_id"], c.more["client_secret"], c.more["redirect_uris"] = "wiki", strings.Repeat("s", 32), []string{base + "/callback"}
		raw, err := json.Marshal(c.more)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckSettings(raw); (err != nil) != c.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}
