package provision

import (
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/directory"
	"countersign/internal/servertest"
)

// The promise: who may use an application is made there by SCIM, changed, suspended, resumed and
// deleted with their account, with the groups that its settings name; each is looked for by name
// before it is made; and a comparison finds nothing to do afterwards.
func TestProvisions(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		to := newReceiver(t)
		w := servertest.NewWorldOn(t, dsn)
		s := &sender{World: w, clerk: servertest.OfficeOf(w, "chief")[0], to: to}
		s.does(t, "group.create", map[string]any{"name": "sales", "display": "The sales"}, nil)
		s.person(t, "ada", "Ada Lovelace")
		s.set(t, map[string]any{"groups": []string{"sales"}, "share": 100})
		s.does(t, "group.member.add", map[string]any{"group": "sales", "account": "ada"}, nil)
		s.works(t)
		ada, there := to.has(t, "ada")
		if !there || ada.Display != "Ada Lovelace" || ada.Mail != "ada@example.org" || !slices.Equal(ada.Groups, []string{"the-sales"}) || ada.State != directory.Active {
			t.Fatalf("she is %t %+v", there, ada)
		}
		seen := to.front.seen()
		looked := slices.IndexFunc(seen, func(r string) bool { return strings.HasPrefix(r, "GET /scim/v2/Users?filter=userName+eq+%22ada%22") })
		if made := slices.Index(seen, "POST /scim/v2/Users"); looked < 0 || made < 0 {
			t.Errorf("nobody was looked for, or nobody made: %v", seen)
		}
		to.front.forget()
		s.works(t)
		if again := to.front.seen(); len(again) > 0 {
			t.Errorf("nothing is new, and it asks %v", again)
		}

		s.does(t, "account.set-display", map[string]any{"name": "ada", "display": "Countess Lovelace"}, nil)
		s.does(t, "account.rename", map[string]any{"name": "ada", "to": "countess", "reason": "married"}, nil)
		s.does(t, "account.suspend", map[string]any{"name": "countess", "reason": "away"}, nil)
		s.works(t)
		if a, _ := to.has(t, "countess"); a.ID != ada.ID || a.Display != "Countess Lovelace" || a.State != directory.Suspended {
			t.Errorf("changed, she is %+v", a)
		}
		s.does(t, "account.resume", map[string]any{"name": "countess", "reason": "back"}, nil)
		s.does(t, "group.member.remove", map[string]any{"group": "sales", "account": "countess"}, nil)
		s.works(t)
		if a, _ := to.has(t, "countess"); a.State != directory.Active || len(a.Groups) != 0 {
			t.Errorf("resumed, and in no group, she is %+v", a)
		}
		if d := s.drift(t); !d.Whole() || d.People == 0 {
			t.Errorf("nothing differs, and it says %+v", d)
		}
		s.does(t, "account.suspend", map[string]any{"name": "countess", "reason": "leaves"}, nil)
		s.does(t, "account.remove", map[string]any{"name": "countess", "reason": "left"}, nil)
		s.works(t)
		if _, there := to.has(t, "countess"); there {
			t.Error("her account was removed, and she is there")
		}
		told := s.told(t, "provisioning.")
		for _, want := range []string{"provisioning.set", "provisioning.created", "provisioning.changed", "provisioning.deactivated", "provisioning.activated", "provisioning.deleted"} {
			if !slices.ContainsFunc(told, func(e string) bool { return e == want }) {
				t.Errorf("the log has no %s: %v", want, told)
			}
		}
		s.Later(25 * time.Hour)
		s.works(t)
		var n int
		if err := s.DB.QueryRow(t.Context(), `select count(*) from scim_entry where state = 'gone'`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d are remembered who were removed, %v", n, err)
		}
	})
}
