// Package administrators says who could administer now, and warns before nobody could.
//
// It owns what is weak about that, in words, and the warning to those who are left. Who could
// is the engine's to say. Neighbours are the overview and the coverage, which show it, and the
// server's housekeeping, which has the warning sent. Its one invariant: a warning is sent once
// a day, and stands in the log.
package administrators

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Parts are what administrators are counted by and written to with.
type Parts struct {
	DB        *store.DB
	Accounts  *directory.Accounts
	Engine    *signin.Engine
	Outbox    *notify.Outbox
	PublicURL *url.URL
	Dormant   time.Duration
	Now       func() time.Time
}

// Administrators are those who could administer.
type Administrators struct {
	db        *store.DB
	people    *directory.Accounts
	engine    *signin.Engine
	outbox    *notify.Outbox
	publicURL *url.URL
	dormant   time.Duration
	now       func() time.Time
}

// New makes Administrators.
func New(p Parts) *Administrators {
	return &Administrators{p.DB, p.Accounts, p.Engine, p.Outbox, p.PublicURL, p.Dormant, p.Now}
}

// Able are the administrators who could administer now, by name.
func (a *Administrators) Able(ctx context.Context) (all int, able []signin.Administrator, err error) {
	list, err := a.engine.Administrators(ctx, a.db)
	for _, one := range list {
		if one.Able {
			able = append(able, one)
		}
	}
	return len(list), able, err
}

// Both are the names of the administrators who could administer now, and of the others.
func (a *Administrators) Both(ctx context.Context) (able, others []string, err error) {
	list, err := a.engine.Administrators(ctx, a.db)
	for _, one := range list {
		if one.Able {
			able = append(able, one.Name)
			continue
		}
		others = append(others, one.Name)
	}
	return able, others, err
}

// soonDormant is how long before the last administrators go dormant, or end, they are told.
const soonDormant = 10 * 24 * time.Hour

// Falling reports whether all who can administer are about to go dormant or to end.
func (a *Administrators) Falling(able []signin.Administrator) bool {
	soon := a.now().Add(min(soonDormant, a.dormant/2))
	for _, one := range able {
		if one.Until().After(soon) {
			return false
		}
	}
	return len(able) > 0
}

// Few says what is weak about who can administer, or nothing.
func (a *Administrators) Few(ctx context.Context) ([]string, error) {
	_, able, err := a.Able(ctx)
	if err != nil {
		return nil, err
	}
	switch len(able) {
	case 0:
		return []string{"Nobody can administer Countersign: no administrator is awake and has what policy demands of them"}, nil
	case 1:
		unless := "unless they sign in before"
		if able[0].EndsFirst() {
			unless = "when their account ends"
		}
		return []string{fmt.Sprintf("%s alone can administer Countersign (until %s, %s): make somebody else an administrator as well", able[0].Name, able[0].Until().UTC().Format(time.DateOnly), unless)}, nil
	}
	return nil, nil
}

// warning is what somebody who can administer is told, and what the log says of it.
type warning struct {
	event, detail string
	subject, body string
}

var (
	goingDormant = warning{event: "alarm.administrator-going-dormant", detail: "dormant", subject: "Sign in, or nobody can administer Countersign any more",
		body: "Nobody who can administer Countersign has signed in for a long time. Accounts that are not used go dormant: yours, %s, does at %s, and then nobody is left who could wake it.\n\nSign in before that: %s\n\nMake somebody else an administrator as well, so that this does not depend on you alone.\n"}
	ending = warning{event: "alarm.administrator-ending", detail: "ends", subject: "Nobody can administer Countersign once your account has ended",
		body: "Your account, %s, ends at %s, and then nobody is left who could administer Countersign.\n\nMake somebody an administrator before that, who stays: %s\n"}
)

// Warn tells all who can administer when all of them are about to go
// dormant or to end: once a day, by mail and in the log. Who is dormant is woken by another
// administrator, and there would be none.
func (a *Administrators) Warn(ctx context.Context) error {
	_, able, err := a.Able(ctx)
	if err != nil || !a.Falling(able) {
		return err
	}
	for _, one := range able {
		if err := a.warnOne(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

func (a *Administrators) warnOne(ctx context.Context, one signin.Administrator) error {
	what := goingDormant
	if one.EndsFirst() {
		what = ending
	}
	said, err := a.db.AuditLog().Entries(ctx, store.Filter{Account: int64(one.ID), Event: what.event, Since: a.now().Add(-23 * time.Hour), Limit: 1})
	if err != nil || len(said) > 0 {
		return err
	}
	return a.db.Change(ctx, audit.System("housekeeping"), func(tx *store.Tx) error {
		mails, err := a.people.Mails(ctx, tx, one.ID)
		if err != nil {
			return err
		}
		body := language.Say(what.body, one.Name, language.At(one.Until().In(a.now().Location())), a.publicURL.String())
		if err := a.outbox.QueueAll(ctx, tx, mails, a.outbox.Write(notify.Letter{Account: int64(one.ID), Language: one.Language, Subject: language.Say(what.subject), Body: body})); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: what.event, Outcome: audit.OK, Account: int64(one.ID), AccountName: one.Name,
			Detail: map[string]string{what.detail: one.Until().UTC().Format(time.RFC3339), "addresses": fmt.Sprint(len(mails))}})
	})
}
