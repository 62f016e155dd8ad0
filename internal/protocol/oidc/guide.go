package oidc

import (
	"net/url"
	"strings"

	"countersign/deploy/examples"
	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
)

// guides are how clients are set up, the usual one first.
func guides() []protocol.Guide {
	return []protocol.Guide{
		guide("generic", "Any OpenID client", "openid.txt", generic),
		guide("apache", "Apache with mod_auth_openidc", "/etc/apache2/conf-available/ID.conf", apache),
		guide("oauth2-proxy", "oauth2-proxy", "/etc/oauth2-proxy/ID.cfg", oauth2Proxy),
		guide("gitea", "Gitea", "a shell of the user git", gitea),
		guide("grafana", "Grafana", "/etc/grafana/grafana.ini", grafana),
		guide("kubernetes", "Kubernetes (kube-apiserver)", "/etc/kubernetes/authentication.yaml", kubernetes),
		guide("cloud", "A cloud's role, by web identity", "trust-policy.json", cloud),
		{Name: "dovecot", Title: "Dovecot, which asks about tokens", Document: "mailboxes.md", Write: dovecot},
	}
}

// facts are what every guide says. All of it is of characters that mean nothing in a
// configuration file: an address with others is refused.
type facts struct {
	name, issuer, client, redirect, site string
}

// secretWord stands where a secret is to be written.
const secretWord = "THE-CLIENT-SECRET"

func guide(name, title, path string, write func(facts) string) protocol.Guide {
	return protocol.Guide{Name: name, Title: title, Document: "oidc.md", Write: func(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
		f, err := factsOf(app, at)
		if err != nil {
			return nil, err
		}
		return []protocol.Ready{{Path: strings.ReplaceAll(path, "ID", f.name), Text: write(f)}}, nil
	}}
}

func factsOf(app application.Application, at protocol.Place) (facts, error) {
	s, err := parse(app.Settings)
	if err != nil {
		return facts{}, err
	}
	if len(s.Redirects) == 0 {
		if len(s.Introspects) > 0 {
			return facts{}, failure.New(failure.Invalid, "The application asks about tokens and signs nobody in, so that it needs no such lines: choose dovecot, or read docs/oidc.md.")
		}
		return facts{}, failure.New(failure.Invalid, "The application has no redirect URI yet.")
	}
	redirect := s.Redirects[0]
	u, err := url.Parse(redirect)
	if err != nil || strings.ContainsFunc(redirect, func(r rune) bool { return !strings.ContainsRune(urlAlphabet+":/.?=&%[]~+@", r) }) || !clientIDForm.MatchString(s.ClientID) {
		return facts{}, failure.New(failure.Invalid, "The first redirect URI has characters that configuration files read as their own. Put another one first.")
	}
	return facts{name: protocol.Identifier(app.Name), issuer: issuerAt(at), client: s.ClientID, redirect: redirect, site: u.Scheme + "://" + u.Host}, nil
}

func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }

// generic lists what every client asks for.
func generic(f facts) string {
	return lines("# What an OpenID client asks for. Write the client secret that you set where "+secretWord+" stands.",
		"issuer        = "+f.issuer, "discovery     = "+f.issuer+discoveryPath, "client_id     = "+f.client, "client_secret = "+secretWord, "redirect_uri  = "+f.redirect,
		"scopes        = openid profile email groups", "response_type = code", "pkce          = S256")
}

func apache(f facts) string {
	return lines("# Apache asks Countersign who somebody is. a2enmod auth_openidc, a2enconf "+f.name+", and restart.",
		"# Write the client secret that you set where "+secretWord+" stands, and a random text of your own where A-RANDOM-TEXT stands.",
		"OIDCProviderMetadataURL "+f.issuer+discoveryPath, "OIDCClientID "+f.client, "OIDCClientSecret "+secretWord, "OIDCRedirectURI "+f.redirect,
		"OIDCCryptoPassphrase A-RANDOM-TEXT", "OIDCPKCEMethod S256", "OIDCScope \"openid profile email groups\"", "OIDCRemoteUserClaim preferred_username",
		"<Location />", "  AuthType openid-connect", "  Require valid-user", "</Location>")
}

func oauth2Proxy(f facts) string {
	return lines("# oauth2-proxy asks Countersign who somebody is. Write the client secret that you set where "+secretWord+" stands.",
		`provider = "oidc"`, `oidc_issuer_url = "`+f.issuer+`"`, `client_id = "`+f.client+`"`, `client_secret = "`+secretWord+`"`, `redirect_url = "`+f.redirect+`"`,
		"# Write 32 letters and digits of your own (openssl rand -hex 16) where A-RANDOM-TEXT stands, and where the application is in upstreams.",
		`cookie_secret = "A-RANDOM-TEXT"`, `upstreams = ["http://127.0.0.1:8080/"]`,
		"# It asks here again after this time; with refresh: session and access_minutes: 1 in the application's settings, who is signed out is out by then.",
		`cookie_refresh = "30s"`,
		`scope = "openid profile email groups"`, `code_challenge_method = "S256"`, `email_domains = ["*"]`, `oidc_groups_claim = "groups"`)
}

func gitea(f facts) string {
	return lines("# Gitea asks Countersign who somebody is. Write the client secret that you set where "+secretWord+" stands.",
		"# The redirect URI that Gitea uses ends with /user/oauth2/countersign/callback.",
		"gitea admin auth add-oauth --name countersign --provider openidConnect --key "+f.client+" --secret "+secretWord+" --auto-discover-url "+f.issuer+discoveryPath+" --scopes openid --scopes profile --scopes email --scopes groups")
}

func grafana(f facts) string {
	return lines("# Grafana asks Countersign who somebody is. Write the client secret that you set where "+secretWord+" stands.",
		"# The redirect URI that Grafana uses ends with /login/generic_oauth.",
		"[server]", "root_url = "+f.site+"/", "[auth.generic_oauth]", "enabled = true", "name = Countersign", "client_id = "+f.client, "client_secret = "+secretWord,
		"scopes = openid profile email groups", "use_pkce = true", "auth_url = "+f.issuer+authorizePath, "token_url = "+f.issuer+tokenPath, "api_url = "+f.issuer+userinfoPath, "login_attribute_path = preferred_username")
}

func kubernetes(f facts) string {
	return lines("# kube-apiserver takes ID tokens of Countersign: --authentication-config names this file. Whoever shows less than two factors is nobody.",
		"apiVersion: apiserver.config.k8s.io/v1", "kind: AuthenticationConfiguration", "jwt:", "  - issuer:", "      url: "+f.issuer, "      audiences: ["+f.client+"]",
		"    claimMappings:", "      username:", "        claim: preferred_username", `        prefix: "countersign:"`, "      groups:", "        claim: groups", `        prefix: "countersign:"`,
		"    claimValidationRules:", `      - expression: claims.acr in ["urn:countersign:aal2", "phr", "phrh"]`, "        message: sign in with two factors")
}

// cloud is JSON, which has no comments.
func cloud(f facts) string {
	host := strings.TrimPrefix(strings.TrimPrefix(f.issuer, "https://"), "http://")
	return lines(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",`,
		`  "Principal": {"Federated": "arn:aws:iam::000000000000:oidc-provider/`+host+`"},`,
		`  "Condition": {"StringEquals": {"`+host+`:aud": "`+f.client+`"}, "ForAnyValue:StringEquals": {"`+host+`:amr": ["mfa"]}}}]}`)
}

// dovecot is for the application by which a mail server asks about tokens: it signs nobody in, and
// has no redirect URI.
func dovecot(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
	s, err := parse(app.Settings)
	if err != nil {
		return nil, err
	}
	if len(s.Introspects) == 0 || !clientIDForm.MatchString(s.ClientID) {
		return nil, failure.New(failure.Invalid, "The application does not ask about tokens: name in introspects whose it may ask about (docs/mailboxes.md).")
	}
	about := []string{"/etc/dovecot/countersign-mail.conf.ext: mode 600, owner root. dovecot.conf names it as the args of a passdb of the driver oauth2.",
		"Write the client secret that you set where " + secretWord + " stands; / is %2F there, + is %2B, and = is %3D."}
	scheme, host, _ := strings.Cut(issuerAt(at), "://")
	text, err := protocol.Fill(examples.Files, "dovecot-mail.conf", about, "https://mail:THE-MAIL-SECRET@login.example.org", scheme+"://"+s.ClientID+":"+secretWord+"@"+host)
	return []protocol.Ready{{Path: "/etc/dovecot/countersign-mail.conf.ext", Text: text}}, err
}
