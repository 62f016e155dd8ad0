package signin

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// The promise: whatever strangers send, a thousand requests a second for an hour leave
// less than 50 MB, of each kind and of all together; and an honest person gets in.
func TestAnHourOfStrangers(t *testing.T) { servertest.AnHourOfStrangers(t, 500) }

// The promise: wrong answers for names that nobody has are in the log one by one up to a
// rate, and summed up beyond it; none is missing.
func TestWrongAnswersOfStrangers(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	before := w.Refusals("signin.refused")
	const many = 1000
	for i := range many {
		s, err := w.Engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: fmt.Sprintf("person-%d", i), Protocol: "radius", Medium: prompt.Single, CodeAlone: true,
			Source: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: "123456"}}})
		if err != nil || s.State != signin.Denied || s.Reason != "wrong" {
			t.Fatalf("a wrong code: %v %s, %v", s.State, s.Reason, err)
		}
	}
	if n := w.Refusals("signin.refused") - before; n != many {
		t.Errorf("%d of %d are in the log", n, many)
	}
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "signin.refused", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > many/2 { // a few minutes' on a slow machine
		t.Errorf("%d entries for %d wrong answers", len(entries), many)
	}
	one, last := entries[before], entries[len(entries)-1]
	if one.AccountName != "person-0" || one.Source != "198.51.0.0" || one.Detail["count"] != "" {
		t.Errorf("the first entry is %+v", one)
	}
	if last.Detail["count"] == "" || last.Outcome != audit.Refused || last.Account != 0 {
		t.Errorf("the last entry is %+v", last)
	}
	if got := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); got.State != signin.Granted {
		t.Errorf("ada, afterwards: %v %s", got.State, got.Reason)
	}
}

// The promise: a ticket of an attempt in which nothing was shown is worth nothing to who
// has a copy. What was right is right once, of 64 at once as well, and guesses draw on
// the budgets, however often it begins anew.
func TestTicketOfNothingShown(t *testing.T) {
	w, _, _, key := servertest.WithPasskey(t)
	begun := func() (signin.Step, []byte) {
		t.Helper()
		s := w.Begin(signin.Request{Application: signin.Self, Protocol: "browser", Medium: prompt.Browser, Source: netip.MustParseAddr("203.0.113.7")})
		for _, p := range s.Prompts {
			if p.Kind == prompt.PublicKey {
				data, err := key.Get(w.Base, p.Data)
				if err != nil {
					t.Fatal(err)
				}
				return s, data
			}
		}
		t.Fatal("no passkey is asked for")
		return s, nil
	}
	rows := func() (n int) {
		t.Helper()
		if err := w.DB.QueryRow(t.Context(), `select count(*) from attempt`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rows()
	s, data := begun()
	if strings.Contains(s.Ticket, ".") || rows() != before {
		t.Errorf("an attempt of which nothing was shown is a row")
	}
	var all sync.WaitGroup
	steps := make([]signin.Step, 64)
	for i := range steps {
		all.Go(func() {
			var err error
			steps[i], err = w.Engine.Answer(context.Background(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: data}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	good := 0
	var granted signin.Step
	for _, s := range steps {
		if s.State == signin.Granted {
			good, granted = good+1, s
		}
	}
	if good != 1 {
		t.Errorf("one answer was right %d times", good)
	}
	if strings.Contains(granted.Ticket, ".") || rows() != before {
		t.Error("what was granted is a row before it is claimed")
	}
	if again, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: data}}); err != nil || again.State == signin.Granted {
		t.Errorf("the same again: %v, %v", again.State, err)
	}
	if _, err := w.Engine.Claim(t.Context(), s.Ticket, signin.Self, "", ""); err == nil {
		t.Error("a ticket of nothing was claimed")
	}
	var claimed atomic.Int64
	for range 64 {
		all.Go(func() {
			if _, err := w.Engine.Claim(context.Background(), granted.Ticket, signin.Self, "", ""); err == nil {
				claimed.Add(1)
			}
		})
	}
	all.Wait()
	if n := claimed.Load(); n != 1 {
		t.Errorf("it was claimed %d times", n)
	}

	// Its ticket brought by another partner, or where it is not known, is nothing.
	s, data = begun()
	for name, reply := range map[string]signin.Reply{
		"another partner":               {Partner: "nas-7", Answer: prompt.Answer{Authenticator: "passkey", Data: data}},
		"a kind that was not asked for": {Answer: prompt.Answer{Authenticator: "totp", Text: "123456"}},
	} {
		if got, err := w.Engine.Answer(t.Context(), s.Ticket, reply); err != nil || got.State == signin.Granted {
			t.Errorf("%s: %v, %v", name, got.State, err)
		}
	}
	w.Later(11 * time.Minute)
	if got, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: data}}); err != nil || got.Reason != "late-ticket" {
		t.Errorf("after its time: %v %s, %v", got.State, got.Reason, err)
	}
}

// The promise: who plays the same ticket again and again, so that its tries begin anew,
// has as many guesses as the budgets give and no more.
func TestReplayedTicketRefillsNoBudget(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	s := w.Begin(signin.Request{Application: "vpn", Name: "ada", Protocol: "browser", Medium: prompt.Browser, Source: netip.MustParseAddr("198.51.100.7")})
	if s.State != signin.Ask || strings.Contains(s.Ticket, ".") {
		t.Fatal(s.State, s.Ticket)
	}
	compared := 0
	for i := range 24 {
		got, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Source: netip.MustParseAddr("198.51.100.7"), Answer: prompt.Answer{Authenticator: "password", Text: fmt.Sprint("guess-", i)}})
		if err != nil || got.State == signin.Granted {
			t.Fatalf("guess %d: %v, %v", i, got.State, err)
		}
		if got.Reason == "wrong" {
			compared++
		}
	}
	if compared > 10 {
		t.Errorf("%d guesses were compared with one ticket", compared)
	}
	fresh := w.Begin(servertest.Line("ada", "another guess", ""))
	if fresh.Reason == "wrong" {
		t.Error("a new sign-in had another guess at once")
	}
}

// The promise: one account that was damaged from outside keeps nothing else from being
// swept, and is told of once.
func TestSweepGoesOn(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	w.EnrollCodes("bob")
	for _, name := range []string{"ada", "bob"} {
		if s := w.Begin(signin.Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Line, Source: netip.MustParseAddr("203.0.113.7"),
			Opening: []prompt.Answer{{Authenticator: "password", Text: servertest.Passphrase}}}); s.State != signin.Ask {
			t.Fatal(name, s.State, s.Reason)
		}
	}
	before := w.Events("alarm.factor-missing")
	if err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), `update account set display = 'changed', mac = x'00' where name = 'ada'`); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.damage", Outcome: audit.OK})
	}); err != nil {
		t.Fatal(err)
	}
	w.Later(time.Hour)
	if _, err := w.Engine.Sweep(t.Context()); err == nil {
		t.Error("a damaged account was not told of")
	}
	if _, err := w.Engine.Sweep(t.Context()); err != nil {
		t.Errorf("it was told of twice: %v", err)
	}
	var left int
	if err := w.DB.QueryRow(t.Context(), `select count(*) from attempt`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d attempts are left, %v", left, err)
	}
	if n := w.Events("alarm.factor-missing") - before; n != 2 {
		t.Errorf("%d alarms for two abandoned sign-ins", n)
	}
}

// The promise: however many numbers for the help desk strangers ask for, they keep a
// bounded number of rows, refuse their own neighbourhood alone, and leave the number of an
// honest person where it is.
func TestNumbersOfAFloodMakeRoom(t *testing.T) {
	w, _ := servertest.WithVPN(t)
	recoveries := w.Recoveries
	begin := func(name, from string) (string, error) {
		secret, _, err := recoveries.Requests.Begin(context.Background(), name, netip.MustParseAddr(from))
		return secret, err
	}
	honest, err := begin("ada", "203.0.113.7")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < 10_800; i += 8 {
				if _, err := begin([]string{"ada", "nobody"}[i%2], fmt.Sprintf("2001:db8:0:%x::1", i%400)); err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	var rows int
	if err := w.DB.QueryRow(t.Context(), `select count(*) from recovery_request`).Scan(&rows); err != nil || rows > 10_256 {
		t.Errorf("%d rows are kept, %v", rows, err)
	}
	if _, err := recoveries.Requests.Poll(t.Context(), honest); err != nil {
		t.Errorf("the number of somebody who asked once: %v", err)
	}
	for range 30 {
		begin("ada", "198.51.100.7") //nolint:errcheck // the next is the one too many
	}
	if _, err := begin("ada", "198.51.100.7"); failure.ClassOf(err) != failure.Refused {
		t.Errorf("one too many of one address: %v", err)
	}
	if _, err := begin("ada", "198.51.100.8"); err != nil {
		t.Errorf("another address: %v", err)
	}
	w.Later(31 * time.Minute)
	if err := recoveries.Requests.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.QueryRow(t.Context(), `select count(*) from recovery_request`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
}
