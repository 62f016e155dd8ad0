package oidc

import (
	"maps"
	"slices"

	"countersign/internal/application"
	"countersign/internal/language"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// Description is what the rest of the server asks of this protocol.
func Description() protocol.Description {
	return protocol.Description{
		Name: Protocol, Way: "by OpenID Connect", Document: "oidc.md", Plays: prompt.Browser,
		CheckSettings: CheckSettings, Start: Start, Clash: Clash, Guides: guides(), Test: test, Words: words(),
		Open: func(p protocol.Parts) (protocol.Service, error) {
			provider := New(p)
			return protocol.Service{Handle: provider.Handle, Left: provider.exit.onward, Work: provider.herald.work}, nil
		},
		Exposure: func(app application.Application) (protocol.Exposure, error) {
			return exposure(app), nil
		},
		Form: form(), ProxyPaths: []string{introspectPath}, CertifiedPaths: slices.Sorted(maps.Values(certifiedPaths)),
	}
}

func exposure(app application.Application) protocol.Exposure {
	e := protocol.Exposure{Medium: prompt.Browser, Caveats: Caveats(app.Settings), Drill: "openid"}
	s, err := parse(app.Settings)
	if err != nil || len(s.Redirects) > 0 { // else a resource server, which nobody comes in by
		e.Entrances = []string{"OpenID Connect for " + app.Name}
	}
	if err != nil {
		return e
	}
	if len(s.AppPasswords) > 0 {
		e.AppPasswords, e.Actions = s.AppPasswords, []string{signin.AppPassword}
	}
	if len(s.Doors) > 0 {
		e.Entrances, e.Drill = append(e.Entrances, s.Doors...), "mail"
	}
	return e
}

func form() []protocol.Group {
	return []protocol.Group{
		{Fields: []protocol.Field{
			{Name: "client_id", Label: "Client ID", Help: "What the application calls itself, such as wiki.", Missing: "The client needs an ID."},
			{Name: "redirect_uris", Label: "Redirect URIs", Kind: protocol.Lines, Rows: 3,
				Help: "One a line, exactly as the application writes it: https://wiki.example.org/callback. Only a resource server needs none."},
			{Name: "authentication", Label: "How the application proves who it is", Choices: []protocol.Choice{
				{Value: "", Text: "By a secret"}, {Value: ByKey, Text: "By a private key of its own (private_key_jwt)"}, {Value: ByTLS, Text: "By a certificate of an authority (mutual TLS)"}, {Value: BySelfSigned, Text: "By a certificate of its own making (mutual TLS)"}, {Value: ByNothing, Text: "Not at all: it runs on people's own machines, or in their browsers"}}},
			{Name: "client_secret", Label: "Client secret", Kind: protocol.Secret, Help: "32 characters at least; make one with: openssl rand -base64 32."},
			{Name: "public_keys", Label: "Public keys", Kind: protocol.Lines, Rows: 2, Help: "Of an application that signs: each a JWK on one line. The private key stays with the application."},
			{Name: "tls_certificates", Label: "Certificates", Kind: protocol.Lines, Rows: 3, Help: "Of an application by mutual TLS, PEM: the authority's that issues its certificate, or its own where it made it itself."},
			{Name: "tls_name", Label: "Name in its certificate", Help: "Of an application by a certificate of an authority: dns:wiki.example.org, or dn: and its subject as openssl x509 -noout -subject -nameopt RFC2253 prints it; uri:, ip: and email: as well."},
			{Name: "start", Label: "Where people begin", Help: "The application's own address, for people's list of applications."},
		}},
		{Legend: "How it asks", Folded: true, Fields: []protocol.Field{
			{Name: "runs", Label: "Where it runs", Choices: []protocol.Choice{{Value: "", Text: "On a server, or in the browser"}, {Value: RunsNative, Text: "On people's own machines: a loopback address may have any port"}}},
			{Name: "consent", Label: "Consent", Choices: []protocol.Choice{{Value: "", Text: "It is one of ours: nobody is asked"}, {Value: AsksConsent, Text: "It is somebody else's: people are asked what it may know"}}},
			{Name: "requests", Label: "Its requests", Choices: []protocol.Choice{{Value: "", Text: "Come in the browser's address"}, {Value: Pushed, Text: "Must be pushed (PAR)"}, {Value: Signed, Text: "Must be signed"}}},
			{Name: "pkce", Label: "PKCE", Choices: []protocol.Choice{{Value: "", Text: "Each request has it (S256)"}, {Value: PKCEOptional, Text: "May be left out: the application knows none, as Gitea 1.23"}}},
			{Name: "sessions", Label: "People's sessions", Choices: protocol.SessionChoices()},
			{Name: "profile", Label: "Profile", Choices: []protocol.Choice{{Value: "", Text: "None"}, {Value: FAPI2, Text: "FAPI 2.0: private key or certificate, pushed requests, bound tokens, strict algorithms"}}},
		}},
		{Legend: "What it gets", Folded: true, Fields: []protocol.Field{
			{Name: "acr", Label: "At least", Help: "What every sign-in to it must reach, and of a resource server every token, beside the policy: phr is a passkey or a smart card.", Choices: classChoices()},
			{Name: "acr_words", Label: "Words in which it is told how people signed in", Choices: []protocol.Choice{
				{Value: ClassesOurs, Text: "phr, phrh, and our own"}, {Value: ClassesREFEDS, Text: "REFEDS"}, {Value: ClassesNIST, Text: "NIST levels"}}},
			{Name: "id_token_algorithm", Label: "Signature of ID tokens", Choices: []protocol.Choice{{Value: "", Text: "ES256"}, {Value: "RS256", Text: "RS256, for applications that know nothing newer"}}},
			{Name: "refresh", Label: "Refresh tokens", Choices: []protocol.Choice{{Value: "", Text: "None"}, {Value: WithSession, Text: "As long as the person's session"}, {Value: Offline, Text: "For days, without a session"}}},
			{Name: "offline_days", Label: "Days", Kind: protocol.Number, Help: "1 to 90, for refresh tokens without a session."},
			{Name: "refresh_grace_seconds", Label: "Seconds for which a refresh token may come twice", Kind: protocol.Number, Help: "0 to 30, for an application that refreshes twice at once. Otherwise that ends its access."},
			{Name: "sender_constrained", Label: "Its tokens", Choices: []protocol.Choice{{Value: "", Text: "Are bound to a key where it shows one (DPoP)"}, {Value: ByDPoP, Text: "Must be bound to a key (DPoP)"}, {Value: ByDPoPNonce, Text: "Must be bound to a key, with a nonce of ours in each proof"}, {Value: ByCertificate, Text: "Must be bound to the certificate that it shows (mutual TLS)"}}},
			{Name: "post_logout_redirect_uris", Label: "Addresses after signing out", Kind: protocol.Lines, Rows: 2, Help: "Where the application may have browsers go that sign out here: one a line, exactly as it writes them."},
			{Name: "backchannel_logout_uri", Label: "Address for back-channel logout", Help: "Where Countersign itself tells the application that somebody's session is over, such as https://wiki.example.org/backchannel-logout."},
			{Name: "inside", Label: "Places inside", Kind: protocol.Words, Help: "Your networks, addresses or hosts in which that address may be, such as 10.0.0.0/24. Without them only public addresses are told."},
			{Name: "frontchannel_logout_uri", Label: "Address for front-channel logout", Help: "Where the browser of whoever signs out goes in a frame. It has the host of a redirect URI. Use the other one where the application has both."},
			{Name: "session_tag", Label: "Key of a session tag, for a cloud", Help: "Such as cs-mfa: ID tokens then say phrh, phr or mfa under it where that was shown just now (https://aws.amazon.com/tags)."},
			{Name: "session_tag_minutes", Label: "Minutes that count as just now", Kind: protocol.Number, Help: "1 to 60; 15 where it is empty."},
			{Name: "introspects", Label: "Clients whose access tokens it may ask about", Kind: protocol.Lines, Rows: 2, Help: "Of a resource server: client IDs, one a line. It learns of whom those tokens are."},
			{Name: "device", Label: "Devices without a browser", Help: "A person lets such a device in by a code that it shows. Whoever is sent a stranger's code lets the stranger in: leave it off where you can.", Choices: []protocol.Choice{
				{Value: "", Text: "Never"}, {Value: FromSameNetwork, Text: "Where device and person are in the same network"}, {Value: FromAnywhere, Text: "Wherever they are"}}},
			{Name: "scopes", Label: "Further scopes", Kind: protocol.Lines, Rows: 2, Help: "That it may ask for beside those of OpenID Connect, one a line: mail."},
			{Name: "token_scope", Label: "Scope that tokens must have", Help: "Of a resource server: it takes no access token without this scope."},
			{Name: "app_passwords", Label: "Services that take app passwords", Kind: protocol.Lines, Rows: 2, Help: "Of a mail server: imap, pop3, smtp, sieve, one a line. Policy says who may use them."},
			{Name: "doors", Label: "Doors of a mail server", Kind: protocol.Lines, Rows: 3, Help: "What a drill attacks, one a line: imap://mail.example.org:143, imaps://mail.example.org:993, pop3s://, submission://, sieve://."},
			{Name: "tells_owners", Label: "Tell people who comes as them", Choices: []protocol.Choice{{Value: "", Text: "No"}, {Value: TellEach, Text: "Yes, and of who is refused with a token of theirs: for mail filters and delegation"}}},
			{Name: "access_minutes", Label: "Minutes for which access tokens are good", Kind: protocol.Number, Help: "1 to 60; 10 where it is empty."},
		}},
	}
}

func classChoices() []protocol.Choice {
	out := []protocol.Choice{{Value: "", Text: "What the policy demands"}}
	for _, name := range classNames() {
		out = append(out, protocol.Choice{Value: name, Text: name})
	}
	return out
}

// words are what scopes and claims mean to whoever they are about.
func words() map[string]language.Sentence {
	out := map[string]language.Sentence{}
	for scope, says := range scopeWords {
		out[scope] = says
		for _, claim := range claimsOf[scope] {
			out[claim] = says
		}
	}
	return out
}
