package recovery

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// reason is what an error is refused for, or its class.
func reason(err error) string {
	switch {
	case err == nil:
		return ""
	case failure.ReasonOf(err) != "":
		return failure.ReasonOf(err)
	}
	return failure.ClassOf(err).String()
}

// Who may vouch for whom, and what a helper must say.
func TestWhoOpens(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp")
	r.change(func(tx *store.Tx) error {
		_, err := r.people.Create(t.Context(), tx, directory.NewAccount{Name: "robot", Kind: directory.Service})
		return err
	})
	join(r, "robot", directory.Administrators)
	for _, c := range []struct{ by, about, want string }{
		{"helga", "bob", ""}, {"root", "bob", ""}, {"root", "rita", ""}, {"root", "helga", ""}, {"helga", "hugo", "privileged"}, {"helga", "root", "privileged"},
		{"helga", "helga", "own-recovery"}, {"root", "root", "own-recovery"}, {"bob", "helga", "privileged"}, {"robot", "bob", "service"},
	} {
		if got := reason(Vouches(r.account(c.by), r.account(c.about))); got != c.want {
			t.Errorf("%s for %s: %q, want %q", c.by, c.about, got, c.want)
		}
	}
	_, number := r.asks("bob")
	_, theirs := r.asks("helga")
	good := Opening{Number: number, Check: "in-person", Note: "ticket 1"}
	with := func(edit func(*Opening)) Opening { o := good; edit(&o); return o }
	for field, o := range map[string]Opening{
		"check 1": with(func(o *Opening) { o.Check = "" }), "check 2": with(func(o *Opening) { o.Check = Codes }), "check 3": with(func(o *Opening) { o.Check = "seen" }),
		"note 1": with(func(o *Opening) { o.Note = " " }), "note 2": with(func(o *Opening) { o.Note = strings.Repeat("ä", 501) }), "note 3": with(func(o *Opening) { o.Note = "a\nb" }),
		"note 4": with(func(o *Opening) { o.Note = "a\u202eb" }), "note 5": with(func(o *Opening) { o.Note = "a\x1b[2J" }), "note 6": with(func(o *Opening) { o.Note = "a\xff" }), "note 7": with(func(o *Opening) { o.Note = "a\u2028b" }),
		"number 1": with(func(o *Opening) { o.Number = theirs }), "number 2": with(func(o *Opening) { o.Number = "" }),
	} {
		_, err := r.tryOpen("helga", "bob", o)
		if failure.ClassOf(err) != failure.Invalid || !strings.HasPrefix(field, failure.FieldOf(err)) {
			t.Errorf("%s: %v at %q", field, err, failure.FieldOf(err))
		}
		o.Account = r.account("bob")
		if sound := r.Openings.Preflight(t.Context(), r.db, o); failure.Public(sound) != failure.Public(err) {
			t.Errorf("%s: before it is approved %v is said", field, sound)
		}
	}
	c, err := r.tryOpen("helga", "bob", with(func(o *Opening) { o.Note = " " + strings.Repeat("ä", 499) + " " }))
	if failure.ClassOf(err) != failure.Invalid {
		t.Errorf("501 characters are taken: %v", err)
	}
	if c, err = r.tryOpen("helga", "bob", with(func(o *Opening) { o.Note = " " + strings.Repeat("ä", 498) + " " })); err != nil || c.Note != strings.Repeat("ä", 498) {
		t.Fatal(err)
	}
	_, number = r.asks("bob")
	if _, err := r.tryOpen("root", "bob", with(func(o *Opening) { o.Number = number })); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second case is answered %v", err)
	}
	if err := CheckNote("reason", "he found it"); err != nil {
		t.Error(err)
	}
	if err := CheckNote("reason", ""); failure.FieldOf(err) != "reason" {
		t.Errorf("no reason at all: %v", err)
	}
	for _, way := range Checks() {
		if Words(way[0]) != way[1] {
			t.Errorf("%s is %q", way[0], Words(way[0]))
		}
	}
	if Words(Codes) == "" || Words("seen") != "" {
		t.Error("a check that is none has words, or codes have none")
	}
}

// A number is for one account and half an hour; a browser of a name that nobody has
// gets one like any other.
func TestNumbers(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password")
	secret, s, err := r.Begin(t.Context(), "nobody", netip.MustParseAddr("192.0.2.1"))
	if err != nil || !regexp.MustCompile(`^\d{6}$`).MatchString(s.Number) || !s.Expires.Equal(began.Add(requestLife)) {
		t.Fatalf("%+v, %v", s, err)
	}
	if look, err := r.Poll(t.Context(), secret); err != nil || look.Number != s.Number || look.Confirm != "" || look.Case.ID != 0 {
		t.Errorf("%+v, %v", look, err)
	}
	for i := range mostOfSource + 1 {
		_, _, err := r.Begin(t.Context(), "bob", netip.MustParseAddr("192.0.2.2"))
		if want := i == mostOfSource; (err != nil) != want {
			t.Fatalf("number %d of one source: %v", i, err)
		}
	}
	secret, number := r.asks("bob")
	r.later(requestLife - time.Microsecond)
	if _, err := r.Poll(t.Context(), secret); err != nil {
		t.Error(err)
	}
	r.later(time.Microsecond)
	if _, err := r.Poll(t.Context(), secret); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("after half an hour: %v", err)
	}
	if _, err := r.tryOpen("helga", "bob", Opening{Number: number, Check: "in-person", Note: "x"}); failure.ClassOf(err) != failure.Invalid {
		t.Errorf("a number of half an hour ago: %v", err)
	}
	if _, _, err := r.Begin(t.Context(), "bob", netip.MustParseAddr("192.0.2.2")); err != nil {
		t.Errorf("what has run out is counted: %v", err)
	}
	if _, err := r.Poll(t.Context(), "made up"); failure.ClassOf(err) != failure.NotFound {
		t.Error(err)
	}
	if _, _, err := r.Collect(t.Context(), secret, ""); reason(err) != "unknown-recovery" {
		t.Errorf("a browser without a case: %v", err)
	}
}

// The phases of a case, at the ends of each.
func TestPhases(t *testing.T) {
	due := began.Add(24 * time.Hour)
	c := Case{state: stateOpen, Opened: began, Due: due, Ends: due.Add(collectLife)}
	with := func(edit func(*Case)) Case { o := c; edit(&o); return o }
	taken := with(func(c *Case) { c.Taken, c.Collected = 1, due })
	for name, one := range map[string]struct {
		c    Case
		at   time.Time
		want Phase
	}{
		"opened": {c, began, Waiting}, "just before": {c, due.Add(-1), Waiting}, "due": {c, due, Ready}, "last": {c, c.Ends.Add(-1), Ready}, "late": {c, c.Ends, Missed},
		"second":             {with(func(c *Case) { c.Second = true }), due, Unsure},
		"second, late":       {with(func(c *Case) { c.Second = true }), c.Ends, Missed},
		"confirmed":          {with(func(c *Case) { c.Second, c.Confirmer = true, 7 }), due, Ready},
		"confirmed, waiting": {with(func(c *Case) { c.Second, c.Confirmer = true, 7 }), began, Waiting},
		"collected":          {taken, due.Add(againLife - 1), Collected}, "over": {taken, due.Add(againLife), Over},
		"done":    {with(func(c *Case) { c.state, c.Taken = stateDone, 1 }), due, Over},
		"stopped": {with(func(c *Case) { c.state, c.Taken = stateStopped, 1 }), due, Stopped},
	} {
		if got := one.c.Phase(one.at); got != one.want {
			t.Errorf("%s: %s, want %s", name, got, one.want)
		}
		if under := one.c.underWay(one.at); under != (one.want != Stopped && one.at.Before(one.c.Ends)) {
			t.Errorf("%s: under way %t", name, under)
		}
		if can := one.c.confirmable(one.at); can != (one.want == Unsure || name == "opened" || name == "just before") {
			t.Errorf("%s: can be confirmed: %t", name, can)
		}
	}
}

// The second person's word, by whom, of which case and with which number.
func TestWhoConfirms(t *testing.T) {
	r := setUp(t)
	r.person("bob", "totp")
	r.change(func(tx *store.Tx) error {
		_, err := r.people.Create(t.Context(), tx, directory.NewAccount{Name: "robot", Kind: directory.Service})
		return err
	})
	join(r, "robot", directory.Administrators)
	secret, c := r.opens("root", "bob", false)
	own, _ := r.asks("bob") // the helper's own browser
	word := r.word(secret)
	for _, by := range []string{"root", "bob", "robot", "helga"} {
		if err := r.tryConfirm(by, "bob", word); reason(err) != "second-person" {
			t.Errorf("%s confirms: %v", by, err)
		}
	}
	with := func(edit func(*Confirmation)) Confirmation { o := word; edit(&o); return o }
	for name, w := range map[string]Confirmation{
		"another case": with(func(w *Confirmation) { w.Case++ }), "another helper": with(func(w *Confirmation) { w.Opener = r.account("helga").ID }),
		"another check": with(func(w *Confirmation) { w.Check = "video" }), "less": with(func(w *Confirmation) { w.All = false }),
	} {
		if err := r.tryConfirm("rita", "bob", w); failure.ClassOf(err) != failure.Conflict {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Confirmations.Preflight(t.Context(), r.db, r.account("bob"), w); failure.ClassOf(err) != failure.Conflict {
			t.Errorf("%s, before it is approved: %v", name, err)
		}
	}
	for _, note := range []string{"", "a\nb"} {
		if err := r.tryConfirm("rita", "bob", with(func(w *Confirmation) { w.Note = note })); failure.FieldOf(err) != "note" {
			t.Errorf("the note %q: %v", note, err)
		}
	}
	if err := r.Confirmations.Preflight(t.Context(), r.db, r.account("bob"), with(func(w *Confirmation) { w.Number = "" })); err != nil {
		t.Errorf("it is told whether a number is right: %v", err)
	}
	s, err := r.Poll(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{s.Number, "", strings.Repeat("0", 6), word.Number + "0"} {
		if err := r.tryConfirm("rita", "bob", with(func(w *Confirmation) { w.Number = number })); reason(err) != "wrong-number" || failure.FieldOf(err) != "browser" {
			t.Errorf("the number of another browser: %v", err)
		}
	}
	if n := r.events("recovery.refused", "wrong-number"); n != 4 {
		t.Errorf("%d wrong numbers are in the log", n)
	}
	r.later(time.Hour)
	if err := r.tryConfirm("rita", "bob", word); err != nil {
		t.Fatal(err)
	}
	s, err = r.Poll(t.Context(), secret)
	if err != nil || s.Case.Confirmer != r.account("rita").ID || !s.Case.Due.Equal(r.now) || !s.Case.Ends.Equal(r.now.Add(collectLife)) || s.Confirm != "" || s.Case.Phase(r.now) != Ready {
		t.Errorf("%+v, %v", s, err)
	}
	if told, body := r.mails(); !strings.HasPrefix(told[len(told)-1], "bob@example.org: The recovery of your account was confirmed") || !strings.Contains(body, "All that you sign in with is replaced") {
		t.Errorf("the owner is told %q: %s", told, body)
	}
	if err := r.tryConfirm("rita", "bob", word); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("confirmed twice: %v", err)
	}
	if err := r.tryConfirm("rita", "helga", word); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("of somebody without a case: %v", err)
	}
	_ = c
}

// A word for one case serves no other, and each case and browser has its own number.
func TestAWordIsForOneCase(t *testing.T) {
	r := setUp(t)
	r.person("bob", "totp")
	seen := map[string]bool{}
	var old Confirmation
	for i := range 5 {
		secret, _ := r.opens("helga", "bob", false)
		word := r.word(secret)
		if seen[word.Number] {
			t.Errorf("case %d has the number of one before", i)
		}
		seen[word.Number] = true
		if i > 0 {
			if err := r.tryConfirm("rita", "bob", old); failure.ClassOf(err) != failure.Conflict {
				t.Errorf("the word for a case that was stopped: %v", err)
			}
			old.Case = word.Case
			if err := r.tryConfirm("rita", "bob", old); reason(err) != "wrong-number" {
				t.Errorf("with its number: %v", err)
			}
		}
		old = word
		r.change(func(tx *store.Tx) error { _, err := r.StopTx(t.Context(), tx, r.account("bob").ID); return err })
	}
	secret, _ := r.opens("helga", "bob", false)
	word := r.word(secret)
	good := word.Number
	word.Number = "x"
	for i := range mostWrong {
		want := "wrong-number"
		if i == mostWrong-1 {
			want = "recovery-stopped"
		}
		if err := r.tryConfirm("rita", "bob", word); reason(err) != want {
			t.Errorf("wrong number %d: %v", i, err)
		}
	}
	word.Number = good
	if err := r.tryConfirm("rita", "bob", word); err == nil || r.phase(secret) != Stopped {
		t.Errorf("after five wrong numbers: %v", err)
	}
}

var stopCode = regexp.MustCompile(`/recovery/stop\?code=(\S+)`)

// taken is a case of which a pass was taken, and with which somebody set up a phone and
// signed in.
func taken(t *testing.T, forgotten bool) (r *rig, secret, link, session string) {
	r = setUp(t)
	r.person("bob", "password", "totp", "recoverycode")
	secret, _ = r.opens("helga", "bob", forgotten)
	_, body := r.mails()
	link = stopCode.FindStringSubmatch(body)[1]
	if forgotten {
		if err := r.tryConfirm("root", "bob", r.word(secret)); err != nil {
			t.Fatal(err)
		}
	}
	r.later(25 * time.Hour)
	if _, _, err := r.Collect(t.Context(), secret, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	r.later(time.Minute)
	r.add("bob", "password", nil)
	r.add("bob", "passkey", nil)
	session, _ = r.enters("bob", "passkey")
	return r, secret, link, session
}

// What came of a case goes with it when it is stopped, in each way to stop it, and it
// is said; what was revoked for it counts as its owner's again.
func TestStopUndoes(t *testing.T) {
	ways := map[string]func(r *rig, link string, g signin.Grant) (Undone, error){
		"the link": func(r *rig, link string, _ signin.Grant) (Undone, error) {
			return r.StopByNotice(t.Context(), link, "192.0.2.9")
		},
		"its owner": func(r *rig, _ string, g signin.Grant) (Undone, error) { return r.StopOwn(t.Context(), g) },
		"the help desk": func(r *rig, _ string, _ signin.Grant) (out Undone, err error) {
			err = r.try(func(tx *store.Tx) (err error) { out, err = r.StopTx(t.Context(), tx, r.account("bob").ID); return err })
			return out, err
		},
	}
	for name, stop := range ways {
		for _, forgotten := range []bool{false, true} {
			r, secret, link, session := taken(t, forgotten)
			_, g := r.enters("bob", "password")
			if c, err := r.Stoppable(t.Context(), link); err != nil || c.Taken != 1 {
				t.Errorf("%s: it cannot be stopped any more: %v", name, err)
			}
			if told, body := r.mails(); strings.HasPrefix(told[len(told)-1], "bob@example.org: A new way to sign in is being set up") && strings.Contains(body, "Nothing that you signed in with until now") != forgotten {
				t.Errorf("%s: told %s", name, body)
			}
			undone, err := stop(r, link, g)
			if err != nil || undone.Cases != 1 || undone.Collected != 1 || undone.Authenticators != 2 || undone.Sessions != 2 || !strings.Contains(undone.String(), "2 authenticators were revoked and 2 sessions were ended") {
				t.Errorf("%s: %+v, %v", name, undone, err)
			}
			if r.stands(session) || r.phase(secret) != Stopped {
				t.Errorf("%s: a session stands, or the case is %s", name, r.phase(secret))
			}
			for kind, c := range r.all("bob") {
				if c.Status == directory.CredentialActive && (forgotten || kind != "password") {
					t.Errorf("%s: %s is good", name, kind)
				}
			}
			rows, err := r.credentials.All(t.Context(), r.db, r.account("bob").ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := directory.ProofRequired(rows, r.now, r.now); forgotten && got != directory.ProofSecondPerson {
				t.Errorf("%s: beside a pass he is asked for %s", name, got)
			}
			if r.lets("bob", r.pass("bob")) {
				t.Errorf("%s: one pass is enough afterwards", name)
			}
			if _, err := stop(r, link, g); err == nil {
				if name != "the help desk" {
					t.Errorf("%s: it is stopped twice", name)
				}
			}
			if _, _, err := r.Collect(t.Context(), secret, ""); reason(err) != "recovery-stopped" {
				t.Errorf("%s: another pass: %v", name, err)
			}
		}
	}
}

// A case that gave its pass gives another for a day, in its own browser, to who closed
// the page; and none when others cleared up.
func TestAnotherPass(t *testing.T) {
	again := map[string]struct {
		happens func(r *rig)
		want    string
	}{
		"at once":                 {func(*rig) {}, ""},
		"within a day":            {func(r *rig) { r.later(againLife - 2*time.Second) }, ""},
		"a day later":             {func(r *rig) { r.later(againLife) }, "recovery-over"},
		"a new password":          {func(r *rig) { r.add("bob", "password", nil) }, ""},
		"a new phone":             {func(r *rig) { r.later(time.Second); r.add("bob", "totp", nil) }, "set-up-since"},
		"the password is revoked": {func(r *rig) { revokeKind(r, "password", directory.ByAdministrator) }, "revoked-since"},
		"it is off by a report":   {func(r *rig) { revokeKind(r, "password", directory.ByReport) }, "revoked-since"},
		"the pass is revoked":     {func(r *rig) { revokeKind(r, "accesspass", directory.ByAdministrator) }, "revoked-since"},
		"the pass was replaced":   {func(r *rig) { revokeKind(r, "accesspass", directory.ByNewer) }, ""},
		"suspended and resumed": {func(r *rig) {
			r.change(func(tx *store.Tx) error { return r.CloseTx(t.Context(), tx, r.account("bob").ID) })
		}, "recovery-over"},
		"sessions were ended": {func(r *rig) {
			r.change(func(tx *store.Tx) error { return r.FinishTx(t.Context(), tx, r.account("bob").ID) })
		}, "recovery-over"},
		"another case was opened":  {func(r *rig) { r.opens("helga", "bob", false) }, "recovery-over"},
		"the helper helps no more": {func(r *rig) { leave(r, "helga", directory.Helpdesk) }, "opener-no-longer-may"},
		"confirmed by somebody":    {func(r *rig) {}, ""},
	}
	for name, a := range again {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			r.person("bob", "password", "totp")
			secret, _ := r.opens("helga", "bob", false)
			word := r.word(secret)
			r.later(25 * time.Hour)
			if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
				t.Fatal(err)
			}
			r.later(time.Second)
			a.happens(r)
			if err := r.tryConfirm("rita", "bob", word); failure.ClassOf(err) != failure.Conflict {
				t.Errorf("it is confirmed when its pass was taken: %v", err)
			}
			r.later(time.Microsecond)
			_, _, err := r.Collect(t.Context(), secret, "")
			if got := reason(err); got != a.want && (got != "recovery-stopped" || r.events("recovery.refused", a.want) != 1) {
				t.Errorf("another pass is answered %v, want %s", err, a.want)
			}
			if a.want == "set-up-since" && (!isHeld(r, "bob") || r.phase(secret) != Over) {
				t.Error("what he set up went with the end of the case")
			}
		})
	}
	r := setUp(t)
	r.person("bob", "password", "totp")
	secret, _ := r.opens("helga", "bob", false)
	r.later(25 * time.Hour)
	for i := range mostPasses + 1 {
		r.later(time.Minute)
		if _, _, err := r.Collect(t.Context(), secret, ""); (err != nil) != (i == mostPasses) {
			t.Errorf("pass %d: %v", i+1, err)
		}
	}
	if n := r.events("recovery.refused", "too-many-passes"); n != 1 {
		t.Errorf("%d entries", n)
	}
}

func revokeKind(r *rig, kind string, by directory.Cause) {
	r.later(time.Second)
	r.set("bob", kind, func(c *directory.Credential) { c.EndAt(r.now, directory.CredentialRevoked, by, 1) })
}

// The link lives as long as its case can, whatever lengthens that.
func TestLinkLivesAsLongAsItsCase(t *testing.T) {
	r := setUp(t)
	r.person("bob", "totp")
	secret, c := r.opens("helga", "bob", false)
	told, body := r.mails()
	if len(told) != 1 || told[0] != "bob@example.org: Somebody asks to get back into your account" || !strings.Contains(body, "helga recorded how they made sure that it is you: seen in person") || !strings.Contains(body, "As soon as an administrator confirms it") {
		t.Errorf("told %q: %s", told, body)
	}
	link := stopCode.FindStringSubmatch(body)[1]
	r.now = c.Ends.Add(-time.Second)
	if err := r.tryConfirm("rita", "bob", r.word(secret)); err != nil {
		t.Fatal(err)
	}
	r.later(collectLife - time.Second)
	if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
		t.Fatal(err)
	}
	r.later(collectLife - time.Second)
	if found, err := r.Stoppable(t.Context(), link); err != nil || found.ID != c.ID {
		t.Errorf("the link died before its case: %v", err)
	}
	r.later(time.Second)
	if _, err := r.Stoppable(t.Context(), link); reason(err) != "unknown-ticket" {
		t.Errorf("of a case that is over: %v", err)
	}
	if _, err := r.StopByNotice(t.Context(), link, ""); reason(err) != "unknown-ticket" {
		t.Errorf("it is stopped: %v", err)
	}
	if _, err := r.Stoppable(t.Context(), "made up"); err == nil {
		t.Error("a link that nobody was sent")
	}
}

// Each objection tells the administrators who opened it.
func TestObjections(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp")
	secret, _ := r.opens("helga", "bob", false)
	_, body := r.mails()
	undone, err := r.StopByNotice(t.Context(), stopCode.FindStringSubmatch(body)[1], "192.0.2.9")
	if err != nil || undone.Cases != 1 || undone.Collected != 0 || !strings.Contains(undone.String(), "before anything came of it") || r.phase(secret) != Stopped {
		t.Errorf("%+v, %v", undone, err)
	}
	told, body := r.mails()
	if got := strings.Join(told, "\n"); !strings.Contains(got, "root@example.org: Somebody reports") || !strings.Contains(got, "rita@example.org: Somebody reports") || !strings.Contains(body, "opened by helga") {
		t.Errorf("told %q: %s", told, body)
	}
	if r.events("alarm.recovery-not-mine", "notice") != 1 {
		t.Error("it is no alarm")
	}
	_, g := r.enters("bob", "password")
	if _, err := r.StopOwn(t.Context(), g); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("nothing is under way: %v", err)
	}
	r.opens("helga", "bob", false)
	r.remove("helga")
	if _, err := r.StopOwn(t.Context(), g); err != nil || r.events("alarm.recovery-not-mine", "signed-in") != 1 {
		t.Error(err)
	}
	if _, body := r.mails(); !strings.Contains(body, "has no account any more") {
		t.Errorf("told %s", body)
	}
}

// Who says that something in their name was not them has vouched for nobody.
func TestDisowned(t *testing.T) {
	r := setUp(t)
	for _, name := range []string{"bob", "carol", "dora", "emil"} {
		r.person(name, "password", "totp")
	}
	bobs, _ := r.opens("helga", "bob", false)
	carols, _ := r.opens("hugo", "carol", true)
	if err := r.tryConfirm("root", "carol", r.word(carols)); err != nil {
		t.Fatal(err)
	}
	emils, _ := r.opens("helga", "emil", false)
	doras, _ := r.opens("rita", "dora", false)
	helgas, _ := r.opens("root", "helga", false)
	r.later(25 * time.Hour)
	if _, _, err := r.Collect(t.Context(), emils, ""); err != nil {
		t.Fatal(err)
	}
	disown := func(name string) (n int) {
		r.change(func(tx *store.Tx) (err error) { n, err = r.DoubtTx(t.Context(), tx, r.account(name)); return err })
		return n
	}
	if n := disown("helga"); n != 2 || r.phase(bobs) != Stopped || r.phase(helgas) != Stopped || r.phase(emils) != Over || r.phase(doras) != Ready || r.phase(carols) != Ready {
		t.Errorf("%d were stopped: %s %s %s %s %s", n, r.phase(bobs), r.phase(helgas), r.phase(emils), r.phase(doras), r.phase(carols))
	}
	if told, body := r.mails(); !strings.Contains(strings.Join(told, "\n"), "root@example.org: Recoveries of the last days are in doubt") || !strings.Contains(body, "emil") || strings.Contains(body, "bob") {
		t.Errorf("told %q: %s", told, body)
	}
	if n := disown("root"); n != 1 || r.phase(carols) != Stopped {
		t.Errorf("what she confirmed stands: %d, %s", n, r.phase(carols))
	}
	before, _ := r.mails()
	if n := disown("dora"); n != 1 || r.phase(doras) != Stopped {
		t.Errorf("her own stands: %d, %s", n, r.phase(doras))
	}
	if after, _ := r.mails(); len(after) != len(before) || r.events("recovery.refused", "disowned") != 4 {
		t.Errorf("%d entries", r.events("recovery.refused", "disowned"))
	}
}

func grantByCodes(r *rig, name, secret string) (signin.Grant, string) {
	r.t.Helper()
	s, err := r.Poll(r.t.Context(), secret)
	if err != nil {
		r.t.Fatal(err)
	}
	req := signin.Request{Application: signin.Self, Action: signin.Recover, Object: s.Bound(), Name: name, Protocol: "test", Medium: prompt.Line,
		Opening: []prompt.Answer{{Authenticator: "recoverycode", Text: "yes"}, {Authenticator: "mailcode", Text: "yes"}}}
	step, err := r.engine.Begin(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	if step.State != signin.Granted {
		return signin.Grant{}, step.Reason
	}
	return step.Grant, ""
}

// By two codes of their own, for every state of them and of the rest.
func TestEveryStateByCodes(t *testing.T) {
	r := setUp(t)
	for i, saved := range states {
		for k, mailed := range states {
			name := named("person", i*len(states)+k)
			r.person(name, "password", "totp")
			for kind, s := range map[string]state{"recoverycode": saved, "mailcode": mailed} {
				if s.set != nil {
					r.add(name, kind, func(c *directory.Credential) { s.set(r, c) })
				}
			}
			secret, _ := r.asks(name)
			g, why := grantByCodes(r, name, secret)
			if ok := saved.askable && mailed.askable; (why == "") != ok {
				t.Errorf("saved %s, mailed %s: %q", saved.name, mailed.name, why)
			}
			if why != "" {
				continue
			}
			c, err := r.OpenByCodes(t.Context(), g, secret)
			if err != nil || c.Second || !c.Forgotten || c.Phase(r.now) != Waiting || c.Opener != r.account(name).ID {
				t.Fatalf("%+v, %v", c, err)
			}
			before := r.now
			r.later(25 * time.Hour)
			_, pass, err := r.Collect(t.Context(), secret, "")
			if err != nil || !r.lets(name, pass) || isHeld(r, name) {
				t.Errorf("the codes lead nowhere: %v", err)
			}
			r.now = before
		}
	}
}

// What two codes open is for one account and one browser, once.
func TestCodesOpenOne(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp", "recoverycode", "mailcode")
	r.person("carol", "recoverycode", "mailcode")
	bobs, _ := r.asks("bob")
	carols, _ := r.asks("carol")
	g, _ := grantByCodes(r, "bob", bobs)
	if _, err := r.OpenByCodes(t.Context(), g, carols); reason(err) != "unknown-recovery" {
		t.Errorf("for another's browser: %v", err)
	}
	if _, err := r.OpenByCodes(t.Context(), g, "made up"); reason(err) != "unknown-recovery" {
		t.Errorf("for no browser: %v", err)
	}
	other, _ := r.asks("bob")
	if _, err := r.OpenByCodes(t.Context(), g, other); reason(err) != "other-action" {
		t.Errorf("for another browser of his: %v", err)
	}
	r.mailing = false
	c, err := r.OpenByCodes(t.Context(), g, bobs)
	if err != nil || !c.Second {
		t.Errorf("where nobody is told: %+v, %v", c, err)
	}
	if _, body := r.mails(); !strings.Contains(body, "They had a saved recovery code") {
		t.Errorf("told %s", body)
	}
	g, _ = grantByCodes(r, "bob", other)
	if _, err := r.OpenByCodes(t.Context(), g, other); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("a second case: %v", err)
	}
	_, body := r.mails()
	if _, err := r.StopByNotice(t.Context(), stopCode.FindStringSubmatch(body)[1], ""); err != nil {
		t.Error(err)
	}
	if _, body := r.mails(); !strings.Contains(body, "two codes of the account's owner") {
		t.Errorf("told %s", body)
	}
}

// Lists and counts.
func TestLists(t *testing.T) {
	r := setUp(t)
	for _, name := range []string{"bob", "carol", "dora"} {
		r.person(name, "password", "totp")
	}
	r.opens("helga", "bob", false)
	carols, _ := r.opens("helga", "carol", true)
	doras, _ := r.opens("helga", "dora", false)
	counts := func(under, unsure int64) {
		t.Helper()
		if u, s, err := r.Count(t.Context()); err != nil || u != under || s != unsure {
			t.Errorf("%d under way, %d unsure, %v; want %d, %d", u, s, err, under, unsure)
		}
	}
	counts(3, 1)
	if err := r.tryConfirm("root", "carol", r.word(carols)); err != nil {
		t.Fatal(err)
	}
	counts(3, 0)
	if all, err := r.List(t.Context(), 0); err != nil || len(all) != 3 || all[0].Account != r.account("dora").ID {
		t.Errorf("%+v, %v", all, err)
	}
	if one, err := r.List(t.Context(), r.account("bob").ID); err != nil || len(one) != 1 || one[0].Note != "ticket 1" {
		t.Errorf("%+v, %v", one, err)
	}
	r.later(25 * time.Hour)
	if _, _, err := r.Collect(t.Context(), doras, ""); err != nil {
		t.Fatal(err)
	}
	counts(2, 0)
	if _, there, err := r.UnderWay(t.Context(), r.account("helga").ID); there || err != nil {
		t.Errorf("%t, %v", there, err)
	}
	if c, there, err := r.UnderWay(t.Context(), r.account("dora").ID); !there || c.Taken != 1 || err != nil {
		t.Errorf("%+v, %t, %v", c, there, err)
	}
	var n int64
	r.change(func(tx *store.Tx) (err error) { n, err = DropAllTx(t.Context(), tx, r.keys); return err })
	if n != 3 {
		t.Errorf("%d were dropped", n)
	}
	counts(0, 0)
	for i := range mostOpened + 1 {
		secret, number := r.asks("bob")
		_, err := r.tryOpen("hugo", "bob", Opening{Number: number, Check: "video", Note: "x"})
		if want := map[bool]string{true: "too-many-recoveries"}[i == mostOpened]; reason(err) != want {
			t.Fatalf("case %d of one person: %v", i, err)
		}
		if i < mostOpened {
			r.change(func(tx *store.Tx) error { _, err := r.StopTx(t.Context(), tx, r.account("bob").ID); return err })
		}
		_ = secret
	}
	if _, err := New(Parts{Wait: WaitCeiling + 1}); failure.ClassOf(err) != failure.Invalid {
		t.Error(err)
	}
	if _, err := New(Parts{Wait: -1}); failure.ClassOf(err) != failure.Invalid {
		t.Error(err)
	}
	if _, err := New(Parts{DB: r.db, Wait: WaitCeiling}); err != nil {
		t.Error(err)
	}
}

// Whoever writes to the database shortens nothing, binds nothing and confirms nothing.
func TestRowsAreBound(t *testing.T) {
	storetest.Long(t, "tries every alteration, each in a database of its own")
	for _, column := range []string{"secret = x'00'", "account = 1", "opener = 1", "checked = 'video'", "note = 'x'", "forgotten = 1", "second = 1 - second", "state = 'done'", "confirmer = 1", "taken = taken + 1", "opened = 1", "due = 1", "ends = 9000000000000000", "collected = 1"} {
		for _, with := range []bool{false, true} {
			r := setUp(t)
			r.person("bob", "password", "totp")
			secret, _ := r.opens("helga", "bob", false)
			r.later(25 * time.Hour)
			if with {
				if _, _, err := r.Collect(t.Context(), secret, ""); err != nil {
					t.Fatal(err)
				}
				r.later(time.Second)
			}
			r.change(func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), `update recovery set `+column); return err })
			if _, _, err := r.Collect(t.Context(), secret, ""); err == nil {
				t.Errorf("after %s a pass is handed over", column)
			}
			if all, err := r.List(t.Context(), 0); err != nil || len(all) != 0 {
				t.Errorf("after %s the row is believed: %v", column, err)
			}
		}
	}
	for _, column := range []string{"account = 2", "number = '000000'", "expires = 9000000000000000", "source = 'x'", "secret = x'00'"} {
		r := setUp(t)
		r.person("bob", "password", "totp")
		secret, _ := r.asks("bob")
		r.change(func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `update recovery_request set `+column)
			return err
		})
		if _, err := r.Poll(t.Context(), secret); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("after %s the browser is known: %v", column, err)
		}
	}
}
