package signin

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/account"
	"countersign/internal/approval"
	"countersign/internal/failure"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
	"countersign/internal/throttle"
	"countersign/internal/virtualauth"
)

// The promise: an administrator can make the ladder shorter: two requests are left
// unanswered and one push is sent; the owner's other ways in stay open.
func TestLadderIsTightened(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{Limits: throttle.Limits{Unanswered: 2, PushSoon: 1, PushDaily: 2}}, "http://localhost", nil)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	servertest.WithBell(w, ada)
	rings, numbers := 0, 0
	flood := func() {
		for range 4 {
			if _, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase))); offered {
				numbers++
			}
			rings += servertest.Rings(w, nil)
		}
	}
	flood()
	if rings != 1 || numbers != 2 {
		t.Errorf("four at once showed %d numbers and rang %d times, want two and once", numbers, rings)
	}
	for range 5 {
		w.Later(4 * time.Minute)
		flood()
	}
	if numbers != 2 || rings != 1 {
		t.Errorf("a flood showed %d numbers and rang %d times, want two at most", numbers, rings)
	}
	p := w.Person()
	p.Get("/sign-in")
	p.SignIn("ada", ada.Code())
	if !p.Inside() {
		t.Error("a flood keeps the owner from signing in with a code")
	}
}

// The promise: pushes alone can be made fewer, in ten minutes and in a day, while as
// many numbers as ever are shown.
func TestPushesAreTightened(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{Limits: throttle.Limits{PushSoon: 1, PushDaily: 2}}, "http://localhost", nil)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	servertest.WithBell(w, ada)
	for i, c := range []struct {
		after time.Duration
		rings int
	}{{0, 1}, {0, 0}, {11 * time.Minute, 0}} { // the first; a second soon; a third that day
		w.Later(c.after)
		if _, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase))); !offered {
			t.Errorf("request %d shows no number", i+1)
		}
		if n := servertest.Rings(w, nil); n != c.rings {
			t.Errorf("request %d rang %d times, want %d", i+1, n, c.rings)
		}
	}
}

// The ladder cannot be made longer, nor switched off.
func TestLadderOnlyTightens(t *testing.T) {
	for setting, want := range map[string]string{
		"waiting: 3": `there is no setting "waiting"`, "unanswered: 11": "limits.unanswered is 11; it may be 1 to 10",
		"push_soon: 4": "limits.push_soon is 4; it may be 1 to 3", "push_daily: 11": "limits.push_daily is 11; it may be 1 to 10", "push_soon: -1": "limits.push_soon is -1; it may be 1 to 3",
	} {
		path := filepath.Join(t.TempDir(), "countersign.yaml")
		if err := os.WriteFile(path, []byte("limits:\n  "+setting+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := servertest.AsCountersign([]string{"config", "check", path}).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v %s", setting, err, out)
		}
	}
}

// The promise: in the hours that somebody set, nothing wakes their app, and they
// approve all the same; setting them takes a fresh proof of exactly those hours and
// is told to their owner; a flood at night raises its alarm at night.
func TestQuietHours(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		device := servertest.WithBell(w, ada)
		p := w.Person()
		p.Get("/sign-in")
		p.SignIn("ada", ada.Code())
		w.Later(20 * time.Minute) // that proof is not fresh any more
		p.Get("/account")
		p.Sees("Quiet hours")
		p.Get("/account/quiet")
		for _, c := range [][3]string{{"22:00", "22:00", "UTC"}, {"07:00", "20:00", "UTC"}, {"22:00", "07:00", "Middle/Earth"}} {
			p.Post("/account/quiet", "begins", c[0], "ends", c[1], "zone", c[2])
			if p.Status != http.StatusBadRequest {
				t.Errorf("%v is answered %d", c, p.Status)
			}
		}
		now := w.Now().UTC()
		begins, ends := now.Add(-time.Hour).Format("15:04"), now.Add(3*time.Hour).Format("15:04")
		p.Post("/account/quiet", "begins", begins, "ends", ends, "zone", "UTC")
		p.Sees("Set quiet hours: " + begins + " to " + ends + ", UTC")
		p.Post("/account/continue")
		if p.Status == http.StatusOK || w.Events("push.quiet-hours") != 0 {
			t.Errorf("set without a proof: %d", p.Status)
		}
		p.Get("/account/quiet")
		p.Post("/account/quiet", "begins", begins, "ends", ends, "zone", "UTC")
		p.ProveAgain(ada)
		p.Sees("Quiet hours: " + begins + " to " + ends)
		if w.Events("push.quiet-hours") != 1 {
			t.Error("that they were set is not in the log once")
		}

		number, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
		if n := servertest.Rings(w, nil); n != 0 || !offered {
			t.Errorf("in quiet hours it rang %d times; a number is shown: %v", n, offered)
		}
		device.Approve(number)
		for range 2 {
			for range 3 {
				w.Begin(servertest.Display("ada", servertest.Passphrase))
			}
			servertest.Rings(w, nil)
			w.Later(4 * time.Minute)
		}
		if w.Events("alarm.push-flood") != 1 {
			t.Error("a flood at night raises no alarm")
		}
		w.Later(4 * time.Hour) // over, and so is what was left unanswered an hour ago
		number, _ = servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase)))
		device.Approve(number)
		w.Later(time.Minute)
		if w.Begin(servertest.Display("ada", servertest.Passphrase)); servertest.Rings(w, nil) != 1 {
			t.Error("after quiet hours it does not ring")
		}
	})
}

// The promise: an administrator takes away quiet hours that somebody else may have
// set; their owner is told, and what was set for a removed account goes with it.
func TestQuietHoursAreTakenAway(t *testing.T) {
	w := servertest.NewWorld(t)
	ada, desk := w.EnrollCodes("ada"), w.Clerk()
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	w.Address("ada", "ada@example.org")
	p := w.Person()
	p.Comes("ada", ada.Secret)
	p.Get("/account/quiet")
	p.Does("/account/quiet", "begins", "22:00", "ends", "07:00", "zone", "UTC")
	p.Sees("Quiet hours: 22:00 to 07:00")
	var shown account.Detail
	if err := desk.Do(t.Context(), "account.show", map[string]any{"name": "ada"}, &shown); err != nil || shown.Quiet != "22:00 to 07:00, UTC" {
		t.Errorf("shown as %q, %v", shown.Quiet, err)
	}
	w.Later(time.Minute) // so that there is a code that was not used
	root := w.Person()
	root.Comes("operator", desk.Person.Secret)
	root.Get("/console/accounts/ada")
	root.Sees("Quiet hours: 22:00 to 07:00")
	root.Does("/console/accounts/ada/quiet", "reason", "she did not set them")
	root.Sees("Their quiet hours were taken away")
	post := w.PostOffice()
	if got := strings.Join(post.Collect(), ", "); !strings.Contains(got, "ada@example.org: Your quiet hours were taken away") {
		t.Errorf("ada is told %q", got)
	}
	if err := desk.Do(t.Context(), "quiet.clear", map[string]any{"account": "ada", "reason": "again"}, nil); failure.ClassOf(err) != failure.Conflict {
		t.Errorf("none are taken away with %v", err)
	}
	p.Does("/account/quiet", "begins", "22:00", "ends", "07:00", "zone", "UTC")
	if err := desk.Do(t.Context(), "account.remove", map[string]any{"name": "ada"}, nil); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := w.DB.QueryRow(t.Context(), `select count(*) from quiet`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
}

// The promise: an administrator's quiet hours are everybody's until they say
// otherwise, hold an attacker's flood back like their own, and keep no owner from a
// passkey.
func TestQuietHoursOfEverybody(t *testing.T) {
	everybody, err := approval.ReadQuietHours("00:00", "12:00", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	w := servertest.NewWorldFrom(t, server.Settings{Quiet: everybody}, "http://localhost", nil)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	device := servertest.WithPhone(w, ada)
	now := w.Now().UTC()
	w.Later(now.Truncate(24 * time.Hour).Add(25 * time.Hour).Sub(now)) // one in the morning
	if r := device.Subscribe("https://push.example.net/x", device.Point(), make([]byte, 16)); r != "" {
		t.Fatal(r)
	}
	for range 2 {
		if _, offered := servertest.Elsewhere(w.Begin(servertest.Display("ada", servertest.Passphrase))); !offered {
			t.Error("in everybody's quiet hours no number is shown, which tells an attacker of them")
		}
	}
	if n := servertest.Rings(w, nil); n != 0 {
		t.Errorf("in everybody's quiet hours it rang %d times", n)
	}
	p := w.Person()
	p.Get("/sign-in")
	p.SignIn("ada", ada.Code())
	key := &virtualauth.Key{}
	p.AddPasskey(key)
	w.Later(time.Minute)
	owner := w.Person()
	owner.Get("/sign-in")
	owner.UsePasskey(key)
	if !owner.Inside() {
		t.Error("quiet hours keep the owner from signing in with a passkey")
	}
	p.Get("/account/quiet")
	p.Sees("Have none")
	p.Post("/account/quiet", "none", "yes")
	p.Sees("Quiet hours: none.")
	w.Later(time.Hour)
	if w.Begin(servertest.Display("ada", servertest.Passphrase)); servertest.Rings(w, nil) != 1 {
		t.Error("it does not ring for somebody who said none")
	}
}

// Quiet hours that are not read refuse to start, with how to mend them.
func TestQuietHoursAreRead(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{begins: 07:00, ends: 20:00, zone: UTC}", "push.quiet_hours: Quiet hours can be twelve hours a day at most."},
		{"{begins: 22:00, ends: 07:00}", "push.quiet_hours: Write a time zone such as Europe/Berlin"},
		{"{begins: ten, ends: 07:00, zone: UTC}", "push.quiet_hours: Write a time of day such as 22:00."},
	} {
		path := filepath.Join(t.TempDir(), "countersign.yaml")
		if err := os.WriteFile(path, []byte("push:\n  quiet_hours: "+c.text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := servertest.AsCountersign([]string{"config", "check", path}).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v %s", c.text, err, out)
		}
	}
}
