package recovery

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
	"countersign/internal/throttle"
)

// Confirmation is a second person's word: of which case, opened by whom on what
// check, for which browser, and what they saw. All of it was in the text that they
// approved, and all of it must be so.
type Confirmation struct {
	Case   int64
	Opener assurance.AccountID
	Check  string
	// All says that what the person knows is replaced too.
	All bool
	// Number is what the bound browser shows, read out to the second person.
	Number string
	Note   string
}

// Confirmations takes a second person's word.
type Confirmations struct {
	cases     *Cases
	stops     *Stops
	tries     *throttle.Tries
	messenger *messenger
	now       func() time.Time
}

func newConfirmations(p Parts, made Pieces) *Confirmations {
	return &Confirmations{cases: made.Cases, stops: made.Stops, tries: p.Tries, messenger: newMessenger(p), now: p.Now}
}

// number is what a case's browser shows for the second person. It is of this case,
// this browser and what the case replaces, so that no other browser's number and no
// number of before confirms it.
func (cs *Cases) number(c Case) string {
	f := keyring.NewFields().String("confirm").Int(c.ID).Bytes(c.secret).Int(int64(c.Account)).Int(store.Unix(c.Opened)).Int(store.Bit(c.Forgotten))
	sum := sha256.Sum256(cs.keys.MAC(keyring.Recovery, f))
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:])%1_000_000)
}

// confirmable reports whether a second person's word would change something.
func (c Case) confirmable(now time.Time) bool {
	p := c.Phase(now)
	return p == Unsure || p == Waiting && c.Confirmer == 0
}

// Preflight says what is wrong with a second person's word, before anybody
// approves it. It does not say whether the number is right: that costs a try.
func (cf *Confirmations) Preflight(ctx context.Context, from store.Reader, account directory.Account, said Confirmation) error {
	_, err := cf.confirming(ctx, from, account, said)
	return err
}

// confirming returns the case of an account that a second person's word is for.
func (cf *Confirmations) confirming(ctx context.Context, from store.Reader, account directory.Account, said Confirmation) (Case, error) {
	c, there, err := cf.cases.underWay(ctx, from, account.ID)
	switch {
	case err != nil:
		return c, err
	case !there:
		return c, failure.At("account", failure.New(failure.NotFound, "No recovery of %s is under way.", account.Name))
	case !oneLine(said.Note):
		return c, failure.At("note", badNote)
	case said.Case != c.ID, said.Opener != c.Opener, said.Check != c.Check, said.All != c.Forgotten:
		return c, failure.New(failure.Conflict, "The recovery that is under way is another one than that: it is number %d, opened on %q. Look at it, and say again what you confirm.", c.ID, c.Check)
	case !c.confirmable(cf.now()):
		return c, failure.New(failure.Conflict, "It was confirmed already, or its pass was taken.")
	}
	return c, nil
}

// ConfirmTx is the word of a second person, inside a change that records it: nobody
// has to wait any more. It must be a person, and neither whoever opened the case nor
// its owner. A wrong number is counted, and too many end the case.
func (cf *Confirmations) ConfirmTx(ctx context.Context, tx *store.Tx, by, account directory.Account, said Confirmation) (Case, error) {
	was, err := cf.confirming(ctx, tx, account, said)
	switch {
	case err != nil:
		return was, err
	case by.Kind != directory.Person || !by.Administers():
		return was, failure.Refuse("second-person", "It takes a second person, who is an administrator: no program and no key.")
	case by.ID == was.Opener, by.ID == was.Account:
		return was, failure.Refuse("second-person", "It takes a second person: neither who opened the recovery nor whose it is.")
	case subtle.ConstantTimeCompare([]byte(said.Number), []byte(cf.cases.number(was))) != 1:
		return was, cf.wrongNumber(ctx, tx, was, account, by)
	}
	c := was
	c.Confirmer, c.Due = by.ID, cf.now().Truncate(time.Microsecond)
	c.Ends = c.Due.Add(collectLife)
	if err := cf.cases.write(ctx, tx, was, c); err != nil {
		return was, err
	}
	return c, cf.messenger.tell(ctx, tx, account, noticeConfirmed(by, account, c))
}

// wrongNumber counts a number that the bound browser does not show. Who types them
// one after the other is not listening to anybody who sees it.
func (cf *Confirmations) wrongNumber(ctx context.Context, tx *store.Tx, was Case, account, by directory.Account) error {
	count, err := cf.tries.Count(ctx, tx, "recovery/"+strconv.FormatInt(was.ID, 10), 0)
	if err != nil {
		return err
	}
	en := audit.Entry{Event: "recovery.refused", Outcome: audit.Refused, Reason: "wrong-number", Detail: map[string]string{"by": by.Name}}
	if count >= mostWrong {
		return cf.stops.halt(ctx, tx, was, account, en)
	}
	if err := tx.Record(was.entry(en, account)); err != nil {
		return err
	}
	return store.Keep(failure.At("browser", failure.Refuse("wrong-number", "The browser for which it was opened does not show that number. Have the person read it out from their page; a number of another browser is a warning.")))
}
