package saml

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"countersign/internal/application"
	"countersign/internal/certkey"
	"countersign/internal/failure"
	"countersign/internal/metadata"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
)

// Description is what the rest of the server asks of this protocol.
func Description() protocol.Description {
	return protocol.Description{
		Name: Protocol, Way: "by SAML", Document: "saml.md", Plays: prompt.Browser,
		CheckSettings: CheckSettings, Clash: Clash, Keys: []certkey.Purpose{keys}, Form: form(), Guides: guides(),
		Test: func(ctx context.Context, t protocol.Trial) []protocol.Finding {
			return append(tryMetadata(ctx, t), t.Overheard(t.Place.Public.JoinPath(signInPath).String())...)
		},
		Start: start, Begin: begin,
		Open: func(p protocol.Parts) (protocol.Service, error) {
			d := newProvider(p)
			out := &signOuts{d}
			return protocol.Service{Handle: func(mux *http.ServeMux) { d.handle(mux); out.handle(mux) }, Left: out.left, Work: out.work}, nil
		},
		Exposure: exposure,
	}
}

// tryMetadata reads the metadata of an application from its address now, and keeps nothing.
func tryMetadata(ctx context.Context, t protocol.Trial) []protocol.Finding {
	from, is := Fetched(t.Application)
	if !is {
		return nil
	}
	d, err := metadata.Fetch(ctx, from, t.Now)
	if err == nil {
		_, err = readBeside(t.Application.Settings, d.Covered)
	}
	if err != nil {
		return []protocol.Finding{protocol.Wrong("Its metadata cannot be used: %s", failure.Public(err))}
	}
	return []protocol.Finding{protocol.Works("Its metadata can be read, and is signed by a key that is pinned.")}
}

// start is where people begin: at a page of the application's own.
func start(raw json.RawMessage, _ string) string {
	if p, err := read(raw); err == nil && p.settings.Start != StartOurs {
		return p.settings.Start
	}
	return ""
}

// begin is where people begin at our own pages, where the settings let them.
func begin(app application.Application) string {
	if p, err := read(app.Settings); err == nil && p.settings.Start == StartOurs {
		return startPath + app.Name
	}
	return ""
}

func exposure(app application.Application) (protocol.Exposure, error) {
	out := protocol.Exposure{Medium: prompt.Browser}
	p, err := read(app.Settings)
	if err != nil {
		return out, err
	}
	if p.settings.MetadataURL != "" {
		out.Caveats = append(out.Caveats, "where assertions go, and by which keys requests are known, is what its metadata at "+p.settings.MetadataURL+" says, signed by a pinned key")
	}
	for _, c := range p.settings.Consumers {
		out.Entrances = append(out.Entrances, c.URL)
		if strings.HasPrefix(c.URL, "http:") {
			out.Caveats = append(out.Caveats, "assertions go to "+c.URL+" without encryption on the way: whoever reads them there can use them for some minutes")
		}
	}
	if !p.demandsSigned() {
		out.Caveats = append(out.Caveats, "requests to sign in need no signature: whoever knows the address can have a browser ask, and the answer still goes to the registered address alone")
	}
	if p.settings.Start == StartOurs {
		out.Caveats = append(out.Caveats, "people begin here without a request of the application (start: ours): it cannot tell whose browser wanted the response")
	}
	out.Groups = p.settings.Groups
	return out, nil
}

func form() []protocol.Group {
	names := []protocol.Choice{{Value: "", Text: "A name that is this application's alone (persistent)"}, {Value: NameTransient, Text: "Another name each time (transient)"},
		{Value: NameMail, Text: "Their mail address"}, {Value: NameAccount, Text: "The name of their account"}}
	what := []protocol.Choice{{Value: "", Text: "Nothing"}, {Value: AttributeMail, Text: "Mail address"}, {Value: AttributeDisplay, Text: "Display name"}, {Value: AttributeAccount, Text: "Name of the account"}, {Value: AttributeGroups, Text: "Groups"}}
	return []protocol.Group{
		{Fields: []protocol.Field{
			{Name: "metadata", Label: "Metadata of the application", Kind: protocol.Lines, Rows: 6, Help: "Paste its XML here, and leave the entity ID, the addresses and the certificates below empty."},
			{Name: "metadata_url", Label: "Or the address of its metadata", Help: "It is read daily, and must be signed. Give its entity ID and a pin beside it."},
			{Name: "metadata_pins", Label: "Who signs the metadata", Kind: protocol.Lines, Rows: 3, Help: "The SHA-256 of the certificate that signs it, one on each line; or that certificate in PEM."},
			{Name: "entity_id", Label: "Entity ID", Help: "What the application calls itself by, such as https://app.example.org/saml/metadata."},
		}},
		{Legend: "Where responses go", List: "consumers", Row: "consumer", Add: "Add an address", Help: "The application's assertion consumer service. The first is the usual one; assertions go to no other address.",
			Fields: []protocol.Field{
				{Name: "url", Label: "Address", Missing: "Give the address, or empty all of it: one without metadata needs an address."},
				{Name: "index", Label: "Index", Kind: protocol.Number, Help: "The number in its metadata; empty is 0."},
			}},
		{Legend: "How its requests are known", Fields: []protocol.Field{
			{Name: "certificates", Label: "Certificates that it signs with", Kind: protocol.Lines, Rows: 6, Help: "PEM, or the base64 of its metadata with one certificate on each line. With one, every request must be signed."},
			{Name: "unsigned", Label: "Requests without a signature", Choices: []protocol.Choice{{Value: "", Text: "Are refused where there is a certificate"}, {Value: AcceptUnsigned, Text: "Are taken all the same"}}},
		}},
		{Legend: "What it is told of people", Fields: []protocol.Field{
			{Name: "name", Label: "It calls people by", Choices: names},
			{Name: "groups", Label: "Groups that it may be told", Kind: protocol.Words, Help: "All of a person's groups where it is empty and groups are told below."},
		}},
		{Legend: "Attributes", List: "attributes", Row: "attribute", Add: "Add an attribute", Help: "Nothing else leaves.",
			Fields: []protocol.Field{
				{Name: "what", Label: "What is told", Choices: what, Missing: "Choose what is told, or empty all of it to remove it."},
				{Name: "as", Label: "By the name of", Help: "Empty for the usual one."},
			}},
		{Legend: "Encryption", Folded: true, Fields: []protocol.Field{
			{Name: "encryption", Label: "Certificate to encrypt to", Kind: protocol.Lines, Rows: 6, Help: "PEM or base64, with an RSA key. Empty: assertions are signed and not encrypted."}}},
		{Legend: "Beginning and ending", Folded: true, Fields: []protocol.Field{
			{Name: "start", Label: "Where people begin", Help: "The address of a page of the application that sends them here to sign in; or ours, if they may begin at their own pages here and the application takes responses that it did not ask for."},
			{Name: "hours", Label: "Hours that its own session may last", Kind: protocol.Number, Help: "1 to 24; 8 where it is empty."},
			{Name: "sessions", Label: "People's sessions", Choices: protocol.SessionChoices()},
			{Name: "logout", Label: "Where it is told of a sign-out", Help: "Its single logout service; it needs the certificate above."},
			{Name: "logout_soap", Label: "Where it is told without a browser", Help: "Its single logout service by SOAP: so it learns also of sessions that an administrator ends."},
			{Name: "inside", Label: "Addresses inside", Kind: protocol.Words, Help: "Networks, addresses and host names inside your network to which that address, and that of the metadata, may lead."},
			{Name: "logout_binding", Label: "Told by", Choices: []protocol.Choice{{Value: "", Text: "A form (HTTP-POST)"}, {Value: redirect, Text: "An address (HTTP-Redirect)"}}},
		}},
	}
}
