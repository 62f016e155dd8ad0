package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/directory"
	"countersign/internal/recovery"
	"countersign/internal/server"
	"countersign/internal/session"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// vault is a house in which every table has rows, each of which came about as it does
// for people.
type vault struct {
	*house
	*vandal
	t      *testing.T
	how    server.Settings // to open it again
	desk   *clerk
	device *phone
	left   *person // a browser that is signed in as ada
	begun  *person // one in which ada's password was accepted
	waits  string  // the number under which an approval waits
	asks   string  // the number that a browser shows whose carl lost everything
	lost   string  // whose recovery is open
	hand   string  // a code that hands ada's session to another host
}

func newVault(t *testing.T, dsn string) *vault {
	t.Helper()
	gateway := testbed.NewSMSGateway(t, "a-secret-of-the-gateway")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret-of-the-gateway\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var none time.Duration
	s := server.Settings{Folder: t.TempDir(), Database: dsn, Wait: &none, Mails: true,
		SMS: server.GatewayOf(config.SMS{URL: gateway.URL, Format: "json", Fields: map[string]string{"to": "{number}", "message": "{text}"},
			Header: "Authorization", Value: "Bearer {secret}", SecretFile: secret})}
	v := &vault{t: t, how: s, house: &house{world: newWorldFrom(t, s, "http://localhost", nil)}, vandal: newVandal(t, dsn)}
	v.people(gateway)
	v.things()
	v.underWay()
	return v
}

// people are accounts with everything that hangs from them.
func (v *vault) people(gateway *testbed.SMSGateway) {
	v.t.Helper()
	v.ada = v.enrollCodes("ada")
	v.address("ada", "ada@example.org")
	v.root = v.administrator("root")
	v.desk = v.clerk()
	v.equipment()
	for _, name := range []string{"helga", "carl", "gone"} {
		if _, err := v.Setup.Plant(context.Background(), name, ""); err != nil {
			v.t.Fatal(err)
		}
	}
	v.join("helga", directory.Helpdesk)
	v.does("group.create", map[string]any{"name": "staff", "display": "Staff"})
	v.does("group.create", map[string]any{"name": "former", "privileged": true})
	v.does("group.member.add", map[string]any{"group": "staff", "account": "ada"})
	phones := &telephones{v.world, gateway, v.how}
	phones.bob()
	v.device = v.withBell(v.ada)
}

func (v *vault) does(action string, in map[string]any) {
	v.t.Helper()
	if err := v.desk.Do(context.Background(), action, in, nil); err != nil {
		v.t.Fatalf("%s: %v", action, err)
	}
}

// things are what administrators keep.
func (v *vault) things() {
	v.t.Helper()
	v.stock("SN-1")
	v.stock("SN-2")
	v.does("offline.issue", map[string]any{"host": "gate1.example.org", "login": "carl", "codes": 20, "note": "the safe in room 7"})
	v.does("coverage.declare", map[string]any{"row": "T1669", "reason": "no wireless network", "until": v.now().AddDate(0, 2, 0).UTC().Format(time.DateOnly)})
	v.drilled(attack.Held)
}

// drilled records a drill of the VPN.
func (v *vault) drilled(blocked attack.Proof) {
	v.t.Helper()
	at := v.now()
	report, err := coverage.SignDrill(v.Keys, attack.DrillReport{Began: at.Add(-time.Hour), Ended: at, By: "a test", Results: []attack.DrillResult{
		{Row: "T1133", Application: "vpn", Blocked: blocked, Audited: attack.Held, Honest: attack.Held, Control: attack.NotRun, Closed: attack.NotRun, Time: at}}})
	if err != nil {
		v.t.Fatal(err)
	}
	v.does("drill.record", map[string]any{"report": report})
}

// underWay is what has begun and is not over.
func (v *vault) underWay() {
	v.t.Helper()
	v.left = v.visitor("ada", v.ada)
	v.setQuiet("22:00", "07:00")
	v.recovering()
	if err := v.raw.QueryRow("select name from account where id = (select account from recovery)").Scan(&v.lost); err != nil {
		v.t.Fatal(err)
	}
	bob := v.person()
	bob.get("/sign-in")
	bob.post("/sign-in", "name", "bob", "authenticator", "password", "text", passphrase)
	bob.post("/sign-in", "authenticator", "smscode")
	v.later(time.Hour)
	asking := v.person()
	asking.get("/recovery")
	asking.post("/recovery", "name", "carl")
	v.asks = shownNumber.FindStringSubmatch(asking.page)[1]
	if _, err := v.Setup.Plant(context.Background(), "newcomer", ""); err != nil { // the link stays open
		v.t.Fatal(err)
	}
	v.begin(line("root", "a wrong password", ""))
	v.later(time.Minute)
	secret := v.signedIn(v.ada)
	v.later(time.Minute)
	v.left = v.visitor("ada", v.ada)
	var offered bool
	if v.waits, offered = elsewhere(v.begin(display("ada", passphrase))); !offered {
		v.t.Fatal("no approval is offered")
	}
	v.begun = v.atSecondFactor()
	var err error
	if v.hand, err = v.Handovers.Derive(context.Background(), secret, otherHost); err != nil {
		v.t.Fatal(err)
	}
}

// setQuiet sets ada's quiet hours without the page.
func (v *vault) setQuiet(begins, ends string) {
	v.t.Helper()
	p := v.left
	p.get("/account/quiet")
	p.post("/account/quiet", "begins", begins, "ends", ends, "zone", "UTC")
	if strings.Contains(p.page, "Confirm") {
		p.proveAgain(v.ada)
	}
}

// alters runs a change without a command.
func (v *vault) alters(fn func(ctx context.Context, tx *store.Tx) error) {
	v.t.Helper()
	ctx := context.Background()
	err := v.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.changed", Outcome: audit.OK})
	})
	if err != nil {
		v.t.Fatal(err)
	}
}

// again stops the server, does something to the database that it left, and starts it
// anew in the same folder. Where it refuses to start, the database is mended first.
func (v *vault) again(while, mend func()) (starts bool) {
	v.t.Helper()
	skew := v.skew.Load()
	v.stop()
	while()
	if starts = v.starts(time.Duration(skew)); !starts {
		mend()
	}
	v.house = &house{world: newWorldAhead(v.t, time.Duration(skew), v.how, "http://localhost", nil), ada: v.ada, root: v.root}
	return starts
}

// starts reports whether the server starts.
func (v *vault) starts(ahead time.Duration) bool {
	v.t.Helper()
	s := v.how
	s.PublicURL, s.Log = &url.URL{Scheme: "http", Host: "localhost:1"}, slog.New(slog.NewTextHandler(v.t.Output(), nil))
	s.Now = func() time.Time { return time.Now().Add(ahead) }
	in, err := server.Assemble(context.Background(), s)
	if err != nil {
		fmt.Fprintln(v.t.Output(), "it refuses to start:", err)
		return false
	}
	return in.DB.Close() == nil
}

// otherHost is where ada's session is handed to.
var otherHost = session.Handover{Host: "https://wiki.test", Browser: "ada's"}

// decides answers what waits under a number in ada's app.
func (v *vault) decides(decision string) {
	v.t.Helper()
	id, text, refused := v.device.look(v.waits)
	if refused == "" {
		refused = v.device.decide(id, v.waits, text, decision)
	}
	if refused != "" {
		v.t.Fatalf("the app was refused: %s", refused)
	}
}

// opens opens a recovery for the browser that shows a number.
func (v *vault) opens(name, number string) {
	v.t.Helper()
	v.vouches("helga", name, func(tx *store.Tx, helga, lost directory.Account) error {
		_, err := v.Recoveries.Openings.OpenIn(context.Background(), tx, helga, recovery.Opening{Account: lost, Number: number, Check: "in-person", Note: "ticket 2"})
		return err
	})
}

// The vault is worth attacking: every table has rows, but for those of the log that only
// wait for a moment, and alarms.
func TestVaultIsFull(t *testing.T) {
	eachEngine(t, func(t *testing.T, dsn string) {
		v := newVault(t, dsn)
		for _, table := range v.tables() {
			if n := v.number("select count(*) from " + table); n == 0 && table != "alarm" && table != "audit_inbox" && table != "audit_checkpoint" {
				t.Errorf("%s is empty", table)
			}
		}
	})
}

// calm takes note of all alarms and looks again, at rows that are well again, until there is
// none: so that the next alarm shows.
func (v *vault) calm() {
	v.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		v.alters(func(ctx context.Context, tx *store.Tx) error {
			_, err := v.DB.Alarms().See(ctx, tx, v.now())
			return err
		})
		for range 2 { // what was recorded a moment ago may be well only the second time
			if err := v.Inspect(context.Background()); err != nil {
				v.t.Fatal(err)
			}
		}
		alarms, err := v.DB.Alarms().Unseen(context.Background())
		if err != nil {
			v.t.Fatal(err)
		}
		if len(alarms) == 0 {
			return
		}
		if time.Now().After(deadline) {
			v.t.Fatalf("it does not become calm: %v", alarms)
		}
	}
}
