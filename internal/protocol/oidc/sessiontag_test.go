package oidc

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
)

// A session tag says what was shown in the last minutes and nothing older: who has no fresh proof
// has no tag, and a policy that demands one refuses them.
func TestSessionTags(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	shown := func(kind string, traits assurance.Trait, ago time.Duration) assurance.Evidence {
		return assurance.Evidence{Account: 7, Kind: kind, Credential: assurance.CredentialID(len(kind)), Traits: traits, Time: now.Add(-ago)}
	}
	password, code := assurance.Known, assurance.Held
	passkey := assurance.Held | assurance.Known | assurance.PhishingResistant | assurance.UserVerified
	s := Settings{SessionTag: "cs-mfa", SessionTagMinutes: 15}
	for name, k := range map[string]struct {
		s        Settings
		evidence []assurance.Evidence
		want     string
	}{
		"password and code":            {s, []assurance.Evidence{shown("password", password, time.Minute), shown("totp", code, time.Minute)}, "mfa"},
		"an old password and a code":   {s, []assurance.Evidence{shown("password", password, 16*time.Minute), shown("totp", code, time.Minute)}, ""},
		"a password":                   {s, []assurance.Evidence{shown("password", password, time.Minute)}, ""},
		"a passkey":                    {s, []assurance.Evidence{shown("passkey", passkey, time.Minute)}, "phr"},
		"a passkey of 15 minutes ago":  {s, []assurance.Evidence{shown("passkey", passkey, 15*time.Minute)}, "phr"},
		"a passkey of an hour ago":     {s, []assurance.Evidence{shown("passkey", passkey, time.Hour)}, ""},
		"an old passkey, and codes":    {s, []assurance.Evidence{shown("passkey", passkey, time.Hour), shown("password", password, 0), shown("totp", code, 0)}, "mfa"},
		"nothing":                      {s, nil, ""},
		"a client that is told no tag": {Settings{SessionTagMinutes: 15}, []assurance.Evidence{shown("passkey", passkey, time.Minute)}, ""},
	} {
		tags, is := k.s.sessionTag(k.evidence, now)
		if is != (k.want != "") || is && (!slices.Equal(tags.Principal["cs-mfa"], []string{k.want}) || !slices.Equal(tags.Transitive, []string{"cs-mfa"})) {
			t.Errorf("%s: %+v, %v", name, tags, is)
		}
	}
}

func TestSettingsOfSessionTags(t *testing.T) {
	for text, good := range map[string]bool{`"session_tag":"cs-mfa"`: true, `"session_tag":"cs-mfa","session_tag_minutes":60`: true, `"session_tag":"cs-mfa","session_tag_minutes":61`: false,
		`"session_tag":"cs-mfa","session_tag_minutes":-1`: false, `"session_tag_minutes":5`: false, `"session_tag":"a b"`: false, `"session_tag":"aws:mfa"`: false} {
		raw := json.RawMessage(`{"client_id":"cloud","authentication":"none","runs":"native","redirect_uris":["http://127.0.0.1/"],` + text + `}`)
		if err := CheckSettings(raw); (err == nil) != good || err != nil && failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", text, err)
		}
	}
}
