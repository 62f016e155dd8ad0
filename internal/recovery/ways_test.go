package recovery

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/store"
)

// state is one in which an authenticator can be when somebody wants back in.
type state struct {
	name string
	set  func(r *rig, c *directory.Credential)
	// mine says that it still counts as its owner's, standing that it is neither
	// removed nor given up, askable that it can be asked for.
	mine, standing, askable bool
}

func ended(status string, by directory.Cause) func(*rig, *directory.Credential) {
	return func(r *rig, c *directory.Credential) { c.EndAt(r.now, status, by, 1_000_000) }
}

var states = []state{
	{name: "never there"},
	{"active", func(*rig, *directory.Credential) {}, true, true, true},
	{"off by guesses", ended(directory.CredentialDisabled, directory.ByGuesses), true, true, false},
	{"off by report", ended(directory.CredentialDisabled, directory.ByReport), true, true, false},
	{"in quarantine", func(r *rig, c *directory.Credential) { c.Quarantine = r.now.Add(300 * time.Hour) }, true, true, false},
	{"removed by an administrator", ended(directory.CredentialRevoked, directory.ByAdministrator), true, false, false},
	{"removed by one word", ended(directory.CredentialRevoked, directory.ByRecovery), true, false, false},
	{"removed by nobody knows whom", func(_ *rig, c *directory.Credential) { c.Status = directory.CredentialRevoked }, true, false, false},
	{"removed by its owner", ended(directory.CredentialRevoked, directory.ByOwner), false, false, false},
	{"replaced by its owner", ended(directory.CredentialRevoked, directory.ByNewer), false, false, false},
	{"removed by two words", ended(directory.CredentialRevoked, directory.BySureRecovery), false, false, false},
}

// combination is an account in a state of each kind.
type combination struct {
	name             string
	known, held, key state
	handed           bool // somebody handed the device over
	two              bool // there were two factors that were not given up
	secret           string
	opened           Case
}

// combinationsOf makes an account for each.
func combinationsOf(r *rig) []*combination {
	var out []*combination
	add := func(c combination) {
		c.name = named("person", len(out))
		c.two = c.key.mine || c.known.mine && c.held.mine
		out = append(out, &c)
	}
	for _, known := range states {
		for _, held := range states {
			add(combination{known: known, held: held, key: states[0]})
			add(combination{known: known, held: states[0], key: held})
		}
		add(combination{known: known, held: states[1], key: states[0], handed: true})
		add(combination{known: known, held: states[5], key: states[1]})
	}
	r.change(func(tx *store.Tx) error {
		for _, c := range out {
			a, err := r.people.Create(r.t.Context(), tx, directory.NewAccount{Name: c.name, Mail: c.name + "@example.org"})
			if err != nil {
				return err
			}
			for kind, s := range map[string]state{"password": c.known, "totp": c.held, "passkey": c.key} {
				if s.set == nil {
					continue
				}
				one := directory.Credential{Account: a.ID, Kind: kind, Label: kind, Traits: traitsOf(kind), State: []byte("{}")}
				if c.handed && kind == "totp" {
					one.Assigned = r.account("root").ID
				}
				one, err := r.credentials.Add(r.t.Context(), tx, one)
				if err == nil {
					s.set(r, &one)
					err = r.credentials.Update(r.t.Context(), tx, one)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if handed := out[22]; !handed.handed {
		r.t.Fatal("the list is in another order")
	}
	return out
}

func (c *combination) String() string {
	return c.name + ": known " + c.known.name + ", held " + c.held.name + ", passkey " + c.key.name
}

// The promise, for every state of what somebody knows and holds, and for a pass that one
// person issued: whoever has the pass and shows nothing beside gets nowhere where there
// were two factors that were not given up; whoever shows one of them gets as far as that
// one stands in for the other.
func TestEveryStateByAPass(t *testing.T) {
	r := setUp(t)
	for _, c := range combinationsOf(r) {
		r.later(time.Second)
		passes, alone := make([]string, 4), !c.two && !c.known.standing
		for i := range passes {
			r.change(func(tx *store.Tx) (err error) {
				passes[i], _, err = r.enrolled.Passes.IssueTx(t.Context(), tx, r.account(c.name), 8*time.Hour)
				return err
			})
			switch i {
			case 0:
				if got := r.lets(c.name, passes[0]); got != alone {
					t.Errorf("%s: the pass alone lets in: %t, want %t", c, got, alone)
				}
			case 1:
				if got, want := r.lets(c.name, passes[1], "password"), alone || c.known.askable; got != want {
					t.Errorf("%s: the pass and the password let in: %t, want %t", c, got, want)
				}
			case 2:
				// What is in quarantine is asked for as well, so that the device is not enough.
				held := c.held.askable && !c.handed && !c.known.askable && c.known.name != "in quarantine"
				if got, want := r.lets(c.name, passes[2], "totp"), alone || held; got != want {
					t.Errorf("%s: the pass and the device let in: %t, want %t", c, got, want)
				}
			case 3:
				if r.lets(c.name, passes[0]) || r.lets(c.name, passes[1]) {
					t.Errorf("%s: a pass of before lets in", c)
				}
			}
		}
	}
}

// The promise, for every state and a recovery: one person's word replaces what is held
// where what is known can be asked for, and nothing else; two people's replaces all.
func TestEveryStateByARecovery(t *testing.T) {
	r := setUp(t)
	all := combinationsOf(r)
	r.later(time.Hour)
	openers := map[string]int{}
	for i, c := range all {
		by := []string{"helga", "hugo", "root", "rita"}[i%4]
		openers[by]++
		if openers[by]%50 == 0 {
			r.later(25 * time.Hour) // more in a day is no help desk; what was opened before waits
		}
		c.secret, c.opened = r.opens(by, c.name, false)
		if second := !c.known.askable; c.opened.Second != second || c.opened.Forgotten != second {
			t.Errorf("%s: it takes a second person: %t, %t; want %t", c, c.opened.Second, c.opened.Forgotten, second)
		}
		collectOf(r, c)
	}
}

// collectOf follows one case to its end.
func collectOf(r *rig, c *combination) {
	t, ctx := r.t, r.t.Context()
	if _, _, err := r.Collect(ctx, c.secret, "192.0.2.1"); err == nil {
		t.Errorf("%s: nobody waited", c)
	}
	before := r.now
	defer func() { r.now = before.Add(time.Second) }()
	r.later(WaitDefault)
	other, _ := r.asks(c.name)
	if _, _, err := r.Collect(ctx, other, ""); err == nil {
		t.Errorf("%s: another browser collects", c)
	}
	name, pass, err := r.Collect(ctx, c.secret, "192.0.2.1")
	if alone := c.known.askable; (err == nil) != alone {
		t.Errorf("%s: one person's word hands over a pass: %v, want %t", c, err, alone)
		return
	}
	if err == nil {
		if name != c.name || r.lets(c.name, pass) {
			t.Errorf("%s: the pass of one person's word lets in alone", c)
		}
		r.later(time.Minute)
		if _, pass, err = r.Collect(ctx, c.secret, ""); err != nil || !r.lets(c.name, pass, "password") {
			t.Errorf("%s: with the password it leads nowhere: %v", c, err)
		}
		if isHeld(r, c.name) {
			t.Errorf("%s: what was lost is still good", c)
		}
		return
	}
	if failure.ReasonOf(err) != "recovery-unsure" {
		t.Errorf("%s: refused for %v", c, err)
	}
	for _, by := range []string{"root", "rita"} {
		if r.account(by).ID == c.opened.Opener {
			continue
		}
		if err := r.tryConfirm(by, c.name, r.word(c.secret)); err != nil {
			t.Errorf("%s: %s cannot confirm: %v", c, by, err)
		}
		break
	}
	_, pass, err = r.Collect(ctx, c.secret, "")
	if err != nil || !r.lets(c.name, pass) {
		t.Errorf("%s: two people's word leads nowhere: %v", c, err)
	}
	for kind, one := range r.all(c.name) {
		if kind != "accesspass" && one.Status == directory.CredentialActive {
			t.Errorf("%s: %s is still good", c, kind)
		}
	}
}

// isHeld reports whether something that an account holds is good.
func isHeld(r *rig, name string) bool {
	for kind, c := range r.all(name) {
		if c.Status == directory.CredentialActive && (kind == "totp" || kind == "passkey" || kind == "recoverycode") {
			return true
		}
	}
	return false
}

// The promise: what is taken from an account after a case was opened, by whomever, is
// no way round what the case takes: it is looked at again when its pass is taken, and
// the words of before do not serve for more than they were said of.
func TestWhatIsTakenMeanwhile(t *testing.T) {
	for _, s := range states[2:] {
		for _, confirmed := range []bool{false, true} {
			r := setUp(t)
			r.person("bob", "password", "totp")
			secret, c := r.opens("helga", "bob", false)
			if c.Second {
				t.Fatal("an ordinary recovery takes a second person")
			}
			if confirmed {
				if err := r.tryConfirm("root", "bob", r.word(secret)); err != nil {
					t.Fatal(err)
				}
			}
			old := r.word(secret)
			r.later(23 * time.Hour)
			r.set("bob", "password", func(c *directory.Credential) { s.set(r, c) })
			r.later(2 * time.Hour)
			if _, _, err := r.Collect(t.Context(), secret, ""); failure.ReasonOf(err) != "recovery-unsure" {
				t.Errorf("%s, confirmed %t: the pass is answered %v", s.name, confirmed, err)
			}
			if r.phase(secret) != Unsure || !isHeld(r, "bob") {
				t.Errorf("%s, confirmed %t: the case is %s", s.name, confirmed, r.phase(secret))
			}
			if err := r.tryConfirm("rita", "bob", old); failure.ClassOf(err) != failure.Conflict {
				t.Errorf("%s: a word for less is answered %v", s.name, err)
			}
			if err := r.tryConfirm("rita", "bob", r.word(secret)); err != nil {
				t.Errorf("%s: %v", s.name, err)
			}
			_, pass, err := r.Collect(t.Context(), secret, "")
			if err != nil || !r.lets("bob", pass) {
				t.Errorf("%s: two people's word: %v", s.name, err)
			}
		}
	}
}

// Who is in quarantine when a case is opened is out of it when it is due.
func TestQuarantineEndsMeanwhile(t *testing.T) {
	for hours, second := range map[time.Duration]bool{24: false, 25: true} {
		r := setUp(t)
		r.person("bob", "totp")
		r.add("bob", "password", func(c *directory.Credential) { c.Quarantine = r.now.Add(hours * time.Hour) })
		if _, c := r.opens("helga", "bob", false); c.Second != second {
			t.Errorf("a password in quarantine for %d hours: second person %t", hours, c.Second)
		}
	}
}

// Nobody can object where nobody is told, and then one person's word is not enough.
func TestNobodyIsTold(t *testing.T) {
	r := setUp(t)
	r.person("bob", "password", "totp")
	r.mailing = false
	_, c := r.opens("helga", "bob", false)
	if !c.Second || c.Forgotten {
		t.Errorf("without a mail server: %+v", c)
	}
	if told, err := r.Notified(t.Context(), r.db, c); err != nil || told {
		t.Errorf("somebody is told without a mail server: %v", err)
	}
	r.mailing = true
	if told, err := r.Notified(t.Context(), r.db, c); err != nil || !told {
		t.Errorf("nobody is told: %v", err)
	}
	r.change(func(tx *store.Tx) error {
		a, err := r.people.Create(t.Context(), tx, directory.NewAccount{Name: "carol"})
		if err != nil {
			return err
		}
		return r.addIn(tx, a, "password", nil)
	})
	if _, c := r.opens("helga", "carol", false); !c.Second || c.Forgotten {
		t.Errorf("without an address: %+v", c)
	}
}

// A second person's word is an administrator's: it stands no longer than they are one.
func TestSecondPersonStaysAnAdministrator(t *testing.T) {
	for group, want := range map[string]string{"": "", directory.Helpdesk: "recovery-stopped"} {
		r := setUp(t)
		r.person("bob", "totp")
		secret, _ := r.opens("helga", "bob", false)
		if err := r.tryConfirm("rita", "bob", r.word(secret)); err != nil {
			t.Fatal(err)
		}
		if group != "" {
			join(r, "rita", group)
			leave(r, "rita", directory.Administrators)
		}
		if _, _, err := r.Collect(t.Context(), secret, ""); reason(err) != want {
			t.Errorf("as a member of %q: %v", group, err)
		}
	}
}

// What speaks against a pass, whatever has become since of what says it.
func TestWhatSpeaksAgainstAPass(t *testing.T) {
	against := map[string]struct {
		happens func(r *rig)
		reason  string
	}{
		"nothing":              {func(*rig) {}, ""},
		"suspended":            {func(r *rig) { r.edit("bob", func(a *directory.Account) { a.State = directory.Suspended }) }, "suspended"},
		"ended":                {func(r *rig) { r.edit("bob", func(a *directory.Account) { a.Ends = r.now }) }, "ended"},
		"the helper has ended": {func(r *rig) { r.edit("helga", func(a *directory.Account) { a.Ends = r.now }) }, "opener-no-longer-may"},
		"they end in a second": {func(r *rig) {
			r.edit("bob", func(a *directory.Account) { a.Ends = r.now.Add(time.Second) })
			r.edit("helga", func(a *directory.Account) { a.Ends = r.now.Add(time.Second) })
		}, ""},
		"unused for a month":      {func(r *rig) { r.later(30*24*time.Hour - 25*time.Hour + time.Second) }, "recovery-missed"},
		"the helper is suspended": {func(r *rig) { r.edit("helga", func(a *directory.Account) { a.State = directory.Suspended }) }, "opener-no-longer-may"},
		"the helper is gone": {func(r *rig) {
			r.remove("helga")
		}, "opener-no-longer-may"},
		"the helper helps no more":          {func(r *rig) { leave(r, "helga", directory.Helpdesk) }, "opener-no-longer-may"},
		"the owner is an administrator now": {func(r *rig) { join(r, "bob", directory.Administrators) }, "opener-no-longer-may"},
		"used":                              {func(r *rig) { r.set("bob", "totp", func(c *directory.Credential) { c.Used = r.now }) }, "signed-in-since"},
		"used, and then switched off": {func(r *rig) {
			r.set("bob", "totp", func(c *directory.Credential) {
				c.Used = r.now
				c.EndAt(r.now, directory.CredentialDisabled, directory.ByGuesses, 0)
			})
		}, "signed-in-since"},
		"used, and then removed": {func(r *rig) {
			r.set("bob", "totp", func(c *directory.Credential) {
				c.Used = r.now
				c.EndAt(r.now, directory.CredentialRevoked, directory.ByAdministrator, 1)
			})
		}, "signed-in-since"},
		"signed in, which its row does not say": {func(r *rig) { r.enters("bob", "passkey") }, "signed-in-since"},
		"only the password was shown":           {func(r *rig) { r.enters("bob", "password") }, ""},
		"used before":                           {func(r *rig) { r.set("bob", "totp", func(c *directory.Credential) { c.Used = began }) }, ""},
		"a new device":                          {func(r *rig) { r.add("bob", "totp", nil) }, "set-up-since"},
		"a new password":                        {func(r *rig) { r.add("bob", "password", nil) }, "set-up-since"},
		"a new device that was removed": {func(r *rig) {
			r.add("bob", "totp", func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
		}, "set-up-since"},
		"a pass": {func(r *rig) { r.pass("bob") }, ""},
		"a device is removed": {func(r *rig) {
			r.set("bob", "totp", func(c *directory.Credential) {
				c.EndAt(r.now, directory.CredentialRevoked, directory.ByAdministrator, 1)
			})
		}, ""},
	}
	for name, a := range against {
		t.Run(name, func(t *testing.T) {
			r := setUp(t)
			r.person("bob", "password", "totp", "passkey")
			secret, _ := r.opens("helga", "bob", false)
			r.later(25 * time.Hour)
			a.happens(r)
			_, _, err := r.Collect(t.Context(), secret, "192.0.2.1")
			switch {
			case a.reason == "":
				if err != nil {
					t.Error(err)
				}
			case strings.HasPrefix(a.reason, "recovery-"):
				if failure.ReasonOf(err) != a.reason {
					t.Errorf("it is answered %v", err)
				}
			default:
				if failure.ReasonOf(err) != "recovery-stopped" || r.events("recovery.refused", a.reason) != 1 || r.phase(secret) != Stopped {
					t.Errorf("it is answered %v, and the log does not say %s", err, a.reason)
				}
				if _, _, err := r.Collect(t.Context(), secret, ""); failure.ReasonOf(err) != "recovery-stopped" {
					t.Errorf("a stopped case is answered %v", err)
				}
			}
			if handed := r.events("recovery.collected", ""); (handed == 1) != (a.reason == "") {
				t.Errorf("%d passes were handed over", handed)
			}
		})
	}
}

func (r *rig) pass(name string) (pass string) {
	r.change(func(tx *store.Tx) (err error) {
		pass, _, err = r.enrolled.Passes.IssueTx(r.t.Context(), tx, r.account(name), 0)
		return err
	})
	return pass
}

func join(r *rig, name, group string) {
	r.change(func(tx *store.Tx) error {
		g, err := r.groups.Find(r.t.Context(), tx, group)
		if err != nil {
			return err
		}
		return r.groups.AddMember(r.t.Context(), tx, g, r.account(name))
	})
}

func leave(r *rig, name, group string) {
	r.change(func(tx *store.Tx) error {
		g, err := r.groups.Find(r.t.Context(), tx, group)
		if err != nil {
			return err
		}
		return r.groups.RemoveMember(r.t.Context(), tx, g, r.account(name))
	})
}
