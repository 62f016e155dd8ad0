package signal

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"countersign/internal/admin"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/secevent"
	signals "countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/signingkey"
	"countersign/internal/store"
	"countersign/internal/text"
)

// sourceDesk is where sources are administered.
type sourceDesk struct {
	admin.Book
	db      *store.DB
	people  *directory.Accounts
	sources *signals.Sources
	hearing *signals.Hearing
	public  *url.URL
}

// SourceSettings are those of a source, as they are written in a file. What is left out is the
// default.
type SourceSettings struct {
	Issuer        string   `json:"issuer"`
	Audience      string   `json:"audience"`
	JWKS          string   `json:"jwks,omitempty"`
	Algorithms    []string `json:"algorithms,omitempty"`
	Delivery      string   `json:"delivery"`
	Endpoint      string   `json:"endpoint,omitempty"`
	Authorization string   `json:"authorization,omitempty"`
	Events        []string `json:"events,omitempty"`
	Domains       []string `json:"domains,omitempty"`
	// Externals is the name of the service account whose identifiers of people are its subjects.
	Externals string `json:"externals,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	Most      int    `json:"most,omitempty"`
}

// mostDefault is for how many signals an hour a source is obeyed where nothing is said.
const mostDefault = 100

// Source is a source, as it is shown.
type Source struct {
	Name string `json:"name"`
	// Push is where it pushes to, or empty.
	Push string `json:"push,omitempty"`
	// Secret is what it comes with when it pushes. It is shown once, to who made it.
	Secret   string         `json:"secret,omitempty"`
	Settings SourceSettings `json:"settings"`
	Status   string         `json:"status"`
	Reason   string         `json:"reason,omitempty"`
	// Problem is why it cannot be polled, as the server that answers finds it.
	Problem string `json:"problem,omitempty"`
	// Obeyed is for how many signals it was obeyed lately.
	Obeyed  int       `json:"obeyed"`
	Created time.Time `json:"created"`
}

// ReceivePath is where sources push to, before their names.
const ReceivePath = "/signals/receive/"

// sourceShown are the settings of a source, without its secret.
func sourceShown(one signals.Source, externals string) SourceSettings {
	return SourceSettings{one.Issuer, one.Audience, one.JWKS, one.Algorithms, one.Delivery, one.Endpoint, hide(one.Authorization), shorts(one.Events), one.Domains, externals, one.Tenant, one.Most}
}

func (a *sourceDesk) shown(ctx context.Context, r store.Reader, one signals.Source) (Source, error) {
	externals, err := nameOf(ctx, r, a.people, one.Externals)
	out := Source{Name: one.Name, Status: one.Status, Reason: one.Reason, Problem: a.hearing.Problem(one), Obeyed: len(one.Acts), Created: one.Created,
		Settings: sourceShown(one, externals)}
	if one.Delivery == signals.Push {
		out.Push = a.public.JoinPath(ReceivePath, one.Name).String()
	}
	return out, err
}

// ListSources lists sources.
type ListSources struct{}

func (c *ListSources) Action() string { return "source.list" }
func (c *ListSources) Object() string { return "" }

func (c *ListSources) Do(ctx context.Context, a *sourceDesk, _ signin.Grant) (any, error) {
	all, err := a.sources.All(ctx)
	if err != nil {
		return nil, err
	}
	out := []Source{}
	for _, one := range all {
		s, err := a.shown(ctx, a.db, one)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// ShowSource shows a source, without its secrets.
type ShowSource struct {
	Name string `json:"name" arg:"" help:"The source."`
}

func (c *ShowSource) Action() string { return "source.show" }
func (c *ShowSource) Object() string { return "" }

func (c *ShowSource) Do(ctx context.Context, a *sourceDesk, _ signin.Grant) (any, error) {
	one, err := a.sources.Named(ctx, c.Name)
	if err != nil {
		return nil, failure.At("name", err)
	}
	return a.shown(ctx, a.db, one)
}

// CreateSource makes a source.
type CreateSource struct {
	Name     string          `json:"name" arg:"" help:"What you call it: a-z, 0-9, dot and hyphen."`
	Settings json.RawMessage `json:"settings" required:"" type:"json-file" placeholder:"FILE" help:"Its settings, JSON (docs/signals.md); - reads standard input."`
}

func (c *CreateSource) Action() string { return "source.create" }
func (c *CreateSource) Object() string { return c.Said() + digest(c.Settings) }

// Said is the text without the digest.
func (c *CreateSource) Said() string { return "source " + text.Name(c.Name) + ", new" }

// Tell shows the settings, without the secret.
func (c *CreateSource) Tell(_ context.Context, _ *sourceDesk, s *admin.Sheet) error {
	rows, err := admin.Values(nil, c.Settings, Secret)
	if err == nil {
		s.Rows("settings", rows...)
	}
	return nil //nolint:nilerr // what cannot be read is refused when it is done
}

// settingsOf are what a source is to be set to, over what it is set to now.
func (a *sourceDesk) settingsOf(ctx context.Context, r store.Reader, raw json.RawMessage, now signals.SourceSettings) (signals.SourceSettings, error) {
	var in SourceSettings
	if err := decode(raw, &in); err != nil {
		return now, err
	}
	out := signals.SourceSettings{Issuer: in.Issuer, Audience: in.Audience, JWKS: in.JWKS, Algorithms: in.Algorithms, Delivery: in.Delivery, Endpoint: in.Endpoint,
		Events: typesOf(in.Events, secevent.Heeded()), Domains: in.Domains, Tenant: in.Tenant, Most: cmp.Or(in.Most, mostDefault)}
	if len(out.Algorithms) == 0 {
		out.Algorithms = []string{signingkey.ES256}
	}
	if len(out.Events) == 0 {
		out.Events = []string{secevent.SessionRevoked, secevent.CredentialChange, secevent.CredentialCompromise, secevent.AssuranceChange}
	}
	var err error
	if out.Externals, err = found(ctx, r, a.people, "settings", in.Externals); err != nil {
		return now, err
	}
	out.Authorization, err = keptSecret(in.Authorization, in.Endpoint, now.Authorization, now.Endpoint)
	return out, err
}

func (c *CreateSource) Do(ctx context.Context, a *sourceDesk, g signin.Grant) (any, error) {
	var out Source
	err := a.Change(ctx, g, "source.created", map[string]string{"name": c.Name}, nil, func(tx *store.Tx) error {
		set, err := a.settingsOf(ctx, tx, c.Settings, signals.SourceSettings{})
		if err != nil {
			return err
		}
		one, err := a.sources.Create(ctx, tx, signals.Source{Name: c.Name, SourceSettings: set})
		if err != nil {
			return err
		}
		out, err = a.shown(ctx, tx, one)
		out.Secret = one.Secret
		return err
	})
	return out, err
}

// UpdateSource changes the settings of a source. Its secret and what it did stay.
type UpdateSource struct {
	Name     string          `json:"name" arg:"" help:"The source."`
	Settings json.RawMessage `json:"settings" required:"" type:"json-file" placeholder:"FILE" help:"All of its settings, JSON; an authorization that says (hidden) stays. - reads standard input."`
}

func (c *UpdateSource) Action() string { return "source.update" }
func (c *UpdateSource) Object() string { return c.Said() + digest(c.Settings) }

// Said is the text without the digest.
func (c *UpdateSource) Said() string { return "source " + text.Name(c.Name) }

// Tell compares the settings with those that are there.
func (c *UpdateSource) Tell(ctx context.Context, a *sourceDesk, s *admin.Sheet) error {
	one, err := a.sources.Named(ctx, c.Name)
	if err != nil {
		return err
	}
	was, err := a.shown(ctx, a.db, one)
	if err != nil {
		return err
	}
	before, err := json.Marshal(was.Settings)
	if err != nil {
		return err
	}
	if rows, err := admin.Values(before, c.Settings, Secret); err == nil {
		s.Rows("settings", rows...)
	}
	return nil
}

func (c *UpdateSource) Do(ctx context.Context, a *sourceDesk, g signin.Grant) (any, error) {
	return a.change(ctx, g, "source.updated", map[string]string{"name": c.Name}, func(tx *store.Tx, one *signals.Source) (err error) {
		one.SourceSettings, err = a.settingsOf(ctx, tx, c.Settings, one.SourceSettings)
		return err
	})
}

// change changes a source. A secret that it gets is shown.
func (a *sourceDesk) change(ctx context.Context, g signin.Grant, event string, detail map[string]string, do func(tx *store.Tx, one *signals.Source) error) (any, error) {
	var out Source
	err := a.Change(ctx, g, event, detail, nil, func(tx *store.Tx) error {
		one, err := a.sources.Find(ctx, tx, detail["name"])
		if err != nil {
			return err
		}
		secret := one.Secret
		if err := do(tx, &one); err != nil {
			return err
		}
		if one.Delivery == signals.Push && one.Secret == "" {
			one.Secret = signals.NewSecret()
		}
		if err := a.sources.Update(ctx, tx, one); err != nil {
			return err
		}
		out, err = a.shown(ctx, tx, one)
		if one.Secret != secret {
			out.Secret = one.Secret
		}
		return err
	})
	return out, err
}

// RenewSource gives a source a new secret.
type RenewSource struct {
	Name string `json:"name" arg:"" help:"The source."`
}

func (c *RenewSource) Action() string { return "source.renew" }
func (c *RenewSource) Object() string { return "a new secret for the source " + text.Name(c.Name) }

func (c *RenewSource) Do(ctx context.Context, a *sourceDesk, g signin.Grant) (any, error) {
	return a.change(ctx, g, "source.renewed", map[string]string{"name": c.Name}, func(_ *store.Tx, one *signals.Source) error {
		if one.Delivery != signals.Push {
			return failure.New(failure.Conflict, "The source %s is polled, and comes with no secret.", one.Name)
		}
		one.Secret = signals.NewSecret()
		return nil
	})
}

// SetHeard pauses a source, or has it heard again.
type SetHeard struct {
	Name   string `json:"name" arg:"" help:"The source."`
	Status string `json:"status" arg:"" help:"enabled or paused."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
}

func (c *SetHeard) Action() string { return "source.set-status" }
func (c *SetHeard) Object() string {
	return admin.WithReason("source "+text.Name(c.Name)+" to "+text.Name(c.Status), c.Reason)
}

func (c *SetHeard) Do(ctx context.Context, a *sourceDesk, g signin.Grant) (any, error) {
	if !slices.Contains([]string{signals.Enabled, signals.Paused}, c.Status) {
		return nil, failure.At("status", failure.New(failure.Invalid, "A source is %s or %s.", signals.Enabled, signals.Paused))
	}
	return a.change(ctx, g, "source.status-set", map[string]string{"name": c.Name, "status": c.Status, "reason": c.Reason}, func(_ *store.Tx, one *signals.Source) error {
		if c.Status == signals.Enabled && one.Status != signals.Enabled {
			one.Acts = nil // somebody looked at it: the hour begins anew
		}
		one.Status, one.Reason = c.Status, c.Reason
		return nil
	})
}

// RemoveSource removes a source.
type RemoveSource struct {
	Name   string `json:"name" arg:"" help:"The source."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
}

func (c *RemoveSource) Action() string { return "source.remove" }
func (c *RemoveSource) Object() string {
	return admin.WithReason("source "+text.Name(c.Name), c.Reason)
}

func (c *RemoveSource) Do(ctx context.Context, a *sourceDesk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "source.removed", map[string]string{"name": c.Name, "reason": c.Reason}, nil, func(tx *store.Tx) error {
		one, err := a.sources.Find(ctx, tx, c.Name)
		if err != nil {
			return err
		}
		return a.sources.Remove(ctx, tx, one)
	})
	return map[string]string{"removed": c.Name}, err
}
