package signin

import (
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/outbox"
	"countersign/internal/prompt"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
)

// wornRig is an installation in which strangers guess at ada's code, on either engine, and
// somebody writes to its database.
type wornRig struct {
	*rig
	ada    directory.Account
	code   directory.Credential
	source int
}

func withWorn(t *testing.T, dsn string) *wornRig {
	t.Helper()
	kinds := everyKind(t)
	instead(kinds, "totp", func(a authenticator.Authenticator) authenticator.Authenticator { return spelled{a} })
	r := newRigIn(t, store.Options{DSN: dsn, Remember: filepath.Join(t.TempDir(), "remembered")}, anyFactor, kinds...)
	w := &wornRig{rig: r, ada: r.person("ada")}
	w.code = r.give(w.ada, "totp", authenticator.Enrolled{Traits: assurance.Held, State: []byte("111111")})
	return w
}

// on is the same as another server has it.
func (w *wornRig) on(r *rig) *wornRig { return &wornRig{rig: r, ada: w.ada, code: w.code} }

// guess guesses once, each time from another address, and returns why not; empty is a
// guess that was compared.
func (w *wornRig) guess(text string) string {
	w.t.Helper()
	w.source++
	s := w.begin(Request{Application: "vpn", Name: "ada", Protocol: "radius", Medium: prompt.Single, CodeAlone: true, Partner: "nas",
		Source: netip.AddrFrom4([4]byte{203, 0, byte(w.source >> 8), byte(w.source)}), Opening: []prompt.Answer{typed(AnyCode, text)}})
	switch {
	case s.State == Granted:
		return "granted"
	case s.Reason == "wrong":
		return ""
	}
	return s.Reason
}

// tries guesses so often, and after each time does something to the database. It returns
// how many were compared.
func (w *wornRig) tries(n int, between func()) (compared int) {
	w.t.Helper()
	for range n {
		if w.guess("000000") == "" {
			compared++
		}
		between()
		w.clock.Later(2 * time.Hour) // so that neither the hour's budget nor a delay is what stops it, but what is wrong in a row
	}
	return compared
}

func (w *wornRig) inspect() {
	w.t.Helper()
	if err := w.Inspect(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wornRig) subject() string { return guessesAt(w.code.ID) }

// guessRow is a row of guess as somebody keeps it to put it back.
type guessRow struct {
	subject                    string
	owner, count, since, retry int64
	mac                        []byte
}

func (w *wornRig) saved(subject string) (row guessRow) {
	w.t.Helper()
	err := w.DB.QueryRow(w.t.Context(), `select subject, owner, count, since, retry, mac from guess where subject = $1`, subject).
		Scan(&row.subject, &row.owner, &row.count, &row.since, &row.retry, &row.mac)
	if err != nil {
		w.t.Fatalf("%s: %v", subject, err)
	}
	return row
}

func (w *wornRig) putBack(r guessRow) {
	w.t.Helper()
	storetest.Sabotage(w.t, w.DB, `delete from guess where subject = $1`, r.subject)
	storetest.Sabotage(w.t, w.DB, `insert into guess (subject, owner, count, since, retry, mac) values ($1,$2,$3,$4,$5,$6)`, r.subject, r.owner, r.count, r.since, r.retry, r.mac)
}

// Whoever removes, lowers, moves or puts back what was guessed wrong has not one guess more
// than whoever does not, while the server runs and after it was started again, and the log
// says so, once.
func TestNobodyGuessesMoreByWritingToTheDatabase(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		if n := w.tries(25, func() {}); n != w.Limits.Disable {
			t.Fatalf("%d guesses without anything", n)
		}
	})
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		if n := w.tries(25, func() { storetest.Sabotage(t, w.DB, `delete from guess`) }); n != w.Limits.Disable {
			t.Fatalf("%d guesses with all rows removed after each", n)
		}
	})
	for name, c := range map[string]struct {
		do    func(w *wornRig)
		wrong string
	}{
		"removed":     {func(w *wornRig) { storetest.Sabotage(w.t, w.DB, `delete from guess where subject = $1`, w.subject()) }, store.Missing},
		"all removed": {func(w *wornRig) { storetest.Sabotage(w.t, w.DB, `delete from guess`) }, store.Missing},
		"lowered": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set count = 1 where subject = $1`, w.subject())
		}, store.Altered},
		"lowered to 0": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set count = 0 where subject = $1`, w.subject())
		}, store.Altered},
		"begun later": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set since = since + 1 where subject = $1`, w.subject())
		}, store.Altered},
		"not delayed": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set retry = 1 where subject = $1`, w.subject())
		}, store.Altered},
		"another's": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set owner = owner + 1 where subject = $1`, w.subject())
		}, store.Altered},
		"nobody's": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set owner = 0 where subject = $1`, w.subject())
		}, store.Altered},
		"of another": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `delete from guess where subject = $1`, w.subject()+"9")
			storetest.Sabotage(w.t, w.DB, `update guess set subject = subject || '9' where subject = $1`, w.subject())
		}, store.Missing},
		"without a MAC": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set mac = null where subject = $1`, w.subject())
		}, store.Altered},
		"with another's": {func(w *wornRig) {
			storetest.Sabotage(w.t, w.DB, `update guess set mac = (select mac from guess where subject = 'installation') where subject = $1`, w.subject())
		}, store.Altered},
	} {
		t.Run(name, func(t *testing.T) {
			w := withWorn(t, filepath.Join(t.TempDir(), "test.db"))
			n := w.tries(3, func() {}) + w.tries(20, func() { c.do(w) })
			if n > w.Limits.Disable {
				t.Errorf("%d guesses", n)
			}
			w.inspect()
			storetest.Alarmed(t, w.DB, "guess", w.subject(), c.wrong)
			w.restart()
			if n += w.tries(5, func() { c.do(w) }); n > w.Limits.Disable {
				t.Errorf("%d guesses after a restart", n)
			}
			w.inspect()
			storetest.Alarmed(t, w.DB, "guess", w.subject(), c.wrong)
		})
	}
}

func (w *wornRig) restart() {
	w.t.Helper()
	if err := w.DB.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// What was put back from an older copy counts for no less than what came after it.
func TestAnOlderCountIsNotBelieved(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		n := w.tries(2, func() {})
		old := w.saved(w.subject())
		n += w.tries(20, func() { w.putBack(old) })
		if n > w.Limits.Disable {
			t.Errorf("%d guesses", n)
		}
		w.inspect()
		storetest.Alarmed(t, w.DB, "guess", w.subject(), store.Older)
		w.restart()
		w.putBack(old)
		if n += w.tries(10, func() { w.putBack(old) }); n > w.Limits.Disable {
			t.Errorf("%d guesses after a restart", n)
		}
	})
}

// A count that was ended by a right answer and is there again is nothing, and found.
func TestACountThatIsOverIsFound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		w.tries(3, func() {})
		old := w.saved(w.subject())
		if s := w.guess("111111"); s != "granted" {
			t.Fatal(s)
		}
		w.inspect()
		storetest.Quiet(t, w.DB)
		// In the place of a newer one it takes nothing from it.
		n := w.tries(20, func() { w.putBack(old) })
		if n > w.Limits.Disable {
			t.Errorf("%d guesses", n)
		}
		w.putBack(old)
		w.inspect()
		storetest.Alarmed(t, w.DB, "guess", w.subject(), store.Returned)
		w.clock.Later(2 * time.Hour)
		if s := w.guess("111111"); n < w.Limits.Disable && s != "granted" || n == w.Limits.Disable && s != "closed" {
			t.Errorf("after %d guesses: %s", n, s)
		}
	})
}

// Two servers on one database: each lets through what the budget has at most, and what one
// ends is no attack to the other.
func TestGuessesOnTwoServers(t *testing.T) {
	storetest.Long(t, "guesses on two servers")
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		other := w.on(w.again())
		other.source = 1 << 14
		n := 0
		for range 25 {
			for _, server := range []*wornRig{w, other} {
				n += server.tries(1, func() { storetest.Sabotage(t, w.DB, `delete from guess`) })
			}
		}
		if n > 2*w.Limits.Disable {
			t.Errorf("%d guesses on two servers", n)
		}
		w.inspect()
		storetest.Alarmed(t, w.DB, "guess", w.subject(), store.Missing)
	})
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		other := w.on(w.again())
		other.source = 1 << 14
		for i := range 5 {
			w.tries(3, func() {})
			other.tries(3, func() {})
			if s := other.guess("11111" + strconv.Itoa(i+1)); i == 0 && s != "granted" {
				t.Fatal(s)
			}
			other.change(func(tx *store.Tx) error { return other.OpenTx(t.Context(), tx, w.ada.ID) })
			for _, server := range []*wornRig{w, other} {
				server.inspect()
			}
		}
		storetest.Quiet(t, w.DB)
		if err := w.DB.View().Hear(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.tries(40, func() {}); n != w.Limits.Disable {
			t.Errorf("%d guesses once all was opened on another server", n)
		}
	})
}

// What was opened on another server a moment ago is open here, before the log was read.
func TestOpenedOnAnotherServerAMomentAgo(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		other := w.on(w.again())
		if n := w.tries(w.Limits.Disable+1, func() {}); n != w.Limits.Disable {
			t.Fatal(n)
		}
		other.change(func(tx *store.Tx) error { return other.OpenTx(t.Context(), tx, w.ada.ID) })
		if s := w.guess("111111"); s != "granted" {
			t.Error(s)
		}
		storetest.Quiet(t, w.DB)
	})
}

// What is altered counts as used up where it is found, for an hour and no longer, and locks
// out nobody who shows what cannot be guessed.
func TestWhatIsAlteredIsUsedUpForAnHour(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		w.guess("000000")
		storetest.Sabotage(t, w.DB, `update guess set count = 2 where subject = $1`, w.subject())
		if s := w.guess("111111"); s != "closed" {
			t.Error(s)
		}
		w.inspect()
		storetest.Alarmed(t, w.DB, "guess", w.subject(), store.Altered)
		w.restart()
		if s := w.guess("111111"); s != "closed" {
			t.Error(s)
		}
		w.clock.Later(time.Hour - time.Second)
		if s := w.guess("111111"); s != "closed" {
			t.Error(s)
		}
		w.clock.Later(time.Second)
		if s := w.guess("111111"); s != "granted" {
			t.Error(s)
		}
	})
}

// What other rooms count by tries is bound in the same way.
func TestTriesAreBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		count := func(name string, window time.Duration) (n int) {
			t.Helper()
			err := w.DB.Housekeep(t.Context(), "test", func(tx *store.Tx) (err error) {
				n, err = w.Tries.Count(t.Context(), tx, name, window)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for i := range 4 {
			if n := count("recovery/7", 0); n != i+1 {
				t.Errorf("try %d is %d", i+1, n)
			}
			storetest.Sabotage(t, w.DB, `delete from guess`)
		}
		for i, c := range []struct {
			later time.Duration
			want  int
		}{{0, 1}, {time.Hour - time.Second, 2}, {time.Second, 1}} {
			w.clock.Later(c.later)
			if n := count("enroll/x", time.Hour); n != c.want {
				t.Errorf("%d: %d, want %d", i, n, c.want)
			}
		}
		storetest.Sabotage(t, w.DB, `update guess set count = 0, since = since + 1 where subject = 'enroll/x'`)
		storetest.Sabotage(t, w.DB, `update guess set count = 1 where subject = 'enroll/x'`)
		if n := count("enroll/x", time.Hour); n <= 1<<20 {
			t.Errorf("of what was altered %d were tried", n)
		}
	})
}

// Rows of an earlier release are bound once, and count as before.
func TestGuessesOfBeforeAreBound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		notePlace(w.rig, w.ada, home, w.Now())
		w.change(func(tx *store.Tx) error {
			for i := range 501 { // one more than are bound at a time
				if _, err := tx.Exec(t.Context(), `insert into guess (subject, count, since) values ($1, 20, 1)`, "credential/old"+strconv.Itoa(i)); err != nil {
					return err
				}
			}
			_, err := tx.Exec(t.Context(), `insert into guess (subject, owner, count, since) values ($1, $2, 20, 1)`, w.subject(), int64(w.ada.ID))
			return err
		})
		storetest.Sabotage(t, w.DB, `update known_source set mac = null`)
		if err := w.Bind(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.inspect()
		storetest.Quiet(t, w.DB)
		if s := w.guess("111111"); s != "closed" {
			t.Error(s)
		}
		if is, err := w.throttle.KnownSource(t.Context(), w.DB, w.ada.ID, home); err != nil || !is {
			t.Errorf("%t, %v", is, err)
		}
		if n := len(w.events(store.BoundEvent)); n != 3 {
			t.Errorf("%d entries", n)
		}
	})
}

// Whoever writes a place into the database makes nobody less of a stranger, and it is found.
func TestAPlaceOfAnothersMaking(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for name, c := range map[string]struct {
		do    string
		wrong string
		stays bool
	}{
		"made up":          {`insert into known_source (account, source, seen, mac) values (1, 'source/203.0.113.9', 9000000000000000, x'00')`, store.Altered, true},
		"moved to another": {`update known_source set source = 'source/203.0.113.9'`, store.Altered, false},
		"copied":           {`insert into known_source (account, source, seen, mac) select account, 'source/203.0.113.9', seen, mac from known_source`, store.Altered, true},
		"another's":        {`insert into known_source (account, source, seen, mac) select account + 1, source, seen, mac from known_source`, store.Altered, true},
		"made to last":     {`update known_source set seen = seen + 1`, store.Altered, false},
		"removed":          {`delete from known_source`, "", false},
		"with none":        {`update known_source set mac = null`, store.Altered, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := withWorn(t, filepath.Join(t.TempDir(), "test.db"))
			bob := w.person("bob")
			notePlace(w.rig, w.ada, home, w.Now())
			storetest.Sabotage(t, w.DB, c.do)
			for _, from := range []netip.Addr{home, netip.MustParseAddr("203.0.113.9")} {
				for _, a := range []assurance.AccountID{w.ada.ID, bob.ID} {
					is, err := w.throttle.KnownSource(t.Context(), w.DB, a, from)
					if want := c.stays && a == w.ada.ID && from == home; err != nil || is != want {
						t.Errorf("account %d from %s: %t, %v", a, from, is, err)
					}
					at := &attempt{Request: Request{Source: from}, Account: a}
					b, _, err := w.throttle.Read(t.Context(), w.DB, at.requester(), throttle.Target{Account: a, Kind: "totp"})
					if want := c.stays && a == w.ada.ID && from == home; err != nil || (b.Side() == throttle.AtHome) != want {
						t.Errorf("account %d from %s is on side %q, %v", a, from, b.Side(), err)
					}
				}
				p, err := w.throttle.Position(t.Context(), w.DB, throttle.Origin{Source: from})
				if want := c.stays && from == home; err != nil || p.Known() != want {
					t.Errorf("from %s: %+v, %v", from, p, err)
				}
			}
			w.inspect()
			if c.wrong == "" {
				storetest.Quiet(t, w.DB)
			} else {
				storetest.Alarmed(t, w.DB, "known_source", "", c.wrong)
			}
		})
	}
}

// What is removed or put back and then used by nobody is found by the sweep, of every
// table of budgets; and nothing is found where nobody did anything.
func TestWhatNobodyUsesIsFound(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := withWorn(t, dsn)
		w.tries(1, func() {})
		old := w.saved(w.subject())
		w.tries(1, func() {})
		w.change(func(tx *store.Tx) error {
			if err := w.Pushes.Queue(t.Context(), tx, w.ada.ID, 77); err != nil {
				return err
			}
			sending := outbox.Sending{Account: w.ada.ID}
			sending.Entry.Source = "192.0.2.7"
			_, err := w.Messages.Send(t.Context(), tx, sending, authenticator.Message{To: "+4930123", Text: "x"})
			return err
		})
		w.inspect()
		storetest.Quiet(t, w.DB)
		w.putBack(old)
		storetest.Sabotage(t, w.DB, `delete from wake`)
		storetest.Sabotage(t, w.DB, `delete from sent`)
		w.inspect()
		storetest.Alarmed(t, w.DB, "guess", w.subject(), store.Older)
		storetest.Alarmed(t, w.DB, "wake", "77", store.Missing)
		storetest.Alarmed(t, w.DB, "sent", "", store.Missing)
		storetest.Sabotage(t, w.DB, `delete from guess`)
		w.inspect()
		storetest.Alarmed(t, w.DB, "guess", w.subject(), store.Missing)
	})
}

// A server that is killed while a password is checked takes nothing of it for an attack,
// and what was wrong before stays charged.
func TestWhatIsUnderWayIsNotKept(t *testing.T) {
	for what, c := range map[string]struct {
		settled []string // answers that were taken to their end before
		answer  string   // that is under way, or none
		wrong   string   // what is found once the rows are removed
	}{
		"the first":               {nil, "wrong", ""},
		"one after a wrong one":   {[]string{"wrong"}, secret, store.Missing},
		"nothing, after a wrong":  {[]string{"wrong"}, "", store.Missing},
		"nothing, after a right":  {[]string{secret}, "", ""},
		"nothing, after both":     {[]string{"wrong", secret}, "", ""},
		"one more, after of both": {[]string{"wrong", secret}, "wrong", ""},
	} {
		t.Run(what, func(t *testing.T) {
			g := withGuesses(t, anyFactor)
			restart := func() {
				t.Helper()
				if err := g.DB.Close(); err != nil {
					t.Fatal(err)
				}
				g.open()
			}
			g.options.Remember = filepath.Join(t.TempDir(), "remembered")
			restart()
			check := func(answer string) (*attempt, *candidate) {
				t.Helper()
				at := &attempt{Request: browses("wiki", "ada")}
				q, err := g.examiner.checkSlow(t.Context(), at, "password", typed("password", answer))
				if err != nil {
					t.Fatal(err)
				}
				return at, q
			}
			for _, answer := range c.settled {
				at, q := check(answer)
				g.change(func(tx *store.Tx) error {
					v, err := g.examiner.settle(t.Context(), tx, at, q)
					if v.ok != (answer == secret) {
						t.Errorf("%q: %+v", answer, v)
					}
					return err
				})
			}
			if c.answer != "" {
				check(c.answer)
			}
			restart()
			if err := g.Inspect(t.Context()); err != nil {
				t.Fatal(err)
			}
			storetest.Quiet(t, g.DB)
			storetest.Sabotage(t, g.DB, `delete from guess where subject like $1`, guessesAt(g.password.ID)+"%")
			if err := g.Inspect(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.wrong == "" {
				storetest.Quiet(t, g.DB)
			} else {
				storetest.Alarmed(t, g.DB, "guess", "", c.wrong)
			}
		})
	}
}
