package pass

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/ticket"
)

// Bounds of an invitation. By mail it lives a day as a rule, which is as long as SP 800-63A-4
// section 3.8 has a code by mail live; by letter a week, and 21 days at most, as there.
const (
	MailLife       = 24 * time.Hour
	MostMailLife   = 7 * 24 * time.Hour
	LetterLife     = 7 * 24 * time.Hour
	MostLetterLife = 21 * 24 * time.Hour
	// shownAfter is how long it is still shown after it ended.
	shownAfter = 30 * 24 * time.Hour
	// mostOpenings is how often one invitation gives a pass: each ends the one before.
	mostOpenings = 5
	// mostMails is how many invitations one address is sent within a day.
	mostMails = 5

	invitationKind = "invitation"
	invitedVia     = "invitation"
)

// States of an invitation.
const (
	Invited = "invited"
	Opened  = "opened"
	Done    = "done"
	Expired = "expired"
)

// Invitation is what somebody is invited by to set up how they sign in. It is no pass: who
// opens it is given one, which is good for an hour.
type Invitation struct {
	Account string `json:"account"`
	// State is invited, opened, done once something to sign in with was set up, or expired.
	State string `json:"state"`
	// Mail is where it was sent; empty for a letter.
	Mail    string    `json:"mail,omitempty"`
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	// Opened is when it was last opened, and Source from where.
	Opened time.Time `json:"opened,omitzero"`
	Source string    `json:"source,omitempty"`
}

// kept is what the ticket of an invitation holds. Serial makes its letter, with the key that
// only the server has: the ticket is found by it, and it stands in no row.
type kept struct {
	Serial  string
	Mail    string
	By      string
	Created time.Time
	Expires time.Time
	Opens   int
	Opened  time.Time
	Source  string
}

// Invitations are those that people have.
type Invitations struct {
	db          *store.DB
	keys        *keyring.Keyring
	people      *directory.Accounts
	credentials *directory.Credentials
	tickets     *ticket.Tickets
	outbox      *notify.Outbox
	notices     *enrollment.Notices
	passes      *Passes
	publicURL   *url.URL
	mails       bool
	dormant     time.Duration
	now         func() time.Time
}

// NewInvitations makes Invitations.
func NewInvitations(p Parts) *Invitations {
	return &Invitations{p.DB, p.Keys, p.Accounts, p.Credentials, p.Tickets, p.Outbox, p.Notices, p.Passes, p.PublicURL, p.Mails, p.Dormant, p.Now}
}

// Of returns the newest invitation of an account with these authenticators; false is none
// that is shown.
func (i *Invitations) Of(ctx context.Context, r store.Reader, d directory.Account, credentials []directory.Credential) (Invitation, bool, error) {
	all, err := i.tickets.Of(ctx, r, invitationKind, int64(d.ID))
	if err != nil || len(all) == 0 {
		return Invitation{}, false, err
	}
	var k kept
	if err := json.Unmarshal(all[len(all)-1].Payload, &k); err != nil {
		return Invitation{}, false, err
	}
	return i.told(d, k, credentials), true, nil
}

func (i *Invitations) told(d directory.Account, k kept, credentials []directory.Credential) Invitation {
	out := Invitation{Account: d.Name, State: Invited, Mail: k.Mail, By: k.By, Created: k.Created, Expires: k.Expires, Opened: k.Opened, Source: k.Source}
	switch {
	case done(k, credentials):
		out.State = Done
	case !i.now().Before(k.Expires) || k.Opens >= mostOpenings && k.Opened.Before(i.now().Add(-enrollment.PassDefault)):
		out.State = Expired
	case k.Opens > 0:
		out.State = Opened
	}
	return out
}

// done reports whether something to sign in with was set up since: the invitation has served.
func done(k kept, credentials []directory.Credential) bool {
	for _, c := range credentials {
		if c.Traits&(assurance.Known|assurance.Held) != 0 && !c.Created.Before(k.Created) {
			return true
		}
	}
	return false
}

// letters write a code so that it can be typed from paper.
var letters = base32.NewEncoding("ABCDEFGHJKLMNPQRSTUVWXYZ23456789").WithPadding(base32.NoPadding)

// code is what an invitation is opened with: 128 bits, in groups of four.
func (i *Invitations) code(account assurance.AccountID, serial string) string {
	mac := i.keys.MAC(keyring.Ticket, keyring.NewFields().String(invitationKind).Int(int64(account)).String(serial))
	sum := sha256.Sum256(mac)
	s := letters.EncodeToString(sum[:16])
	var groups []string
	for ; len(s) > 4; s = s[4:] {
		groups = append(groups, s[:4])
	}
	return strings.Join(append(groups, s), "-")
}

// secretOf is what the ticket of a code is found by, however it was typed.
func secretOf(code string) string {
	bare := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(code))
	sum := sha256.Sum256([]byte(invitationKind + "\x00" + bare))
	return base64.RawURLEncoding.EncodeToString(sum[:24])
}

// link is the address that opens an invitation.
func (i *Invitations) link(code string) string {
	return i.publicURL.JoinPath("invited").String() + "?code=" + code
}

// issue is an invitation to be made: to an address, or on paper where it is empty.
type issue struct {
	to       directory.Account
	mail, by string
	life     time.Duration
}

// issueTx replaces an account's invitation by a new one, and returns its code.
func (i *Invitations) issueTx(ctx context.Context, tx *store.Tx, n issue) (kept, string, error) {
	if _, err := i.tickets.EndTx(ctx, tx, invitationKind, int64(n.to.ID)); err != nil {
		return kept{}, "", err
	}
	now := i.now().Truncate(time.Microsecond)
	k := kept{Serial: ticket.NewSecret(), Mail: n.mail, By: n.by, Created: now, Expires: now.Add(n.life)}
	code := i.code(n.to.ID, k.Serial)
	return k, code, i.keepTx(ctx, tx, n.to.ID, k, code)
}

// keepTx writes an invitation under its code.
func (i *Invitations) keepTx(ctx context.Context, tx *store.Tx, account assurance.AccountID, k kept, code string) error {
	b, err := json.Marshal(k)
	if err != nil {
		return err
	}
	_, err = i.tickets.IssueTx(ctx, tx, ticket.Spec{Kind: invitationKind, Owner: int64(account), Payload: b, Lifetime: k.Expires.Sub(i.now()) + shownAfter, Secret: secretOf(code)})
	return err
}

// mailTx sends an invitation. The row of the mail has no code.
func (i *Invitations) mailTx(ctx context.Context, tx *store.Tx, d directory.Account, k kept) error {
	sent, err := i.outbox.FilledSince(ctx, tx, k.Mail, i.now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	if sent >= mostMails {
		return failure.Refuse("too-many-mails", fmt.Sprintf("%s was sent %d invitations within a day. Wait until tomorrow, or print a letter.", text.Name(k.Mail), mostMails))
	}
	mail := i.outbox.Write(i.letter(d, k))
	mail.Address, mail.Fill = k.Mail, k.Serial
	return i.outbox.Queue(ctx, tx, mail)
}

// Fill completes the mail of an invitation with its link, as it is sent. One that would not
// be opened any more is not sent.
func (i *Invitations) Fill(ctx context.Context, n notify.Notice) (notify.Notice, error) {
	code := i.code(assurance.AccountID(n.Account), n.Fill)
	d, _, err := i.find(ctx, i.db, code)
	if failure.ClassOf(err) == failure.Refused || err == nil && int64(d.ID) != n.Account {
		return n, failure.New(failure.Invalid, "The invitation is over; it was not sent.")
	}
	if err != nil {
		return n, err
	}
	n.Body = strings.Replace(n.Body, linkHere, i.link(code), 1)
	return n, nil
}

// EndTx ends what an account is invited by, and the passes that came of it; false is nothing.
func (i *Invitations) EndTx(ctx context.Context, tx *store.Tx, account assurance.AccountID) (bool, error) {
	was, err := i.tickets.EndTx(ctx, tx, invitationKind, int64(account))
	if err != nil || !was {
		return false, err
	}
	return true, i.passes.passes.EndTx(ctx, tx, account)
}

// spent is the refusal of an invitation that gives nothing any more.
func spent(reason, sentence string) error { return failure.Refuse(reason, sentence) }

// Look returns whose invitation a code is, and until when it is good. It changes nothing:
// mail is read by programs as well, which follow every link.
func (i *Invitations) Look(ctx context.Context, code string) (Invitation, error) {
	d, k, err := i.find(ctx, i.db, code)
	return Invitation{Account: d.Name, Mail: k.Mail, By: k.By, Expires: k.Expires}, err
}

// find returns the account and the invitation of a code that is good.
func (i *Invitations) find(ctx context.Context, r store.Reader, code string) (directory.Account, kept, error) {
	var k kept
	t, err := i.tickets.Peek(ctx, invitationKind, secretOf(code))
	if failure.ClassOf(err) == failure.Refused {
		return directory.Account{}, k, spent("unknown-invitation", "That invitation is not good, or another one was sent since. Use the newest, or ask for another.")
	}
	if err != nil {
		return directory.Account{}, k, err
	}
	d, err := i.people.Get(ctx, r, assurance.AccountID(t.Owner))
	if err != nil {
		return d, k, err
	}
	if err := json.Unmarshal(t.Payload, &k); err != nil {
		return d, k, err
	}
	credentials, err := i.credentials.All(ctx, r, d.ID)
	if err != nil {
		return d, k, err
	}
	return d, k, i.good(d, k, credentials)
}

// good refuses an invitation that has served, or whose account is another than it was.
func (i *Invitations) good(d directory.Account, k kept, credentials []directory.Credential) error {
	switch {
	case done(k, credentials):
		return spent("used-invitation", "That invitation was used. If it was not you who used it, tell your administrator now.")
	case !i.now().Before(k.Expires):
		return spent("expired-invitation", "That invitation has expired. Ask for another one.")
	case k.Opens >= mostOpenings:
		return spent("opened-invitation", "That invitation was opened too often. Ask for another one.")
	case d.Guarded():
		return spent("privileged", "That invitation is not good any more. Ask an administrator for a pass.")
	case d.Idle(i.now()) > i.dormant:
		return spent("dormant", "The account is dormant. Ask an administrator to resume it.")
	}
	return d.Out(i.now())
}

// Open gives whoever has a code a pass, which replaces the one that came of it before. The
// owner is told the first time.
func (i *Invitations) Open(ctx context.Context, code string, source netip.Addr) (Pass, error) {
	var out Pass
	d, _, err := i.find(ctx, i.db, code)
	if err != nil {
		return out, err
	}
	err = i.db.Change(ctx, audit.Actor{Account: int64(d.ID), Name: d.Name, Via: invitedVia}, func(tx *store.Tx) error {
		d, k, err := i.find(ctx, tx, code)
		if err != nil {
			return err
		}
		if _, err := i.tickets.TakeTx(ctx, tx, invitationKind, secretOf(code)); err != nil {
			return err
		}
		k.Opens, k.Opened, k.Source = k.Opens+1, i.now().Truncate(time.Second), audit.AddressText(source)
		if err := i.keepTx(ctx, tx, d.ID, k, code); err != nil {
			return err
		}
		if out, err = i.passes.In(ctx, tx, d, 0); err != nil {
			return err
		}
		if k.Opens == 1 {
			if err := i.notices.Tell(ctx, tx, d, language.Say("Your invitation was opened"), language.Say("Somebody opened the invitation of the account %s, from %s. It gives a pass that is good once and for an hour.", d.Name, k.Source)); err != nil {
				return err
			}
		}
		return tx.Record(audit.Entry{Event: "invitation.opened", Outcome: audit.OK, Account: int64(d.ID), AccountName: d.Name, Application: signin.Self, Protocol: "browser",
			Source: k.Source, Detail: map[string]string{"by": k.By, "times": fmt.Sprint(k.Opens)}})
	})
	return out, err
}
