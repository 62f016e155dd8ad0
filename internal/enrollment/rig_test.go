package enrollment

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/enginetest"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/ticket"
)

// enrolls is one that people set up by themselves.
type enrolls struct{ enginetest.Shows }

// Offer's hint is what the person has of the kind.
func (e enrolls) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	var has []string
	for _, c := range p.Existing {
		has = append(has, c.Label)
	}
	return prompt.Prompt{Authenticator: e.Kind, Label: p.Name, Hint: strings.Join(has, ", ")}, authenticator.Memo("first"), nil
}

func (e enrolls) Accept(_ context.Context, p authenticator.Person, memo authenticator.Memo, a prompt.Answer, _ time.Time) (authenticator.Enrolled, error) {
	switch a.Text {
	case "yes":
		return authenticator.Enrolled{State: []byte("{}"), Traits: e.Traits, Label: e.Kind + " of " + p.Name, Once: "o", Detail: string(memo)}, nil
	case "again":
		return authenticator.Enrolled{}, &authenticator.Another{Memo: authenticator.Memo("second"), Prompt: prompt.Prompt{Authenticator: e.Kind, Label: "another"}, Message: authenticator.Message{To: "a@example.org", Text: "1"}}
	}
	return authenticator.Enrolled{}, &authenticator.Refused{Reason: "wrong", Public: "Not that."}
}

// binds is set up by a device that signs a code; here that is the code itself.
type binds struct{ enrolls }

func (b binds) Offer(p authenticator.Person, _ time.Time) (prompt.Prompt, authenticator.Memo, error) {
	return prompt.Prompt{Authenticator: b.Kind}, authenticator.Memo(ticket.NewSecret()), nil
}

func (binds) Code(memo authenticator.Memo) (string, error) { return string(memo), nil }

func (binds) Proposes(code string, proposal []byte) bool { return string(proposal) == "signed "+code }

func (b binds) Accept(_ context.Context, _ authenticator.Person, memo authenticator.Memo, a prompt.Answer, _ time.Time) (authenticator.Enrolled, error) {
	if string(a.Data) != "signed "+string(memo) {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "no-device", Public: "No device yet."}
	}
	return authenticator.Enrolled{State: []byte("{}"), Traits: b.Traits, Label: "app"}, nil
}

// hands is one that is assigned by a text.
type hands struct{ enginetest.Shows }

func (h hands) Assign(text []byte, _ time.Time) (authenticator.Enrolled, error) {
	if string(text) != "card" {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "no-card", Public: "That is no card."}
	}
	return authenticator.Enrolled{State: []byte("{}"), Traits: h.Traits, Label: "card"}, nil
}

var kinds = []authenticator.Authenticator{
	enrolls{enginetest.Shows{Kind: "password", Traits: assurance.Known}}, enrolls{enginetest.Shows{Kind: "totp", Traits: assurance.Held}},
	enrolls{enginetest.Shows{Kind: "passkey", Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant}}, enrolls{enginetest.Shows{Kind: "recoverycode", Traits: assurance.Held | assurance.Recovery}},
	enrolls{enginetest.Shows{Kind: "smscode", Traits: assurance.Held | assurance.Restricted}}, enrolls{enginetest.Shows{Kind: "mailcode", Traits: assurance.Mailed}},
	accesspass.Authenticator{}, binds{enrolls{enginetest.Shows{Kind: "push", Traits: assurance.Held}}}, hands{enginetest.Shows{Kind: "certificate", Traits: assurance.Held}},
}

// pins are PINs of totp: the state says it.
type pins struct{}

func (pins) PINState(kind string, state []byte) string {
	if kind != "totp" {
		return ""
	}
	if string(state) == "{}" {
		return "none"
	}
	return string(state)
}

func (pins) Set(_ string, _ []byte, pin string) (authenticator.Enrolled, error) {
	if pin == "1234" {
		return authenticator.Enrolled{}, &authenticator.Refused{Reason: "weak", Public: "Guessed first."}
	}
	return authenticator.Enrolled{State: []byte("set"), Traits: assurance.Held | assurance.Known}, nil
}

func (pins) Give(string, []byte) (authenticator.Enrolled, string, error) {
	return authenticator.Enrolled{State: []byte("first"), Traits: assurance.Held}, "246810", nil
}

func (pins) Clear(_ string, state []byte) (authenticator.Enrolled, error) {
	if string(state) == "first" {
		return authenticator.Enrolled{State: []byte("wanted"), Traits: assurance.Held}, nil
	}
	return authenticator.Enrolled{State: []byte("{}"), Traits: assurance.Held}, nil
}

type rig struct {
	*Enrollments
	*Listing
	*Changes
	*Endings
	*PINs
	*Passes
	*Keys
	*Notices
	*enginetest.Rig
	now   time.Time
	spare error
}

var began = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func setUp(t *testing.T) *rig {
	t.Helper()
	r := &rig{now: began}
	clock := func() time.Time { return r.now }
	r.Rig = enginetest.Open(t, store.Options{DSN: filepath.Join(t.TempDir(), "enrollment.db"), Now: clock}, keyring.NewRoot(), kinds...)
	made := New(Parts{DB: r.DB, Accounts: r.Accounts, Credentials: r.Credentials, Strangers: r.Strangers, Tries: r.Tries, Outbox: r.Outbox, Tickets: r.Tickets, Sessions: session.NewEndings(r.Sessions), Authenticators: kinds, NewPass: accesspass.Issue,
		PINs: pins{}, Messages: r.Messages, Quarantine: 24 * time.Hour, Now: clock,
		Spare: func(context.Context, store.Reader, signin.Loss) error { return r.spare }, KeepsOut: r.Prospects.KeepsOut})
	r.Enrollments, r.Listing, r.Changes, r.Endings, r.PINs, r.Passes, r.Keys, r.Notices = made.Enrollments, made.Listing, made.Changes, made.Endings, made.PINs, made.Passes, made.Keys, made.Notices
	r.Found()
	return r
}

func (r *rig) try(fn func(tx *store.Tx) error) error { return storetest.Try(r.T, r.DB, fn) }

func (r *rig) change(fn func(tx *store.Tx) error) {
	r.T.Helper()
	storetest.Change(r.T, r.DB, fn)
}

func (r *rig) mails() (out []string) {
	r.T.Helper()
	rows, err := r.DB.Query(r.T.Context(), `select address, subject from notice order by id`)
	if err != nil {
		r.T.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var address, subject string
		if err := rows.Scan(&address, &subject); err != nil {
			r.T.Fatal(err)
		}
		out = append(out, address+": "+subject)
	}
	return out
}

func (r *rig) events(event string) int {
	all, err := r.DB.AuditLog().Entries(r.T.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		r.T.Fatal(err)
	}
	return len(all)
}
