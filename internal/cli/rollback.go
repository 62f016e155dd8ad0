package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/oauth"
	"countersign/internal/recovery"
	"countersign/internal/server"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// rollbackCommand is rollback recovery of a database that was put back by other means than restore.
type rollbackCommand struct {
	place
	Keep []string `placeholder:"KIND" help:"Leave authenticators of this kind as they were, though answers used since are good again: recoverycode, hotp, accesspass."`
}

// Run does for any older copy of a database what restore does for a backup.
func (c *rollbackCommand) Run(ctx context.Context) error {
	if err := checkKeep(c.Keep); err != nil {
		return err
	}
	if err := c.stopped(); err != nil {
		return err
	}
	db, keys, err := c.openBroken(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.AcceptRollback(ctx, operator())
	switch {
	case errors.Is(err, store.ErrHalted):
		return fmt.Errorf("%w. The copy is not whole in itself: run countersign audit accept first", err)
	case err != nil && !errors.Is(err, store.ErrNothingWrong):
		return err
	}
	r := &rollbackRecovery{db: db, keys: keys, keep: c.Keep, detail: map[string]string{"by": "other means"}}
	out, err := r.run(ctx)
	if err != nil {
		return err
	}
	out.print(os.Stdout)
	return c.forget()
}

// rollbackRecovery makes worthless what may have been used since an older copy of the
// database was made. The database has forgotten that it was: a code or a link
// could be used once more, and a session that was ended would stand again.
type rollbackRecovery struct {
	db     *store.DB
	keys   *keyring.Keyring
	keep   []string // kinds that are left as they were
	detail map[string]string
}

// rolledBack counts what became worthless.
type rolledBack struct {
	Sessions, Tickets, Attempts, Recoveries int64
	Fenced                                  int // authenticators that take newer answers only
	Retired                                 int // authenticators that take none
	Refused                                 int // rows that were changed from outside, and are not believed anyway
}

func (r rolledBack) print(w io.Writer) {
	fmt.Fprintf(w, "Ended: %d sessions, %d links and forms, %d sign-ins and %d recoveries under way. %d authenticators take only codes from now on, which may take 90 seconds.\n",
		r.Sessions, r.Tickets, r.Attempts, r.Recoveries, r.Fenced)
	if r.Retired > 0 {
		fmt.Fprintf(w, "%d sets of recovery codes, code tokens and passes are retired, because nothing tells which of their codes were used since.\n", r.Retired)
	}
	if r.Refused > 0 {
		fmt.Fprintf(w, "%d authenticators had been changed in the database from outside, and are not believed.\n", r.Refused)
	}
	fmt.Fprintln(w, "What was revoked, suspended or forbidden since then is not any more: see what happened since, and do it again.")
}

// kinds are the program's authenticators whose answers could be given again.
func rollbackKinds() (map[string]authenticator.RollbackRecoverer, error) {
	all, err := server.EveryKind()
	if err != nil {
		return nil, err
	}
	out := map[string]authenticator.RollbackRecoverer{}
	for _, a := range all {
		if r, ok := a.Authenticator.(authenticator.RollbackRecoverer); ok {
			out[a.Describe().Kind] = r
		}
	}
	return out, nil
}

func checkKeep(keep []string) error {
	kinds, err := rollbackKinds()
	if err != nil {
		return err
	}
	for _, k := range keep {
		if kinds[k] == nil {
			return failure.New(failure.Invalid, "--keep %q: no authenticator of that kind would be touched", k)
		}
	}
	return nil
}

func (r *rollbackRecovery) run(ctx context.Context) (out rolledBack, err error) {
	kinds, err := rollbackKinds()
	if err != nil {
		return out, err
	}
	if err := r.end(ctx, &out); err != nil {
		return out, err
	}
	for kind, how := range kinds {
		if slices.Contains(r.keep, kind) {
			continue
		}
		for after := assurance.CredentialID(0); ; {
			n, last, err := r.page(ctx, kind, how, after, &out)
			if err != nil {
				return out, err
			}
			if n == 0 {
				break
			}
			after = last
		}
	}
	return out, r.db.Change(ctx, operator(), func(tx *store.Tx) error { return tx.Record(r.entry(out)) })
}

func (r *rollbackRecovery) entry(out rolledBack) audit.Entry {
	d := map[string]string{"sessions": strconv.FormatInt(out.Sessions, 10), "tickets": strconv.FormatInt(out.Tickets, 10),
		"attempts": strconv.FormatInt(out.Attempts, 10), "recoveries": strconv.FormatInt(out.Recoveries, 10), "fenced": strconv.Itoa(out.Fenced), "retired": strconv.Itoa(out.Retired),
		"refused": strconv.Itoa(out.Refused), "kept": strings.Join(r.keep, ", ")}
	for k, v := range r.detail {
		d[k] = v
	}
	return audit.Entry{Event: "installation.restored", Outcome: audit.OK, Detail: d}
}

// end ends sessions, tickets and attempts, and with new keys those of which nothing is
// kept. A topic without a number has every server's memory forget all sessions.
func (r *rollbackRecovery) end(ctx context.Context, out *rolledBack) error {
	for _, p := range []keyring.Purpose{keyring.Attempt, keyring.Ticket} {
		if err := r.keys.RotateDataKey(ctx, operator(), p); err != nil {
			return err
		}
	}
	return r.db.Change(ctx, operator(), func(tx *store.Tx) error {
		*out = rolledBack{}
		var err [5]error
		out.Sessions, err[0] = session.EndEverybodysTx(ctx, tx)
		out.Tickets, err[1] = ticket.DropAllTx(ctx, tx)
		out.Attempts, err[2] = signin.DropAttemptsTx(ctx, tx)
		out.Recoveries, err[3] = recovery.DropAllTx(ctx, tx, r.keys)
		_, err[4] = oauth.DropAllTx(ctx, tx)
		if err := errors.Join(err[:]...); err != nil {
			return err
		}
		tx.Announce("restored")
		return tx.Record(audit.Entry{Event: "installation.rewinding", Outcome: audit.OK, Reason: "everything-ended",
			Detail: map[string]string{"sessions": strconv.FormatInt(out.Sessions, 10)}})
	})
}

// rollbackPage is how many authenticators are changed in one transaction.
const rollbackPage = 200

// page goes on through the active authenticators of a kind, in one change.
func (r *rollbackRecovery) page(ctx context.Context, kind string, how authenticator.RollbackRecoverer, after assurance.CredentialID, out *rolledBack) (n int, last assurance.CredentialID, err error) {
	refs, err := directory.ActiveAfter(ctx, r.db, kind, after, rollbackPage)
	if err != nil || len(refs) == 0 {
		return 0, after, err
	}
	credentials := directory.NewCredentials(directory.Parts{DB: r.db, Keys: r.keys})
	before := *out
	err = r.db.Change(ctx, operator(), func(tx *store.Tx) error {
		*out = before
		for _, ref := range refs {
			if err := recoverOne(ctx, tx, credentials, how, ref, out); err != nil {
				return err
			}
		}
		tx.Announce("restored")
		return tx.Record(audit.Entry{Event: "installation.rewinding", Outcome: audit.OK, Reason: kind,
			Detail: map[string]string{"fenced": strconv.Itoa(out.Fenced - before.Fenced), "retired": strconv.Itoa(out.Retired - before.Retired),
				"from": strconv.FormatInt(int64(refs[0].ID), 10), "to": strconv.FormatInt(int64(refs[len(refs)-1].ID), 10)}})
	})
	return len(refs), refs[len(refs)-1].ID, err
}

func recoverOne(ctx context.Context, tx *store.Tx, credentials *directory.Credentials, how authenticator.RollbackRecoverer, ref directory.Ref, out *rolledBack) error {
	c, err := credentials.Get(ctx, tx, ref.Account, ref.ID)
	if errors.Is(err, directory.ErrTampered) {
		out.Refused++
		return nil
	}
	if err != nil {
		return err
	}
	next, usable, err := how.AfterRollback(c.State, time.Now())
	if err != nil {
		return err
	}
	if usable {
		c.State = next
		out.Fenced++
	} else {
		c.Status = directory.CredentialUsedUp
		out.Retired++
	}
	return credentials.Update(ctx, tx, c)
}
