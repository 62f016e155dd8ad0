package oidc

import (
	"strings"

	"countersign/internal/application"
	"countersign/internal/protocol"
)

// guides are how clients are set up, the usual one first.
func guides() []protocol.Guide {
	return []protocol.Guide{
		{Name: "generic", Title: "Any OpenID client", Document: "oidc.md", Write: generic},
	}
}

// generic lists what every client asks for.
func generic(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
	s, err := parse(app.Settings)
	if err != nil {
		return nil, err
	}
	issuer := issuerAt(at)
	text := "# What an OpenID client asks for. The client secret is the one that you set.\n" +
		"issuer        = " + issuer + "\n" +
		"discovery     = " + issuer + discoveryPath + "\n" +
		"client_id     = " + s.ClientID + "\n" +
		"redirect_uri  = " + strings.Join(s.Redirects[:min(1, len(s.Redirects))], "") + "\n" +
		"scopes        = openid profile email groups\n" +
		"response_type = code\n" +
		"pkce          = S256\n"
	return []protocol.Ready{{Path: "openid.txt", Text: text}}, nil
}
