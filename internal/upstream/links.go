package upstream

import (
	"context"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	kind "countersign/internal/authenticator/upstream"
	"countersign/internal/certkey"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/metadata"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
	"countersign/internal/upstream/oidc"
	"countersign/internal/upstream/said"
)

// Links are which person of an upstream is which account. A link counts for nothing until its
// owner has shown, beside it, something of their own that is held: then it is confirmed, and
// they are told.
type Links struct {
	db          *store.DB
	people      *directory.Accounts
	credentials *directory.Credentials
	catalogue   *Catalogue
	notices     *enrollment.Notices
	endings     *enrollment.Endings
	dormant     time.Duration
	now         func() time.Time
}

// Parts are what Links and Visits are made of.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Catalogue   *Catalogue
	Notices     *enrollment.Notices
	Endings     *enrollment.Endings
	Tickets     *ticket.Tickets
	CertKeys    *certkey.Keys
	Metadata    *metadata.Kept
	// PublicURL is where our own pages are.
	PublicURL *url.URL
	// Dormant is after how long without use an account is dormant.
	Dormant time.Duration
	Now     func() time.Time
	Log     *slog.Logger
}

// Pieces are what people come in by, and what is kept of them.
type Pieces struct {
	Links  *Links
	Visits *Visits
}

// New makes the pieces.
func New(p Parts) Pieces {
	links := &Links{p.DB, p.Accounts, p.Credentials, p.Catalogue, p.Notices, p.Endings, p.Dormant, p.Now}
	return Pieces{links, &Visits{p.DB, p.Catalogue, links, p.Tickets, oidc.New(p.Now), p.CertKeys, p.Metadata, p.PublicURL, p.Now, p.Log}}
}

// firstSight links whoever a statement is about to the account that a rule names, for this
// challenge alone, until its owner confirms it. Where no rule does nothing changes, and nobody
// learns why.
func (l *Links) firstSight(ctx context.Context, u Upstream, s said.Statement, challenge string) error {
	if u.Link != ByDomain || s.Refused != "" || !u.owns(s.Mail) {
		return nil
	}
	if !u.mayLink(s) {
		return nil
	}
	id, err := l.named(ctx, l.db, u, s)
	if err != nil || id == 0 {
		return err
	}
	return l.db.Change(ctx, audit.System("upstream"), func(tx *store.Tx) error {
		now, err := l.named(ctx, tx, u, s) // it may have changed meanwhile
		if err != nil {
			return err
		}
		if now != id {
			tx.Unrecorded()
			return nil
		}
		enrolled, err := kind.Link(s, u.Title, challenge)
		if err != nil {
			return err
		}
		c, err := l.waiting(ctx, tx, id, u)
		if err != nil {
			return err
		}
		c.Label, c.Handle, c.Traits, c.State = enrolled.Label, enrolled.Handle, enrolled.Traits, enrolled.State
		if c.ID != 0 {
			err = l.credentials.Update(ctx, tx, c)
		} else {
			c, err = l.credentials.Add(ctx, tx, c)
		}
		if err != nil {
			return err
		}
		return l.record(ctx, tx, "upstream.first-sight", c, u, s.Subject)
	})
}

// mayLink is asked before anything is read of anybody.
func (u Upstream) mayLink(s said.Statement) bool {
	return !u.Off && s.Upstream == u.ID && s.Issuer == u.Issuer && (u.Trust != said.Enforce || u.Terms().Asserts(s.Class))
}

// owns reports whether an address is exactly of one of the upstream's own domains.
func (u Upstream) owns(mail string) bool {
	local, domain, ok := strings.Cut(mail, "@")
	return ok && local != "" && slices.Contains(u.Domains, domain)
}

// named is the account that the rule names for a statement, or 0. It is one of a person that has
// exactly this address, that could sign in, has nothing to do with administration, has something
// held of its own to confirm with, and was never linked to this upstream.
func (l *Links) named(ctx context.Context, r store.Reader, u Upstream, s said.Statement) (assurance.AccountID, error) {
	if clean, err := directory.CheckMail(s.Mail); err != nil || clean != s.Mail {
		return 0, nil
	}
	account, err := l.people.Find(ctx, r, s.Mail)
	if failure.ClassOf(err) == failure.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	now := l.now()
	if account.Kind != directory.Person || account.Privileged || account.Out(now) != nil || account.Idle(now) > l.dormant {
		return 0, nil
	}
	mails, err := l.people.Mails(ctx, r, account.ID)
	if err != nil || !slices.Contains(mails, s.Mail) {
		return 0, err
	}
	all, err := l.credentials.All(ctx, r, account.ID)
	if err != nil || !linkable(all, u, now) {
		return 0, err
	}
	taken, err := l.credentials.ByHandle(ctx, r, kind.Kind, s.Handle())
	switch {
	case failure.ClassOf(err) == failure.NotFound:
		return account.ID, nil
	case err != nil:
		return 0, err
	case taken.Account != account.ID || !byRule(taken):
		return 0, nil // whoever unlinked it decides, and nobody else
	}
	return account.ID, nil
}

// linkable reports whether of these authenticators one could confirm a link, and none was ever a
// link to this upstream that its owner confirmed or an administrator made.
func linkable(all []directory.Credential, u Upstream, now time.Time) bool {
	held := false
	for _, c := range all {
		if c.Kind == kind.Kind {
			number, _, _, err := kind.Of(c.State)
			if err != nil || number == u.ID && !byRule(c) {
				return false
			}
		}
		held = held || c.Status == directory.CredentialActive && c.Traits.Has(assurance.Held) && !now.Before(c.Quarantine)
	}
	return held
}

// byRule reports whether a link was made by a rule and is not confirmed: another may take its
// place, so that nobody keeps somebody out by being first.
func byRule(c directory.Credential) bool {
	return c.Traits.Has(assurance.Tentative) && c.Assigned == 0 && c.Status == directory.CredentialActive
}

// waiting is the link of an account to an upstream that a rule made and nobody has confirmed, whose row the
// next one takes, so that strangers leave one at most; a new one where there is none.
func (l *Links) waiting(ctx context.Context, r store.Reader, id assurance.AccountID, u Upstream) (directory.Credential, error) {
	all, err := l.credentials.All(ctx, r, id)
	if err != nil {
		return directory.Credential{}, err
	}
	for _, c := range all {
		if c.Kind != kind.Kind || !byRule(c) {
			continue
		}
		if number, _, _, err := kind.Of(c.State); err != nil || number == u.ID {
			return c, err
		}
	}
	return directory.Credential{Account: id, Kind: kind.Kind}, nil
}

func (l *Links) record(ctx context.Context, tx *store.Tx, event string, c directory.Credential, u Upstream, subject string) error {
	account, err := l.people.Get(ctx, tx, c.Account)
	if err != nil {
		return err
	}
	return tx.Record(audit.Entry{Event: event, Outcome: audit.OK, Account: int64(account.ID), AccountName: account.Name,
		Detail: map[string]string{"upstream": u.Name, "subject": subject, "credential": strconv.FormatInt(int64(c.ID), 10)}})
}

// confirmed are the links of a rule that this evidence confirms: none where nothing of the person's
// own that is held is beside them.
func confirmed(evidence []assurance.Evidence) (linked []assurance.CredentialID) {
	held := false
	for _, e := range evidence {
		if e.Kind == kind.Kind && e.Traits.Has(assurance.Tentative) {
			linked = append(linked, e.Credential)
		}
		held = held || e.Traits.Has(assurance.Held) && !e.Traits.Has(assurance.Foreign)
	}
	if !held {
		return nil
	}
	return linked
}

// Confirm confirms the links that a grant rests on, beside something of the person's own that is
// held. Anything else it leaves as it is.
func (l *Links) Confirm(ctx context.Context, g signin.Grant) error {
	linked := confirmed(g.Evidence())
	if len(linked) == 0 {
		return nil
	}
	return l.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		any := false
		for _, id := range linked {
			done, err := l.confirmTx(ctx, tx, g.Account(), id)
			if err != nil {
				return err
			}
			any = any || done
		}
		if !any {
			tx.Unrecorded()
		}
		return nil
	})
}

func (l *Links) confirmTx(ctx context.Context, tx *store.Tx, account assurance.AccountID, id assurance.CredentialID) (bool, error) {
	c, err := l.credentials.Get(ctx, tx, account, id)
	if err != nil {
		return false, err
	}
	if c.Status != directory.CredentialActive || !c.Traits.Has(assurance.Tentative) {
		return false, nil // it is confirmed, or over
	}
	number, subject, _, err := kind.Of(c.State)
	if err != nil {
		return false, err
	}
	if c.State, c.Traits, err = kind.Confirmed(c.State); err != nil {
		return false, err
	}
	if err := l.credentials.Update(ctx, tx, c); err != nil {
		return false, err
	}
	u, err := l.numbered(ctx, tx, number)
	if err != nil {
		return false, err
	}
	if err := l.record(ctx, tx, "upstream.confirmed", c, u, subject); err != nil {
		return false, err
	}
	owner, err := l.people.Get(ctx, tx, account)
	if err != nil {
		return false, err
	}
	return true, l.notices.Tell(ctx, tx, owner, language.Say("You can sign in at another organisation now"),
		language.Say("Who signs in at %s as you can now use that in place of your password for %s. Your own second factor is still asked for.", language.Word(u.Title), owner.Name))
}

func (l *Links) numbered(ctx context.Context, r store.Reader, number int64) (Upstream, error) {
	all, err := l.catalogue.All(ctx, r)
	if err != nil {
		return Upstream{}, err
	}
	for _, u := range all {
		if u.ID == number {
			return u, nil
		}
	}
	return Upstream{}, ErrNone
}

// Linked is one link, for people.
type Linked struct {
	Account   string    `json:"account"`
	Subject   string    `json:"subject"`
	Confirmed bool      `json:"confirmed"`
	Number    int64     `json:"number"`
	Used      time.Time `json:"used,omitzero"`
}

// Of lists the links to an upstream, at most limit of them.
func (l *Links) Of(ctx context.Context, u Upstream, limit int) ([]Linked, error) {
	all, err := l.credentials.OfHandles(ctx, l.db, kind.Kind, said.Prefix(u.ID), "", limit)
	if err != nil {
		return nil, err
	}
	out := []Linked{}
	for _, c := range all {
		account, err := l.people.Get(ctx, l.db, c.Account)
		if failure.ClassOf(err) == failure.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		_, subject, tentative, err := kind.Of(c.State)
		if err != nil {
			return nil, err
		}
		out = append(out, Linked{account.Name, subject, !tentative, int64(c.ID), c.Used})
	}
	return out, nil
}

// LinkTx links a subject of an upstream to an account, on an administrator's word, inside a
// change that records it. The account's owner confirms it when they first use it.
func (l *Links) LinkTx(ctx context.Context, tx *store.Tx, u Upstream, to directory.Account, subject string, by assurance.AccountID) (directory.Credential, error) {
	switch {
	case to.Privileged:
		return directory.Credential{}, failure.At("account", failure.Refuse("privileged", to.Name+" administers, or is privileged otherwise. Such accounts are linked to no identity provider, because whoever runs that would administer with them."))
	case subject == "" || len(subject) > 255 || strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r > '~' }):
		return directory.Credential{}, wrong("subject", "The subject is what the identity provider calls the person by (sub, or a persistent NameID): 1 to 255 characters of ASCII.")
	}
	all, err := l.credentials.All(ctx, tx, to.ID)
	if err != nil {
		return directory.Credential{}, err
	}
	for _, c := range all {
		if c.Kind != kind.Kind || c.Status != directory.CredentialActive {
			continue
		}
		number, _, _, err := kind.Of(c.State)
		if err != nil {
			return directory.Credential{}, err
		}
		if number != u.ID {
			continue
		}
		if !byRule(c) {
			return directory.Credential{}, failure.At("account", failure.New(failure.Conflict, "%s is linked to this identity provider already; unlink that first.", to.Name))
		}
		if err := l.endings.RevokeTx(ctx, tx, &c, directory.ByNewer, 0); err != nil {
			return directory.Credential{}, err
		}
	}
	enrolled, err := kind.Link(said.Statement{Upstream: u.ID, Issuer: u.Issuer, Subject: subject}, u.Title, "")
	if err != nil {
		return directory.Credential{}, err
	}
	c, err := l.credentials.Add(ctx, tx, directory.Credential{Account: to.ID, Kind: kind.Kind, Label: enrolled.Label, Handle: enrolled.Handle, Traits: enrolled.Traits, State: enrolled.State, Assigned: by})
	if err != nil {
		return c, err
	}
	return c, l.notices.Tell(ctx, tx, to, language.Say("Something to sign in with was assigned to your account"),
		language.Say("A person of %s was linked to your account %s. It counts once you have signed in by it and shown your own second factor.", language.Word(u.Title), to.Name))
}

// UnlinkTx ends an account's link to an upstream, inside a change that records it. A rule does not
// link the account again.
func (l *Links) UnlinkTx(ctx context.Context, tx *store.Tx, u Upstream, of directory.Account, by assurance.AccountID) error {
	all, err := l.credentials.All(ctx, tx, of.ID)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Kind != kind.Kind || c.Status != directory.CredentialActive {
			continue
		}
		number, _, _, err := kind.Of(c.State)
		if err != nil {
			return err
		}
		if number != u.ID {
			continue
		}
		if err := l.endings.RevokeTx(ctx, tx, &c, directory.ByAdministrator, int64(by)); err != nil {
			return err
		}
		return l.notices.Tell(ctx, tx, of, language.Say("A way to sign in was revoked"), language.Say("%q can no longer be used to sign in as %s.", language.Word(c.Label), of.Name))
	}
	return failure.At("account", failure.New(failure.NotFound, "%s is not linked to this identity provider.", of.Name))
}
