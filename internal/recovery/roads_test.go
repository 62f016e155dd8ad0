package recovery

import (
	"fmt"
	"os"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// A journey is one way back from its beginning to its end: the state of what somebody
// knows and holds, who makes sure who they are, on what, and who stops it when.
type journey struct {
	known, held state
	way, opener string // opener is a role; the way by codes has none
	stopped     string // when; "" is never
	by          string // who stops it
}

func (j journey) String() string {
	return fmt.Sprintf("known %s, held %s: %s by %s, stopped %q by %q", j.known.name, j.held.name, j.way, j.opener, j.stopped, j.by)
}

const (
	lostDevice = "lost the device"
	lostAll    = "lost all"
	ownCodes   = "own codes"
)

// plans are all ways back with all their ends.
func plans() (out []journey) {
	for _, begun := range [][2]string{{lostDevice, "helper"}, {lostDevice, "administrator"}, {lostAll, "helper"}, {lostAll, "administrator"}, {ownCodes, "owner"}} {
		out = append(out, journey{way: begun[0], opener: begun[1]})
		for _, when := range []string{"opened", "due", "collected"} {
			for _, by := range []string{"link", "owner", "help desk"} {
				out = append(out, journey{way: begun[0], opener: begun[1], stopped: when, by: by})
			}
		}
	}
	return out
}

// The oracle, from the promise "nobody replaces both factors alone, and what was switched
// off still counts as had": one person's word stands in for what is held where what is
// known can be asked for, and then that is asked for; in every other state it takes a
// second person, or two codes of the owner's own.
func (j journey) second() bool { return j.way == lostAll || j.way == lostDevice && !j.known.askable }

// alone is the same promise for what is left after a stop: a pass that one person issues
// is enough by itself only where there never were two factors, or their owner gave them
// up. What the stopped case had revoked counts as had.
func (j journey) alone() bool {
	two := j.known.mine && j.held.mine || j.way == ownCodes && j.known.mine // saved codes are held
	if replaced := j.way == ownCodes || j.second(); j.stopped == "collected" && replaced {
		return !two
	}
	return !two && !j.known.standing
}

// The promise, for every state of what is known and held, every way back, whoever begins
// it, confirms it, collects it and stops it, in its own browser or another: nobody gets
// further than the oracle says, and a case that was ended stays ended. Whatever is refused
// changes nothing, so that each journey tries on its way everybody who may not: owner,
// helpers, whoever opened it, a service that administers, a stranger, another browser,
// another number, another link. Each state goes a few of the journeys, one after the
// other, so that all are gone; with EVERY=1 in the environment each goes all.
func TestEveryWayBack(t *testing.T) {
	storetest.Long(t, "goes every way back in every state")
	r := setUp(t)
	r.person("mallory", "password")
	_, g := r.enters("mallory", "password")
	r.change(func(tx *store.Tx) error {
		_, err := r.people.Create(t.Context(), tx, directory.NewAccount{Name: "robot", Kind: directory.Service})
		return err
	})
	join(r, "robot", directory.Administrators)
	all, gone, n := plans(), map[int]bool{}, 0
	each := 3
	if os.Getenv("EVERY") != "" {
		each = len(all)
	}
	for _, known := range states {
		for _, held := range states {
			for range each {
				j := all[n%len(all)]
				j.known, j.held = known, held
				gone[n%len(all)] = true
				goOn(r, j, named("bob", n), n, g)
				if n++; n%90 == 0 {
					r.later(25 * time.Hour) // more than fifty of one person in a day is no help desk
				}
			}
		}
	}
	if len(gone) != len(all) {
		t.Errorf("%d of %d journeys were gone", len(gone), len(all))
	}
}

// goOn is one journey.
func goOn(r *rig, j journey, name string, n int, mallory signin.Grant) {
	t, ctx := r.t, r.t.Context()
	wrong := func(format string, args ...any) { t.Helper(); t.Errorf("%s: %s", j, fmt.Sprintf(format, args...)) }
	r.change(func(tx *store.Tx) error {
		a, err := r.people.Create(ctx, tx, directory.NewAccount{Name: name, Mail: name + "@example.org"})
		if err != nil {
			return err
		}
		for kind, s := range map[string]state{"password": j.known, "totp": j.held} {
			if s.set != nil {
				if err := r.addIn(tx, a, kind, func(c *directory.Credential) { s.set(r, c) }); err != nil {
					return err
				}
			}
		}
		if j.way != ownCodes {
			return nil
		}
		if err := r.addIn(tx, a, "recoverycode", nil); err != nil {
			return err
		}
		return r.addIn(tx, a, "mailcode", nil)
	})
	before := r.now
	defer func() { r.now = before.Add(time.Second) }()
	r.later(time.Second)
	helper := [][2]string{{"helga", "hugo"}, {"hugo", "helga"}}[n%2]
	administrator := [][2]string{{"root", "rita"}, {"rita", "root"}}[n/2%2]
	opener, sure := helper[0], administrator[0]
	if j.opener == "administrator" {
		opener, sure = administrator[0], administrator[1]
	}
	secret, number := r.asks(name)
	other, _ := r.asks(name)
	for _, by := range []string{name, "robot", "mallory"} {
		if Vouches(r.account(by), r.account(name)) == nil {
			wrong("%s may begin it", by)
		}
	}
	if j.way == ownCodes {
		theirs, why := grantByCodes(r, name, secret)
		if why != "" {
			wrong("two codes are answered %s", why)
			return
		}
		if _, err := r.OpenByCodes(ctx, theirs, other); err == nil {
			wrong("the codes open a case of another browser")
		}
		if _, err := r.OpenByCodes(ctx, theirs, secret); err != nil {
			wrong("%v", err)
			return
		}
		opener = name
	} else if _, err := r.tryOpen(opener, name, Opening{Number: number, Check: "video", Note: "ticket", Forgotten: j.way == lostAll}); err != nil {
		wrong("%v", err)
		return
	}
	_, body := r.mails()
	link := stopCode.FindStringSubmatch(body)[1]
	if got := r.word(secret).All; got != (j.second() || j.way == ownCodes) {
		wrong("it replaces all: %t", got)
	}

	// Who may stop nothing stops nothing.
	if _, err := r.StopByNotice(ctx, link+"x", ""); err == nil {
		wrong("a link that nobody was sent stops it")
	}
	if _, err := r.StopOwn(ctx, mallory); failure.ClassOf(err) != failure.NotFound {
		wrong("a stranger stops it: %v", err)
	}
	if j.stopped == "opened" {
		stopBy(r, j, name, link, secret, "", wrong)
		return
	}
	// Who may confirm nothing confirms nothing, and early is for nobody.
	for _, by := range []string{name, opener, helper[0], helper[1], "robot", "mallory"} {
		if err := r.tryConfirm(by, name, r.word(secret)); err == nil {
			wrong("%s confirms it", by)
		}
	}
	word := r.word(secret)
	word.Number = fmt.Sprintf("%06d", n) // of no browser
	if word.Number != r.word(secret).Number {
		if err := r.tryConfirm(sure, name, word); err == nil {
			wrong("a number of no browser confirms it")
		}
	}
	collects := func(secret, want string) (pass string) {
		t.Helper()
		_, pass, err := r.Collect(ctx, secret, "192.0.2.7")
		if got := reason(err); got != want {
			wrong("its pass is answered %q, want %q", got, want)
		}
		return pass
	}
	early := map[bool]string{true: "recovery-unsure", false: "recovery-waiting"}[j.second()]
	collects(secret, early)
	r.later(WaitDefault)
	collects(other, "unknown-recovery")
	if j.second() {
		collects(secret, "recovery-unsure")
		if err := r.tryConfirm(sure, name, r.word(secret)); err != nil {
			wrong("the second person is answered %v", err)
			return
		}
	}
	if j.stopped == "due" {
		stopBy(r, j, name, link, secret, "", wrong)
		return
	}
	pass := collects(secret, "")
	if j.stopped == "collected" {
		r.later(time.Second)
		stopBy(r, j, name, link, secret, pass, wrong)
		return
	}
	collects(other, "unknown-recovery")
	enough := j.second() || j.way == ownCodes
	if got := r.lets(name, pass); got != enough {
		wrong("its pass alone lets in: %t", got)
	}
	if !enough {
		r.later(time.Second)
		if pass = collects(secret, ""); !r.lets(name, pass, "password") {
			wrong("its pass and what is known do not let in")
		}
	}
	if isHeld(r, name) {
		wrong("what was lost is still good")
	}
}

// stopBy ends a case and sees that it is an end: for its browser, its pass, a second
// person, a second stop, and for the next who issues a pass alone.
func stopBy(r *rig, j journey, name, link, secret, pass string, wrong func(string, ...any)) {
	ctx := r.t.Context()
	word := r.word(secret)
	stop := func() (Undone, error) {
		switch {
		case j.by == "link":
			return r.StopByNotice(ctx, link, "")
		case j.by == "owner" && j.known.askable && r.all(name)["password"].Status == directory.CredentialActive:
			_, g := r.enters(name, "password")
			return r.StopOwn(ctx, g)
		}
		var out Undone
		err := r.try(func(tx *store.Tx) (err error) { out, err = r.StopTx(ctx, tx, r.account(name).ID); return err })
		if err == nil && out.Cases == 0 {
			err = isOver
		}
		return out, err
	}
	if out, err := stop(); err != nil || out.Cases != 1 || (out.Collected == 1) != (pass != "") {
		wrong("the stop is answered %+v, %v", out, err)
	}
	if _, err := stop(); err == nil {
		wrong("it is stopped twice")
	}
	if pass != "" && (r.lets(name, pass) || r.lets(name, pass, "password")) {
		wrong("its pass lets in after the stop")
	}
	for range 2 {
		if _, _, err := r.Collect(ctx, secret, ""); reason(err) != "recovery-stopped" {
			wrong("its browser is answered %v", err)
		}
		for _, by := range []string{"root", "rita"} {
			if err := r.tryConfirm(by, name, word); err == nil {
				wrong("%s confirms what was stopped", by)
			}
		}
		r.later(WaitDefault)
	}
	r.change(func(tx *store.Tx) (err error) {
		pass, _, err = r.enrolled.Passes.IssueTx(ctx, tx, r.account(name), time.Hour)
		return err
	})
	if got := r.lets(name, pass); got != j.alone() {
		wrong("one person's pass alone lets in afterwards: %t", got)
	}
}

// oneFactorSetsUp lets anybody enroll, as far as a policy goes.
const oneFactorSetsUp = `rules:
  - {name: all, require: one-factor}
`

// The promise, for every state and without anybody's word: setting up another way to sign
// in takes both factors of who has two, and who has lost one of them to anybody gets no
// other by the one that is left; with policy as lenient as it can be. A password in
// quarantine counts here, so that its owner can act on the day of a new one: it adds
// nothing to what whoever made it could show. A device in quarantine does not.
func TestEveryStateByEnrollment(t *testing.T) {
	r := setUp(t)
	r.change(func(tx *store.Tx) error {
		_, err := r.rules.Save(t.Context(), tx, oneFactorSetsUp, "test")
		return err
	})
	n := 0
	for _, known := range states {
		for _, held := range states {
			name := named("bob", n)
			n++
			r.person(name)
			for kind, s := range map[string]state{"password": known, "totp": held} {
				if s.set != nil {
					r.add(name, kind, func(c *directory.Credential) { s.set(r, c) })
				}
			}
			r.later(time.Second)
			for _, shown := range [][]string{nil, {"password"}, {"totp"}, {"password", "totp"}} {
				req := signin.Request{Application: signin.Self, Action: "authenticator.enroll", Object: "passkey", Name: name, Protocol: "test", Medium: prompt.Line | prompt.Browser}
				for _, kind := range shown {
					req.Opening = append(req.Opening, prompt.Answer{Authenticator: kind, Text: "yes"})
				}
				step, err := r.engine.Begin(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if want := len(shown) == 2 && held.askable && (known.askable || known.name == "in quarantine"); (step.State == signin.Granted) != want {
					t.Errorf("known %s, held %s: enrolling with %v is %s %s", known.name, held.name, shown, step.State, step.Reason)
				}
			}
		}
	}
}
