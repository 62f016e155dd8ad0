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
