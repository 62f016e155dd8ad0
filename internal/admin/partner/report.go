package partner

import (
	"context"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/partner"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// reporting is where it is told who has what.
type reporting struct {
	db          store.Reader
	people      *directory.Accounts
	credentials *directory.Credentials
	kept        *partner.Kept
	now         func() time.Time
}

// Factor is something that a delegated person signs in with.
type Factor struct {
	Kind  string `json:"kind"`
	Label string `json:"label,omitempty"`
	// Resists says that it is phishing-resistant. Foreign says that it is the word of the partner's own
	// identity provider, which is never a second factor here.
	Resists bool `json:"phishing_resistant"`
	Foreign bool `json:"foreign,omitempty"`
}

// Row is one delegation, in full.
type Row struct {
	Number  int64    `json:"number"`
	Partner string   `json:"partner"`
	Account string   `json:"account"`
	State   string   `json:"state"`
	What    string   `json:"what"`
	Factors []Factor `json:"factors"`
	// Strong says that the person has a phishing-resistant factor of their own here.
	Strong    bool          `json:"strong"`
	Scope     partner.Scope `json:"scope"`
	From      time.Time     `json:"from"`
	Until     time.Time     `json:"until"`
	Approvers []string      `json:"approvers"`
	// LastUse is when the person was granted something here last, to within an hour; zero is never.
	LastUse time.Time `json:"last_use,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	By      string    `json:"ended_by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Note    string    `json:"note,omitempty"`
}

// Reported is the report. Standing counts those that are approved and not over.
type Reported struct {
	Partners    int   `json:"partners"`
	Standing    int   `json:"standing"`
	Delegations []Row `json:"delegations"`
}

// Report reports all delegations, the newest first.
type Report struct {
	Partner  string `json:"partner,omitempty" arg:"" optional:"" help:"Only this partner's."`
	Standing bool   `json:"standing,omitempty" help:"Only those that are approved and not over."`
}

func (c *Report) Action() string { return "partner.report" }
func (c *Report) Object() string { return "" }
func (c *Report) Do(ctx context.Context, a *reporting, _ signin.Grant) (any, error) {
	partners, err := a.kept.Partners(ctx, a.db)
	if err != nil {
		return nil, err
	}
	out := Reported{Partners: len(partners)}
	out.Delegations, err = a.rows(ctx, c.Partner)
	if c.Standing {
		standing := []Row{}
		for _, r := range out.Delegations {
			if r.State == partner.InForce || r.State == partner.NotBegun {
				standing = append(standing, r)
			}
		}
		out.Delegations = standing
	}
	for _, r := range out.Delegations {
		if r.State == partner.InForce || r.State == partner.NotBegun {
			out.Standing++
		}
	}
	return out, err
}

func (a *reporting) rows(ctx context.Context, of string) ([]Row, error) {
	all, err := a.kept.Delegations(ctx, a.db)
	if err != nil {
		return nil, err
	}
	out := []Row{}
	for _, d := range all {
		if of != "" && d.Partner != of {
			continue
		}
		row, err := a.row(ctx, d)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

func (a *reporting) row(ctx context.Context, d partner.Delegation) (Row, error) {
	row := Row{Number: d.Number, Partner: d.Partner, Account: d.Name, State: d.State(a.now()), What: d.Scope.Words(), Factors: []Factor{}, Scope: d.Scope,
		From: d.From, Until: d.Until, Approvers: d.Approvers(), Ended: d.Ended, By: d.By, Reason: d.Reason, Note: d.Note}
	account, err := a.people.Get(ctx, a.db, d.Account)
	switch class := failure.ClassOf(err); {
	case class == failure.NotFound || class == failure.Refused: // removed, or not as it was left
		return row, nil
	case err != nil:
		return row, err
	}
	row.Account, row.LastUse = account.Name, account.Used
	credentials, err := a.credentials.All(ctx, a.db, account.ID)
	for _, c := range credentials {
		if c.Status != directory.CredentialActive {
			continue
		}
		f := Factor{c.Kind, c.Label, c.Traits.Has(assurance.PhishingResistant), c.Traits.Has(assurance.Foreign)}
		row.Strong = row.Strong || f.Resists && !f.Foreign
		row.Factors = append(row.Factors, f)
	}
	return row, err
}

// Shown is a partner with its delegations.
type Shown struct {
	Listed
	Delegations []Row `json:"delegations"`
}

// Show shows a partner.
type Show struct {
	Name string `json:"name" arg:"" help:"The partner."`
}

func (c *Show) Action() string { return "partner.show" }
func (c *Show) Object() string { return "" }
func (c *Show) Do(ctx context.Context, a *reporting, _ signin.Grant) (any, error) {
	p, err := a.kept.Partner(ctx, a.db, c.Name)
	if err != nil {
		return nil, err
	}
	out := Shown{Listed: listed(p)}
	out.Delegations, err = a.rows(ctx, p.Name)
	return out, err
}
