package checklist

import (
	"context"
	"errors"
	"time"

	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// The rows of the table: what the last test mail was taken by, and that the list is away.
const mailRow, awayRow = "mail", "away"

const testedEvent = "mail.tested"

// TestMail sends a mail to whoever asks, at their own address and no other.
type TestMail struct{}

func (c *TestMail) Action() string { return "checklist.test-mail" }

// Object is empty: nothing is changed but that the log says so.
func (c *TestMail) Object() string { return "" }

// Mailed is what a test mail came to.
type Mailed struct {
	// Accepted says that the mail server took the mail. Whether it arrives, its reader knows.
	Accepted bool   `json:"accepted"`
	To       string `json:"to"`
	// Answer is what came of it in a sentence, with the mail server's own words where it refused.
	Answer string `json:"answer"`
	// Steps are the lines of the conversation, without the password.
	Steps []string `json:"steps,omitempty"`
}

const (
	// longestTest is how long a test may take.
	longestTest = 40 * time.Second
	// mostSteps bounds how many lines of a conversation are shown.
	mostSteps = 100
)

func (c *TestMail) Do(ctx context.Context, a *desk, g signin.Grant) (any, error) {
	mails, err := a.people.Mails(ctx, a.db, g.Account())
	if err != nil {
		return nil, err
	}
	if len(mails) == 0 {
		return nil, failure.New(failure.Invalid, "Your account has no mail address to send to. Set one: countersign account set-mail %s ADDRESS --reason WHY, or on your account’s page.", g.Name())
	}
	m, err := a.mailer()
	switch {
	case err != nil:
		return nil, err
	case m.Server == "":
		return nil, failure.New(failure.Invalid, "Mail is off. Set mail.server and mail.from in the configuration, and start the server again.")
	}
	if !a.one.TryLock() {
		return nil, failure.New(failure.Conflict, "Another test mail is on its way. Try again in a minute.")
	}
	defer a.one.Unlock()
	out := deliver(ctx, m, mails[0], a.now())
	return out, a.noteTest(ctx, g, m, out)
}

// deliver sends the mail and takes down the conversation.
func deliver(ctx context.Context, m notify.Mailer, to string, now time.Time) Mailed {
	ctx, done := context.WithTimeout(ctx, longestTest)
	defer done()
	out := Mailed{To: to}
	m.Trace = func(line string) {
		if len(out.Steps) < mostSteps {
			out.Steps = append(out.Steps, line)
		}
	}
	err := m.Deliver(ctx, notify.Notice{Address: to, Subject: "A test of Countersign’s mail",
		Body: "You asked for this mail at " + notify.Moment(now) + ", on the checklist of Countersign. If you can read it, notices and invitations arrive.\n"})
	if out.Accepted = err == nil; !out.Accepted {
		out.Answer = notify.Why(err)
		return out
	}
	out.Answer = m.Server + " accepted the mail to " + to + ". Whether it arrives, you know."
	return out
}

// noteTest writes down what came of a test, and by what a mail was taken.
func (a *desk) noteTest(ctx context.Context, g signin.Grant, m notify.Mailer, out Mailed) error {
	outcome, taken := audit.OK, m.Server+" "+m.From
	if !out.Accepted {
		outcome = audit.Failed
	}
	return a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		if err := tx.Record(admin.Entry(g, testedEvent, outcome, map[string]string{"answer": out.Answer})); err != nil {
			return err
		}
		if out.Accepted {
			return a.keep(ctx, tx, mailRow, taken)
		}
		return a.drop(ctx, tx, mailRow)
	})
}

// row is what a row says, and whether it is there.
func (a *desk) row(ctx context.Context, name string) (says string, there bool, err error) {
	err = a.db.QueryRow(ctx, `select says from checklist where item = $1`, name).Scan(&says)
	if errors.Is(err, store.ErrNotFound) {
		return "", false, nil
	}
	return says, err == nil, err
}

func (a *desk) keep(ctx context.Context, tx *store.Tx, name, says string) error {
	_, err := tx.Exec(ctx, `insert into checklist (item, says, at) values ($1,$2,$3) on conflict (item) do update set says = excluded.says, at = excluded.at`, name, says, store.Unix(tx.Now()))
	return err
}

func (a *desk) drop(ctx context.Context, tx *store.Tx, name string) error {
	_, err := tx.Exec(ctx, `delete from checklist where item = $1`, name)
	return err
}
