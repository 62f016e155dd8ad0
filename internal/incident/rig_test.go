package incident

import (
	"context"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/enginetest"
	"countersign/internal/enrollment"
	"countersign/internal/keyring"
	"countersign/internal/recovery"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

var kinds = []authenticator.Authenticator{
	enginetest.Shows{Kind: "password", Traits: assurance.Known}, enginetest.Shows{Kind: "totp", Traits: assurance.Held}, enginetest.Shows{Kind: "passkey", Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant}, accesspass.Authenticator{},
}

type rig struct {
	*Incidents
	*enginetest.Rig
	recoveries recovery.Pieces
	now        time.Time
	spare      error
}

var began = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func setUp(t *testing.T) *rig {
	t.Helper()
	r := &rig{now: began}
	clock := func() time.Time { return r.now }
	r.Rig = enginetest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "incident.db"), Now: clock}, keyring.NewRoot(), kinds...)
	endings := session.NewEndings(r.Sessions)
	enrolled := enrollment.New(enrollment.Parts{DB: r.DB, Accounts: r.Accounts, Credentials: r.Credentials, Strangers: r.Strangers, Tries: r.Tries, Outbox: r.Outbox, Tickets: r.Tickets, Sessions: endings,
		Authenticators: kinds, NewPass: accesspass.Issue, Messages: r.Messages, Quarantine: 24 * time.Hour, Now: clock})
	var err error
	r.recoveries, err = recovery.New(recovery.Parts{DB: r.DB, Keys: r.Keys, Accounts: r.Accounts, Credentials: r.Credentials, Groups: r.Groups, Endings: enrolled.Endings, Passes: enrolled.Passes, Tickets: r.Tickets, Outbox: r.Outbox, Tries: r.Tries,
		EndSessions: endings.EndAllTx, PublicURL: &url.URL{Scheme: "https", Host: "login.test"}, Mails: true, Wait: recovery.WaitDefault, Dormant: 30 * 24 * time.Hour, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	r.Incidents = New(Parts{DB: r.DB, Accounts: r.Accounts, Credentials: r.Credentials, Groups: r.Groups, Sessions: endings, Endings: enrolled.Endings, Notices: enrolled.Notices, Recoveries: r.recoveries.Stops, Now: clock,
		Spare: func(context.Context, store.Reader, signin.Loss) error { return r.spare }})
	r.Found()
	return r
}

func (r *rig) change(fn func(tx *store.Tx) error) {
	r.T.Helper()
	storetest.Change(r.T, r.DB, fn)
}

// recovery opens one of somebody, which waits.
func (r *rig) recovery(name string) {
	r.T.Helper()
	_, shown, err := r.recoveries.Requests.Begin(r.T.Context(), name, netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		r.T.Fatal(err)
	}
	r.change(func(tx *store.Tx) error {
		_, err := r.recoveries.Openings.OpenTx(r.T.Context(), tx, r.Account("root"), recovery.Opening{Account: r.Account(name), Number: shown.Number, Check: "in-person", Note: "ticket 1"})
		return err
	})
}

func (r *rig) cases(name string) []recovery.Case {
	r.T.Helper()
	all, err := r.recoveries.Cases.List(r.T.Context(), r.Account(name).ID)
	if err != nil {
		r.T.Fatal(err)
	}
	return all
}

// mails are those that wait, as "address: subject: body", which have these words.
func (r *rig) mails(words string) (out []string) {
	r.T.Helper()
	rows, err := r.DB.Query(r.T.Context(), `select address, subject, body from notice order by id`)
	if err != nil {
		r.T.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var address, subject, body string
		if err := rows.Scan(&address, &subject, &body); err != nil {
			r.T.Fatal(err)
		}
		if mail := address + ": " + subject + ": " + body; strings.Contains(mail, words) {
			out = append(out, mail)
		}
	}
	return out
}
