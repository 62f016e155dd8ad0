package signin

import (
	"database/sql"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// from is a sign-in as ada by equipment, from an address where that tells one.
func (p *phone) from(address, partner string) Step {
	p.t.Helper()
	q := Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: partner, Opening: []prompt.Answer{typed("password", secret)}}
	if address != "" {
		q.Source = netip.MustParseAddr(address)
	}
	return p.begin(q)
}

// Of an account's sign-ins one waits. Whoever begins again takes the place of their own,
// and who is at home that of somebody elsewhere; nobody else takes any, before it is
// answered or late.
func TestWhoTakesThePlaceOfWhatWaits(t *testing.T) {
	p := withPhone(t)
	at := func(sources ...string) {
		p.forgive()
		p.change(func(tx *store.Tx) error {
			if _, err := tx.Exec(t.Context(), `delete from known_source`); err != nil {
				return err
			}
			return nil
		})
		for _, s := range sources {
			notePlace(p.rig, p.ada, netip.MustParseAddr(s), p.Now())
		}
	}
	for _, c := range []struct {
		name                  string
		home                  []string
		first, firstPartner   string
		second, secondPartner string
		takes                 bool
	}{
		{"the same place again", nil, "192.0.2.7", "nas", "192.0.2.7", "nas", true},
		{"by other equipment", nil, "192.0.2.7", "nas", "192.0.2.7", "nas-2", true},
		{"the same written otherwise", nil, "192.0.2.7", "nas", "::ffff:192.0.2.7", "nas", true},
		{"another address", nil, "192.0.2.7", "nas", "192.0.2.8", "nas", false},
		{"another of the same subscriber", nil, "2001:db8:0:1::1", "nas", "2001:db8:0:1::2", "nas", true},
		{"another subscriber", nil, "2001:db8:0:1::1", "nas", "2001:db8:0:2::1", "nas", false},
		{"a stranger against who is at home", []string{"192.0.2.7"}, "192.0.2.7", "nas", "198.51.100.1", "nas", false},
		{"who is at home against a stranger", []string{"192.0.2.7"}, "198.51.100.1", "nas", "192.0.2.7", "nas", true},
		{"one home against another", []string{"192.0.2.7", "192.0.2.8"}, "192.0.2.7", "nas", "192.0.2.8", "nas", false},
		{"both where nothing tells addresses", nil, "", "nas", "", "nas", true},
		{"by other equipment that tells none", nil, "", "nas", "", "nas-2", false},
		{"without an address against a stranger", nil, "198.51.100.1", "nas", "", "nas", false},
		{"without an address against who is at home", []string{"192.0.2.7"}, "192.0.2.7", "nas", "", "nas", false},
		{"a stranger against one without an address", nil, "", "nas", "198.51.100.1", "nas", false},
		{"who is at home against one without an address", []string{"192.0.2.7"}, "", "nas", "192.0.2.7", "nas", true},
	} {
		p.clock.Later(2 * time.Hour)
		at(c.home...)
		first := p.from(c.first, c.firstPartner)
		if first.State != Wait {
			t.Fatalf("%s: the first: %+v", c.name, first)
		}
		second := p.from(c.second, c.secondPartner)
		if second.State != Wait != !c.takes {
			t.Errorf("%s: %v %s", c.name, second.State, second.Reason)
			continue
		}
		if !c.takes {
			p.is(c.name, p.look(first), Wait, "")
			if w := p.finds(first.Prompts[0].Number); w.Source != c.first || w.Partner != c.firstPartner {
				t.Errorf("%s: what waits is %s", c.name, w.Text())
			}
			p.clock.Later(approvalLife)
			if late := p.from(c.second, c.secondPartner); late.State != Wait {
				t.Errorf("%s, when the first is late: %v %s", c.name, late.State, late.Reason)
			}
			continue
		}
		if s := p.look(first); s.State != Denied {
			t.Errorf("%s: the first one is %v", c.name, s.State)
		}
		if _, err := p.Apps.WaitingFor(t.Context(), p.call("look", first.Prompts[0].Number), first.Prompts[0].Number); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("%s: the number of before: %v", c.name, err)
		}
		if w := p.finds(second.Prompts[0].Number); w.Source != strings.TrimPrefix(c.second, "::ffff:") || w.Partner != c.secondPartner {
			t.Errorf("%s: what waits is %s", c.name, w.Text())
		}
	}
	p.clock.Later(2 * time.Hour)
	first := p.from("192.0.2.7", "nas")
	w := p.finds(first.Prompts[0].Number)
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: first.Prompts[0].Number, Text: w.Text(), Decision: approval.Denies}); err != nil {
		t.Fatal(err)
	}
	if s := p.from("198.51.100.1", "nas"); s.State != Wait {
		t.Errorf("when the first is answered: %v %s", s.State, s.Reason)
	}
}

// writeBeneath changes the database behind the store's back.
func writeBeneath(r *rig, statements ...string) {
	r.t.Helper()
	var file string
	if err := r.DB.QueryRow(r.t.Context(), `select file from pragma_database_list where name = 'main'`).Scan(&file); err != nil {
		r.t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(r.t.Context(), s); err != nil {
			r.t.Fatal(err)
		}
	}
}

// A number is one under which nothing else waits. Where none is to be had that is said,
// and a breakdown is no such thing.
func TestNumbersAreDrawnUntilOneIsFree(t *testing.T) {
	p := withPhone(t)
	asks := func() (Step, error) {
		return p.Begin(t.Context(), Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line | prompt.Display, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}})
	}
	writeBeneath(p.rig, `create table taken (n integer)`, `insert into taken values (19)`,
		`create trigger taken before insert on approval when (select n from taken) > 0 begin update taken set n = n - 1; select raise(ignore); end`)
	if s, err := asks(); err != nil || s.State != Wait || len(s.Prompts[0].Number) != 6 {
		t.Errorf("the twentieth is free: %+v, %v", s, err)
	}
	writeBeneath(p.rig, `update taken set n = 20`)
	if s, err := asks(); failure.ClassOf(err) != failure.Unavailable || !strings.Contains(failure.Public(err), "Too many sign-ins") {
		t.Errorf("none is free: %+v, %v", s, err)
	}
	writeBeneath(p.rig, `drop trigger taken`)
	writeBeneath(p.rig, `create trigger gone before insert on approval begin select raise(abort, 'the disk is gone'); end`)
	if s, err := asks(); err == nil || strings.Contains(failure.Public(err), "Too many sign-ins") {
		t.Errorf("a breakdown: %+v, %v", s, err)
	}
	writeBeneath(p.rig, `drop trigger gone`)
	if s, err := asks(); err != nil || s.State != Wait {
		t.Errorf("mended: %+v, %v", s, err)
	}
	if got := promptedToday(p.rig, p.ada); got != (approval.PromptStatistics{Asked: 2}) {
		t.Errorf("%+v", got)
	}
}

// An attempt waits for its own approval: neither another's in its place nor none at all
// lets it go on, and neither is a breakdown.
func TestAnApprovalIsOfItsAttempt(t *testing.T) {
	p := withPhone(t)
	exec := func(statement string, args ...any) {
		p.change(func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), statement, args...); return err })
	}
	id := func(s Step) int64 { return p.finds(s.Prompts[0].Number).ID }
	thiefs := p.from("198.51.100.1", "nas")
	stolen := id(thiefs)
	p.clock.Later(approvalLife)
	hers := p.from("192.0.2.7", "nas")
	own := p.finds(hers.Prompts[0].Number)
	if err := p.says(approval.AppAnswer{ID: own.ID, Number: hers.Prompts[0].Number, Text: own.Text(), Decision: approval.Approved}); err != nil {
		t.Fatal(err)
	}
	for _, move := range [][2]int64{{stolen, -1}, {own.ID, stolen}, {-1, own.ID}} {
		exec(`update approval set id = $2 where id = $1`, move[0], move[1])
	}
	if s := p.look(thiefs); s.State == Granted {
		t.Error("granted by what ada approved for herself")
	}
	if s := p.look(hers); s.State == Granted {
		t.Error("granted by what was moved away")
	}
	p.clock.Later(2 * time.Hour)
	left := p.from("192.0.2.7", "nas")
	exec(`delete from approval where id = $1`, id(left))
	if s := p.look(left); s.State == Granted || s.State == Wait && s.Prompts[0].Number == left.Prompts[0].Number {
		t.Errorf("what it waits for is gone: %+v", s)
	}
	if n := len(p.events("signin.granted")); n != 0 {
		t.Errorf("%d grants", n)
	}
	if en := p.last("approval.approved"); en.Outcome != audit.OK || en.Attempt != hers.Attempt {
		t.Errorf("the log says %+v", en)
	}
}

// So many left unanswered in an hour, and no more is offered, however they are begun; what
// is answered does not count, and an hour later it is as before.
func TestSoManyAreLeftUnanswered(t *testing.T) {
	p := withPhone(t)
	first := p.from("192.0.2.7", "nas")
	w := p.finds(first.Prompts[0].Number)
	if err := p.says(approval.AppAnswer{ID: w.ID, Number: first.Prompts[0].Number, Text: w.Text(), Decision: approval.Denies}); err != nil {
		t.Fatal(err)
	}
	for i := range p.Limits.Unanswered {
		if s := p.from("192.0.2.7", "nas"); s.State != Wait {
			t.Fatalf("the %dth: %v %s", i+1, s.State, s.Reason)
		}
		p.clock.Later(time.Second)
	}
	for _, address := range []string{"192.0.2.7", "198.51.100.1", ""} {
		if s := p.from(address, "nas"); s.State == Wait {
			t.Errorf("one more, from %q", address)
		}
	}
	p.clock.Later(time.Hour - time.Duration(p.Limits.Unanswered)*time.Second)
	if s := p.from("192.0.2.7", "nas"); s.State != Wait {
		t.Errorf("an hour after the first: %v %s", s.State, s.Reason)
	}
}
