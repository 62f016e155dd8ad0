package upstream

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/outside"
	"countersign/internal/text"
	"countersign/internal/upstream/oidc"
	"countersign/internal/upstream/said"
	"countersign/internal/upstream/saml"
)

var (
	nameForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

const (
	usualAge, mostAge = 5 * time.Minute, 24 * time.Hour
	mostListed        = 50
	mostTitle         = 60
)

// wrong is a complaint about a part of a command.
func wrong(field, format string, args ...any) error {
	return failure.At(field, failure.New(failure.Invalid, format, args...))
}

// setting is a complaint about one of the settings.
func setting(format string, args ...any) error { return wrong("settings", format, args...) }

// Completed are the settings with what they leave out, in one spelling.
func (s Settings) Completed() Settings {
	if s.Link == "" {
		s.Link = ByAdministrator
	}
	if s.Trust == "" {
		s.Trust = said.Reject
	}
	if s.MaxAge == 0 {
		s.MaxAge = int(usualAge / time.Second)
	}
	if s.Protocol == OpenID && len(s.Algorithms) == 0 {
		s.Algorithms = oidc.Usual()
	}
	domains := make([]string, 0, len(s.Domains))
	for _, d := range s.Domains {
		domains = append(domains, strings.ToLower(strings.TrimSpace(d)))
	}
	s.Domains = domains
	return s
}

// Check says what is wrong with an upstream that is to be kept, beside all others: an Invalid
// or Conflict failure that shows no secret.
func (u Upstream) Check(others []Upstream) error {
	switch {
	case !nameForm.MatchString(u.Name):
		return wrong("name", "Name the identity provider with 1 to 40 of a-z, 0-9 and hyphen.")
	case u.Title == "" || len(u.Title) > mostTitle || !text.Clean(u.Title):
		return setting("Give the title that people read on the button, on one line, of %d bytes at most.", mostTitle)
	case u.Link != ByAdministrator && u.Link != ByDomain:
		return setting("People are linked by an administrator, or by a domain: write %s or %s.", ByAdministrator, ByDomain)
	case u.Link == ByDomain && len(u.Domains) == 0:
		return setting("To link by a domain, name the mail domains that are this identity provider's own.")
	case u.MaxAge < 1 || time.Duration(u.MaxAge)*time.Second > mostAge:
		return setting("The greatest age of a sign-in there is 1 to %d seconds.", int(mostAge/time.Second))
	}
	if err := u.checkTrust(); err != nil {
		return err
	}
	if err := u.checkDomains(others); err != nil {
		return err
	}
	if err := u.checkReach(); err != nil {
		return err
	}
	switch u.Protocol {
	case OpenID:
		return u.checkOpenID()
	case SAML:
		return u.checkSAML()
	}
	return setting("An identity provider is asked by %s or by %s.", OpenID, SAML)
}

func (u Upstream) checkTrust() error {
	switch {
	case u.Trust != said.Reject && u.Trust != said.Accept && u.Trust != said.Enforce:
		return setting("Its word on second factors is worth %s, %s or %s.", said.Reject, said.Accept, said.Enforce)
	case u.Trust != said.Reject && len(u.Classes) == 0:
		return setting("To take its word on second factors, list the values of acr (or AuthnContextClassRef) by which it says so.")
	case len(u.Classes) > mostListed || slices.ContainsFunc(u.Classes, func(s string) bool { return s == "" || len(s) > 255 || !text.Clean(s) || strings.Contains(s, " ") }):
		return setting("A class is one word or URI of 255 bytes at most, and there are %d at most.", mostListed)
	}
	return nil
}

// checkDomains has a domain belong to one upstream alone.
func (u Upstream) checkDomains(others []Upstream) error {
	if len(u.Domains) > mostListed {
		return setting("An identity provider has %d domains at most.", mostListed)
	}
	for _, d := range u.Domains {
		if !domainForm.MatchString(d) || len(d) > 253 {
			return setting("%q is no mail domain, like example.org.", clipped(d))
		}
		for _, o := range others {
			if o.Name != u.Name && slices.Contains(o.Domains, d) {
				return failure.At("settings", failure.New(failure.Conflict, "The domain %s is that of the identity provider %q already.", d, o.Name))
			}
		}
	}
	return nil
}

// checkReach looks at what we fetch from.
func (u Upstream) checkReach() error {
	if _, err := outside.List(u.Inside); err != nil {
		return setting("What may be fetched inside the network is listed as networks, addresses or names: %s.", err)
	}
	if u.Authority != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(u.Authority)) {
		return setting("That is no certificate in PEM.")
	}
	return nil
}

// webAddress refuses what is no address that a browser or we may be sent to. Plain http is for
// a provider on this machine alone.
func webAddress(field, s string) error {
	a, err := url.Parse(s)
	if err != nil || a.Host == "" || a.User != nil || a.Fragment != "" || len(s) > 500 || !text.Clean(s) || strings.ContainsAny(s, " \\") ||
		a.Scheme != "https" && !(a.Scheme == "http" && oidc.OnThisMachine(a)) {
		return setting("The %s is no https address without a name, a password or a fragment in it.", field)
	}
	return nil
}

func (u Upstream) checkOpenID() error {
	if err := webAddress("issuer", u.Issuer); err != nil {
		return err
	}
	switch {
	case strings.ContainsAny(u.Issuer, "?#"):
		return setting("An issuer has no query (OpenID Connect Discovery, section 3).")
	case u.Client == "" || len(u.Client) > 255 || !text.Clean(u.Client):
		return setting("Give the client ID that the identity provider knows us by.")
	case len(u.Secret) < 16 || len(u.Secret) > 512:
		return setting("Give the client secret, of 16 characters at least.")
	case u.SignIn != "" || u.Certificates != "" || u.Mail != "" || u.MetadataURL != "" || len(u.MetadataPins) > 0:
		return setting("Addresses and certificates are for SAML; by OpenID Connect they are read from the issuer.")
	}
	for _, a := range u.Algorithms {
		if !slices.Contains(oidc.Possible(), a) {
			return setting("An ID token is signed by one of %s.", strings.Join(oidc.Possible(), ", "))
		}
	}
	return nil
}

func (u Upstream) checkSAML() error {
	if err := u.checkSignIn(); err != nil {
		return err
	}
	switch {
	case u.Issuer == "" || len(u.Issuer) > 1024 || !text.Clean(u.Issuer):
		return setting("Give the entity ID of the identity provider.")
	case u.Client != "" || u.Secret != "" || len(u.Algorithms) > 0:
		return setting("A client ID, a secret and algorithms are for OpenID Connect.")
	case len(u.Mail) > 255 || !text.Clean(u.Mail) || u.Link == ByDomain && u.Mail == "":
		return setting("To link by a domain, name the attribute that holds the mail address which the identity provider verified (mail_attribute).")
	case u.Pinned:
		return setting("By SAML only keys count whose certificates are listed here, or stand in metadata that a pinned key signed; there is nothing to pin besides.")
	}
	return nil
}

// checkSignIn looks at where requests go and whose keys answer: said here, or read from an address.
func (u Upstream) checkSignIn() error {
	from, fetched := u.Fetched()
	switch {
	case fetched && (u.SignIn != "" || u.Certificates != ""):
		return setting("Where requests go and the certificates are read from its metadata; leave sign_in and certificates out.")
	case fetched:
		return failure.At("settings", from.Check())
	case len(u.MetadataPins) > 0:
		return setting("Pins are for metadata that is read from an address: name it in metadata_url.")
	}
	if err := webAddress("sign_in", u.SignIn); err != nil {
		return err
	}
	_, err := saml.Certificates(u.Certificates)
	return failure.At("settings", err)
}

// clipped is a text that somebody typed, as far as it is quoted.
func clipped(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "")
	}
	return s
}

// Read reads settings as they are written, in JSON, with no name that is not known.
func Read(raw []byte) (Settings, error) {
	var s Settings
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || d.More() {
		return s, setting("The settings are no JSON that can be read, or have a name that is not known. The names are in upstreams.md.")
	}
	return s.Completed(), nil
}

// Secret reports whether a setting is a secret, which is shown nowhere.
func Secret(name string) bool { return name == "client_secret" }
