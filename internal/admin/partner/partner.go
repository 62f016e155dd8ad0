// Package partner is the commands about partners: other organisations whose people administer
// something for us.
//
// It owns what may be delegated, by which text that is approved, and the report of all who have
// something delegated. What is kept is countersign/internal/partner's, and what a delegation is worth
// the engine's to judge. Its one invariant: what is approved names the person, all that they get, and
// from when until when.
package partner

import (
	"context"
	"strconv"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/partner"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/upstream"
)

// Commands are those about partners, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List partners: other organisations whose people administer something for us.", []Listed{}),
		admin.Looks[Show]("Show a partner, and what is and was delegated to its people.", Shown{}),
		admin.Looks[Report]("Report everybody to whom something is or was delegated: what, until when, by whose approval, with which factors, and when they were here last.", Reported{}),
		admin.Changes[Create]("Add a partner. Nobody of it gets anything by that.", Listed{}).
			Telling("partner.created", "{by} added the partner {detail.of-partner}"),
		admin.Changes[Change]("Change what a partner is called, by which identity provider its people come, and how long a delegation may last.", Listed{}).
			Telling("partner.changed", "{by} changed the partner {detail.of-partner}"),
		admin.Changes[Delegate]("Ask that something is delegated to a person of a partner. It is in force when another administrator approves it.", partner.Delegation{}).
			Telling("partner.delegation-asked", "{by} asked that something is delegated to {who} of the partner {detail.of-partner}: {detail.what}"),
		admin.Changes[Approve]("Put a delegation in force that another administrator asked for.", partner.Delegation{}).
			Telling("partner.delegated", "{by} approved what is delegated to {who} of the partner {detail.of-partner}: {detail.what}"),
		admin.Changes[End]("End a delegation, or take back one that waits for its approval.", partner.Delegation{}).
			Telling("partner.delegation-ended", "{by} ended what was delegated to {who} of the partner {detail.of-partner}: {detail.reason}"),
		admin.Changes[Stop]("End all that is delegated to the people of a partner.", map[string]int{}).
			Telling("partner.stopped", "{by} ended all that was delegated to the people of the partner {detail.of-partner}: {detail.reason}"),
		admin.Changes[Remove]("Remove a partner that has no people here any more.", map[string]string{}).
			Telling("partner.removed", "{by} removed the partner {detail.of-partner}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB           *store.DB
	Accounts     *directory.Accounts
	Credentials  *directory.Credentials
	Groups       *directory.Groups
	Applications *application.Catalogue
	Upstreams    *upstream.Catalogue
	Kept         *partner.Kept
	Delegations  *partner.Delegations
	Engine       *signin.Engine
	// Commands are all commands, of which some can be delegated.
	Commands func() admin.List
	Now      func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b := admin.NewBook(p.DB)
	return []admin.Desk{
		admin.At(&desk{b, p.DB, p.Kept, p.Delegations, p.Upstreams, p.Engine}),
		admin.At(&delegating{b, p.DB, p.Accounts, p.Groups, p.Applications, p.Kept, p.Delegations, p.Commands, p.Now}),
		admin.At(&reporting{p.DB, p.Accounts, p.Credentials, p.Kept, p.Now}),
	}
}

// desk is where partners are added, changed and removed.
type desk struct {
	admin.Book
	db          store.Reader
	kept        *partner.Kept
	delegations *partner.Delegations
	upstreams   *upstream.Catalogue
	engine      *signin.Engine
}

// Listed is one partner.
type Listed struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Upstream string `json:"upstream,omitempty"`
	// Longest is how long a delegation may last, such as 30d.
	Longest string `json:"longest"`
	Contact string `json:"contact,omitempty"`
	// Group is the group that its people are in, for rules.
	Group   string `json:"group"`
	Version int64  `json:"version"`
}

func listed(p partner.Partner) Listed {
	return Listed{p.Name, p.Title, p.Upstream, length(p.Limit()), p.Contact, directory.PartnerGroup(p.Name), p.Version}
}

// length writes a length of time as it is typed.
func length(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	return d.String()
}

// List lists partners.
type List struct{}

func (c *List) Action() string { return "partner.list" }
func (c *List) Object() string { return "" }
func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	all, err := a.kept.Partners(ctx, a.db)
	out := []Listed{}
	for _, p := range all {
		out = append(out, listed(p))
	}
	return out, err
}

// Create adds a partner.
type Create struct {
	Name     string `json:"name" arg:"" help:"What it is called here: a short word."`
	Title    string `json:"title" required:"" help:"What people call it."`
	Upstream string `json:"upstream,omitempty" help:"The identity provider by which its people come (countersign upstream list); none where they sign in here alone."`
	Longest  string `json:"longest,omitempty" help:"How long a delegation may last, such as 14d: 30d when left out, 90d at most."`
	Contact  string `json:"contact,omitempty" help:"Whom to call there."`
}

func (c *Create) Action() string { return "partner.create" }
func (c *Create) Object() string {
	return partnerText(c.Name, c.Title, c.Upstream, c.Longest, c.Contact)
}

func partnerText(name, title, by, longest, contact string) string {
	what := admin.Called("partner "+text.Name(name), title)
	if by != "" {
		what += ", whose people come by the identity provider " + text.Name(by)
	}
	if longest == "" {
		longest = length(partner.LongestDefault)
	}
	what += ", delegations of " + text.Name(longest) + " at most"
	if contact != "" {
		what += ", contact " + text.Quote(contact)
	}
	return what
}

// settings are those that are asked for; the identity provider must be there.
func (a *desk) settings(ctx context.Context, r store.Reader, title, by, longest, contact string) (partner.Settings, error) {
	s := partner.Settings{Title: title, Upstream: by, Contact: contact}
	if longest != "" {
		d, err := text.Duration(longest)
		if err != nil || d <= 0 {
			return s, failure.At("longest", failure.New(failure.Invalid, "How long a delegation may last is a length of time such as 8h or 30d."))
		}
		s.Longest = d
	}
	if by != "" {
		if _, err := a.upstreams.Get(ctx, r, by); err != nil {
			return s, failure.At("upstream", err)
		}
	}
	return s, s.Check()
}

// Preflight says what is wrong with it.
func (c *Create) Preflight(ctx context.Context, a *desk) error {
	_, err := a.settings(ctx, a.db, c.Title, c.Upstream, c.Longest, c.Contact)
	return err
}

func (c *Create) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var made partner.Partner
	err := a.Change(ctx, g, "partner.created", map[string]string{"of-partner": c.Name}, nil, func(tx *store.Tx) error {
		s, err := a.settings(ctx, tx, c.Title, c.Upstream, c.Longest, c.Contact)
		if err != nil {
			return err
		}
		made, err = a.delegations.SetTx(ctx, tx, partner.Partner{Name: c.Name, Settings: s})
		return err
	})
	return listed(made), err
}

// Change changes a partner.
type Change struct {
	Name     string `json:"name" arg:"" help:"The partner."`
	Title    string `json:"title" required:"" help:"What people call it."`
	Upstream string `json:"upstream,omitempty" help:"The identity provider by which its people come (countersign upstream list); none where they sign in here alone."`
	Longest  string `json:"longest,omitempty" help:"How long a delegation may last, such as 14d: 30d when left out, 90d at most. What is delegated already stays."`
	Contact  string `json:"contact,omitempty" help:"Whom to call there."`
}

func (c *Change) Action() string { return "partner.change" }
func (c *Change) Object() string {
	return partnerText(c.Name, c.Title, c.Upstream, c.Longest, c.Contact)
}

// Tell says what it is set to now.
func (c *Change) Tell(ctx context.Context, a *desk, s *admin.Sheet) error {
	p, err := a.kept.Partner(ctx, a.db, c.Name)
	if err != nil {
		return err
	}
	s.Was("title", p.Title)
	s.Was("upstream", p.Upstream)
	s.Was("longest", length(p.Limit()))
	s.Was("contact", p.Contact)
	return nil
}

// Preflight says what is wrong with it.
func (c *Change) Preflight(ctx context.Context, a *desk) error {
	_, err := a.settings(ctx, a.db, c.Title, c.Upstream, c.Longest, c.Contact)
	return err
}

func (c *Change) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var p partner.Partner
	err := a.Book.Change(ctx, g, "partner.changed", map[string]string{"of-partner": c.Name}, nil, func(tx *store.Tx) error {
		s, err := a.settings(ctx, tx, c.Title, c.Upstream, c.Longest, c.Contact)
		if err != nil {
			return err
		}
		if p, err = a.kept.Partner(ctx, tx, c.Name); err != nil {
			return err
		}
		p.Settings = s
		p, err = a.delegations.SetTx(ctx, tx, p)
		return err
	})
	return listed(p), err
}

// Remove removes a partner.
type Remove struct {
	Name string `json:"name" arg:"" help:"The partner."`
}

func (c *Remove) Action() string { return "partner.remove" }
func (c *Remove) Object() string { return "partner " + text.Name(c.Name) }
func (c *Remove) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	err := a.Book.Change(ctx, g, "partner.removed", map[string]string{"of-partner": c.Name}, nil, func(tx *store.Tx) error {
		rules, err := a.engine.PolicyTx(ctx, tx)
		if err != nil {
			return err
		}
		p, err := a.kept.Partner(ctx, tx, c.Name)
		if err != nil {
			return err
		}
		for _, group := range rules.Mentions().Groups {
			if group == directory.PartnerGroup(p.Name) {
				return failure.New(failure.Conflict, "The policy mentions %q; change the policy first.", group)
			}
		}
		return a.delegations.RemoveTx(ctx, tx, p)
	})
	return map[string]string{"removed": c.Name}, err
}
