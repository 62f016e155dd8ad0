package signin

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/admin/pass"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// The promise: an invitation that ran out while no mail could be sent is not sent: its link
// would let nobody in, and the log says that it did not go out.
func TestInvitationIsNotSentLate(t *testing.T) {
	o := newOffice(t, "")
	for _, name := range []string{"grace", "heidi"} {
		o.does("account.create", map[string]any{"name": name, "mail": name + "@example.org"}, nil)
	}
	o.does("pass.invite", map[string]any{"account": "grace"}, nil)
	o.does("pass.invite", map[string]any{"account": "heidi", "hours": 48}, nil)
	o.Later(25 * time.Hour)
	sent := strings.Join(o.Post.Collect(), "\n")
	if strings.Contains(sent, "grace@example.org: Set up") || !strings.Contains(sent, "heidi@example.org: Set up") {
		t.Errorf("sent after a day:\n%s", sent)
	}
	if n := o.Events("notice.undelivered"); n != 1 {
		t.Errorf("%d entries say that a mail was not delivered", n)
	}
}

// The promise: whoever makes letters, or sends invitations, while others do the same is
// answered each person once, however often the database asked for the work again: no letter
// with a code that was never kept is printed.
func TestLettersAreAnsweredOnce(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		o := newOffice(t, dsn)
		names := []string{"grace", "heidi", "ivan"}
		for _, name := range names {
			o.does("account.create", map[string]any{"name": name, "mail": name + "@example.org"}, nil)
		}
		var each []func()
		do := func(action string, in map[string]any, check func(answer any, err error)) {
			cmd := servertest.Command(t, action, in)
			g, err := o.Root.Grant(t.Context(), cmd)
			if err != nil {
				t.Fatal(err)
			}
			each = append(each, func() { check(o.Admin.Do(t.Context(), g, cmd)) })
		}
		good := make([]string, 0, len(names)*12) // codes
		var lock sync.Mutex
		for i := range 12 {
			do("pass.letter", map[string]any{"account": "grace", "also": []string{"heidi", "ivan"}, "note": fmt.Sprint(i)}, func(answer any, err error) {
				if err != nil {
					t.Errorf("letters: %v", err)
					return
				}
				lock.Lock()
				defer lock.Unlock()
				var got []string
				for _, l := range answer.(pass.Letters).Letters {
					got, good = append(got, l.Account), append(good, l.Code)
				}
				if !slices.Equal(got, names) {
					t.Errorf("letters for %q, and not for %q", got, names)
				}
			})
			// It has written when it fails, so that those beside it are done again.
			do("pass.uninvite", map[string]any{"account": "grace", "also": []string{"operator"}, "reason": fmt.Sprint(i)}, func(_ any, err error) {
				if failure.ClassOf(err) != failure.NotFound {
					t.Errorf("the invitation of somebody who has none is ended: %v", err)
				}
			})
		}
		var all sync.WaitGroup
		for _, f := range each {
			all.Go(f)
		}
		all.Wait()
		lets := 0
		for _, code := range good {
			if _, ok := o.opens(code); ok {
				lets++
			}
		}
		if lets != len(names) {
			t.Errorf("%d letters let in, and there are %d people", lets, len(names))
		}
	})
}

// letter is the code of a letter to somebody.
func (o *office) letter(name string, hours int) string {
	o.T.Helper()
	var made pass.Letters
	o.does("pass.letter", map[string]any{"account": name, "hours": hours}, &made)
	return made.Letters[0].Code
}

// goesOn reports whether a browser is still where somebody sets up how they sign in.
func goesOn(p *servertest.Person) bool {
	p.Get("/account")
	return strings.Contains(p.Page, "Set up how you sign in")
}

// The promise: an invitation gives five passes and no sixth, each of them in the place of the one
// before; its owner is told of the first; and whoever ends it ends the pass that came of it.
func TestInvitationIsOpenedFiveTimes(t *testing.T) {
	o := newOffice(t, "")
	o.does("account.create", map[string]any{"name": "grace", "mail": "grace@example.org"}, nil)
	code := o.letter("grace", 24)
	var last *servertest.Person
	for i := range 5 {
		p, ok := o.opens(code)
		if !ok || last != nil && goesOn(last) {
			t.Fatalf("opening %d gives no pass in the place of the one before:\n%s", i+1, p.Page)
		}
		last = p
	}
	if _, ok := o.opens(code); ok {
		t.Error("an invitation is opened a sixth time")
	}
	if !goesOn(last) {
		t.Error("the sixth try ends the fifth pass")
	}
	o.is("grace", pass.Opened)
	opened := 0
	for _, mail := range o.Post.Collect() {
		if mail == "grace@example.org: Your invitation was opened" {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("the owner is told %d times that it was opened", opened)
	}
	o.does("pass.uninvite", map[string]any{"account": "grace", "reason": "a test"}, nil)
	if goesOn(last) {
		t.Error("the pass of an invitation that was ended goes on")
	}
}

// The promise: an invitation lets nobody in whose account ended or fell asleep since, however long
// it is good itself.
func TestInvitationOfAnAccountThatIsOut(t *testing.T) {
	o := newOffice(t, "")
	for name, ends := range map[string]string{"ended": "2d", "asleep": ""} {
		o.does("account.create", map[string]any{"name": name, "ends": ends}, nil)
	}
	ended := o.letter("ended", 21*24)
	o.Later(20 * 24 * time.Hour)
	o.does("account.create", map[string]any{"name": "late"}, nil)
	asleep, late := o.letter("asleep", 21*24), o.letter("late", 21*24)
	if _, ok := o.opens(ended); ok {
		t.Error("who has ended is let in")
	}
	o.Later(11 * 24 * time.Hour)
	if _, ok := o.opens(asleep); ok {
		t.Error("who is dormant is let in")
	}
	if p, ok := o.opens(late); !ok {
		t.Errorf("who is neither is not let in:\n%s", p.Page)
	}
}

// The attack: whoever reads the old address, or holds a pass of before, comes in after the address
// was changed or the account suspended. The promise: a pass of before is good no more.
func TestChangedAccountEndsItsPass(t *testing.T) {
	o := newOffice(t, "")
	for action, in := range map[string]map[string]any{"account.set-mail": {"name": "grace", "mail": "other@example.org", "reason": "a test"}, "account.suspend": {"name": "heidi", "reason": "a test"}} {
		name := in["name"].(string)
		o.does("account.create", map[string]any{"name": name, "mail": name + "@example.org"}, nil)
		var issued pass.Pass
		comes := func() bool {
			p := o.Person()
			p.Get("/invited") // which has a form
			p.Post("/welcome", "name", name, "pass", issued.Code)
			return goesOn(p)
		}
		o.does("pass.issue", map[string]any{"account": name}, &issued)
		if !comes() {
			t.Fatalf("a pass of %s is good for nothing", name)
		}
		o.does("pass.issue", map[string]any{"account": name}, &issued)
		o.does(action, in, nil)
		if action == "account.suspend" {
			o.does("account.resume", map[string]any{"name": name, "reason": "a test"}, nil)
		}
		if comes() {
			t.Errorf("after %s a pass of before is good", action)
		}
	}
}

// The promise: a program ends no invitation of somebody privileged.
func TestProgramEndsNoPrivilegedInvitation(t *testing.T) {
	o := newOffice(t, "")
	o.does("account.create", map[string]any{"name": "robot", "kind": "service"}, nil)
	o.does("account.create", map[string]any{"name": "grace"}, nil)
	o.letter("grace", 24)
	key, err := o.Root.Key("pass.uninvite")
	if err != nil {
		t.Fatal(err)
	}
	o.Join("grace", "helpdesk")
	cmd := servertest.Prepared(o.World, "pass.uninvite", map[string]any{"account": "grace"})
	if _, err := o.Admin.Do(t.Context(), servertest.ByKey(o.World, key, cmd).Grant, cmd); failure.ReasonOf(err) != "a-person-must" {
		t.Errorf("a key ends it: %v", err)
	}
	o.is("grace", pass.Invited)
}
