package signin

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/outbox"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// eachBells runs a test on both engines, with what is remembered over a restart.
func eachBells(t *testing.T, f func(t *testing.T, b *bells)) {
	t.Helper()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		f(t, withBellsIn(t, store.Options{DSN: dsn, Remember: filepath.Join(t.TempDir(), "remembered")}))
	})
}

func (b *bells) restart() {
	b.t.Helper()
	if err := b.DB.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

func (b *bells) inspect() {
	b.t.Helper()
	if err := b.Inspect(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bells) sabotage(query string, args ...any) {
	b.t.Helper()
	storetest.Sabotage(b.t, b.DB, query, args...)
}

// pushed has so many sign-ins wait, one after the other, and returns how many pushes went
// out. After each somebody does something to the database.
func (b *bells) pushed(n int, between func()) (woken int) {
	b.t.Helper()
	for range n {
		b.clock.Later(time.Second)
		b.waits()
		woken += b.wakes()
		between()
	}
	return woken
}

// Whoever writes to the database wakes nobody more often for it, and it is found.
func TestNobodyIsWokenMoreByWritingToTheDatabase(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, c := range map[string]struct {
		do    string
		wrong string
	}{
		"nothing":         {"", ""},
		"removed":         {`delete from wake`, store.Missing},
		"another's":       {`update wake set account = account + 1`, store.Altered},
		"made older":      {`update wake set created = created - 90000000000`, store.Altered},
		"woken again":     {`update wake set state = 'waiting' where state = 'sent'`, store.Altered},
		"without a MAC":   {`update wake set mac = null`, store.Altered},
		"of another sign": {`update wake set approval = approval + 1000`, store.Missing},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBellsIn(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Remember: filepath.Join(t.TempDir(), "remembered")})
			do := func() {
				if c.do != "" {
					b.sabotage(c.do)
				}
			}
			if n := b.pushed(3, do); n > b.Limits.PushSoon || c.do == "" && n != b.Limits.PushSoon {
				t.Errorf("%d woken by the first %d", n, b.Limits.PushSoon)
			}
			b.restart()
			if n := b.pushed(3, do); n != 0 {
				t.Errorf("%d woken after that", n)
			}
			b.inspect()
			if c.wrong == "" {
				storetest.Quiet(t, b.DB)
				return
			}
			said := map[string]int{}
			storetest.Alarmed(t, b.DB, "wake", strconv.FormatInt(1, 10), c.wrong)
			for _, e := range b.events(store.TamperedEvent) {
				said[fmt.Sprint(e.Detail["row"], e.Reason)]++
			}
			for name, n := range said {
				if n != 1 {
					t.Errorf("%s: %d alarms", name, n)
				}
			}
		})
	}
}

// A request that was put back as it waited wakes nobody, on no server.
func TestARequestThatIsPutBackWakesNobody(t *testing.T) {
	eachBells(t, func(t *testing.T, b *bells) {
		b.waits()
		old := b.due()
		if n := b.wakes(); n != 1 {
			t.Fatalf("%d woken", n)
		}
		other := &bells{rig: b.again(), ada: b.ada, app: b.app}
		if err := other.DB.View().Hear(t.Context()); err != nil {
			t.Fatal(err)
		}
		back := func() {
			b.sabotage(`delete from wake where approval = $1`, old.approval)
			b.putBack(old)
		}
		for _, server := range []*bells{b, other} {
			back()
			if n := server.wakes(); n != 0 {
				t.Errorf("%d woken", n)
			}
		}
		storetest.Alarmed(t, b.DB, "wake", strconv.FormatInt(old.approval, 10), store.Older)
	})
}

// That somebody said of a push that it was not theirs closes pushes for a day on all
// servers, whatever becomes of the row, until one is approved.
func TestADisownedPushStaysDisowned(t *testing.T) {
	eachBells(t, func(t *testing.T, b *bells) {
		b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")}) // to approve by
		b.waits()
		id := b.due().approval
		said := int64(0)
		disown := func() {
			t.Helper()
			said++
			if err := b.Apps.NotMe(t.Context(), b.called(said, fmt.Sprint("not me ", said))); err != nil {
				t.Fatal(err)
			}
		}
		disown()
		closed := b.closed
		b.sabotage(`delete from wake`)
		other := b.again()
		if !closed(b.rig) || !closed(other) {
			t.Error("pushes are open again")
		}
		b.inspect()
		storetest.Alarmed(t, b.DB, "wake", strconv.FormatInt(id, 10), store.Missing)
		b.clock.Later(day - time.Second)
		if !closed(b.rig) {
			t.Error("open before the day is over")
		}
		b.clock.Later(time.Second)
		if closed(b.rig) || closed(other) {
			t.Error("closed for longer than a day")
		}
		b.waits()
		disown()
		if !closed(other) {
			t.Error("the next one")
		}
		b.approved(b.rig)
		if closed(b.rig) || closed(other) {
			t.Error("approved, and not open")
		}
	})
}

// What was approved on another server opens pushes, and is no attack; a request that is
// there again after that is.
func TestWhatIsAnsweredElsewhere(t *testing.T) {
	eachBells(t, func(t *testing.T, b *bells) {
		b.give(b.ada, "passkey", authenticator.Enrolled{Traits: strong, State: []byte("x")}) // to approve by
		b.pushed(b.Limits.PushSoon, func() {})
		old := b.due()
		other := b.again()
		b.approved(other)
		b.inspect()
		storetest.Quiet(t, b.DB)
		if n := b.pushed(1, func() {}); n != 1 {
			t.Errorf("%d woken", n)
		}
		b.putBack(old)
		b.inspect()
		storetest.Alarmed(t, b.DB, "wake", strconv.FormatInt(old.approval, 10), store.Returned)
		if n := b.pushed(2, func() {}); n != 2 {
			t.Errorf("%d woken: what was answered counts again", n)
		}
	})
}

// That the owner was told of a flood is believed of our own rows alone.
func TestAToldFloodOfAnothersMaking(t *testing.T) {
	b := withBells(t)
	b.pushed(b.Limits.PushSoon, func() {})
	b.sabotage(`insert into wake (approval, account, state, created, mac) values (900, $1, 'told', $2, null)`, int64(b.ada.ID), store.Unix(b.Now()))
	b.pushed(1, func() {})
	if n := len(b.events("alarm.push-flood")); n != 1 {
		t.Errorf("%d alarms", n)
	}
	storetest.Alarmed(t, b.DB, "wake", "900", store.Altered)
}

// A hundred requests of another's making keep nobody's from being woken.
func TestRequestsOfAnothersMaking(t *testing.T) {
	b := withBells(t)
	b.change(func(tx *store.Tx) error {
		for i := range 101 {
			if _, err := tx.Exec(t.Context(), `insert into wake (approval, account, state, created, mac) values ($1,$2,'waiting',$3,null)`, -1-i, int64(b.ada.ID)+7, store.Unix(b.Now())); err != nil {
				return err
			}
		}
		return nil
	})
	if n := b.pushed(1, func() {}); n != 1 {
		t.Errorf("%d woken", n)
	}
}

// Messages that were sent are counted by who sent them, whatever becomes of the rows.
func TestNobodySendsMoreByWritingToTheDatabase(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, c := range map[string]struct {
		do    string
		wrong string
	}{
		"nothing":       {"", ""},
		"removed":       {`delete from sent`, store.Missing},
		"another's":     {`update sent set account = account + 1`, store.Altered},
		"made older":    {`update sent set at = at - 90000000000`, store.Altered},
		"from another":  {`update sent set source = 'x'`, store.Altered},
		"without a MAC": {`update sent set mac = null`, store.Altered},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBellsIn(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Remember: filepath.Join(t.TempDir(), "remembered")})
			send := func(a directory.Account) (did bool) {
				b.change(func(tx *store.Tx) (err error) {
					s := outbox.Sending{Account: a.ID}
					s.Entry.Source = "192.0.2.7"
					did, err = b.Messages.Send(t.Context(), tx, s, authenticator.Message{To: "+4930123", Text: "x"})
					return err
				})
				if c.do != "" {
					b.sabotage(c.do)
				}
				return did
			}
			n := 0
			for i := range 10 {
				if send(b.ada) {
					n++
				}
				if i == 7 {
					b.restart()
				}
				b.clock.Later(sendPause)
			}
			if n != sendHourly {
				t.Errorf("%d within the hour", n)
			}
			for i := range sendSourced + 5 {
				if send(b.person("p" + strconv.Itoa(i))) {
					n++
				}
			}
			if n > sendSourced || c.do == "" && n != sendSourced {
				t.Errorf("%d from one address", n)
			}
			b.inspect()
			if c.wrong == "" {
				storetest.Quiet(t, b.DB)
				return
			}
			if c.wrong == store.Altered && c.do[:15] == "update sent set" && name != "from another" && name != "without a MAC" {
				c.wrong = store.Missing // where it was is nothing
			}
			found := 0
			for until := time.Now().Add(20 * time.Second); found == 0 && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
				for _, e := range b.events(store.TamperedEvent) {
					if e.Detail["table"] == "sent" && e.Reason == c.wrong {
						found++
					}
				}
			}
			if found == 0 {
				t.Error("nothing is found")
			}
		})
	}
}

// A message goes to whom it is for, until when it is good, and once.
func TestAMessageOfAnothersMaking(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, c := range map[string]struct {
		do    string
		sent  int
		wrong string
	}{
		"nothing":        {`update message set due = due - 1`, 1, ""},
		"made to last":   {`update message set expires = expires + 1`, 0, store.Altered},
		"another's":      {`update message set account = account + 1`, 0, store.Altered},
		"another text":   {`update message set payload = x'0102'`, 0, store.Altered},
		"copied":         {`insert into message (account, payload, due, expires) select account, payload, due, expires from message`, 1, store.Returned},
		"as if not done": {`update message set tries = 0`, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBells(t)
			b.change(func(tx *store.Tx) error {
				_, err := b.Messages.Send(t.Context(), tx, outbox.Sending{Account: b.ada.ID}, authenticator.Message{To: "+4930123", Text: "x"})
				return err
			})
			b.sabotage(c.do)
			b.inspect()
			sent := 0
			for range 3 {
				err := carryAll(b.Messages, t.Context(), func(context.Context, authenticator.Message) error { sent++; return nil })
				if err != nil {
					t.Fatal(err)
				}
				b.clock.Later(carryPause)
			}
			if sent != c.sent {
				t.Errorf("sent %d times", sent)
			}
			var left int64
			if err := b.DB.QueryRow(t.Context(), `select count(*) from message`).Scan(&left); err != nil || left != 0 {
				t.Errorf("%d are left, %v", left, err)
			}
			if c.wrong == "" {
				storetest.Quiet(t, b.DB)
			} else {
				storetest.Alarmed(t, b.DB, "message", "", c.wrong)
			}
		})
	}
}

// A copy of an app's key shows, whatever becomes of the row that says how far it counted.
func TestACopiedAppShowsWithoutItsRow(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, c := range map[string]struct {
		do      string
		wrong   string
		forward string // what the next count comes to
	}{
		"nothing":       {"", "", ""},
		"removed":       {`delete from app_count`, store.Missing, ""},
		"lowered":       {`update app_count set count = 1`, store.Altered, ""},
		"raised":        {`update app_count set count = 1000`, store.Altered, ""},
		"another's":     {`update app_count set account = account + 1`, store.Altered, ""},
		"of another":    {`update app_count set credential = credential + 1000`, store.Altered, ""},
		"another last":  {`update app_count set last = x'00'`, store.Altered, ""},
		"without a MAC": {`update app_count set mac = null`, store.Altered, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBellsIn(t, store.Options{DSN: filepath.Join(t.TempDir(), "test.db"), Remember: filepath.Join(t.TempDir(), "remembered")})
			count := func(n int64, signature string) string {
				t.Helper()
				_, err := b.Apps.Waits(t.Context(), b.called(n, signature))
				if err == nil {
					return ""
				}
				why := refused(err)
				if why == "" {
					t.Fatal(err)
				}
				if why == "cloned" { // which switched it off
					b.alter(b.app, func(c *directory.Credential) { c.Status = directory.CredentialActive })
				}
				return why
			}
			do := func() {
				if c.do != "" {
					b.sabotage(c.do)
				}
			}
			if r := count(50, "a"); r != "" {
				t.Fatal(r)
			}
			var account, times int64
			var last, mac []byte
			if err := b.DB.QueryRow(t.Context(), `select account, count, last, mac from app_count where credential = $1`, int64(b.app.ID)).Scan(&account, &times, &last, &mac); err != nil {
				t.Fatal(err)
			}
			do()
			b.inspect()
			if c.wrong == "" {
				storetest.Quiet(t, b.DB)
			} else {
				storetest.Alarmed(t, b.DB, "app_count", "", c.wrong)
			}
			if r := count(49, "b"); r != "cloned" {
				t.Errorf("a lower count is %q", r)
			}
			if r := count(50, "b"); r != "cloned" {
				t.Errorf("the same count is %q", r)
			}
			b.restart()
			do()
			if r := count(50, "c"); r != "cloned" {
				t.Errorf("the same count after a restart is %q", r)
			}
			if r := count(51, "d"); r != c.forward {
				t.Errorf("the next one is %q", r)
			}
			if r := count(51, "d"); r != "replayed" {
				t.Errorf("it again is %q", r)
			}
			b.sabotage(`delete from app_count`)
			b.sabotage(`insert into app_count (credential, account, count, last, mac) values ($1,$2,$3,$4,$5)`, int64(b.app.ID), account, times, last, mac)
			b.inspect()
			storetest.Alarmed(t, b.DB, "app_count", strconv.FormatInt(int64(b.app.ID), 10), store.Older)
			if r := count(51, "e"); r != "cloned" {
				t.Errorf("after an older row was put back: %q", r)
			}
		})
	}
}

// Quiet hours of another's making are none: everybody's count.
func TestQuietHoursOfAnothersMaking(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, c := range map[string]struct {
		do    string
		own   bool
		wrong string
	}{
		"nothing":   {"", true, ""},
		"others":    {`update quiet set begins = begins + 1`, false, store.Altered},
		"longer":    {`update quiet set ends = ends + 1`, false, store.Altered},
		"elsewhere": {`update quiet set zone = 'Asia/Tokyo'`, false, store.Altered},
		"another's": {`update quiet set account = account + 1`, false, store.Altered},
		"removed":   {`delete from quiet`, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := withBells(t)
			q := approval.QuietHours{Begins: 60, Ends: 120, Zone: "UTC"}
			g := Grant{&grant{account: b.ada.ID, name: "ada", application: Self, action: SetQuiet, object: q.String()}}
			if err := b.Pushes.SetQuiet(t.Context(), g, q); err != nil {
				t.Fatal(err)
			}
			if c.do != "" {
				b.sabotage(c.do)
			}
			got, own, err := b.Pushes.QuietOf(t.Context(), b.ada.ID)
			if err != nil || own != c.own || own && got != q {
				t.Errorf("%+v, %t, %v", got, own, err)
			}
			b.inspect()
			if c.wrong == "" {
				storetest.Quiet(t, b.DB)
			} else {
				storetest.Alarmed(t, b.DB, "quiet", "", c.wrong)
			}
		})
	}
}

// Rows of a release before are bound or forgotten, once.
func TestPushesOfBeforeAreBound(t *testing.T) {
	eachBells(t, func(t *testing.T, b *bells) {
		b.change(func(tx *store.Tx) error {
			if _, err := tx.Exec(t.Context(), `insert into app_count (credential, account, count, last) values (7, 1, 50, $1)`, []byte{0}); err != nil {
				return err
			}
			for _, statement := range []string{
				`insert into quiet (account, begins, ends, zone) values (1, 60, 120, 'UTC')`,
				`insert into sent (account, source, at) values (1, 'x', 1)`,
				`insert into wake (approval, account, state, created) values (1, 1, 'sent', 1)`,
			} {
				if _, err := tx.Exec(t.Context(), statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err := b.Bind(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.inspect()
		storetest.Quiet(t, b.DB)
		if _, own, err := b.Pushes.QuietOf(t.Context(), assurance.AccountID(1)); err != nil || !own {
			t.Errorf("%t, %v", own, err)
		}
		var n, times int64
		if err := b.DB.QueryRow(t.Context(), `select count(*), max(count) from app_count`).Scan(&n, &times); err != nil || n != 1 || times != 50 {
			t.Errorf("%d rows, %d times, %v", n, times, err)
		}
	})
}
