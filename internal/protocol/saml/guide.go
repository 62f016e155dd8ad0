package saml

import (
	"net/url"
	"strings"

	"countersign/deploy/examples"
	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
)

// guides are how applications are set up, the usual one first.
func guides() []protocol.Guide {
	return []protocol.Guide{
		guide("generic", "Any SAML application", generic),
		guide("mellon", "Apache with mod_auth_mellon", mellon),
	}
}

// facts are what a guide says: ours, and what the application registered. All of it is of
// characters that mean nothing in a configuration file or a shell.
type facts struct {
	name, ours, entity string
	consumer           *url.URL
}

func guide(name, title string, write func(facts) ([]protocol.Ready, error)) protocol.Guide {
	return protocol.Guide{Name: name, Title: title, Document: "saml.md", Write: func(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
		f, err := factsOf(app, at)
		if err != nil {
			return nil, err
		}
		return write(f)
	}}
}

// plain are the characters of an address that neither Apache nor a shell reads as its own.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/@+="

func factsOf(app application.Application, at protocol.Place) (facts, error) {
	p, err := read(app.Settings)
	if err != nil {
		return facts{}, err
	}
	if len(p.settings.Consumers) == 0 { // they are in metadata that is read from an address
		return facts{}, failure.New(failure.Invalid, "Its addresses are read from its own metadata. Give the application ours, %s, and it has what it asks for.", at.Public.JoinPath(metadataPath))
	}
	first := p.settings.Consumers[0].URL
	u, err := url.Parse(first)
	odd := func(s string) bool { return strings.Trim(s, plain) != "" }
	if err != nil || odd(first) || odd(p.settings.Entity) {
		return facts{}, failure.New(failure.Invalid, "The entity ID or the first address has characters that configuration files read as their own. Set the application up by hand: docs/saml.md.")
	}
	return facts{name: protocol.Identifier(app.Name), ours: at.Public.Scheme + "://" + at.Public.Host, entity: p.settings.Entity, consumer: u}, nil
}

// generic lists what every application asks for.
func generic(f facts) ([]protocol.Ready, error) {
	return []protocol.Ready{{Path: "saml.txt", Text: strings.Join([]string{"# What a SAML application asks for. Most take all of it from our metadata.",
		"metadata          = " + f.ours + metadataPath, "entity ID         = " + f.ours + metadataPath, "sign-in (SSO)     = " + f.ours + signInPath, "sign-out (SLO)    = " + f.ours + signOutPath,
		"its own entity ID = " + f.entity, "its own address   = " + f.consumer.String(), ""}, "\n")}}, nil
}

// posted is where mod_auth_mellon takes responses, below its endpoint.
const posted = "/postResponse"

func mellon(f facts) ([]protocol.Ready, error) {
	endpoint := strings.TrimSuffix(f.consumer.Path, posted)
	if endpoint == f.consumer.Path || endpoint == "" {
		endpoint = "/mellon"
	}
	about := []string{f.name + " behind Apache. On Debian: apt install libapache2-mod-auth-mellon, a2enmod auth_mellon headers, and this inside of the site.",
		"Make the key and the metadata of the site once, and fetch ours:",
		"  mkdir -p /etc/apache2/mellon && cd /etc/apache2/mellon",
		"  mellon_create_metadata " + f.entity + " " + f.consumer.Scheme + "://" + f.consumer.Host + endpoint,
		"  mv *.key sp.key && mv *.cert sp.cert && mv *.xml sp.xml && curl -o idp.xml " + f.ours + metadataPath,
		"Then paste sp.xml as the metadata of this application, with the name of the account among what it is told."}
	text, err := protocol.Fill(examples.Files, "mellon.conf", about, "MellonEndpointPath /mellon", "MellonEndpointPath "+endpoint)
	return []protocol.Ready{{Path: "/etc/apache2/conf-available/" + f.name + ".conf", Text: text}}, err
}
