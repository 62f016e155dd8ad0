package directory

import (
	"context"
	"strings"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// partnerPrefix begins the names of groups of partners. No name that is chosen has a colon
// ([CheckNew]), so that no group of another release or of an administrator is one.
//
// Whose person somebody is stands in the roster of their account, and not only in a table that
// names it: whoever can take rows out of the database cannot make one of our own people of them.
const partnerPrefix = "partner:"

// PartnerGroup is the name of the group in which a partner's people are, for rules.
func PartnerGroup(partner string) string { return partnerPrefix + partner }

// OfPartner reports whether it is the group of a partner, which comes and goes with that.
func (g Group) OfPartner() bool { return strings.HasPrefix(g.Name, partnerPrefix) }

// partnersOwn refuses to change the group of a partner as others are changed.
var partnersOwn = failure.Refuse("partner", "People come into the group of a partner when something is delegated to them, and stay its people; end the delegation, or remove the account. The group goes with the partner.")

// Partners are the groups of partners: who is a person of which.
type Partners struct{ groups *Groups }

// NewPartners makes Partners.
func NewPartners(p Parts) *Partners { return &Partners{NewGroups(p)} }

// CheckPartner returns the one spelling of a new partner's name.
func CheckPartner(name string) (string, error) {
	c, err := Canonical(name)
	if err == nil {
		err = CheckNew(c)
	}
	return c, err
}

// CreateTx makes the group of a partner. The name was looked at by [CheckPartner].
func (p *Partners) CreateTx(ctx context.Context, tx *store.Tx, partner, display string) error {
	_, err := p.groups.create(ctx, tx, partnerPrefix+partner, display, false)
	return err
}

// RemoveTx removes the group of a partner. It is a Conflict while people are in it.
func (p *Partners) RemoveTx(ctx context.Context, tx *store.Tx, partner string) error {
	g, err := p.groups.Find(ctx, tx, partnerPrefix+partner)
	if err != nil {
		return err
	}
	return p.groups.remove(ctx, tx, g)
}

// JoinTx makes an account one of a partner's people, which it stays. Whoever is one already may
// join again; who is privileged, no person, or another partner's, is refused.
func (p *Partners) JoinTx(ctx context.Context, tx *store.Tx, partner string, a Account) error {
	a, err := p.groups.get(ctx, tx, a.ID)
	if err != nil {
		return err
	}
	if err := a.MayJoin(partner); err != nil || a.Partner == partner {
		return err
	}
	g, err := p.groups.Find(ctx, tx, partnerPrefix+partner)
	if err != nil {
		return err
	}
	return p.groups.join(ctx, tx, g, a)
}

// MayJoin says why an account cannot be one of a partner's people.
func (a Account) MayJoin(partner string) error {
	switch {
	case a.Kind != Person:
		return failure.Refuse("service", a.Name+" is no person; nothing is delegated to a program of a partner. Issue a key to an account of your own.")
	case a.Privileged:
		return failure.Refuse("privileged", a.Name+" is in a privileged group, and nobody is both ours and a partner's; make another account for what they do as the partner's person.")
	case a.Partner != "" && a.Partner != partner:
		return failure.Refuse("partner", a.Name+" is a person of the partner "+a.Partner+" already, and one account is one partner's; make another account.")
	}
	return nil
}

// People are the accounts of a partner, by name, at most limit of them.
func (p *Partners) People(ctx context.Context, r store.Reader, partner string, limit int) ([]Account, error) {
	g, err := p.groups.Find(ctx, r, partnerPrefix+partner)
	if err != nil {
		return nil, err
	}
	return p.groups.Members(ctx, r, g, limit)
}
