// Package token is the commands about hardware tokens.
//
// It owns how tokens come into stock, go to people and come back. Tokens are rows of
// directory, what one keeps is made by its kind, and who may be given one is admin/guard's.
// Its one invariant: no code that was accepted once is accepted of the next owner.
package token

import (
	"context"
	"fmt"
	"time"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/ticket"
)

// Commands are those about hardware tokens, with what each answers and leaves in the log.
func Commands() []admin.Spec {
	return []admin.Spec{
		admin.Looks[List]("List hardware tokens by serial number.", Page{}),
		admin.Looks[Stage]("Send a part of a token file; it changes nothing before token.import.", Staged{}),
		admin.Looks[Preview]("Say what importing the sent token file would do.", Previewed{}),
		admin.Changes[Import]("Put the tokens of a sent file into stock: all of them, or none.", Imported{}).
			Telling("token.imported", "{by} imported {detail.count} tokens"),
		admin.Changes[Assign]("Make a token from stock an authenticator of somebody else's.", Token{}).
			Telling("token.assigned", "{by} assigned token {detail.serial} to {who}: {detail.note}"),
		admin.Changes[Resync]("Put a token right by two of its codes in a row.", Token{}).
			Telling("token.resynchronised", "{by} put token {detail.serial} right by two codes"),
		admin.Changes[PIN]("Give somebody's token a new first PIN, which its owner must change, or take the PIN away.", PINGiven{}).
			Telling("token.pin-given", "{by} gave token {detail.serial} of {who} a new first PIN").
			Telling("token.pin-cleared", "{by} took away the PIN of token {detail.serial} of {who}"),
		admin.Changes[Lost]("Switch off a token that its owner cannot find.", Token{}).
			Telling("token.lost", "{by} switched off token {detail.serial}, which is lost: {detail.reason}"),
		admin.Changes[Return]("Take a token back from its owner.", Token{}).
			Telling("token.returned", "{by} took token {detail.serial} back: {detail.reason}"),
		admin.Changes[Revoke]("End a token for good.", Token{}).
			Telling("token.revoked", "{by} ended token {detail.serial} for good: {detail.reason}"),
	}
}

// Parts are what the commands work on.
type Parts struct {
	DB          *store.DB
	Accounts    *directory.Accounts
	Credentials *directory.Credentials
	Stock       *directory.Tokens
	Engine      *signin.Engine
	Enrolled    enrollment.Pieces
	Tickets     *ticket.Tickets
	// Kinds make what tokens keep, and PINs what stands in front of their codes.
	Kinds   enrollment.TokenKinds
	PINs    enrollment.PINKinds
	Dormant time.Duration
	Now     func() time.Time
}

// Desks are where the commands are done.
func Desks(p Parts) []admin.Desk {
	b, e := admin.NewBook(p.DB), p.Enrolled
	return []admin.Desk{
		admin.At(&desk{b, guard.NewGiving(guard.New(p.Accounts, p.Engine), p.Dormant, p.Now), p.DB, p.Accounts, p.Credentials, p.Stock, p.Engine, p.Now, e.Enrollments, e.Endings, e.Notices, e.PINs, p.Kinds, p.PINs}),
		admin.At(&stockDesk{b, p.DB, p.Stock, p.Tickets, p.Kinds}),
	}
}

// desk is where hardware tokens go to people and come back.
type desk struct {
	admin.Book
	guard.Giving
	db          store.Reader
	people      *directory.Accounts
	credentials *directory.Credentials
	stock       *directory.Tokens
	engine      *signin.Engine
	now         func() time.Time
	enrollments *enrollment.Enrollments
	endings     *enrollment.Endings
	notices     *enrollment.Notices
	given       *enrollment.PINs
	tokens      enrollment.TokenKinds
	pins        enrollment.PINKinds
}

// spare refuses, before anybody approves it, the loss of what a token shows of these traits
// after which nobody could administer.
func (a *desk) spare(ctx context.Context, serial string, traits assurance.Trait) error {
	t, err := a.stock.Get(ctx, a.db, serial)
	if err != nil || t.State != directory.TokenAssigned {
		return err
	}
	return a.SpareLoss(ctx, a.db, signin.Without(t.Account, t.Credential, traits))
}

// Token is one hardware token as administrators see it; never its secret.
type Token struct {
	Serial       string    `json:"serial"`
	Manufacturer string    `json:"manufacturer,omitempty"`
	Kind         string    `json:"kind"`
	Detail       string    `json:"detail"`
	State        string    `json:"state"`
	Owner        string    `json:"owner,omitempty"` // whose it is, or was last
	Issued       time.Time `json:"issued,omitzero"`
	Created      time.Time `json:"created"`
}

// Page is a page of tokens. Next is where to go on, or empty.
type Page struct {
	Tokens []Token `json:"tokens"`
	Next   string  `json:"next,omitempty"`
}

// List lists tokens by serial.
type List struct {
	Serial string `json:"serial,omitempty" arg:"" optional:"" help:"A part of the serial number."`
	State  string `json:"state,omitempty" help:"stock, assigned, returned, lost or revoked."`
	Owner  string `json:"owner,omitempty" help:"Whose tokens."`
	After  string `json:"after,omitempty" help:"Go on after this serial."`
	Limit  int    `json:"limit,omitempty" help:"How many: 100 when left out, 1000 at most."`
}

func (c *List) Action() string { return "token.list" }
func (c *List) Object() string { return "" }

func (c *List) Do(ctx context.Context, a *desk, _ signin.Grant) (any, error) {
	which := directory.WhichTokens{Serial: c.Serial, State: c.State}
	if c.Owner != "" {
		owner, err := a.people.Find(ctx, a.db, c.Owner)
		if err != nil {
			return nil, err
		}
		which.Owner = owner.ID
	}
	limit := min(max(c.Limit, 0), 1000)
	if limit == 0 {
		limit = 100
	}
	tokens, err := a.stock.List(ctx, a.db, which, c.After, limit)
	out := Page{Tokens: []Token{}}
	for _, t := range tokens {
		shown, err := a.shownToken(ctx, a.db, t)
		if err != nil {
			return nil, err
		}
		out.Tokens = append(out.Tokens, shown)
	}
	if len(tokens) == limit {
		out.Next = tokens[limit-1].Serial
	}
	return out, err
}

func (a *desk) shownToken(ctx context.Context, r store.Reader, t directory.Token) (Token, error) {
	out := Token{Serial: t.Serial, Manufacturer: t.Manufacturer, Kind: t.Kind, Detail: t.Detail, State: t.State, Issued: t.Issued, Created: t.Created}
	if t.Account == 0 {
		return out, nil
	}
	owner, err := a.people.Get(ctx, r, t.Account)
	if failure.ClassOf(err) == failure.NotFound {
		out.Owner = "(removed)"
		return out, nil
	}
	out.Owner = owner.Name
	return out, err
}

// Assign makes a token from stock an authenticator of somebody else's.
type Assign struct {
	Serial     string `json:"serial" arg:"" help:"The serial number, as it is printed on the token."`
	Account    string `json:"account" arg:"" help:"Whom it is for; never yourself."`
	Note       string `json:"note,omitempty" help:"How you made sure who it is."`
	Codes      string `json:"codes,omitempty" help:"Of a token with a button: two codes that it shows now, one after the other, such as \"123456 654321\". What anybody noted before is dead with them."`
	admin.Told `embed:""`
}

func (c *Assign) Action() string { return "token.assign" }
func (c *Assign) About() *string { return &c.Account }
func (c *Assign) Object() string {
	return admin.WithReason("token "+text.Name(c.Serial)+" to "+c.Of(c.Account), c.Note)
}

func (c *Assign) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	var d directory.Account
	var out Token
	err := a.Change(ctx, g, "token.assigned", map[string]string{"serial": c.Serial, "note": c.Note}, &d, func(tx *store.Tx) (err error) {
		if d, err = a.Assignee(ctx, tx, g, c.Account); err != nil {
			return err
		}
		out, err = a.assign(ctx, tx, g, c, d)
		return err
	})
	return out, err
}

// ownerOf tells whose a token is.
func (a *desk) ownerOf(ctx context.Context, serial string) (string, error) {
	t, err := a.stock.Get(ctx, a.db, serial)
	if err != nil || t.State != directory.TokenAssigned {
		return "", err
	}
	d, err := a.people.Get(ctx, a.db, t.Account)
	if err != nil {
		return "", err
	}
	return "of " + d.Kind + " " + text.Name(d.Name), nil
}

func (a *desk) assign(ctx context.Context, tx *store.Tx, g signin.Grant, cmd *Assign, to directory.Account) (Token, error) {
	t, err := a.stock.Get(ctx, tx, cmd.Serial)
	if err != nil {
		return Token{}, err
	}
	switch t.State {
	case directory.TokenStock:
	case directory.TokenReturned:
		return Token{}, failure.New(failure.Conflict, "That token came back and has shown nothing since: run token.resync with two of its codes first.")
	default:
		return Token{}, failure.New(failure.Conflict, "That token is not in stock; it is %s.", t.State)
	}
	if err := a.alone(ctx, tx, &t); err != nil {
		return Token{}, err
	}
	if err := a.inHand(&t, cmd.Codes); err != nil {
		return Token{}, err
	}
	handle, err := a.tokens.Handle(t.Kind, t.Seed)
	if err != nil {
		return Token{}, err
	}
	c, err := a.enrollments.AssignIn(ctx, tx, to, directory.Credential{Kind: t.Kind, Label: "Token " + t.Serial, Handle: handle, Traits: assurance.Held, State: t.Seed, Assigned: g.Account()})
	if err != nil {
		return Token{}, err
	}
	t.State, t.Account, t.Credential, t.Seed = directory.TokenAssigned, to.ID, c.ID, nil
	if err := a.stock.Update(ctx, tx, t); err != nil {
		return Token{}, err
	}
	return a.shownToken(ctx, tx, t)
}

// alone refuses a token whose secret is there under another serial number. One that
// came before that was known is known by its secret from now on.
func (a *desk) alone(ctx context.Context, tx *store.Tx, t *directory.Token) error {
	secret, err := a.tokens.Secret(t.Kind, t.Seed)
	if err != nil {
		return err
	}
	a.stock.Liken(t, secret)
	twin, err := a.stock.Twin(ctx, tx, secret, t.Serial)
	if err == nil && twin != "" {
		err = &failure.Error{Class: failure.Refused, Reason: "same-secret", Public: fmt.Sprintf("That token has the secret of token %q, and each would answer for the other. Revoke both, and ask whoever delivered them.", twin)}
	}
	return err
}

// inHand puts a counter past two codes that the device shows now. Who had it in a drawer
// may have pressed it and noted codes, which stay good on a counter until a later one is used.
func (a *desk) inHand(t *directory.Token, codes string) error {
	if !a.tokens.Shown(t.Kind) {
		return nil
	}
	if codes == "" {
		return failure.At("codes", failure.New(failure.Invalid, "Press the token twice and say the two codes: whoever had it before may have noted some, which end with these."))
	}
	r, err := a.tokens.Resync(t.Kind, t.Seed, codes, a.now())
	if err == nil && !r.OK {
		err = wrongPair
	}
	if err == nil {
		t.Seed = r.Next
	}
	return err
}

// Revoke ends a token for good and erases its seed.
type Revoke struct {
	Serial     string `json:"serial" arg:"" help:"The serial number."`
	Reason     string `json:"reason,omitempty" help:"Why, for the log."`
	admin.Told `embed:""`
}

func (c *Revoke) Action() string { return "token.revoke" }
func (c *Revoke) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *Revoke) Object() string {
	return admin.WithReason(named(c.Serial, c.Told)+", for good", c.Reason)
}

func (c *Revoke) Sound(ctx context.Context, a *desk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *Revoke) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.moveToken(ctx, g, c.Serial, "token.revoked", c.Reason, func(t *directory.Token) error {
		if t.State == directory.TokenRevoked {
			return failure.New(failure.Conflict, "That token is revoked already.")
		}
		t.State, t.Seed = directory.TokenRevoked, nil
		return nil
	})
}

// Lost switches off a token that its owner cannot find.
type Lost struct {
	Serial     string `json:"serial" arg:"" help:"The serial number."`
	Reason     string `json:"reason,omitempty" help:"What happened, for the log."`
	admin.Told `embed:""`
}

func (c *Lost) Action() string { return "token.lost" }
func (c *Lost) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *Lost) Object() string { return admin.WithReason(named(c.Serial, c.Told)+" is lost", c.Reason) }

func (c *Lost) Sound(ctx context.Context, a *desk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *Lost) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.moveToken(ctx, g, c.Serial, "token.lost", c.Reason, func(t *directory.Token) error {
		if t.State == directory.TokenRevoked || t.State == directory.TokenLost {
			return failure.New(failure.Conflict, "That token is %s already.", t.State)
		}
		t.State = directory.TokenLost
		return nil
	})
}

// Return takes a token back from its owner. It cannot be assigned before two
// of its codes were shown, see [Resync].
type Return struct {
	Serial     string `json:"serial" arg:"" help:"The serial number."`
	Reason     string `json:"reason,omitempty" help:"Why, for the log."`
	admin.Told `embed:""`
}

func (c *Return) Action() string { return "token.return" }
func (c *Return) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *Return) Object() string {
	return admin.WithReason(named(c.Serial, c.Told)+" comes back", c.Reason)
}

func (c *Return) Sound(ctx context.Context, a *desk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *Return) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	return a.moveToken(ctx, g, c.Serial, "token.returned", c.Reason, func(t *directory.Token) error {
		if t.State != directory.TokenAssigned && t.State != directory.TokenLost {
			return failure.New(failure.Conflict, "That token is not with anybody; it is %s.", t.State)
		}
		if len(t.Seed) == 0 {
			return secretGone
		}
		t.State = directory.TokenReturned
		return nil
	})
}

// secretGone is of a token whose owner was removed, and of one whose authenticator somebody
// took out of the database, or altered.
var secretGone = failure.New(failure.Conflict, "The secret of that token was kept only in its owner's authenticator, which is not there any more; the token can only be revoked.")

// moveToken ends what a token lets its owner do and puts it elsewhere. The edit
// gets the token with the seed as it stands now, counter and all, so that no code
// that was accepted is accepted again from the next owner.
func (a *desk) moveToken(ctx context.Context, g signin.Grant, serial, event, reason string, edit func(*directory.Token) error) (any, error) {
	var out Token
	var about directory.Account
	err := a.Change(ctx, g, event, map[string]string{"serial": serial, "reason": reason}, &about, func(tx *store.Tx) error {
		t, err := a.stock.Get(ctx, tx, serial)
		if err != nil {
			return err
		}
		if about, err = a.takeBack(ctx, tx, g, &t); err != nil {
			return err
		}
		if err := a.PersonMust(ctx, tx, g.Account(), about.Privileged); err != nil {
			return err
		}
		if err := edit(&t); err != nil {
			return err
		}
		if err := a.stock.Update(ctx, tx, t); err != nil {
			return err
		}
		out, err = a.shownToken(ctx, tx, t)
		return err
	})
	return out, err
}

// takeBack revokes the credential that a token is, tells its owner, and puts the
// seed back into the token. An owner who was removed is the zero Account.
func (a *desk) takeBack(ctx context.Context, tx *store.Tx, g signin.Grant, t *directory.Token) (directory.Account, error) {
	if t.State != directory.TokenAssigned {
		return directory.Account{}, nil
	}
	owner, err := a.people.Get(ctx, tx, t.Account)
	if failure.ClassOf(err) == failure.NotFound {
		return directory.Account{}, nil
	}
	if err != nil {
		return directory.Account{}, err
	}
	c, err := a.credentials.Get(ctx, tx, t.Account, t.Credential)
	if err != nil {
		return owner, err
	}
	if c.Lost() { // there is no PIN to take away and no secret to keep; nor must a row that is put back show anything
		t.Seed = nil
		return owner, a.endings.RevokeIn(ctx, tx, &c, directory.ByAdministrator, int64(g.Account()))
	}
	// Its next owner does not get the PIN of this one.
	bare, err := a.pins.Clear(c.Kind, c.State)
	if err != nil {
		return owner, err
	}
	t.Seed = bare.State
	if c.Status == directory.CredentialRevoked {
		return owner, nil
	}
	if err := a.engine.SpareAdministration(ctx, tx, signin.Without(owner.ID, c.ID, signin.Everything)); err != nil {
		return owner, err
	}
	if err := a.endings.RevokeIn(ctx, tx, &c, directory.ByAdministrator, int64(g.Account())); err != nil {
		return owner, err
	}
	return owner, a.notices.Tell(ctx, tx, owner, "A way to sign in was revoked", fmt.Sprintf("%q can no longer be used to sign in as %s.", c.Label, owner.Name))
}

// Resync puts a token right by two of its codes in a row. One that came back
// is in stock again with it.
type Resync struct {
	Serial string `json:"serial" arg:"" help:"The serial number."`
	Codes  string `json:"codes" arg:"" help:"Two codes that the token showed one after the other, such as \"123456 654321\"; of a challenge token a number and its answer, twice."`
	// Received is when the server got them: an approval may take minutes, and the
	// token's clock is judged by this moment. What a client sends here is not kept.
	Received   time.Time `json:"received,omitzero" kong:"-"`
	admin.Told `embed:""`
}

func (c *Resync) Action() string { return "token.resync" }
func (c *Resync) Thing(ctx context.Context, a *desk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *Resync) Object() string { return named(c.Serial, c.Told) + ", by two of its codes" }

func (c *Resync) Receive(now time.Time) { c.Received = now.UTC().Truncate(time.Second) }

func (c *Resync) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	if c.Received.IsZero() {
		c.Receive(a.now())
	}
	var out Token
	var about directory.Account
	err := a.Change(ctx, g, "token.resynchronised", map[string]string{"serial": c.Serial}, &about, func(tx *store.Tx) error {
		t, err := a.stock.Get(ctx, tx, c.Serial)
		if err != nil {
			return err
		}
		switch t.State {
		case directory.TokenAssigned:
			about, err = a.resyncAssigned(ctx, tx, t, c)
		case directory.TokenStock, directory.TokenReturned:
			err = a.resyncStock(ctx, tx, &t, c)
		default:
			err = failure.New(failure.Conflict, "That token is %s.", t.State)
		}
		if err != nil {
			return err
		}
		out, err = a.shownToken(ctx, tx, t)
		return err
	})
	return out, err
}

var wrongPair = &failure.Error{Class: failure.Refused, Reason: "wrong-codes", Public: "Those are not two codes (of a challenge token: a number and its answer, twice) that this token shows one after the other now and that were not used before."}

func (a *desk) resyncStock(ctx context.Context, tx *store.Tx, t *directory.Token, c *Resync) error {
	r, err := a.tokens.Resync(t.Kind, t.Seed, c.Codes, c.Received)
	if err == nil && !r.OK {
		err = wrongPair
	}
	if err != nil {
		return err
	}
	t.State, t.Seed = directory.TokenStock, r.Next
	return a.stock.Update(ctx, tx, *t)
}

func (a *desk) resyncAssigned(ctx context.Context, tx *store.Tx, t directory.Token, c *Resync) (directory.Account, error) {
	owner, credential, err := a.holds(ctx, tx, t)
	if err != nil {
		return owner, err
	}
	r, err := a.tokens.Resync(t.Kind, credential.State, c.Codes, c.Received)
	if err == nil && !r.OK {
		err = wrongPair
	}
	if err != nil {
		return owner, err
	}
	fresh, err := a.credentials.Spend(ctx, tx, directory.Once{Credential: credential.ID, Key: r.Once}, a.now())
	if err == nil && !fresh {
		err = wrongPair
	}
	if err != nil {
		return owner, err
	}
	credential.State = r.Next
	return owner, a.credentials.Update(ctx, tx, credential)
}

// named names a token and whose it is.
func named(serial string, told admin.Told) string {
	out := "token " + text.Name(serial)
	if told.What != "" {
		out += " " + told.What
	}
	return out
}
