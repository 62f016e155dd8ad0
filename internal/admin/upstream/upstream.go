// Package upstream is the commands about other organisations' identity providers, at which
// people sign in first.
//
// It owns what of their settings is shown, by which text a change is approved, and who may be
// linked to whom. The settings and the links are countersign/internal/upstream's. Its one
// invariant: nobody links a person of an identity provider to themselves, and nobody who
// administers is linked to one at all.
package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/upstream"
	"countersign/internal/upstream/oidc"
)

// Commands are those about identity providers, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List other organisations' identity providers.", []Listed{}),
		admin.Looks[Show]("Show an identity provider with its settings, its keys and who is linked to it; secrets are hidden.", Shown{}),
		admin.Looks[Test]("Test an identity provider: ask it as for a sign-in, and say what is wrong and how to mend it.", Tested{}).
			Telling("upstream.tested", "{by} tested the identity provider {detail.upstream}"),
		admin.Changes[Set]("Add or change an identity provider at which people sign in first.", map[string]string{}).
			Telling("upstream.set", "{by} changed the identity provider {detail.upstream}"),
		admin.Changes[AcceptKey]("Accept a key that an identity provider signs with.", map[string]string{}).
			Telling("upstream.key-accepted", "{by} accepted a key of the identity provider {detail.upstream}"),
		admin.Changes[Link]("Link a person of an identity provider to an account.", map[string]string{}).
			Telling("upstream.linked", "{by} linked {who} to a person of the identity provider {detail.upstream}"),
		admin.Changes[Unlink]("Unlink an account from an identity provider.", map[string]string{}).
			Telling("upstream.unlinked", "{by} unlinked {who} from the identity provider {detail.upstream}"),
		admin.Changes[Remove]("Remove an identity provider; nobody comes in by it any more.", map[string]string{}).
			Telling("upstream.removed", "{by} removed the identity provider {detail.upstream}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB        *store.DB
	Accounts  *directory.Accounts
	Engine    *signin.Engine
	Upstreams *upstream.Catalogue
	Links     *upstream.Links
	Visits    *upstream.Visits
	Dormant   time.Duration
	Now       func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b := admin.NewBook(p.DB)
	return []admin.Desk{
		admin.At(&desk{Book: b, db: p.DB, catalogue: p.Upstreams, links: p.Links, visits: p.Visits}),
		admin.At(&linkDesk{b, guard.NewGiving(guard.New(p.Accounts, p.Engine), p.Dormant, p.Now), guard.New(p.Accounts, p.Engine), p.DB, p.Accounts, p.Upstreams, p.Links}),
	}
}

// desk is where identity providers are looked at and changed.
type desk struct {
	admin.Book
	db        store.Reader
	catalogue *upstream.Catalogue
	links     *upstream.Links
	visits    *upstream.Visits
	one       sync.Mutex // of the tests
}

// Listed is one identity provider, in short.
type Listed struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Protocol string `json:"protocol"`
	Issuer   string `json:"issuer"`
	Off      bool   `json:"off,omitempty"`
	Trust    string `json:"trust"`
	Link     string `json:"link"`
	// Strange is how many of its keys nobody accepted.
	Strange int `json:"strange_keys,omitempty"`
}

// List lists identity providers.
type List struct{}

func (c *List) Action() string { return "upstream.list" }
func (c *List) Object() string { return "" }
func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	all, err := a.catalogue.All(ctx, a.db)
	out := []Listed{}
	for _, u := range all {
		out = append(out, Listed{u.Name, u.Title, u.Protocol, u.Issuer, u.Off, string(u.Trust), u.Link, len(u.Strange)})
	}
	return out, err
}

// mostLinks bounds the links that are shown.
const mostLinks = 500

// Shown is an identity provider. Its secret is hidden.
type Shown struct {
	upstream.Upstream
	// Redirect is where it sends browsers back to: its administrators register it.
	Redirect string `json:"redirect_uri"`
	// Links are those of its people, 500 at most.
	Links []upstream.Linked `json:"links"`
}

// Show shows an identity provider.
type Show struct {
	Name string `json:"name" arg:"" help:"The identity provider."`
}

func (c *Show) Action() string { return "upstream.show" }
func (c *Show) Object() string { return "" }
func (c *Show) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	u, err := a.catalogue.Get(ctx, a.db, c.Name)
	if err != nil {
		return nil, err
	}
	out := Shown{Upstream: u, Redirect: a.visits.Redirect(u.Name)}
	if out.Secret != "" {
		out.Secret = admin.Hidden
	}
	out.Links, err = a.links.Of(ctx, u, mostLinks)
	return out, err
}

// Test tests an identity provider.
type Test struct {
	Name string `json:"name" arg:"" help:"The identity provider."`
}

// Tested is what upstream.test answers.
type Tested struct {
	// Works says that nothing was found wrong.
	Works    bool           `json:"works"`
	Findings []oidc.Finding `json:"findings"`
	// Keys are the thumbprints of the keys that it publishes now.
	Keys []string `json:"keys"`
}

func (c *Test) Action() string { return "upstream.test" }
func (c *Test) Object() string { return "" }
func (c *Test) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	u, err := a.catalogue.Get(ctx, a.db, c.Name)
	if err != nil {
		return nil, err
	}
	if !a.one.TryLock() {
		return nil, failure.New(failure.Conflict, "Another test is running. Try again when it is done.")
	}
	defer a.one.Unlock()
	if err := a.Change(ctx, g, "upstream.tested", map[string]string{"upstream": u.Name}, nil, func(*store.Tx) error { return nil }); err != nil {
		return nil, err
	}
	t := a.visits.Try(ctx, u)
	out := Tested{Findings: t.Findings, Keys: t.Keys}
	for _, k := range t.Keys {
		if len(u.Keys) > 0 && !slices.Contains(u.Keys, k) {
			out.Findings = append(out.Findings, oidc.Finding{Says: "It publishes the key " + k + ", which it has not signed with before. Ask its administrators; upstream accept-key takes it."})
		}
	}
	out.Works = len(out.Findings) > 0 && !slices.ContainsFunc(out.Findings, func(f oidc.Finding) bool { return !f.Works })
	return out, nil
}

// Set adds or changes an identity provider.
type Set struct {
	Name     string          `json:"name" arg:"" help:"What it is called here: a short word."`
	Base     int64           `json:"base,omitempty" help:"The version that was changed, as upstream show prints it; none for a new one."`
	Settings json.RawMessage `json:"settings" required:"" type:"json-file" placeholder:"FILE" help:"Its settings, JSON; - reads standard input."`
}

func (c *Set) Action() string { return "upstream.set" }

// Object holds a digest of the settings, so that an approval of some serves no others and shows
// no secret.
func (c *Set) Object() string {
	sum := sha256.Sum256(c.Settings)
	return c.Said() + ", settings " + hex.EncodeToString(sum[:16])
}

// Said is the text without the digest.
func (c *Set) Said() string {
	what := "identity provider " + text.Name(c.Name)
	if s, err := upstream.Read(c.Settings); err == nil {
		what += ", " + text.Quote(s.Issuer) + ", whose word on second factors is worth " + text.Name(string(s.Trust))
		if s.Link == upstream.ByDomain {
			what += ", whose people are linked by the domains " + admin.Listed(s.Domains)
		}
	}
	if c.Base == 0 {
		return what + ", new"
	}
	return what + ", built on version " + strconv.FormatInt(c.Base, 10)
}

// Tell compares the settings with those that are there. Of the secret it says only that it
// changes.
func (c *Set) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	s.Rows("base")
	old, err := a.catalogue.Get(ctx, a.db, c.Name)
	if err != nil && failure.ClassOf(err) != failure.NotFound {
		return err
	}
	before, err := json.Marshal(old.Settings)
	if err != nil {
		return err
	}
	if old.ID == 0 {
		before = nil
	}
	after := c.Settings
	if next, err := upstream.Read(c.Settings); err == nil {
		if after, err = json.Marshal(next); err != nil {
			return err
		}
	}
	rows, err := admin.Values(before, after, upstream.Secret)
	if err != nil {
		rows = []prompt.Field{{Name: "Settings", After: "they cannot be read"}} // and are refused when it is done
	}
	s.Rows("settings", rows...)
	return nil
}

// next is the identity provider as it is to be kept.
func (c *Set) next(ctx context.Context, a *desk, r store.Reader) (upstream.Upstream, error) {
	u, was, err := over(ctx, a.catalogue, r, admin.Described{Name: c.Name, Settings: c.Settings})
	if err != nil {
		return u, err
	}
	if u.Version != c.Base {
		return u, failure.At("name", failure.New(failure.Conflict, "The identity provider %q is at version %d, and yours was built on %d. Look at it as it is now, and build on that.", c.Name, u.Version, c.Base))
	}
	return u, u.Check(was)
}

// Preflight says what keeps it from being saved.
func (c *Set) Preflight(ctx context.Context, a *desk) error {
	_, err := c.next(ctx, a, a.db)
	return err
}

func (c *Set) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	version := int64(0)
	err := a.Change(ctx, g, "upstream.set", map[string]string{"upstream": c.Name}, nil, func(tx *store.Tx) error {
		u, err := c.next(ctx, a, tx)
		if err != nil {
			return err
		}
		u, err = a.catalogue.SetTx(ctx, tx, u)
		version = u.Version
		return err
	})
	return map[string]string{"upstream": c.Name, "version": strconv.FormatInt(version, 10), "redirect_uri": a.visits.Redirect(c.Name)}, err
}

// AcceptKey accepts a key.
type AcceptKey struct {
	Name string `json:"name" arg:"" help:"The identity provider."`
	Key  string `json:"key" arg:"" help:"The key's thumbprint, as upstream test prints it and its administrators confirm."`
}

func (c *AcceptKey) Action() string { return "upstream.accept-key" }
func (c *AcceptKey) Object() string {
	return "key " + text.Name(c.Key) + " of the identity provider " + text.Name(c.Name)
}
func (c *AcceptKey) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "upstream.key-accepted", map[string]string{"upstream": c.Name, "key": c.Key}, nil, func(tx *store.Tx) error {
		u, err := a.catalogue.Get(ctx, tx, c.Name)
		if err != nil {
			return err
		}
		return a.catalogue.AcceptTx(ctx, tx, u, c.Key)
	})
	return map[string]string{"accepted": c.Key}, err
}

// Remove removes an identity provider.
type Remove struct {
	Name string `json:"name" arg:"" help:"The identity provider."`
}

func (c *Remove) Action() string { return "upstream.remove" }
func (c *Remove) Object() string { return "identity provider " + text.Name(c.Name) }
func (c *Remove) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	err := a.Change(ctx, g, "upstream.removed", map[string]string{"upstream": c.Name}, nil, func(tx *store.Tx) error {
		u, err := a.catalogue.Get(ctx, tx, c.Name)
		if err != nil {
			return err
		}
		return a.catalogue.RemoveTx(ctx, tx, u)
	})
	return map[string]string{"removed": c.Name}, err
}

// linkDesk is where people are linked.
type linkDesk struct {
	admin.Book
	guard.Giving
	guard.Guard
	db        store.Reader
	people    *directory.Accounts
	catalogue *upstream.Catalogue
	links     *upstream.Links
}

// Link links a person of an identity provider to an account.
type Link struct {
	Name            string `json:"name" arg:"" help:"The identity provider."`
	Account         string `json:"account" arg:"" help:"The account; never your own, and none that administers."`
	Subject         string `json:"subject" arg:"" help:"Whom the identity provider says it is (sub, or a persistent NameID), as the log has it of a sign-in that was not linked."`
	Note            string `json:"note,omitempty" help:"How you made sure who it is."`
	admin.AuditText `embed:""`
}

func (c *Link) Action() string { return "upstream.link" }
func (c *Link) About() *string { return &c.Account }
func (c *Link) Object() string {
	return admin.WithReason("the person "+text.Quote(c.Subject)+" of the identity provider "+text.Name(c.Name)+" to "+c.Of(c.Account), c.Note)
}

func (c *Link) Do(ctx context.Context, a *linkDesk, g signin.Grant) (any, error) {
	var d directory.Account
	detail := map[string]string{"upstream": c.Name, "subject": c.Subject, "note": c.Note}
	err := a.Change(ctx, g, "upstream.linked", detail, &d, func(tx *store.Tx) (err error) {
		if d, err = a.Assignee(ctx, tx, g, c.Account); err != nil {
			return err
		}
		u, err := a.catalogue.Get(ctx, tx, c.Name)
		if err != nil {
			return err
		}
		_, err = a.links.LinkTx(ctx, tx, u, d, c.Subject, g.Account())
		return err
	})
	return map[string]string{"linked": c.Account}, err
}

// Unlink ends a link.
type Unlink struct {
	Name            string `json:"name" arg:"" help:"The identity provider."`
	Account         string `json:"account" arg:"" help:"The account."`
	Reason          string `json:"reason,omitempty" help:"Why, for the log."`
	admin.AuditText `embed:""`
}

func (c *Unlink) Action() string { return "upstream.unlink" }
func (c *Unlink) About() *string { return &c.Account }
func (c *Unlink) Object() string {
	return admin.WithReason(c.Of(c.Account)+" from the identity provider "+text.Name(c.Name), c.Reason)
}

func (c *Unlink) Do(ctx context.Context, a *linkDesk, g signin.Grant) (any, error) {
	var d directory.Account
	err := a.Change(ctx, g, "upstream.unlinked", map[string]string{"upstream": c.Name, "reason": c.Reason}, &d, func(tx *store.Tx) (err error) {
		if d, err = a.people.Find(ctx, tx, c.Account); err != nil {
			return err
		}
		if err := a.PersonMust(ctx, tx, g.Account(), d.Guarded()); err != nil {
			return err
		}
		u, err := a.catalogue.Get(ctx, tx, c.Name)
		if err != nil {
			return err
		}
		return a.links.UnlinkTx(ctx, tx, u, d, g.Account())
	})
	return map[string]string{"unlinked": c.Account}, err
}
