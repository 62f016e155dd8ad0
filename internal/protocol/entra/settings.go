package entra

import (
	"encoding/json"
	"regexp"
	"strings"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// Protocol is the word for it in an application.
const Protocol = "entra"

// Settings are an application's: one tenant of Microsoft Entra ID.
type Settings struct {
	// Tenant is the tenant's ID, and App the application (client) ID of our registration there:
	// the audience of its hints. Both are GUIDs.
	Tenant string `json:"tenant_id"`
	App    string `json:"application_id"`
	// ClientID is what we gave to Entra for the provider: the audience of our answers.
	ClientID string `json:"client_id"`
	// Cloud is where the tenant is: the global one unless set, [USGovernment] or [China].
	Cloud string `json:"cloud,omitempty"`
	// Provisioner is the service account that provisions the tenant's people by SCIM with their
	// object ID as externalId: who is so known is linked at first sight. Empty is nobody, and
	// then administrators link.
	Provisioner string `json:"provisioned_by,omitempty"`
	// Evidence is what counts: what was shown since Entra asked unless set, or [OfSession].
	Evidence string `json:"evidence,omitempty"`
}

// The values of [Settings.Cloud].
const (
	USGovernment = "us-government"
	China        = "china"
)

// OfSession has what the session holds count as well, as old as policy lets it be.
const OfSession = "session"

// hosts are where each cloud signs people in (Microsoft's external method provider reference,
// "Discovery of Microsoft Entra ID metadata" and "Example of a redirection URI").
var hosts = map[string]string{
	"":           "login.microsoftonline.com",
	USGovernment: "login.microsoftonline.us",
	China:        "login.partner.microsoftonline.cn",
}

// redirect is the one address that answers go to.
func (s Settings) redirect() string {
	return "https://" + hosts[s.Cloud] + "/common/federation/externalauthprovider"
}

func (s Settings) origin() string { return "https://" + hosts[s.Cloud] }

// issuer is the tenant's, of tokens of version 2.0.
func (s Settings) issuer() string { return "https://" + hosts[s.Cloud] + "/" + s.Tenant + "/v2.0" }

var (
	guidForm     = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	clientIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]{0,99}$`)
)

func parse(raw json.RawMessage) (Settings, error) {
	var s Settings
	err := application.ReadSettings(raw, &s)
	s.Tenant, s.App = strings.ToLower(s.Tenant), strings.ToLower(s.App)
	return s, err
}

// CheckSettings says what is wrong with settings that are to be saved.
func CheckSettings(raw json.RawMessage) error {
	s, err := parse(raw)
	if err != nil {
		return err
	}
	_, cloud := hosts[s.Cloud]
	switch {
	case !guidForm.MatchString(s.Tenant):
		return invalid("The tenant ID is a GUID such as 9122040d-6c67-4c5b-b112-36a304b66dad; the Entra admin center shows it in the tenant's overview.")
	case !guidForm.MatchString(s.App):
		return invalid("The application ID is the GUID that the Entra admin center shows for the registration of this server.")
	case !clientIDForm.MatchString(s.ClientID):
		return invalid("The client ID is 1 to 100 letters, digits, dots, hyphens, underscores and tildes, and begins with a letter or a digit.")
	case !cloud:
		return invalid("The cloud is us-government or china, or empty for the global one.")
	case s.Evidence != "" && s.Evidence != OfSession:
		return invalid("What counts is what the session holds (session), or it is empty.")
	case len(s.Provisioner) > 100:
		return invalid("The provisioning account is the name of a service account.")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return failure.New(failure.Invalid, format, args...)
}

// identify is by what a tenant knows somebody whose object ID an administrator typed:
// "TENANT:OBJECT".
func identify(raw json.RawMessage, typed string) (string, error) {
	s, err := parse(raw)
	if err != nil {
		return "", err
	}
	object := strings.ToLower(strings.TrimSpace(typed))
	if !guidForm.MatchString(object) {
		return "", invalid("The identifier is the person's object ID, a GUID that the Entra admin center shows for them; it is not their name.")
	}
	return s.Tenant + ":" + object, nil
}

// Clash says what two applications both claim: the registration of this server in a tenant.
func Clash(a, b json.RawMessage) (what string, shut bool, err error) {
	ours, err := parse(a)
	if err != nil {
		return "", false, err
	}
	theirs, err := parse(b)
	if err != nil || ours.Tenant != theirs.Tenant || ours.App != theirs.App {
		return "", false, nil //nolint:nilerr // settings that cannot be read answer nobody
	}
	return "the registration " + ours.App + " of one tenant", false, nil
}
