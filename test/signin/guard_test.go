package signin

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/admin/nouns"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// The promise: 64 right codes at once are one sign-in.
func TestOneCodeManyTimesAtOnce(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	code := ada.Code()
	var step sync.Map
	var all sync.WaitGroup
	for i := range 64 {
		r := servertest.Line("ada", servertest.Passphrase, code)
		r.Opening, r.CodeAlone = r.Opening[1:], true
		all.Go(func() {
			s, err := w.Engine.Begin(context.Background(), r)
			if err == nil {
				step.Store(i, s.Reason)
			}
		})
	}
	all.Wait()
	refused := 0
	step.Range(func(_, reason any) bool {
		if reason != "" && reason != "cannot-ask-here" {
			refused++
		}
		return true
	})
	if n := w.Events("evidence.accepted"); refused != 63 {
		t.Errorf("%d of 64 were refused; %d pieces of evidence", refused, n)
	}
}

// The promise: wrong codes draw on one budget whatever the spelling of the name
// The promise: a ticket is good for one answer, however many come at once: wrong
// ones are compared once, and the rest of the guesses reach nothing.
func TestOneTicketManyGuessesAtOnce(t *testing.T) {
	t.Parallel()
	w, _ := servertest.WithVPN(t)
	s := w.Begin(signin.Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Line | prompt.Browser, Source: netip.MustParseAddr("203.0.113.7"),
		Opening: []prompt.Answer{{Authenticator: "password", Text: servertest.Passphrase}}})
	if s.State != signin.Ask {
		t.Fatal(s.State, s.Reason)
	}
	before := w.Events("answer.refused")
	var used atomic.Int32
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			got, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "totp", Text: fmt.Sprintf("%06d", i)}})
			if err != nil || got.State == signin.Granted {
				t.Errorf("a guess: %v %v", got.State, err)
			}
			if got.Reason == "used-ticket" {
				used.Add(1)
			}
		})
	}
	all.Wait()
	if n := w.Events("answer.refused") - before; n != 1 || used.Load() != 31 {
		t.Errorf("%d guesses were compared, %d were late", n, used.Load())
	}
}

// and the protocol; at its end the code is closed to where they came from, and stays
// closed there; it is not switched off, and is open where its owner was let in.
func TestGuessesWearOut(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	browser := w.Person()
	browser.Comes("ada", ada.Secret)
	for i := range 20 {
		name := []string{"ada", "ADA", " Ada", "aDa", "\uff41\uff44\uff41"}[i%5]
		if s := w.Begin(servertest.Line(name, servertest.Passphrase, fmt.Sprintf("%06d", i))); s.State != signin.Denied || s.Reason != "wrong" {
			t.Fatalf("guess %d: %v %s", i, s.State, s.Reason)
		}
		w.Later(2 * time.Hour) // past every delay
	}
	if w.Events("credential.closed") != 1 || w.Events("credential.disabled") != 0 {
		t.Error("20 wrong codes did not close the authenticator, or switched it off")
	}
	for range 3 {
		w.Later(25 * time.Hour)
		if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Denied || s.Reason != "closed" {
			t.Errorf("a right code from where it is closed: %v %s", s.State, s.Reason)
		}
	}
	home := servertest.Line("ada", servertest.Passphrase, ada.Code())
	home.Source, home.Browser = netip.MustParseAddr("192.0.2.3"), keeps(browser, "countersign-browser").Value
	if s := w.Begin(home); s.State != signin.Granted {
		t.Errorf("in the browser in which its owner was let in: %v %s", s.State, s.Reason)
	}
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("after it was right there: %v %s", s.State, s.Reason)
	}
}

// The promise: after three wrong codes one right code is not enough; the next
// one as well is.
func TestTwoCodesAfterThreeWrong(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	for i := range 3 {
		w.Begin(servertest.Line("ada", servertest.Passphrase, fmt.Sprintf("%06d", i)))
	}
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State == signin.Granted {
		t.Fatal("one code was enough after three wrong ones")
	}
	w.Later(5 * time.Minute)
	first := ada.Code()
	w.Later(30 * time.Second)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, first+" "+ada.Code())); s.State != signin.Granted {
		t.Errorf("two codes in a row were refused: %s", s.Reason)
	}
}

// The promise: a delay holds even for the right answer, and gives nothing away.
func TestDelay(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	for range 5 {
		w.Begin(servertest.Line("ada", "not the password", ""))
	}
	s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code()))
	if s.State != signin.Denied || s.Reason != "delayed" {
		t.Errorf("the sixth guess: %v %s", s.State, s.Reason)
	}
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("after the delay: %s", s.Reason)
	}
}

// The promise: an account that nobody used for 30 days gets nothing, with
// everything right.
func TestDormant(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	w.Later(31 * 24 * time.Hour)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Denied || s.Reason != "dormant" {
		t.Errorf("%v %s", s.State, s.Reason)
	}
}

// The promise: whoever writes to the database cannot make themselves powerful.
func TestRowsChangedBehindOurBack(t *testing.T) {
	for name, statement := range map[string]string{
		"revived account":      "update account set state = 'active', display = display, name = 'mallory' where name = 'ada'",
		"moved authenticator":  "update credential set account = account + 1 where kind = 'totp'",
		"revived traits":       "update credential set traits = 'known+held+phishing-resistant' where kind = 'password'",
		"softened application": "update application set vouches = 'password' where name = 'vpn'",
	} {
		t.Run(name, func(t *testing.T) {
			w, ada := servertest.WithVPN(t)
			err := w.DB.Change(context.Background(), audit.Actor{Name: "mallory"}, func(tx *store.Tx) error {
				if _, err := tx.Exec(context.Background(), statement); err != nil {
					return err
				}
				tx.Announce("application")
				return tx.Record(audit.Entry{Event: "test.tampered", Outcome: "ok"})
			})
			if err != nil {
				t.Fatal(err)
			}
			s, err := w.Engine.Begin(context.Background(), servertest.Line("ada", servertest.Passphrase, ada.Code()))
			if err == nil && s.State == signin.Granted {
				t.Error("it was believed")
			}
		})
	}
}

// The promise: a code is good once, also for whoever puts back all rows that say that it
// was given, while the server runs and after it was stopped.
func TestOneCodeWithItsRowsPutBack(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	var id int64
	var version, power, used int64
	var state, mac []byte
	err := w.DB.QueryRow(context.Background(), `select c.id, c.state, c.version, c.power, c.used, c.mac from credential c join account a on a.id = c.account where a.name = 'ada' and c.kind = 'totp'`).
		Scan(&id, &state, &version, &power, &used, &mac)
	if err != nil {
		t.Fatal(err)
	}
	code := ada.Code()
	enter := func() signin.State {
		t.Helper()
		s, err := w.Engine.Begin(context.Background(), servertest.Line("ada", servertest.Passphrase, code))
		if err != nil {
			t.Fatal(err)
		}
		return s.State
	}
	if enter() != signin.Granted {
		t.Fatal("a right code was refused")
	}
	putBack := func() {
		t.Helper()
		rows(w, `delete from spent`, `delete from attempt`, `delete from guess`)
		err := w.DB.Change(context.Background(), audit.Actor{Name: "mallory"}, func(tx *store.Tx) error {
			_, err := tx.Exec(context.Background(), `update credential set state = $1, version = $2, power = $3, used = $4, mac = $5 where id = $6`, state, version, power, used, mac, id)
			if err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.rows", Outcome: "ok"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if putBack(); enter() == signin.Granted {
		t.Error("with its rows put back it is good again")
	}
	storetest.Alarmed(t, w.DB, "credential", strconv.FormatInt(id, 10), store.Older)
	putBack()
	w.Stop()
	w.Installation = servertest.Reopen(w, w.Folder)
	if enter() == signin.Granted {
		t.Error("after a restart it is good again")
	}
}

// The promise: one application's cookie opens no other application, and a used
// handover code nothing.
func TestCookieOfOneHost(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	ctx := context.Background()
	secret := w.SignedIn(ada)
	wiki := session.Handover{Host: "https://wiki.test", Browser: "ada's"}
	code, err := w.Handovers.Derive(ctx, secret, wiki)
	if err != nil {
		t.Fatal(err)
	}
	child, err := w.Handovers.Accept(ctx, code, wiki, session.Visit{Application: "wiki"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Handovers.Accept(ctx, code, wiki, session.Visit{}); err == nil {
		t.Error("a handover code was good twice")
	}
	for _, other := range []session.Handover{{Host: "https://code.test", Browser: wiki.Browser}, {Host: wiki.Host, Browser: "mallory's"}, {Host: wiki.Host}, {}} {
		code, err := w.Handovers.Derive(ctx, secret, wiki)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Handovers.Accept(ctx, code, other, session.Visit{}); err == nil {
			t.Errorf("a code for %v was good for %v", wiki, other)
		}
		if _, err := w.Handovers.Accept(ctx, code, wiki, session.Visit{}); err == nil {
			t.Error("a code that was tried elsewhere is still good")
		}
	}
	check := func(application, reference string) signin.State {
		st, err := w.Engine.Check(ctx, signin.Request{Application: application, Session: reference, Protocol: "forward-auth", Medium: prompt.Browser})
		if err != nil {
			t.Fatal(err)
		}
		return st.State
	}
	if check("wiki", session.At("https://wiki.test", child)) != signin.Granted {
		t.Error("the host's own cookie does not open it")
	}
	if check("wiki", session.At("https://code.test", child)) == signin.Granted || check("wiki", child) == signin.Granted {
		t.Error("the cookie opens another host, or ours")
	}
	if err := w.Endings.SignOut(ctx, secret); err != nil {
		t.Fatal(err)
	}
	if check("wiki", session.At("https://wiki.test", child)) == signin.Granted {
		t.Error("the host's session outlived the sign-out")
	}
}

// The promise: what was remembered for one act serves no other, whatever facts
// the policy reads, and a client's wish is never answered from memory.
func TestRememberedGrantServesItsOwnAct(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		_, err := w.Rules.Save(ctx, tx, "rules:\n  - name: all\n    require: two-factors\n", "test")
		if err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.policy", Outcome: "ok"})
	})
	if err != nil {
		t.Fatal(err)
	}
	secret := w.SignedIn(ada)
	strong := assurance.Phishing()
	for i, c := range []struct {
		action string
		raise  *assurance.Requirement
		want   signin.State
	}{{"", nil, signin.Granted}, {"", nil, signin.Granted}, {"account.list", nil, signin.Denied}, {"", &strong, signin.Denied}, {"", nil, signin.Granted}} {
		s, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: c.action, Raise: c.raise, Session: secret, Protocol: "browser", Medium: prompt.Browser})
		if err != nil || s.State != c.want {
			t.Errorf("check %d: %v %s %v", i, s.State, s.Reason, err)
		}
	}
}

// The promise: nobody administers who is no administrator; a grant for one act
// does no other; nobody issues themselves a pass.
func TestAdministration(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	ctx := context.Background()
	secret := w.SignedIn(ada)
	for _, spec := range nouns.Commands() {
		c := spec.New()
		if c.Action() != spec.Action {
			t.Errorf("%s calls itself %s", spec.Action, c.Action())
		}
		st, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: c.Action(), Object: c.Object(), Session: secret, Protocol: "browser", Medium: prompt.Browser})
		if err != nil || st.State == signin.Granted {
			t.Errorf("%s: %v %v for somebody who is no administrator", spec.Action, st.State, err)
		}
	}
	own, err := w.Engine.Check(ctx, signin.Request{Application: signin.Self, Action: enrollment.Enroll, Object: "passkey", Session: secret, Protocol: "browser", Medium: prompt.Browser})
	if err != nil || own.State != signin.Granted {
		t.Fatal(own.State, err)
	}
	if _, err := w.Admin.Do(ctx, own.Grant, &account.List{}); failure.ClassOf(err) != failure.Refused {
		t.Errorf("a grant to enroll listed accounts: %v", err)
	}
	if w.Events("admin.refused") != 1 {
		t.Error("the misused grant is not in the log")
	}
	if len(nouns.Commands()) < 22 {
		t.Error("the list of commands shrank")
	}
}

// The promise: a welcome link is good once.
func TestPassOnce(t *testing.T) {
	w := servertest.NewWorld(t)
	pass, err := w.Setup.Plant(context.Background(), "grace", "")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(pass.Link, "code=")
	for i, want := range []string{"Set up how you sign in", "no longer good"} {
		p := w.Person()
		p.Get(pass.Link)
		p.Post("/welcome", "code", code)
		p.Sees(want)
		if i == 1 && p.Status == http.StatusOK {
			t.Error("a used pass was answered 200")
		}
	}
}

// The promise: guesses over many names from one source wear the source out, and
// nobody at another source is kept out by that.
func TestSourceWearsOut(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	for i := range 100 {
		r := servertest.Line(fmt.Sprintf("name-%d", i), "", "123456")
		r.Opening, r.CodeAlone = r.Opening[1:], true
		w.Begin(r)
	}
	guess := servertest.Line("ada", servertest.Passphrase, ada.Code())
	if s := w.Begin(guess); s.State != signin.Denied || s.Reason != "source-budget" {
		t.Errorf("from the worn-out source: %v %s", s.State, s.Reason)
	}
	if w.Events("alarm.guessing") == 0 {
		t.Error("the spray raised no alarm")
	}
	w.Later(30 * time.Second)
	guess = servertest.Line("ada", servertest.Passphrase, ada.Code())
	guess.Source = netip.MustParseAddr("198.51.100.4")
	if s := w.Begin(guess); s.State != signin.Granted {
		t.Errorf("from elsewhere: %s", s.Reason)
	}
}

// The promise: who is turned away because too many are there has guessed nothing.
func TestTurnedAwayIsNotCharged(t *testing.T) {
	w := servertest.NewWorld(t)
	w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	var compared, turnedAway atomic.Int64
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			r := servertest.Line(fmt.Sprint("somebody-", i), "not the password", "")
			r.Source = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
			switch _, err := w.Engine.Begin(context.Background(), r); {
			case err == nil:
				compared.Add(1)
			case failure.ReasonOf(err) == "busy":
				turnedAway.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	var charged int64
	if err := w.DB.QueryRow(t.Context(), `select count from guess where subject = 'installation'`).Scan(&charged); err != nil {
		t.Fatal(err)
	}
	if charged != compared.Load() || compared.Load()+turnedAway.Load() != 100 || turnedAway.Load() == 0 {
		t.Errorf("%d compared, %d turned away, %d charged", compared.Load(), turnedAway.Load(), charged)
	}
}

// The promise: budgets do not gather for ever, and forgetting one never gives a
// guesser anything back.
func TestSweptBudgets(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { return storetest.StartPostgres(t).DSN }} {
		t.Run(name, func(t *testing.T) {
			w := servertest.NewWorldOn(t, dsn(t))
			w.EnrollCodes("ada")
			if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"ada", "ada", "somebody"} {
				w.Begin(servertest.Line(name, "not the password", ""))
			}
			left := func() map[string]int {
				t.Helper()
				if _, err := w.Engine.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				rows, err := w.DB.Query(t.Context(), `select subject, count from guess`)
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				kinds := map[string]int{}
				for rows.Next() {
					var subject string
					var count int64
					if err := rows.Scan(&subject, &count); err != nil {
						t.Fatal(err)
					}
					kind, _, _ := strings.Cut(subject, "/")
					kinds[kind] += int(count)
				}
				return kinds
			}
			all := map[string]int{"enroll": 2, "credential": 2, "account": 2, "name": 2, "source": 3, "installation": 3, "spray": 4}
			for _, step := range []struct {
				later time.Duration
				want  map[string]int
			}{
				{0, all}, {11 * time.Minute, all}, {6 * 24 * time.Hour, all},
				{24 * time.Hour, map[string]int{"credential": 2, "name": 2}},
				{30 * 24 * time.Hour, map[string]int{"credential": 2}},
			} {
				w.Later(step.later)
				if got := left(); !maps.Equal(got, step.want) {
					t.Errorf("after %s more: %v, wanted %v", step.later, got, step.want)
				}
			}
		})
	}
}

// The promise: one account has one budget, over all its authenticators.
func TestAccountWearsOut(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	err := w.DB.Housekeep(context.Background(), "test", func(tx *store.Tx) error {
		var id int64
		if err := tx.QueryRow(context.Background(), `select id from account where name = 'ada'`).Scan(&id); err != nil {
			return err
		}
		return servertest.Wears(w, tx, "account/"+strconv.FormatInt(id, 10), id, 30)
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, "")); s.Reason != "account-budget" {
		t.Errorf("%v %s", s.State, s.Reason)
	}
}

// The promise: a recovery code stands in for the phone once, and never for the
// password.
func TestRecoveryCode(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	p.Post("/account/do", "action", "authenticator.enroll", "object", "recoverycode")
	m := regexp.MustCompile(`<li><code>([0-9A-Z-]+)</code>`).FindAllStringSubmatch(p.Page, -1)
	if len(m) != 10 {
		t.Fatalf("%d codes on the page:\n%s", len(m), p.Page)
	}
	p.Post("/account/setup", "authenticator", "recoverycode", "text", m[4][1])
	p.Sees("Added: Recovery codes")
	for i, want := range []string{"Where you are signed in", "Sign in"} {
		q := w.Person()
		q.Get("/sign-in")
		q.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
		q.Post("/sign-in", "authenticator", "recoverycode", "text", strings.ToLower(m[7][1]))
		q.Get("/account")
		q.Sees(want)
		if i == 1 && strings.Contains(q.Page, "Where you are signed in") {
			t.Error("a recovery code was good twice")
		}
	}
}
