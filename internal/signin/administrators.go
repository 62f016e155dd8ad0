package signin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// Loss is what one account is to lose. Edit makes of the account and of its
// authenticators what they would be; it changes neither.
type Loss struct {
	Account assurance.AccountID
	Edit    func(directory.Account, []directory.Credential) (directory.Account, []directory.Credential)
}

// Suspended is the loss of all access.
func Suspended(id assurance.AccountID) Loss {
	return Loss{id, func(a directory.Account, c []directory.Credential) (directory.Account, []directory.Credential) {
		a.State = directory.Suspended
		return a, c
	}}
}

// Ending is the loss of all access from a moment on: whoever has an end is nobody to
// rely on for administering after it.
func Ending(id assurance.AccountID, ends time.Time) Loss {
	return Loss{id, func(a directory.Account, c []directory.Credential) (directory.Account, []directory.Credential) {
		a.Ends = ends
		return a, c
	}}
}

// Without is the loss of one authenticator, or of what it shows of these traits.
func Without(id assurance.AccountID, credential assurance.CredentialID, traits assurance.Trait) Loss {
	return Loss{id, func(a directory.Account, all []directory.Credential) (directory.Account, []directory.Credential) {
		all = slices.Clone(all)
		for i := range all {
			if all[i].ID != credential {
				continue
			}
			if all[i].Traits &^= traits; all[i].Traits == 0 {
				all[i].Status = directory.CredentialRevoked
			}
		}
		return a, all
	}}
}

// Everything is every trait, for [Without].
const Everything = ^assurance.Trait(0)

// Regrouped is the loss of a group, or the danger of one that is joined: policy may
// deny who is in it.
func Regrouped(id assurance.AccountID, leaves, joins string) Loss {
	return Loss{id, func(a directory.Account, c []directory.Credential) (directory.Account, []directory.Credential) {
		a.Groups = slices.DeleteFunc(slices.Clone(a.Groups), func(g string) bool { return g == leaves })
		if joins != "" && !slices.Contains(a.Groups, joins) {
			a.Groups = append(a.Groups, joins)
			slices.Sort(a.Groups)
		}
		return a, c
	}}
}

// lastOne refuses what would leave nobody.
var lastOne = failure.Refuse("last-administrator", "After that, nobody could administer Countersign. First make somebody else an administrator who can sign in as the policy requires of administrators.")

// administration says who administers, and keeps the last who can.
type administration struct {
	credentials *directory.Credentials
	milestones  *directory.Milestones
	groups      *directory.Groups
	judge       *judge
	dormant     time.Duration // see Limits.Dormant
	now         func() time.Time
}

// SpareAdministration refuses a loss after which nobody could administer any more, or
// nobody whose account has no end, where somebody can now. It reads from r, so that inside a change it holds for
// what that change writes: of two that take away the last two at once, one is
// refused. It is also asked before anybody approves.
func (e *Engine) SpareAdministration(ctx context.Context, r store.Reader, l Loss) error {
	return e.administration.spare(ctx, r, l)
}

// SpareAdministrationBy refuses a policy by which nobody could administer any more,
// wherever they are and whenever it is, where somebody can by the one in force.
func (e *Engine) SpareAdministrationBy(ctx context.Context, r store.Reader, next *policy.Policy) error {
	return e.administration.spareBy(ctx, r, next)
}

// PolicyTx is the policy in force as a change sees it that takes away a name which it may
// mention. Such changes and those of the policy wait for one another, so that none is
// checked against what the other is about to make wrong.
func (e *Engine) PolicyTx(ctx context.Context, tx *store.Tx) (*policy.Policy, error) {
	return e.administration.policyTx(ctx, tx)
}

// Administrators lists who administers, by name.
func (e *Engine) Administrators(ctx context.Context, r store.Reader) ([]Administrator, error) {
	return e.administration.list(ctx, r)
}

func (a *administration) spare(ctx context.Context, r store.Reader, l Loss) error {
	if err := a.oneAtATime(ctx, r); err != nil {
		return err
	}
	// Who does not administer is not missed, and those who do are not read for each of thousands.
	if does, err := a.groups.Administers(ctx, r, l.Account); err == nil && !does {
		return nil
	}
	all, err := a.all(ctx, r)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(s *administrator) bool { return s.account.ID == l.Account })
	if i < 0 {
		return nil
	}
	p, err := a.judge.rules.currentIn(ctx, r)
	if err != nil {
		return err
	}
	loser := *all[i]
	loser.account, loser.credentials = l.Edit(loser.account, loser.credentials)
	had := a.judge.keeps(p, all[i])
	if a.judge.keeps(p, &loser) >= had {
		return nil
	}
	for k, other := range all {
		if k != i && a.judge.keeps(p, other) >= had {
			return nil
		}
	}
	return lastOne
}

func (a *administration) spareBy(ctx context.Context, r store.Reader, next *policy.Policy) error {
	if err := a.oneAtATime(ctx, r); err != nil {
		return err
	}
	all, err := a.all(ctx, r)
	if err != nil {
		return err
	}
	now, err := a.judge.rules.currentIn(ctx, r)
	if err != nil {
		return nil //nolint:nilerr // nobody can be worse off than without a policy
	}
	by := func(p *policy.Policy) (best hold) {
		for _, s := range all {
			if best = max(best, a.judge.keeps(p, s)); best == forGood {
				break
			}
		}
		return best
	}
	if by(next) >= by(now) {
		return nil
	}
	return failure.Refuse("last-administrator", "With this policy nobody could administer Countersign any more: "+names(all)+" cannot meet its requirement for policy.change from anywhere, or it denies them.")
}

// oneAtATime makes changes to who can administer wait for one another, whatever
// else they read: each writes the same row. Outside a change there is nothing to wait for.
func (a *administration) oneAtATime(ctx context.Context, r store.Reader) error {
	tx, ok := r.(*store.Tx)
	if !ok {
		return nil
	}
	return a.milestones.TouchAdministered(ctx, tx)
}

func (a *administration) policyTx(ctx context.Context, tx *store.Tx) (*policy.Policy, error) {
	if err := a.oneAtATime(ctx, tx); err != nil {
		return nil, err
	}
	return a.judge.rules.currentIn(ctx, tx)
}

// currentIn is the policy in force as a transaction sees it.
func (r *Rules) currentIn(ctx context.Context, from store.Reader) (*policy.Policy, error) {
	p, err := r.Current(ctx)
	if err != nil {
		return nil, err
	}
	latest, err := r.Latest(ctx, from)
	if errors.Is(err, directory.ErrTampered) {
		return p, nil // the last good one stays in force
	}
	if err != nil {
		return nil, err
	}
	if last := r.cache.Load(); last.version == latest.Version { // there is one: Current has kept it
		return last.policy, nil
	}
	known, err := r.known(ctx, from)
	if err != nil {
		return nil, err
	}
	if fresh, err := policy.Load([]byte(latest.Body), known); err == nil {
		return fresh, nil
	}
	return p, nil
}

// Administrator is somebody who administers, and whether they could now.
type Administrator struct {
	Name string
	ID   assurance.AccountID
	// Language is that of their account, as [directory.Account] has it.
	Language string
	// Able says that policy would let them administer with what they have.
	Able bool
	// Dormant is when they cease to be able unless they sign in before, and Ends when they
	// do whether they sign in or not; zero is never.
	Dormant, Ends time.Time
}

// Until is when they cease to be able unless somebody does something.
func (a Administrator) Until() time.Time {
	if a.EndsFirst() {
		return a.Ends
	}
	return a.Dormant
}

// EndsFirst reports whether their account ends before it would go dormant, so that signing
// in changes nothing.
func (a Administrator) EndsFirst() bool { return !a.Ends.IsZero() && a.Ends.Before(a.Dormant) }

// spareKey reports whether an account could administer without any one of its authenticators.
func (a *administration) spareKey(ctx context.Context, r store.Reader, id assurance.AccountID) (bool, error) {
	account, credentials, err := a.one(ctx, r, id)
	if err != nil || !account.Administers() {
		return false, err
	}
	p, err := a.judge.rules.Current(ctx)
	if err != nil || !a.judge.able(p, &administrator{account, credentials}) {
		return false, err
	}
	for _, c := range active(credentials) {
		without := administrator{}
		without.account, without.credentials = Without(id, c.ID, Everything).Edit(account, credentials)
		if !a.judge.able(p, &without) {
			return false, nil
		}
	}
	return true, nil
}

// one is an account with its authenticators, or the zero account where it does not administer.
func (a *administration) one(ctx context.Context, r store.Reader, id assurance.AccountID) (directory.Account, []directory.Credential, error) {
	members, err := a.groups.Administering(ctx, r, mostAdministrators)
	if err != nil {
		return directory.Account{}, nil, err
	}
	i := slices.IndexFunc(members, func(m directory.Account) bool { return m.ID == id })
	if i < 0 {
		return directory.Account{}, nil, nil
	}
	credentials, err := a.credentials.All(ctx, r, id)
	return members[i], credentials, err
}

func (a *administration) list(ctx context.Context, r store.Reader) ([]Administrator, error) {
	all, err := a.all(ctx, r)
	if err != nil {
		return nil, err
	}
	p, err := a.judge.rules.Current(ctx)
	if err != nil {
		return nil, err
	}
	now := a.now()
	var out []Administrator
	for _, s := range all {
		out = append(out, Administrator{Name: s.account.Name, ID: s.account.ID, Language: s.account.Language, Able: a.judge.able(p, s), Dormant: now.Add(a.dormant - s.account.Idle(now)), Ends: s.account.Ends})
	}
	return out, nil
}

// administrator is somebody who administers, with what they sign in with.
type administrator struct {
	account     directory.Account
	credentials []directory.Credential
}

// mostAdministrators bounds how many are looked at.
const mostAdministrators = 1000

func (a *administration) all(ctx context.Context, r store.Reader) ([]*administrator, error) {
	members, err := a.groups.Administering(ctx, r, mostAdministrators)
	if err != nil {
		return nil, err
	}
	var out []*administrator
	for _, m := range members {
		credentials, err := a.credentials.All(ctx, r, m.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, &administrator{m, credentials})
	}
	return out, nil
}

func names(all []*administrator) string {
	var out string
	for i, s := range all {
		switch {
		case i == 5:
			return out + fmt.Sprintf(" and %d more", len(all)-i)
		case i > 0:
			out += ", "
		}
		out += s.account.Name
	}
	return out
}

// administering are the actions that whoever administers can do: to come in, and to
// change the policy, from where everything else can be put right.
var administering = []string{SignIn, "policy.change"}

// able reports whether somebody could administer by a policy with what they have, at
// some time and from somewhere. What is in quarantine counts: a day later it does.
func (j *judge) able(p *policy.Policy, s *administrator) bool {
	for _, action := range administering {
		m := matter{setting: j.setting, Request: Request{Application: Self, Action: action, Protocol: "browser", Medium: prompt.Browser},
			now: j.now(), application: ourselves(), account: s.account, somebody: true, credentials: s.credentials, policy: p}
		if s.account.Kind != directory.Person || m.barred() != "" || !m.mayAdminister() || !m.couldGet() {
			return false
		}
	}
	return true
}

// hold is for how long somebody could administer. More is better.
type hold int

const (
	notAtAll  hold = iota
	untilEnds      // their account has an end
	forGood
)

// keeps is for how long somebody could administer by a policy with what they have.
func (j *judge) keeps(p *policy.Policy, s *administrator) hold {
	switch {
	case !j.able(p, s):
		return notAtAll
	case !s.account.Ends.IsZero():
		return untilEnds
	}
	return forGood
}

// couldGet reports whether the account's authenticators are enough for the least
// that policy demands of it, wherever it is and whenever it comes. What this server
// does not know, as after it was taken out of the configuration, shows nothing.
func (m *matter) couldGet() bool {
	held := slices.DeleteFunc(active(m.credentials), func(c directory.Credential) bool {
		_, known := m.kind(c.Kind)
		return !known || c.Traits.Has(assurance.Vouched)
	})
	if !slices.ContainsFunc(held, m.begins) {
		return false
	}
	w := m.policy.Weakest(policy.Class{Facts: m.facts(m.account, directory.LacksTwoFactors(m.credentials, m.now)), Free: policy.FreeSource | policy.FreeTime})
	for _, way := range w.Ways {
		counts := slices.DeleteFunc(slices.Clone(held), func(c directory.Credential) bool { return slices.Contains(way.Decision.Refuse, c.Kind) })
		if way.Decision.Requirement.Met(directory.CouldShow(counts, m.now), m.now) {
			return true
		}
	}
	return false
}

// begins reports whether an authenticator can be the first that is shown: what is
// answered elsewhere, and a code without a PIN, come behind another.
func (m *matter) begins(c directory.Credential) bool {
	k, _ := m.kind(c.Kind)
	return k.First && k.answersBy(m.Medium) && (opensWith(k.Traits) || withPIN(c.Traits))
}
