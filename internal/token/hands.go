package token

import (
	"context"
	"fmt"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/language"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Hands are tokens on their way to people and back. What ends in In is part of another
// room's change, which says who may do it, and records it.
type Hands struct {
	stock       *Stock
	people      *directory.Accounts
	credentials *directory.Credentials
	enrollments *enrollment.Enrollments
	endings     *enrollment.Endings
	notices     *enrollment.Notices
	kinds       Kinds
	pins        enrollment.PINKinds
	spare       func(ctx context.Context, r store.Reader, l signin.Loss) error
	now         func() time.Time
}

// NewHands makes Hands.
func NewHands(p Parts) *Hands {
	return &Hands{stock: p.Stock, people: p.Accounts, credentials: p.Credentials, enrollments: p.Enrollments, endings: p.Endings, notices: p.Notices,
		kinds: p.Kinds, pins: p.PINs, spare: p.Spare, now: p.Now}
}

// Assignment is a token that goes to somebody.
type Assignment struct {
	Serial string
	// To is whom it is for, and By who hands it over.
	To directory.Account
	By assurance.AccountID
	// Codes are two that it shows now, one after the other, where its kind can be noted.
	Codes string
}

// AssignTx makes a token from stock an authenticator of somebody's.
func (h *Hands) AssignTx(ctx context.Context, tx *store.Tx, a Assignment) (Token, error) {
	t, err := h.stock.Get(ctx, tx, a.Serial)
	if err != nil {
		return Token{}, err
	}
	switch t.State {
	case InStock:
	case Returned:
		return Token{}, failure.New(failure.Conflict, "That token came back and has shown nothing since: run token.resync with two of its codes first.")
	default:
		return Token{}, failure.New(failure.Conflict, "That token is not in stock; it is %s.", t.State)
	}
	if err := h.alone(ctx, tx, &t); err != nil {
		return Token{}, err
	}
	if err := h.inHand(&t, a.Codes); err != nil {
		return Token{}, err
	}
	handle, err := h.kinds.Handle(t.Kind, t.Seed)
	if err != nil {
		return Token{}, err
	}
	c, err := h.enrollments.AssignTx(ctx, tx, a.To, directory.Credential{Kind: t.Kind, Label: "Token " + t.Serial, Handle: handle, Traits: assurance.Held, State: t.Seed, Assigned: a.By})
	if err != nil {
		return Token{}, err
	}
	t.State, t.Account, t.Credential, t.Seed = Assigned, a.To.ID, c.ID, nil
	return t, h.stock.Update(ctx, tx, t)
}

// alone refuses a token whose secret is there under another serial number. One that
// came before that was known is known by its secret from now on.
func (h *Hands) alone(ctx context.Context, tx *store.Tx, t *Token) error {
	secret, err := h.kinds.Secret(t.Kind, t.Seed)
	if err != nil {
		return err
	}
	h.stock.Liken(t, secret)
	twin, err := h.stock.Twin(ctx, tx, secret, t.Serial)
	if err == nil && twin != "" {
		err = &failure.Error{Class: failure.Refused, Reason: "same-secret", Public: fmt.Sprintf("That token has the secret of token %q, and each would answer for the other. Revoke both, and ask whoever delivered them.", twin)}
	}
	return err
}

// inHand puts a counter past two codes that the device shows now. Who had it in a drawer
// may have pressed it and noted codes, which stay good on a counter until a later one is used.
func (h *Hands) inHand(t *Token, codes string) error {
	if !h.kinds.Shown(t.Kind) {
		return nil
	}
	if codes == "" {
		return failure.At("codes", failure.New(failure.Invalid, "Press the token twice and say the two codes: whoever had it before may have noted some, which end with these."))
	}
	r, err := h.kinds.Resync(t.Kind, t.Seed, codes, h.now())
	if err == nil && !r.OK {
		err = wrongPair
	}
	if err == nil {
		t.Seed = r.Next
	}
	return err
}

// secretGone is of a token whose owner was removed, and of one whose authenticator somebody
// took out of the database, or altered.
var secretGone = failure.New(failure.Conflict, "The secret of that token was kept only in its owner's authenticator, which is not there any more; the token can only be revoked.")

// TakeBackTx ends what a token lets its owner do, tells them, and returns the token with
// the seed as it stands now, counter and all: no code that was accepted is accepted again
// from the next owner. [Hands.PutIn] says what becomes of it; nothing of the token is
// written before. An owner who was removed is the zero Account, and so is nobody.
func (h *Hands) TakeBackTx(ctx context.Context, tx *store.Tx, serial string, by assurance.AccountID) (Token, directory.Account, error) {
	t, err := h.stock.Get(ctx, tx, serial)
	if err != nil || t.State != Assigned {
		return t, directory.Account{}, err
	}
	owner, err := h.people.Get(ctx, tx, t.Account)
	if failure.ClassOf(err) == failure.NotFound {
		return t, directory.Account{}, nil
	}
	if err != nil {
		return t, directory.Account{}, err
	}
	c, err := h.credentials.Get(ctx, tx, t.Account, t.Credential)
	if err != nil {
		return t, owner, err
	}
	if c.Lost() { // there is no PIN to take away and no secret to keep; nor must a row that is put back show anything
		t.Seed = nil
		return t, owner, h.endings.RevokeTx(ctx, tx, &c, directory.ByAdministrator, int64(by))
	}
	// Its next owner does not get the PIN of this one.
	bare, err := h.pins.Clear(c.Kind, c.State)
	if err != nil {
		return t, owner, err
	}
	t.Seed = bare.State
	if c.Status == directory.CredentialRevoked {
		return t, owner, nil
	}
	return t, owner, h.revoke(ctx, tx, owner, c, by)
}

// revoke ends what somebody's token shows, and tells them.
func (h *Hands) revoke(ctx context.Context, tx *store.Tx, owner directory.Account, c directory.Credential, by assurance.AccountID) error {
	if err := h.spare(ctx, tx, signin.Without(owner.ID, c.ID, signin.Everything)); err != nil {
		return err
	}
	if err := h.endings.RevokeTx(ctx, tx, &c, directory.ByAdministrator, int64(by)); err != nil {
		return err
	}
	return h.notices.Tell(ctx, tx, owner, language.Say("A way to sign in was revoked"), language.Say("%q can no longer be used to sign in as %s.", language.Word(c.Label), owner.Name))
}

// PutTx says what becomes of a token of TakeBackIn: [Lost], [Returned] or [Revoked]. One
// that came back cannot be assigned before two of its codes were shown, see
// [Hands.ResyncIn].
func (h *Hands) PutTx(ctx context.Context, tx *store.Tx, t Token, state string) (Token, error) {
	switch state {
	case Revoked:
		if t.State == Revoked {
			return t, failure.New(failure.Conflict, "That token is revoked already.")
		}
		t.Seed = nil
	case Lost:
		if t.State == Revoked || t.State == Lost {
			return t, failure.New(failure.Conflict, "That token is %s already.", t.State)
		}
	case Returned:
		if t.State != Assigned && t.State != Lost {
			return t, failure.New(failure.Conflict, "That token is not with anybody; it is %s.", t.State)
		}
		if len(t.Seed) == 0 {
			return t, secretGone
		}
	default:
		return t, fmt.Errorf("token: nothing is put %q", state)
	}
	t.State = state
	return t, h.stock.Update(ctx, tx, t)
}

var wrongPair = &failure.Error{Class: failure.Refused, Reason: "wrong-codes", Public: "Those are not two codes (of a challenge token: a number and its answer, twice) that this token shows one after the other now and that were not used before."}

// ResyncTx puts a token right by two of its codes in a row, which were read off it at a
// moment. One that came back is in stock again with it. Whose it is, is the zero Account
// for nobody's.
func (h *Hands) ResyncTx(ctx context.Context, tx *store.Tx, serial, codes string, at time.Time) (Token, directory.Account, error) {
	t, err := h.stock.Get(ctx, tx, serial)
	if err != nil {
		return t, directory.Account{}, err
	}
	switch t.State {
	case Assigned:
		owner, err := h.resyncAssigned(ctx, tx, t, codes, at)
		return t, owner, err
	case InStock, Returned:
		t, err = h.resyncStock(ctx, tx, t, codes, at)
		return t, directory.Account{}, err
	}
	return t, directory.Account{}, failure.New(failure.Conflict, "That token is %s.", t.State)
}

func (h *Hands) resyncStock(ctx context.Context, tx *store.Tx, t Token, codes string, at time.Time) (Token, error) {
	r, err := h.kinds.Resync(t.Kind, t.Seed, codes, at)
	if err == nil && !r.OK {
		err = wrongPair
	}
	if err != nil {
		return t, err
	}
	t.State, t.Seed = InStock, r.Next
	return t, h.stock.Update(ctx, tx, t)
}

func (h *Hands) resyncAssigned(ctx context.Context, tx *store.Tx, t Token, codes string, at time.Time) (directory.Account, error) {
	owner, credential, err := h.holds(ctx, tx, t)
	if err != nil {
		return owner, err
	}
	r, err := h.kinds.Resync(t.Kind, credential.State, codes, at)
	if err == nil && !r.OK {
		err = wrongPair
	}
	if err != nil {
		return owner, err
	}
	fresh, err := h.credentials.Spend(ctx, tx, directory.Once{Credential: credential.ID, Key: r.Once}, h.now())
	if err == nil && !fresh {
		err = wrongPair
	}
	if err != nil {
		return owner, err
	}
	credential.State = r.Next
	return owner, h.credentials.Update(ctx, tx, credential)
}

// InUse returns whose a token is and the authenticator that it is: to give it a PIN, or to
// take that away.
func (h *Hands) InUse(ctx context.Context, r store.Reader, serial string) (directory.Account, directory.Credential, error) {
	t, err := h.stock.Get(ctx, r, serial)
	if err != nil {
		return directory.Account{}, directory.Credential{}, err
	}
	if t.State != Assigned {
		return directory.Account{}, directory.Credential{}, failure.New(failure.Conflict, "That token is not with anybody; it is %s.", t.State)
	}
	return h.holds(ctx, r, t)
}

// holds returns who has an assigned token and the authenticator that it is.
func (h *Hands) holds(ctx context.Context, r store.Reader, t Token) (directory.Account, directory.Credential, error) {
	owner, err := h.people.Get(ctx, r, t.Account)
	if err != nil {
		return owner, directory.Credential{}, err
	}
	c, err := h.credentials.Get(ctx, r, t.Account, t.Credential)
	if err == nil && c.Lost() {
		err = secretGone
	}
	if err == nil && c.Status == directory.CredentialRevoked {
		err = failure.New(failure.Conflict, "Its owner has removed that token from the account; run token.return first.")
	}
	return owner, c, err
}
