package drill

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/authenticator/slowhash"
	"countersign/internal/directory"
	"countersign/internal/drill"
	"countersign/internal/drill/web"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
	"countersign/internal/throttle"
)

var _ drill.Bed = (*servertest.Bed)(nil)

// The promise of the product: every row that has a drill is attacked with real
// components and holds, with all five proofs.
func TestDrill(t *testing.T) {
	t.Parallel() // it waits most of the time
	b := servertest.NewBed(t, throttle.Limits{})
	results, err := drill.Run(t.Context(), drill.Plan{Stage: b.Stage, Admin: b.Admin, Bed: b, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	played, shown, byMutants := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range results {
		if r.Skipped != "" {
			continue
		}
		played[r.Row], byMutants[r.Row] = true, r.Control.Detail == "shown by the table of mutants"
		for _, p := range r.Proofs() {
			t.Logf("%-10s %-12s %-12s %-7s %s", r.Row, r.Application, p.Name, p.State, p.Detail)
			// What cannot be tried at one application is tried at another.
			if shown[r.Row+p.Name] = shown[r.Row+p.Name] || p.State == drill.Passed; p.State == drill.Failed {
				t.Errorf("%s at %s: %s %s: %s", r.Row, r.Application, p.Name, p.State, p.Detail)
			}
		}
		for _, d := range r.Tries {
			t.Logf("%-10s   %s, %s: open %t %s%s", r.Row, d.Component, d.Name, d.Open, d.Answer, d.Detail)
			if d.Answer == "" && d.Error == "" && (r.Application == web.Self || d.Detail == "") {
				t.Errorf("%s: %s at %s does not say what came back", r.Row, d.Name, d.Component)
			}
		}
	}
	for row := range played {
		for _, p := range (drill.Result{}).Proofs() {
			// The owner of T1078.003 is among those who try, and where no setting takes a
			// guard out alone the mutants do.
			if !shown[row+p.Name] && (row != "T1078.003" || p.Name != "honest") && (p.Name != "control" || !byMutants[row]) {
				t.Errorf("%s: %s was tried nowhere", row, p.Name)
			}
		}
	}
	want := 19
	if b.Host == nil {
		want = 18
	}
	if len(played) < want {
		t.Errorf("only %d of %d rows were drilled", len(played), want)
	}
}

// A drill that cannot fail shows nothing: where the guard is out, each row of a
// deployment says so.
func TestDrillFails(t *testing.T) {
	b := &servertest.Bed{T: t, Naked: servertest.NewWorld(t)}
	b.Naive = b.Naked.Clerk()
	b.Open = b.StageOf(b.Naked, b.Naked.Radius)
	b.Naked.SetPolicy(servertest.OneFactor)
	rows := []string{"T1040", "T1078", "T1110", "T1110.001", "T1110.002", "T1110.003", "T1110.004", "T1133", "T1213"}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: b.Open, Admin: b.Naive, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	fell := map[string]bool{}
	for _, r := range results {
		fell[r.Row] = fell[r.Row] || r.Blocked.State == drill.Failed && !r.Passed()
		if r.Control.State != drill.NotTried || r.Closed.State != drill.NotTried {
			t.Errorf("%s claims proofs that a deployment cannot give", r.Row)
		}
	}
	for _, row := range rows {
		if !fell[row] {
			t.Errorf("%s is said to hold without its guard", row)
		}
	}
}

// The same for the rows whose guard no policy takes out: each without its own.
func TestDrillFailsWithoutItsOwnGuard(t *testing.T) {
	t.Parallel()
	failed := func(t *testing.T, p drill.Plan) {
		t.Helper()
		results, err := drill.Run(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		fell := map[string]bool{}
		for _, r := range results {
			t.Logf("%s at %s: %s", r.Row, r.Application, r.Blocked.Detail)
			fell[r.Row] = fell[r.Row] || r.Blocked.State == drill.Failed && !r.Passed() && strings.HasPrefix(r.Blocked.Detail, "got through: ")
		}
		for _, row := range p.Rows {
			if !fell[row] {
				t.Errorf("%s is said to hold without its guard", row)
			}
		}
	}
	t.Run("administration asks for nothing fresh, accounts never sleep, a host asks for no code", func(t *testing.T) {
		b := servertest.NewBed(t, throttle.Limits{Dormant: 365 * 24 * time.Hour})
		b.Guarded.SetPolicy(servertest.OneFactor)
		rows := []string{"T1098", "T1556.006", "T1621"}
		if b.Host != nil {
			b.Host.Stack(servertest.Unguarded(servertest.DocumentedStack(t)))
			rows = append(rows, "T1078.003")
		}
		failed(t, drill.Plan{Stage: b.Stage, Admin: b.Admin, Bed: b, Rows: rows})
	})
	deployment := func(t *testing.T) (*servertest.World, drill.Stage, *servertest.Clerk) {
		w := servertest.NewWorld(t)
		admin := w.Clerk()
		return w, (&servertest.Bed{T: t}).StageOf(w, w.Radius), admin
	}
	t.Run("everybody administers, nobody is suspended", func(t *testing.T) {
		_, stage, admin := deployment(t)
		failed(t, drill.Plan{Stage: stage, Admin: careless{admin}, Rows: []string{"T1098.005", "T1136"}})
	})
	t.Run("one factor, and an account that came with its password", func(t *testing.T) {
		w, stage, admin := deployment(t)
		w.SetPolicy(servertest.OneFactor)
		plantPassword(w, "admin", "admin")
		failed(t, drill.Plan{Stage: stage, Admin: admin, Rows: []string{"T1078.001"}})
	})
}

// plantPassword makes an account with a password that nobody may choose.
func plantPassword(w *servertest.World, name, password string) {
	w.T.Helper()
	salt, params := slowhash.NewSalt(), slowhash.Default()
	hash := slowhash.Hash{Params: params, Salt: salt, Result: params.Sum([]byte(password), salt)}
	state := fmt.Sprintf(`{"v":1,"phc":%q}`, hash)
	err := w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Accounts.Create(context.Background(), tx, directory.NewAccount{Name: name})
		if err != nil {
			return err
		}
		if _, err := w.Credentials.Add(context.Background(), tx, directory.Credential{Account: a.ID, Kind: "password", Label: "Password", Traits: assurance.Known, State: []byte(state)}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.password", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// careless is an administrator who makes everybody one, and suspends nobody.
type careless struct{ *servertest.Clerk }

func (c careless) Do(ctx context.Context, action string, in, out any) error {
	if action == "account.suspend" {
		return nil
	}
	if err := c.Clerk.Do(ctx, action, in, out); err != nil || action != "account.create" {
		return err
	}
	name := in.(map[string]any)["name"].(string)
	return c.Clerk.Do(ctx, "group.member.add", map[string]string{"group": "administrators", "account": name}, nil)
}

// The promise: an administrator drills the running installation from the command
// line; the report is signed, handed in, and coverage knows of it.
func TestDrillCommand(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	host := servertest.BehindNginx(w, testbed.NewPage(t))
	if err := w.PlantApplications(t.Context(), host, servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	sh, browser := w.Shell(), w.Person()
	sh.Login(browser, "ada", ada.Code())
	made := w.Events("account.created")
	// The folder of another installation is found before anything is attacked, and so is an
	// application that does not answer.
	other := servertest.NewWorld(t)
	for says, args := range map[string][]string{
		"another installation": {"--data", other.Folder, "--page", "http://" + host + "/notes", "--radius", w.Radius},
		"does not answer":      {"--data", w.Folder, "--page", "http://" + host + "/notes", "--resolve", host + "=127.0.0.1:9", "--radius", w.Radius},
		"no application has":   {"--data", w.Folder, "--page", "http://elsewhere.example/", "--radius", w.Radius},
	} {
		if out, complaint, ok := sh.Run("", append([]string{"drill", "run"}, args...)...); ok || !strings.Contains(complaint, says) {
			t.Errorf("%s: %s%s", says, out, complaint)
		}
	}
	if n := w.Events("account.created"); n != made {
		t.Errorf("%d canaries were made before it was found", n-made)
	}
	report := filepath.Join(t.TempDir(), "report")
	out, complaint, ok := sh.Run("", "drill", "run", "--data", w.Folder, "--page", "http://"+host+"/notes", "--radius", w.Radius,
		"--row", "T1078", "--row", "T1133", "--row", "T1213", "--row", "T1621", "--out", report)
	if !ok || strings.Count(out, "yes") != 15 || !strings.Contains(out, "Open, because") {
		t.Fatalf("%s%s", out, complaint)
	}
	if w.Events("drill.recorded") != 1 {
		t.Error("the report was not handed in")
	}
	if out, complaint, ok := sh.Run("", "drill", "record", report); ok {
		t.Errorf("a report counts twice: %s%s", out, complaint)
	}
	out, complaint, ok = sh.Run("", "coverage", "show", "T1213")
	if !ok || !strings.Contains(out, "proven") || !strings.Contains(out, "Drill passed") {
		t.Errorf("%s%s", out, complaint)
	}
	out, _, _ = sh.Run("", "account", "list", "canary")
	if strings.Contains(out, "canary") {
		t.Errorf("canaries are left over:\n%s", out)
	}
	if e := servertest.LatestOf(w, "account.created"); e.Detail["ends"] == "" {
		t.Errorf("a canary does not end by itself: %v", e.Detail)
	}
	if w.Events("account.removed") < 3 {
		t.Error("the removals are not in the log")
	}
}
