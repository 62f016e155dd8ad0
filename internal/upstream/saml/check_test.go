package saml

import (
	"errors"
	"testing"
	"time"

	"countersign/internal/protocol/saml/message"
	"countersign/internal/upstream/said"
)

// What an assertion says is for us, by this provider, and of now, each demand by itself: with all
// else right, the one that is wrong is why it is refused (SAML core 2.5.1.4, profiles 4.1.4.3).
func TestEachDemandByItself(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	p := Provider{Entity: "https://idp.partner.example"}
	own := Own{Entity: "https://login.example.org/sign-in/upstream/partner/metadata", Consumer: "https://login.example.org/sign-in/upstream/partner"}
	for name, k := range map[string]struct {
		edit   func(a *message.Asserted)
		reason string // empty is that it is taken
	}{
		"whole":                             {func(*message.Asserted) {}, ""},
		"we are one of several":             {func(a *message.Asserted) { a.Audiences = [][]string{{"https://x.example", own.Entity}} }, ""},
		"no audience":                       {func(a *message.Asserted) { a.Audiences = nil }, "wrong-audience"},
		"another audience":                  {func(a *message.Asserted) { a.Audiences = [][]string{{"https://x.example"}} }, "wrong-audience"},
		"an audience of nobody":             {func(a *message.Asserted) { a.Audiences = [][]string{{}} }, "wrong-audience"},
		"our address for our name":          {func(a *message.Asserted) { a.Audiences = [][]string{{own.Consumer}} }, "wrong-audience"},
		"two restrictions, and one is ours": {func(a *message.Asserted) { a.Audiences = [][]string{{own.Entity}, {"https://x.example"}} }, "wrong-audience"},
		"our name with more behind":         {func(a *message.Asserted) { a.Audiences = [][]string{{own.Entity + "/x"}} }, "wrong-audience"},
		"another recipient":                 {func(a *message.Asserted) { a.Recipient = "https://x.example" }, "wrong-audience"},
		"no recipient":                      {func(a *message.Asserted) { a.Recipient = "" }, "wrong-audience"},
		"another destination":               {func(a *message.Asserted) { a.Destination = "https://x.example" }, "wrong-audience"},
		"a signed response to nowhere":      {func(a *message.Asserted) { a.Proof, a.Destination = message.Signed, "" }, "wrong-audience"},
		"another issuer":                    {func(a *message.Asserted) { a.By = "https://idp.other.example" }, "wrong-issuer"},
		"of nobody":                         {func(a *message.Asserted) { a.By = "" }, "malformed"},
		"a failure":                         {func(a *message.Asserted) { a.Code = message.Responder }, "upstream-refused"},
		"unasked":                           {func(a *message.Asserted) { a.Answers = "" }, "replayed"},
		"two requests":                      {func(a *message.Asserted) { a.InResponseTo = "_other" }, "replayed"},
		"a name for another":                {func(a *message.Asserted) { a.Name.For = "https://x.example" }, "wrong-audience"},
		"a name of another":                 {func(a *message.Asserted) { a.Name.By = "https://x.example" }, "wrong-audience"},
		"a name that passes":                {func(a *message.Asserted) { a.Name.Format = message.FormatTransient }, "passing-name"},
		"no name":                           {func(a *message.Asserted) { a.Name.Value = "" }, "malformed"},
		"over":                              {func(a *message.Asserted) { a.Until = now.Add(-2 * time.Minute) }, "late"},
		"not yet":                           {func(a *message.Asserted) { a.From = now.Add(2 * time.Minute) }, "late"},
		"made long ago":                     {func(a *message.Asserted) { a.Issued = now.Add(-11 * time.Minute) }, "late"},
		"signed in long ago":                {func(a *message.Asserted) { a.Authenticated = now.Add(-10 * time.Minute) }, "stale"},
	} {
		a := message.Asserted{By: p.Entity, Issued: now, Name: message.NameID{Value: "ada"}, Answers: "_asked", Recipient: own.Consumer, Until: now.Add(time.Minute), Audiences: [][]string{{own.Entity}}, Authenticated: now}
		a.Code, a.Destination, a.InResponseTo = message.Success, own.Consumer, "_asked"
		k.edit(&a)
		err := check(p, own, a, 5*time.Minute, now)
		var r *said.Refusal
		if k.reason == "" && err != nil || k.reason != "" && (!errors.As(err, &r) || r.Reason != k.reason) {
			t.Errorf("%s: %v, and it was to be %q", name, err, k.reason)
		}
	}
}
