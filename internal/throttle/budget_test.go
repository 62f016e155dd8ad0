package throttle

import (
	"net/netip"
	"testing"
	"time"

	"countersign/internal/assurance"
)

// Whoever answers is on the side of what is known of them, and of nothing more.
func TestSides(t *testing.T) {
	k := &places{now: func() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }}
	addressed := Origin{Source: netip.MustParseAddr("192.0.2.1"), Partner: "nas"}
	silent := Origin{Partner: "nas"}
	for name, c := range map[string]struct {
		by         Requester
		account    assurance.AccountID
		away, home Side
	}{
		"a name":                         {Requester{Origin: addressed}, 7, Stranger, AtHome},
		"a name that nobody has":         {Requester{Origin: addressed}, 0, Stranger, Stranger},
		"by silent equipment":            {Requester{Origin: silent}, 7, Stranger, Gateway},
		"having shown something":         {Requester{Origin: addressed, Account: 7, Shown: true}, 7, HasShown, AtHome},
		"the same by silent equipment":   {Requester{Origin: silent, Account: 7, Shown: true}, 7, HasShown, HasShown},
		"before the account is fixed":    {Requester{Origin: silent, Shown: true}, 7, HasShown, HasShown},
		"in a session":                   {Requester{Origin: addressed, Account: 7, Session: true}, 7, InBrowser, InBrowser},
		"in somebody else's session":     {Requester{Origin: addressed, Account: 8, Session: true}, 7, Stranger, AtHome},
		"in a browser that made it up":   {Requester{Origin: Origin{Source: addressed.Source, Browser: "7.1.!"}}, 7, Stranger, AtHome},
		"an account, without a session":  {Requester{Origin: addressed, Account: 7}, 7, Stranger, AtHome},
		"nobody, having shown something": {Requester{Origin: addressed, Shown: true}, 0, Stranger, Stranger},
	} {
		if away, home := k.sides(c.by, c.account); away != c.away || home != c.home {
			t.Errorf("%s: %q and %q, not %q and %q", name, away, home, c.away, c.home)
		}
	}
}

// Each budget refuses at its limit and not before; what is wrong in the whole
// installation refuses nobody, and makes strangers alone wait from the first on.
func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	limits, err := Limits{}.Check()
	if err != nil {
		t.Fatal(err)
	}
	g := &budgets{limits: limits, now: func() time.Time { return now }}
	one := subject{key: "credential/1", credential: 1, limit: 20, reason: "closed"}
	hour := subject{key: "account/1", window: time.Hour, limit: 30, reason: "account-budget", since: now.Add(-time.Minute)}
	source := subject{key: "source/192.0.2.1", window: sourceWindow, limit: 100, times: 1, reason: "source-budget", since: now.Add(-time.Minute)}
	all := subject{key: installation, window: sourceWindow, limit: 2000, since: now.Add(-time.Minute)}
	with := func(s subject, count int, edit ...func(*subject)) subject {
		s.count = count
		for _, e := range edit {
			e(&s)
		}
		return s
	}
	for name, c := range map[string]struct {
		s    subject
		side Side
		want string
	}{
		"nineteen":                 {with(one, 19), Stranger, ""},
		"twenty":                   {with(one, 20), Stranger, "closed"},
		"waits":                    {with(one, 6, func(s *subject) { s.retry = now.Add(time.Second) }), AtHome, "delayed"},
		"has waited":               {with(one, 6, func(s *subject) { s.retry = now }), AtHome, ""},
		"an hour's last":           {with(hour, 29), Stranger, ""},
		"an hour's too many":       {with(hour, 30), AtHome, "account-budget"},
		"an hour ago":              {with(hour, 30, func(s *subject) { s.since = now.Add(-time.Hour) }), AtHome, ""},
		"a source's last":          {with(source, 99), Stranger, ""},
		"a source's too many":      {with(source, 100), Stranger, "source-budget"},
		"there, whoever is known":  {with(source, 100), AtHome, ""},
		"there, ten times as many": {with(source, 1000), InBrowser, "source-budget"},
		"the whole installation":   {with(all, 1_000_000), Stranger, ""},
	} {
		b := Budget{side: c.side, subjects: []subject{c.s}}
		if got := g.judge(&b); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
		if b.besieged != (c.s.key == installation) {
			t.Errorf("%s: besieged %t", name, b.besieged)
		}
	}
}

// A source is counted in every network that one subscriber may have.
func TestSourceSubjects(t *testing.T) {
	keys := func(address string) (out []string) {
		for _, s := range sourceSubjects(netip.MustParseAddr(address), 100) {
			out = append(out, s.key)
			if s.limit != 100*s.times {
				t.Errorf("%s: %d times %d", s.key, s.limit, s.times)
			}
		}
		return out
	}
	if got := keys("2001:db8:1:2ff::7"); len(got) != 3 || got[0] != "source/2001:db8:1:2ff::/64" || got[1] != "source/2001:db8:1:200::/56" || got[2] != "source/2001:db8:1::/48" {
		t.Error(got)
	}
	if got := keys("::ffff:192.0.2.1"); len(got) != 1 || got[0] != "source/192.0.2.1" {
		t.Error(got)
	}
	if got := sourceSubjects(netip.Addr{}, 100); got != nil {
		t.Error(got)
	}
}

// What is charged for an account, its kinds and a name are of the same shape, whether
// anybody has them or not: of each side one, and an hour on the two that it may be.
func TestNamesAndAccountsWearAlike(t *testing.T) {
	g := &budgets{limits: Limits{Disable: 20, PerAccount: 30, PerSource: 100, PerInstallation: 2000}}
	shape := func(of Target) (n int, limits int) {
		of.Kind = "password"
		for _, s := range g.subjects(Requester{Name: "ada"}, of, Stranger, AtHome) {
			n++
			limits += s.limit
		}
		return n, limits
	}
	n, limits := shape(Target{})
	for name, c := range map[string][]assurance.CredentialID{"with it": {3}, "without it": nil} {
		if m, l := shape(Target{Account: 7, Credentials: c}); m != n || l != limits {
			t.Errorf("%s: %d of %d, and for nobody %d of %d", name, m, l, n, limits)
		}
	}
}

// Names that strangers make up leave the budgets of the addresses that they come from
// their room; addresses run out by themselves, and what somebody has never does.
func TestNamesLeaveSourcesTheirRoom(t *testing.T) {
	g, now := &budgets{}, time.Unix(1_800_000_000, 0)
	for range freshMost {
		if !g.keeps("name/made-up", now) {
			t.Fatal("there is no room at the beginning")
		}
	}
	for key, want := range map[string]bool{"name/another": false, "source/192.0.2.1": true, "spray/source/192.0.2.1": true, "credential/7": true, "account/7/home": true} {
		if got := g.keeps(key, now); got != want {
			t.Errorf("%s is kept: %t", key, got)
		}
	}
	for range freshMost {
		g.keeps("source/made-up", now)
		if !g.keeps("credential/7", now) {
			t.Fatal("a credential's is not kept")
		}
	}
	for key, want := range map[string]bool{"source/192.0.2.1": false, "stuffing/source/192.0.2.1": false, "none/7/totp": true} {
		if got := g.keeps(key, now); got != want {
			t.Errorf("after many addresses %s is kept: %t", key, got)
		}
	}
}

// When strangers have made up more names than are kept in an hour, names of before count
// on, those that somebody has are kept, and others are not.
func TestNamesBeyondThoseThatAreKept(t *testing.T) {
	r := newRig(t)
	nobody := Requester{Origin: Origin{Source: outside}, Name: "nobody"}
	wrong := func(by Requester, of Target) {
		t.Helper()
		if _, why := r.wrong(by, of); why != "" {
			t.Fatal(why)
		}
	}
	none := Target{Kind: "password"}
	wrong(nobody, none)
	for r.budgets.keeps("name/made-up", r.clock.Now()) {
	}
	wrong(nobody, none)
	if n := r.counted(nameKey("password", "nobody")); n != 2 {
		t.Errorf("a name of before counts %d", n)
	}
	wrong(someone(outside), adas())
	if r.counted(credentialKey(password)) != 1 || r.counted(accountKey(ada)) != 1 {
		t.Errorf("ada's counts %d and %d", r.counted(credentialKey(password)), r.counted(accountKey(ada)))
	}
	nobody.Name = "another"
	wrong(nobody, none)
	if n := r.counted(nameKey("password", "another")); n != 0 {
		t.Errorf("a new name counts %d", n)
	}
}

// The wait doubles from half a minute, after as many as there may be without one, to an hour.
func TestSlowest(t *testing.T) {
	for after, want := range map[int]int{1: 8, 5: 12, 10: 17} {
		if got := (Limits{Delay: after}).slowest(); got != want {
			t.Errorf("delayed after %d: %d", after, got)
		}
	}
}

// The counts of the whole installation are exact where few answers are wrong, and beyond that
// right on average, with one row written for many; every other count is exact.
func TestCountsOfTheInstallationByChance(t *testing.T) {
	for _, key := range []string{installation, "spray/" + installation, "stuffing/" + installation} {
		s := subject{key: key}
		for s.count < exactly {
			if n := s.worth(); n != 1 {
				t.Fatalf("%s at %d: a wrong answer counts for %d", key, s.count, n)
			}
			s.count++
		}
		const answers = 100_000
		written := 0
		for range answers {
			if n := s.worth(); n > 0 {
				written++
				s.count += n
			}
		}
		if n := s.count - exactly; n < answers*9/10 || n > answers*11/10 || written > answers/10 {
			t.Errorf("%s: %d wrong answers counted for %d, in %d rows", key, answers, n, written)
		}
	}
	for _, key := range []string{"credential/1", "account/1", "source/192.0.2.1", "spray/source/192.0.2.1"} {
		for range 100 {
			if s := (subject{key: key, count: 5000}); s.worth() != 1 {
				t.Fatalf("%s is not exact", key)
			}
		}
	}
}

// An alarm is raised once by a count that leaps over its step, and not where nothing was charged.
func TestAStepThatIsLeaptOver(t *testing.T) {
	for _, c := range []struct {
		count, step int
		want        bool
	}{{1007, 16, true}, {1000, 16, true}, {1015, 16, true}, {1016, 16, false}, {999, 16, false}, {1000, 0, false}} {
		s := subject{count: c.count, step: c.step}
		if s.passed(alarming[:]) != c.want {
			t.Errorf("%d, by %d: %t", c.count, c.step, !c.want)
		}
	}
}
