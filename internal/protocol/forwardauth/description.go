package forwardauth

import (
	"strings"

	"countersign/internal/application"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
)

// Description is what the rest of the server asks of this protocol.
func Description() protocol.Description {
	return protocol.Description{
		Name: Protocol, Way: "behind a proxy", Document: "forward-auth.md", Plays: prompt.Browser,
		CheckSettings: CheckSettings,
		CheckCompatible: func(app application.Application, around protocol.Environment) error {
			return CheckCompatible(app.Settings, around.Applications, around.Public)
		},
		Start: Start, Guides: guides(), Test: test, Clash: Clash, ProxyPaths: []string{askedPath}, ForeignPaths: []string{askedPath, hostPath},
		Open: func(p protocol.Parts) (protocol.Service, error) {
			d := New(p)
			return protocol.Service{Handle: d.Handle, Around: d.Around}, nil
		},
		Exposure: func(app application.Application) (protocol.Exposure, error) {
			return protocol.Exposure{Web: true, Actions: Actions(app.Settings), Entrances: Hosts(app.Settings), Drill: "page", Caveats: Caveats(app.Settings), Keys: TakesKeys(app.Settings)}, nil
		},
		Form: []protocol.Group{
			{Fields: []protocol.Field{{Name: "hosts", Label: "Hosts", Kind: protocol.Lines, Rows: 3,
				Help: "One a line: wiki.example.org, with its port where it has one.", Missing: "Name at least one host, such as wiki.example.org."}}},
			{Legend: "Guarded paths", List: "rules", Row: "rule", Add: "Add a path",
				Help: "They need more than signing in. A path covers itself and everything under it, with or without a / at its end. The policy can demand more for the action. The first that fits counts.",
				Fields: []protocol.Field{
					{Name: "path", Label: "Path", Missing: needs},
					{Name: "methods", Label: "Methods", Kind: protocol.Words, Spelled: strings.ToUpper},
					{Name: "action", Label: "Action", Missing: needs},
				}},
			{Legend: "Where the application itself is", Folded: true, Help: "For the proxy's configuration below, and for Test it now. Nobody is let in by it.", Fields: []protocol.Field{
				{Name: "backend", Label: "Address behind the proxy", Help: "As the proxy reaches it: http://10.0.0.7:3000."},
				{Name: "inside", Label: "Networks inside", Kind: protocol.Words, Help: "Addresses or networks of yours where the proxy and the application are, such as 10.0.0.0/24. A test asks these and public addresses, and no others."},
			}},
			{Legend: "Public paths", List: "public", Row: "public", Add: "Add a public path", Folded: true,
				Help: "They need no session, and the application is told nobody there. A path covers itself and everything under it. Guarded paths go before them.",
				Fields: []protocol.Field{
					{Name: "path", Label: "Path", Missing: "A public path needs a path; empty all of it to remove it."},
					{Name: "methods", Label: "Methods", Help: "GET and HEAD where it is empty.", Kind: protocol.Words, Spelled: strings.ToUpper},
				}},
			{Legend: "Pages of other origins (CORS)", List: "preflight", Row: "preflight", Add: "Add a path", Folded: true,
				Help: "Preflights (OPTIONS) from these origins need no session there. A path covers itself and everything under it. Guarded paths go before them.",
				Fields: []protocol.Field{
					{Name: "path", Label: "Path", Missing: needsOrigin},
					{Name: "origins", Label: "Origins", Help: "Such as https://app.example.org.", Kind: protocol.Words, Missing: needsOrigin},
				}},
			{Legend: "Programs", Folded: true, Fields: []protocol.Field{
				{Name: "programs", Label: "Programs without a session", Kind: protocol.Words,
					Help: "automation-key, password-and-code, access-token, or several. Empty: every request needs a session."},
				{Name: "tokens_of", Label: "Access tokens of", Kind: protocol.Words,
					Help: "For access-token: the names of the OpenID clients whose tokens are taken here."},
			}},
			{Legend: "Sessions", Folded: true, Fields: []protocol.Field{{Name: "sessions", Label: "People's sessions",
				Help: "A copy of a bound session's cookies is nothing after five minutes. Few browsers bind them.", Choices: protocol.SessionChoices()}}},
			{Legend: "Ambiguous addresses", Folded: true, Fields: []protocol.Field{{Name: "ambiguous", Label: "Addresses that can be read in several ways",
				Help:    "Such as /a%2Fb and /a;b. Where neither a guarded path nor the policy looks at the path, they pass in any case.",
				Choices: []protocol.Choice{{Value: "", Text: "Are refused where a path is looked at"}, {Value: Pass, Text: "Pass, unless a guarded path covers one of the readings"}}}}},
		},
	}
}

const needsOrigin = "Preflights need a path and origins; empty all of it to remove them."

const needs = "A rule needs a path and an action; empty all of it to remove the rule."
