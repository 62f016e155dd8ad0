package admin

import (
	"context"
	"fmt"
	"time"

	"countersign/internal/admin/guard"
	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
)

// tokenDesk is where hardware tokens go to people and come back.
type tokenDesk struct {
	Book
	guard.Giving
	db          *store.DB
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
func (a *tokenDesk) spare(ctx context.Context, serial string, traits assurance.Trait) error {
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

// TokenPage is a page of tokens. Next is where to go on, or empty.
type TokenPage struct {
	Tokens []Token `json:"tokens"`
	Next   string  `json:"next,omitempty"`
}

// TokenList lists tokens by serial.
type TokenList struct {
	Serial string `json:"serial,omitempty" arg:"" optional:"" help:"A part of the serial number."`
	State  string `json:"state,omitempty" help:"stock, assigned, returned, lost or revoked."`
	Owner  string `json:"owner,omitempty" help:"Whose tokens."`
	After  string `json:"after,omitempty" help:"Go on after this serial."`
	Limit  int    `json:"limit,omitempty" help:"How many: 100 when left out, 1000 at most."`
}

func (c *TokenList) Action() string { return "token.list" }
func (c *TokenList) Object() string { return "" }

func (c *TokenList) Do(ctx context.Context, a *tokenDesk, _ signin.Grant) (any, error) {
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
	out := TokenPage{Tokens: []Token{}}
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

func (a *tokenDesk) shownToken(ctx context.Context, r store.Reader, t directory.Token) (Token, error) {
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

// TokenAssign makes a token from stock an authenticator of somebody else's.
type TokenAssign struct {
	Serial  string `json:"serial" arg:"" help:"The serial number, as it is printed on the token."`
	Account string `json:"account" arg:"" help:"Whom it is for; never yourself."`
	Note    string `json:"note,omitempty" help:"How you made sure who it is."`
	Codes   string `json:"codes,omitempty" help:"Of a token with a button: two codes that it shows now, one after the other, such as \"123456 654321\". What anybody noted before is dead with them."`
	Told    `embed:""`
}

func (c *TokenAssign) Action() string { return "token.assign" }
func (c *TokenAssign) About() *string { return &c.Account }
func (c *TokenAssign) Object() string {
	return WithReason("token "+text.Name(c.Serial)+" to "+c.Of(c.Account), c.Note)
}

func (c *TokenAssign) Do(ctx context.Context, a *tokenDesk, g signin.Grant) (any, error) {
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
func (a *tokenDesk) ownerOf(ctx context.Context, serial string) (string, error) {
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

func (a *tokenDesk) assign(ctx context.Context, tx *store.Tx, g signin.Grant, cmd *TokenAssign, to directory.Account) (Token, error) {
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
func (a *tokenDesk) alone(ctx context.Context, tx *store.Tx, t *directory.Token) error {
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
func (a *tokenDesk) inHand(t *directory.Token, codes string) error {
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

// TokenRevoke ends a token for good and erases its seed.
type TokenRevoke struct {
	Serial string `json:"serial" arg:"" help:"The serial number."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
	Told   `embed:""`
}

func (c *TokenRevoke) Action() string { return "token.revoke" }
func (c *TokenRevoke) Thing(ctx context.Context, a *tokenDesk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *TokenRevoke) Object() string {
	return WithReason(c.token(c.Serial)+", for good", c.Reason)
}

func (c *TokenRevoke) Sound(ctx context.Context, a *tokenDesk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *TokenRevoke) Do(ctx context.Context, a *tokenDesk, g signin.Grant) (any, error) {
	return a.moveToken(ctx, g, c.Serial, "token.revoked", c.Reason, func(t *directory.Token) error {
		if t.State == directory.TokenRevoked {
			return failure.New(failure.Conflict, "That token is revoked already.")
		}
		t.State, t.Seed = directory.TokenRevoked, nil
		return nil
	})
}

// TokenLost switches off a token that its owner cannot find.
type TokenLost struct {
	Serial string `json:"serial" arg:"" help:"The serial number."`
	Reason string `json:"reason,omitempty" help:"What happened, for the log."`
	Told   `embed:""`
}

func (c *TokenLost) Action() string { return "token.lost" }
func (c *TokenLost) Thing(ctx context.Context, a *tokenDesk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *TokenLost) Object() string { return WithReason(c.token(c.Serial)+" is lost", c.Reason) }

func (c *TokenLost) Sound(ctx context.Context, a *tokenDesk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *TokenLost) Do(ctx context.Context, a *tokenDesk, g signin.Grant) (any, error) {
	return a.moveToken(ctx, g, c.Serial, "token.lost", c.Reason, func(t *directory.Token) error {
		if t.State == directory.TokenRevoked || t.State == directory.TokenLost {
			return failure.New(failure.Conflict, "That token is %s already.", t.State)
		}
		t.State = directory.TokenLost
		return nil
	})
}

// TokenReturn takes a token back from its owner. It cannot be assigned before two
// of its codes were shown, see [TokenResync].
type TokenReturn struct {
	Serial string `json:"serial" arg:"" help:"The serial number."`
	Reason string `json:"reason,omitempty" help:"Why, for the log."`
	Told   `embed:""`
}

func (c *TokenReturn) Action() string { return "token.return" }
func (c *TokenReturn) Thing(ctx context.Context, a *tokenDesk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *TokenReturn) Object() string {
	return WithReason(c.token(c.Serial)+" comes back", c.Reason)
}

func (c *TokenReturn) Sound(ctx context.Context, a *tokenDesk) error {
	return a.spare(ctx, c.Serial, signin.Everything)
}

func (c *TokenReturn) Do(ctx context.Context, a *tokenDesk, g signin.Grant) (any, error) {
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
func (a *tokenDesk) moveToken(ctx context.Context, g signin.Grant, serial, event, reason string, edit func(*directory.Token) error) (any, error) {
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
func (a *tokenDesk) takeBack(ctx context.Context, tx *store.Tx, g signin.Grant, t *directory.Token) (directory.Account, error) {
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

// TokenResync puts a token right by two of its codes in a row. One that came back
// is in stock again with it.
type TokenResync struct {
	Serial string `json:"serial" arg:"" help:"The serial number."`
	Codes  string `json:"codes" arg:"" help:"Two codes that the token showed one after the other, such as \"123456 654321\"; of a challenge token a number and its answer, twice."`
	// Received is when the server got them: an approval may take minutes, and the
	// token's clock is judged by this moment. What a client sends here is not kept.
	Received time.Time `json:"received,omitzero" kong:"-"`
	Told     `embed:""`
}

func (c *TokenResync) Action() string { return "token.resync" }
func (c *TokenResync) Thing(ctx context.Context, a *tokenDesk) (string, error) {
	return a.ownerOf(ctx, c.Serial)
}
func (c *TokenResync) Object() string { return c.token(c.Serial) + ", by two of its codes" }

func (c *TokenResync) Receive(now time.Time) { c.Received = now.UTC().Truncate(time.Second) }

func (c *TokenResync) Do(ctx context.Context, a *tokenDesk, g signin.Grant) (any, error) {
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

func (a *tokenDesk) resyncStock(ctx context.Context, tx *store.Tx, t *directory.Token, c *TokenResync) error {
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

func (a *tokenDesk) resyncAssigned(ctx context.Context, tx *store.Tx, t directory.Token, c *TokenResync) (directory.Account, error) {
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
