package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"countersign/internal/admin/site"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// othersFile has a thing of each part beside groups and applications, with all their secrets.
const othersFile = siteFile + `upstreams:
  - name: partner
    settings:
      title: Partner
      protocol: oidc
      issuer: https://login.partner.example
      domains: [partner.example]
      client_id: us
      client_secret: the-secret-of-the-partner
provisioning:
  - application: notes
    settings:
      address: https://notes.example.org/scim/v2
      token: the-secret-of-the-notes
      groups: [staff]
streams:
  - name: mail
    receiver: hub
    settings:
      audience: [https://mail.example.org]
      delivery: push
      endpoint: https://mail.example.org/events
      authorization: Bearer the-secret-of-the-mail
sources:
  - name: hub
    settings:
      issuer: https://hub.example.org
      audience: https://login.example.org
      delivery: poll
      endpoint: https://hub.example.org/poll
      authorization: Bearer the-secret-of-the-hub
      domains: [example.org]
`

// The promise: identity providers, provisioning, streams and sources are kept in a file like
// applications: planned, approved once, made whole or not at all; exported without a secret, and
// what was exported changes nothing, here and after it was changed.
func TestTheRestOfASiteIsMadeByAFile(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := servertest.OfficeOf(w, "ada", "bob")[0]
		if err := ada.Do(t.Context(), "account.create", map[string]any{"name": "hub", "kind": "service"}, nil); err != nil {
			t.Fatal(err)
		}
		plan := func(file string, prune bool) (d site.Difference, err error) {
			t.Helper()
			return d, ada.Do(t.Context(), "site.plan", map[string]any{"file": file, "prune": prune}, &d)
		}
		apply := func(file string, prune bool) site.Difference {
			t.Helper()
			d, err := plan(file, prune)
			if err == nil {
				err = ada.Do(t.Context(), "site.apply", map[string]any{"file": file, "prune": prune, "changes": d.Text}, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		d, err := plan(othersFile, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"make identity provider partner", "make SCIM target notes", "make signal stream mail", "make signal source hub"} {
			if !strings.Contains(d.Text, what) {
				t.Errorf("no %q in %s", what, d.Text)
			}
		}
		if w.Events("upstream.set")+w.Events("provisioning.set")+w.Events("stream.created")+w.Events("source.created") != 0 {
			t.Error("a plan made something")
		}
		// Whole or nothing: the last part is wrong.
		if _, err := plan(strings.Replace(othersFile, "delivery: poll", "delivery: pigeon", 1), false); failure.ClassOf(err) != failure.Invalid || !strings.Contains(failure.Public(err), "line ") {
			t.Errorf("a source by pigeon: %v", err)
		}
		for wrong, is := range map[string][2]string{
			"a setting that is none":        {"issuer: https://hub", "isuer: https://hub"},
			"an endpoint inside":            {"https://mail.example.org/events", "https://10.0.0.1/events"},
			"an application that is none":   {"application: notes", "application: gnotes"},
			"a receiver that is a person":   {"receiver: hub", "receiver: ada"},
			"a hidden secret of nobody":     {"the-secret-of-the-partner", "(hidden)"},
			"a hidden token of nobody":      {"the-secret-of-the-notes", "(hidden)"},
			"a hidden authorization":        {"Bearer the-secret-of-the-mail", "(hidden)"},
			"another hidden authorization":  {"Bearer the-secret-of-the-hub", "(hidden)"},
			"a group that is none":          {"groups: [staff]", "groups: [stuff]"},
			"a domain that is no domain":    {"domains: [partner.example]", "domains: [partner]"},
			"an address that is no address": {"https://notes.example.org/scim/v2", "notes"},
		} {
			if _, err := plan(strings.Replace(othersFile, is[0], is[1], 1), false); err == nil || !strings.Contains(failure.Public(err), "line ") {
				t.Errorf("%s: %v", wrong, err)
			}
		}
		apply(othersFile, false)
		if w.Events("upstream.set") != 1 || w.Events("provisioning.set") != 1 || w.Events("stream.created") != 1 || w.Events("source.created") != 1 {
			t.Error("the log does not say each thing that was made")
		}
		var exported site.Exported
		if err := ada.Do(t.Context(), "site.export", map[string]any{}, &exported); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(exported.File, "the-secret") || strings.Count(exported.File, "(hidden)") != 7 || !strings.Contains(exported.File, "receiver: hub") {
			t.Errorf("exported:\n%s", exported.File)
		}
		if d, err := plan(exported.File, true); err != nil || !d.Same {
			t.Errorf("what was exported differs: %+v, %v", d, err)
		}
		if d, err := plan(othersFile, false); err != nil || d.Text != site.Nothing {
			t.Errorf("what was applied differs: %+v, %v", d, err)
		}

		// A changed title leaves the secrets; a changed secret is no text.
		more := strings.Replace(exported.File, "title: Partner", "title: The partner", 1)
		if d := apply(more, false); !strings.Contains(d.Text, `settings.title from "\"Partner\"" to "\"The partner\""`) {
			t.Errorf("%s", d.Text)
		}
		u, err := w.Upstreams.Get(t.Context(), w.DB, "partner")
		if err != nil || u.Secret != "the-secret-of-the-partner" || u.Title != "The partner" {
			t.Errorf("a hidden secret did not stay: %v", err)
		}
		target, err := w.Provision.Targets.Get(t.Context(), w.DB, "notes")
		if err != nil || target.Token != "the-secret-of-the-notes" {
			t.Errorf("a hidden token did not stay: %v", err)
		}
		other := strings.Replace(othersFile, "the-secret-of-the-partner", "the-secret-of-the-partner-two", 1)
		if d := apply(other, false); !strings.Contains(d.Text, "settings.client_secret another secret") || strings.Contains(d.Text, "the-secret") {
			t.Errorf("%s", d.Text)
		}

		// A hidden secret goes to nobody else.
		for _, move := range [][2]string{{"https://login.partner.example", "https://login.evil.example"}, {"https://notes.example.org/scim/v2", "https://evil.example/scim/v2"},
			{"https://mail.example.org/events", "https://evil.example/events"}, {"https://hub.example.org/poll", "https://evil.example/poll"}} {
			moved := strings.Replace(exported.File, move[0], move[1], 1)
			if _, err := plan(moved, false); failure.ClassOf(err) != failure.Invalid {
				t.Errorf("a stored secret would go to %s: %v", move[1], err)
			}
		}
		raw, err := json.Marshal(map[string]any{"title": "Partner", "protocol": "oidc", "issuer": "https://login.evil.example", "client_id": "us", "client_secret": "(hidden)"})
		if err != nil {
			t.Fatal(err)
		}
		if err := ada.Do(t.Context(), "upstream.set", map[string]any{"name": "partner", "base": 3, "settings": json.RawMessage(raw)}, nil); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("a stored secret goes to another issuer by the command: %v", err)
		}
		if _, err := plan(strings.Replace(othersFile, "receiver: hub", "receiver: ''", 1), false); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("a stream goes to another receiver: %v", err)
		}

		// A domain goes from one to another in one file, in whatever order they stand there.
		two := strings.Replace(othersFile, "upstreams:\n", `upstreams:
  - name: a-new-one
    settings: {title: New, protocol: oidc, issuer: "https://new.example", domains: [partner.example], client_id: us, client_secret: the-secret-of-the-new-one}
`, 1)
		if _, err := plan(two, false); failure.ClassOf(err) != failure.Conflict || !strings.Contains(failure.Public(err), "partner.example") {
			t.Errorf("two have one domain: %v", err)
		}
		apply(strings.Replace(two, "      domains: [partner.example]\n", "", 1), false)

		// What a file does not name stays, until it is to go; the application of a target may go with it.
		none := "countersign: 1\nupstreams: []\nprovisioning: []\nstreams: []\nsources: []\n"
		if d, err := plan(none, false); err != nil || d.Text != site.Nothing || len(d.Changes) != 5 {
			t.Errorf("%+v, %v", d, err)
		}
		apply(none, true)
		if w.Events("upstream.removed") != 2 || w.Events("provisioning.removed") != 1 || w.Events("stream.removed") != 1 || w.Events("source.removed") != 1 {
			t.Error("the log does not say each thing that was removed")
		}
		if d, err := plan(none, true); err != nil || !d.Same {
			t.Errorf("%+v, %v", d, err)
		}
		apply(othersFile, false) // and all of it comes back
		storetest.Quiet(t, w.DB)
		entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 1000})
		if err != nil || len(entries) < 10 {
			t.Fatalf("%d entries: %v", len(entries), err)
		}
		for _, e := range entries {
			for name, value := range e.Detail {
				if strings.Contains(value, "the-secret") {
					t.Errorf("%s has a secret in %s", e.Event, name)
				}
			}
			if e.Event == "upstream.set" && e.Outcome != audit.OK {
				t.Errorf("%+v", e)
			}
		}
	})
}
