package servertest

import (
	"context"
	"crypto/rand"
	"regexp"
	"strings"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/recovery"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// House is a world whose database can be broken, statement by statement, with
// people in it.
type House struct {
	*World
	*storetest.Faults
	Ada, Root *Person
	Recovery  []string // ada's recovery codes that are not used
	Mark      int64    // the log's size when the step began
}

// Visitor is a fresh browser that is signed in as a person.
func (h *House) Visitor(name string, who *Person) *Person {
	h.T.Helper()
	p := h.Person()
	p.Comes(name, who.Secret)
	p.Sees("Where you are signed in")
	return p
}

// AtSecondFactor is a browser in which ada's password was accepted.
func (h *House) AtSecondFactor() *Person {
	h.T.Helper()
	p := h.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", Passphrase)
	p.Sees("Code from your authenticator app")
	return p
}

// Inside reports whether the browser has a session that the server still knows.
func (p *Person) Inside() bool {
	p.W.T.Helper()
	p.Get("/account")
	return strings.Contains(p.Page, "Where you are signed in")
}

var RecoveryCodes = regexp.MustCompile(`<li><code>([0-9A-Z-]+)</code>`)

// Number asks the database for one number.
func (h *House) Number(query string) (n int) {
	h.T.Helper()
	if err := h.DB.QueryRow(context.Background(), query).Scan(&n); err != nil {
		h.T.Fatal(err)
	}
	return n
}

// Numbered waits until the log has all that was written.
func (h *House) Numbered() {
	h.T.Helper()
	if _, err := h.DB.Checkpoint(context.Background()); err != nil {
		h.T.Fatal(err)
	}
}

// Recovering is a browser for which somebody opened a recovery, without a waiting
// time.
func (h *House) Recovering() *Person {
	h.T.Helper()
	ctx := context.Background()
	name := "lost-" + strings.ToLower(rand.Text())
	if _, err := h.Setup.Plant(ctx, name, ""); err != nil {
		h.T.Fatal(err)
	}
	h.Address(name, name+"@example.org")
	p := h.Person()
	p.Get("/recovery")
	p.Post("/recovery", "name", name)
	number := shownNumber.FindStringSubmatch(p.Page)
	if number == nil {
		h.T.Fatalf("no number is shown:\n%s", p.Page)
	}
	h.Vouches("helga", name, func(tx *store.Tx, helga, lost directory.Account) error {
		_, err := h.Recoveries.Openings.OpenTx(ctx, tx, helga, recovery.Opening{Account: lost, Number: number[1], Check: "in-person", Note: "ticket 1"})
		return err
	})
	standing, err := h.Recoveries.Requests.Poll(ctx, Bound(p))
	if err != nil {
		h.T.Fatal(err)
	}
	c := standing.Case
	h.Vouches("root", name, func(tx *store.Tx, root, lost directory.Account) error {
		_, err := h.Recoveries.Confirmations.ConfirmTx(ctx, tx, root, lost, recovery.Confirmation{Case: c.ID, Opener: c.Opener, Check: c.Check, All: c.Forgotten, Number: standing.Confirm, Note: "ticket 1"})
		return err
	})
	return p
}

// Vouches has somebody say something of somebody else, in a change of its own.
func (h *House) Vouches(by, about string, say func(tx *store.Tx, by, about directory.Account) error) {
	h.T.Helper()
	ctx := context.Background()
	err := h.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		who, err := h.Accounts.Find(ctx, tx, by)
		if err != nil {
			return err
		}
		whom, err := h.Accounts.Find(ctx, tx, about)
		if err != nil {
			return err
		}
		if err := say(tx, who, whom); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.vouched", Outcome: audit.OK})
	})
	if err != nil {
		h.T.Fatal(err)
	}
}
