package entra

import (
	"context"
	"net/url"
	"strings"

	"countersign/internal/application"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
)

// Description is what the rest of the server asks of this protocol.
func Description() protocol.Description {
	return protocol.Description{
		Name: Protocol, Way: "as the second factor of Microsoft Entra", Document: "entra.md", Plays: prompt.Browser,
		CheckSettings: CheckSettings, Clash: Clash, Identify: identify, Form: form(), Guides: guides(), Exposure: exposure,
		Test: func(_ context.Context, t protocol.Trial) []protocol.Finding {
			return t.Overheard(issuer(t.Place.Public, t.Application.Name) + authorizePath)
		},
		Open: open,
	}
}

func exposure(app application.Application) (protocol.Exposure, error) {
	out := protocol.Exposure{Medium: prompt.Browser}
	s, err := parse(app.Settings)
	if err != nil {
		return out, err
	}
	out.Entrances = []string{s.redirect()}
	if s.Provisioner != "" {
		out.Caveats = append(out.Caveats, "whoever holds the key of "+s.Provisioner+" says which account shows the factor of somebody who comes for the first time (provisioned_by)")
	}
	if s.Evidence == OfSession {
		out.Caveats = append(out.Caveats, "a factor that was shown before Entra asked counts while policy lets it (evidence: session): a stolen session here answers for its owner")
	}
	return out, nil
}

func form() []protocol.Group {
	return []protocol.Group{
		{Fields: []protocol.Field{
			{Name: "tenant_id", Label: "Tenant ID", Help: "The GUID in the overview of the tenant in the Entra admin center.", Missing: "The tenant needs its ID.", Spelled: strings.ToLower},
			{Name: "application_id", Label: "Application ID", Help: "The application (client) ID of the registration of this server in Entra.", Missing: "The registration needs its ID.", Spelled: strings.ToLower},
			{Name: "client_id", Label: "Client ID", Help: "What Entra calls itself here: choose one, such as entra, and type the same in the Entra admin center.", Missing: "Choose a client ID."},
			{Name: "cloud", Label: "Cloud", Choices: []protocol.Choice{{Value: "", Text: "Global"}, {Value: USGovernment, Text: "US Government"}, {Value: China, Text: "China, operated by 21Vianet"}}},
		}},
		{Legend: "Who is who", Fields: []protocol.Field{
			{Name: "provisioned_by", Label: "Linked at first sight if provisioned by", Help: "The service account by which the tenant provisions people (SCIM) with their object ID as externalId. Empty: administrators link each account."},
			{Name: "evidence", Label: "What counts", Choices: []protocol.Choice{{Value: "", Text: "What is shown after Entra asked"}, {Value: OfSession, Text: "What the session here holds as well"}}},
		}},
	}
}

func guides() []protocol.Guide {
	return []protocol.Guide{{Name: "entra", Title: "Microsoft Entra admin center", Document: "entra.md", Write: func(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
		s, err := parse(app.Settings)
		if err != nil {
			return nil, err
		}
		ours := issuer(at.Public, url.PathEscape(app.Name))
		return []protocol.Ready{{Path: "entra.txt", Text: strings.Join([]string{
			"# Entra admin center, App registrations: the registration of this server",
			"Application (client) ID = " + s.App,
			"Redirect URI (Web)      = " + ours + authorizePath,
			"API permissions         = Microsoft Graph, delegated: openid, profile; grant admin consent",
			"",
			"# Entra admin center, Authentication methods, Add external method",
			"Client ID               = " + s.ClientID,
			"Discovery Endpoint      = " + ours + discoveryPath,
			"App ID                  = " + s.App, ""}, "\n")}}, nil
	}}}
}
