package signin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/accesspass"
	"countersign/internal/authenticator/apikey"
	"countersign/internal/authenticator/apppassword"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/certificate"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/mailcode"
	"countersign/internal/authenticator/ocra"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/passkey"
	"countersign/internal/authenticator/password"
	"countersign/internal/authenticator/push"
	"countersign/internal/authenticator/recoverycode"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/authenticator/smscode"
	"countersign/internal/authenticator/totp"
	"countersign/internal/authenticator/yubicootp"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/notify"
	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// rig is an engine on a real database, with real authenticators and a clock that
// stands still.
type rig struct {
	*Engine
	Pieces      // that are made with it
	Parts       // that it is made of
	t           testing.TB
	people      *directory.Accounts
	credentials *directory.Credentials
	milestones  *directory.Milestones
	clock       *storetest.Watch
	sessions    *shelf
	log         *bytes.Buffer
	order       []authenticator.Authenticator
	options     store.Options
	root        keyring.Root
}

// again starts another server on the same database, at the same time.
func (r *rig) again() *rig {
	r.t.Helper()
	other := *r
	other.open()
	return &other
}

// shelf is sessions.
type shelf struct {
	mu   sync.Mutex
	held map[string]Held
	err  error // what reading them comes to, where it is set
}

func (s *shelf) Active(_ context.Context, secret string) (Held, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.held[secret]
	if s.err != nil {
		return Held{}, s.err
	}
	if !ok {
		return Held{}, failure.Refuse("no-session", "Your session has ended.")
	}
	return h, nil
}

func (s *shelf) put(secret string, h Held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[secret] = h
}

func (s *shelf) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, secret)
}

// reads and helps are what the installations of these tests are set to.
var reads, helps = []string{"account.list"}, []string{"recovery.open"}

// vocabulary is what a policy may use here.
func vocabulary(kinds []authenticator.Authenticator) policy.Known {
	k := policy.Known{
		Groups:           []string{directory.Administrators, directory.Helpdesk, "staff"},
		Actions:          append(OwnActions(), AppPassword, "account.list", "account.create", "recovery.open", "policy.change"),
		Reading:          reads,
		Applications:     []string{Self, "vpn", "wiki", "core"},
		ApplicationKinds: []string{"directory", "vpn", "wiki"},
		Tiers:            []string{application.Standard, application.ControlPlane},
		Protocols:        []string{"browser", "radius", "yubico", "forward-auth", "api"},
		AccountKinds:     []string{directory.Person, directory.Service},
	}
	for _, a := range kinds {
		k.Kinds = append(k.Kinds, a.Describe().Kind)
	}
	return k
}

// everyKind is one authenticator of each kind there is.
func everyKind(t testing.TB) []authenticator.Authenticator {
	t.Helper()
	must := func(a authenticator.Authenticator, err error) authenticator.Authenticator {
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	gate := slowhash.NewGate(0, 0)
	cheap := authenticatortest.Hashing()
	keys, err := passkey.New(passkey.Options{RPID: "login.test", RPName: "Countersign", Origins: []string{"https://login.test"}})
	if err != nil {
		t.Fatal(err)
	}
	words, err := password.New(cheap, gate, "Countersign")
	passwords := authenticatortest.Hashed(t, words, err)
	list, err := recoverycode.New(cheap, gate)
	saved := authenticatortest.Hashed(t, list, err)
	codes, err := totp.New(totp.Options{Issuer: "Countersign"})
	tokens, err2 := hotp.New(hotp.Options{Issuer: "Countersign"})
	challenges, err3 := ocra.New(nil)
	return []authenticator.Authenticator{
		keys, certificate.New(certificate.Options{URL: &url.URL{Scheme: "https", Host: "card.login.test"}}), passwords, push.New("https://login.test/app", keys),
		must(codes, err), must(tokens, err2), must(challenges, err3), yubicootp.Authenticator{},
		smscode.New("Countersign", "login.test"), saved, mailcode.New("Countersign", directory.CheckMail), accesspass.Authenticator{}, apikey.Authenticator{}, apppassword.Authenticator{},
	}
}

const anyFactor = "rules:\n  - {name: all, require: one-factor}\n"

// promptedToday is what became of the requests to somebody today.
func promptedToday(r *rig, of directory.Account) approval.PromptStatistics {
	r.t.Helper()
	days, err := r.Approvals.Days(r.t.Context(), of.ID, 1)
	if err != nil {
		r.t.Fatal(err)
	}
	return days[0]
}

// instead puts what a test makes of one kind in that kind's place.
func instead(kinds []authenticator.Authenticator, kind string, made func(authenticator.Authenticator) authenticator.Authenticator) {
	for i, how := range kinds {
		if how.Describe().Kind == kind {
			kinds[i] = made(how)
		}
	}
}

// newRig makes an engine under a policy, with every kind of authenticator unless
// some are named.
func newRig(t testing.TB, document string, kinds ...authenticator.Authenticator) *rig {
	t.Helper()
	return newRigOver(t, "", document, kinds...)
}

// newRigOver is newRig on a driver of databases, such as one that breaks.
func newRigOver(t testing.TB, driver, document string, kinds ...authenticator.Authenticator) *rig {
	t.Helper()
	return newRigIn(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Driver: driver}, document, kinds...)
}

// newRigIn is newRig on a database.
func newRigIn(t testing.TB, o store.Options, document string, kinds ...authenticator.Authenticator) *rig {
	t.Helper()
	if len(kinds) == 0 {
		kinds = everyKind(t)
	}
	r := &rig{t: t, clock: storetest.NewWatch(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)), sessions: &shelf{held: map[string]Held{}}, log: &bytes.Buffer{}, order: kinds}
	r.options, r.root = o, keyring.NewRoot()
	r.open()
	r.change(func(tx *store.Tx) error {
		for _, a := range []application.Application{
			{Name: "vpn", Title: "VPN", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Settings: []byte(`{}`)},
			{Name: "wiki", Title: "Wiki", Kind: "wiki", Tier: application.Standard, Protocol: "forward-auth", Settings: []byte(`{}`)},
			{Name: "core", Title: "Core", Kind: "wiki", Tier: application.ControlPlane, Protocol: "forward-auth", Settings: []byte(`{}`)},
		} {
			if _, err := r.Applications.Set(t.Context(), tx, a); err != nil {
				return err
			}
		}
		for _, g := range []string{directory.Administrators, directory.Helpdesk} {
			if _, err := r.Groups.Create(t.Context(), tx, g, g, true); err != nil {
				return err
			}
		}
		_, err := r.Rules.Save(t.Context(), tx, document, "test")
		return err
	})
	return r
}

// open starts the server on its database.
func (r *rig) open() {
	t, kinds := r.t, r.order
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r.options.Now, r.options.Log = r.clock.Now, log
	db, err := store.Open(t.Context(), r.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	keys, err := keyring.Open(t.Context(), db, r.root)
	if err != nil {
		t.Fatal(err)
	}
	of := directory.Parts{DB: db, Keys: keys}
	r.people, r.credentials, r.milestones = directory.NewAccounts(of), directory.NewCredentials(of), directory.NewMilestones(of)
	catalogue, err := application.Open(t.Context(), db, keys)
	if err != nil {
		t.Fatal(err)
	}
	rules := NewRules(db, keys, func(context.Context, store.Reader) (policy.Known, error) { return vocabulary(kinds), nil }, log)
	rules.Watch()
	outbox, err := notify.NewOutbox(db, keys, r.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	r.Parts = Parts{DB: db, Keys: keys, Accounts: r.people, Credentials: r.credentials, Milestones: r.milestones, Groups: directory.NewGroups(of), Applications: catalogue, Rules: rules, Authenticators: kinds, Reading: reads, Helping: helps,
		Sessions: r.sessions, SlowChecks: 2, ApproveAt: "login.test/account/approve", Now: r.clock.Now, Log: log, Outbox: outbox}
	if r.Limits, err = r.Limits.Check(); err != nil {
		t.Fatal(err)
	}
	r.remake()
}

// remake makes the engine anew, of its parts as they are now.
func (r *rig) remake() {
	r.t.Helper()
	made, err := New(r.Parts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Engine, r.Pieces = made.Engine, made
}

// remove takes an account away, as administrators do: the rooms that keep something of it
// are asked to forget.
func (r *rig) remove(a directory.Account, by assurance.AccountID) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		return errors.Join(r.Forget(r.t.Context(), tx, a.ID), r.browsers.tickets.Forget(r.t.Context(), tx, a.ID), r.people.Remove(r.t.Context(), tx, a, by))
	})
}

// change writes as whatever room it is that writes.
func (r *rig) change(f func(tx *store.Tx) error) {
	r.t.Helper()
	err := r.DB.Change(r.t.Context(), storetest.Actor, func(tx *store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test", Outcome: "ok"})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// forgive forgets what was guessed, also on this server.
func (r *rig) forgive() {
	r.t.Helper()
	r.change(func(tx *store.Tx) error { _, err := tx.Exec(r.t.Context(), `delete from guess`); return err })
	r.remake()
}

// notePlace has another server, by whose clock it is another time, note that an account was let
// in from an address.
func notePlace(r *rig, a directory.Account, address netip.Addr, at time.Time) {
	r.t.Helper()
	other, err := throttle.New(r.DB, r.Keys, r.Limits, func() time.Time { return at })
	if err != nil {
		r.t.Fatal(err)
	}
	r.change(func(tx *store.Tx) error {
		return other.NotePlace(r.t.Context(), tx, throttle.Origin{Source: address}, a.ID, throttle.Place{})
	})
}

// What approvals last, as their room has it.
const (
	approvalLife = 3 * time.Minute // a number
	momentLife   = 2 * time.Minute // what an app signs in place of its clock
	disownable   = time.Hour       // a sign-in that nobody answered
	wakeDailyIn  = 24 * time.Hour  // what was pushed counts against more
)

// How often codes are sent, as their room has it.
const (
	sendPause, sendHourly, sendDaily, sendSourced = 30 * time.Second, 5, 20, 20
	messageLife, carryPause, carryTries           = 5 * time.Minute, 10 * time.Second, 3
)

// nothingWaits, stale and replayed are what an owner is told.
const (
	nothingWaits = "No request has that number. Check the number; it is valid for three minutes."
	stale        = "That took too long. Try again."
	replayed     = "This was already sent. Try again."
)

// digitsOf are the digits of a number as it is shown.
func digitsOf(number string) (string, error) {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(number)
	if len(digits) != 6 {
		return "", errors.New("not six digits: " + number)
	}
	return digits, nil
}

// slowestTries is the first of so many wrong answers in a row after which the next must wait for
// as long as any: half a minute is doubled seven times until it is an hour.
func slowestTries(r *rig) int { return r.Limits.Delay + 7 }

// guessesAt is the subject of what was guessed at an authenticator by strangers; those of
// other sides begin with it.
func guessesAt(id assurance.CredentialID) string { return fmt.Sprintf("credential/%d", id) }

// rules puts another policy in force.
func (r *rig) rules(document string) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		_, err := r.Rules.Save(r.t.Context(), tx, document, "test")
		return err
	})
}

// person makes an account.
func (r *rig) person(name string, groups ...string) directory.Account {
	r.t.Helper()
	return r.account(directory.NewAccount{Name: name, Mail: name + "@example.org"}, groups...)
}

func (r *rig) account(n directory.NewAccount, groups ...string) (a directory.Account) {
	r.t.Helper()
	r.change(func(tx *store.Tx) (err error) {
		if a, err = r.people.Create(r.t.Context(), tx, n); err != nil {
			return err
		}
		for _, name := range groups {
			g, err := r.Groups.Find(r.t.Context(), tx, name)
			if err != nil {
				return err
			}
			if err := r.Groups.AddMember(r.t.Context(), tx, g, a); err != nil {
				return err
			}
		}
		return nil
	})
	return a
}

// give gives an account an authenticator.
func (r *rig) give(a directory.Account, kind string, e authenticator.Enrolled) (c directory.Credential) {
	r.t.Helper()
	r.change(func(tx *store.Tx) (err error) {
		c, err = r.credentials.Add(r.t.Context(), tx, directory.Credential{Account: a.ID, Kind: kind, Label: kind, Handle: e.Handle, Traits: e.Traits, State: e.State, Status: directory.CredentialActive})
		return err
	})
	return c
}

// alter writes an authenticator's row anew.
func (r *rig) alter(c directory.Credential, f func(c *directory.Credential)) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error {
		now, err := r.credentials.Get(r.t.Context(), tx, c.Account, c.ID)
		if err != nil {
			return err
		}
		f(&now)
		tx.Announce(directory.Topic(c.Account))
		return r.credentials.Update(r.t.Context(), tx, now)
	})
}

const secret = "correct horse battery staple"

// withPassword gives an account the password of these tests.
func (r *rig) withPassword(a directory.Account) directory.Credential {
	r.t.Helper()
	how := r.kinds["password"].(authenticator.Enroller)
	e, err := how.Accept(r.t.Context(), authenticator.Person{Account: a.ID, Name: a.Name}, nil, prompt.Answer{Text: secret}, r.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.give(a, "password", e)
}

// codes is an authenticator app's key.
type codes struct {
	key   otp.Key
	clock *storetest.Watch
	directory.Credential
}

// code is the one of this moment.
func (c codes) code() string { return c.key.Code(uint64(c.clock.Now().Unix() / 30)) }

// withCodes gives an account an authenticator app.
func (r *rig) withCodes(a directory.Account) codes {
	r.t.Helper()
	key, err := otp.NewKey(otp.SHA1, 6)
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := new(totp.Authenticator).Import(authenticator.Seed{Secret: key.Secret, Algorithm: string(key.Algorithm), Digits: key.Digits, Period: 30, Label: "App"})
	if err != nil {
		r.t.Fatal(err)
	}
	return codes{key: key, clock: r.clock, Credential: r.give(a, "totp", e)}
}

// begin begins an attempt; a breakdown ends the test.
func (r *rig) begin(q Request) Step {
	r.t.Helper()
	s, err := r.Begin(r.t.Context(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// reply answers a step.
func (r *rig) reply(s Step, kind, text string) Step {
	r.t.Helper()
	next, err := r.Answer(r.t.Context(), s.Ticket, Reply{Answer: prompt.Answer{Authenticator: kind, Text: text}, Source: home})
	if err != nil {
		r.t.Fatal(err)
	}
	return next
}

var home = netip.MustParseAddr("192.0.2.7")

// typed is an answer to a kind.
func typed(kind, text string) prompt.Answer { return prompt.Answer{Authenticator: kind, Text: text} }

// browses is a request of a page.
func browses(application, name string, opening ...prompt.Answer) Request {
	return Request{Application: application, Name: name, Source: home, Protocol: "browser", Medium: prompt.Browser, Opening: opening}
}

// events counts entries of the log.
func (r *rig) events(event string) []audit.Entry {
	r.t.Helper()
	found, err := r.DB.AuditLog().Entries(r.t.Context(), store.Filter{Event: event, Limit: 1000})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// shows are the kinds of some evidence.
func shows(evidence []assurance.Evidence) []string {
	var out []string
	for _, ev := range evidence {
		out = append(out, ev.Kind)
	}
	slices.Sort(out)
	return out
}
