package servertest

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/attack"
	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/directory"
	"countersign/internal/metadata"
	"countersign/internal/oauth"
	"countersign/internal/participant"
	"countersign/internal/partner"
	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/session"
	"countersign/internal/signal"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
	"countersign/internal/upstream"
)

// Vault is a house in which every table has rows, each of which came about as it does
// for people.
type Vault struct {
	*House
	*Vandal
	T      *testing.T
	how    server.Settings // to open it again
	desk   *Clerk
	Device *Phone
	Left   *Person      // a browser that is signed in as ada
	Begun  *Person      // one in which ada's password was accepted
	Waits  string       // the number under which an approval waits
	Asks   string       // the number that a browser shows whose carl lost everything
	Lost   string       // whose recovery is open
	Hand   string       // a code that hands ada's session to another host
	Given  *oauth.Given // what an application was given of ada
}

func NewVault(t *testing.T, dsn string) *Vault {
	t.Helper()
	gateway := testbed.NewSMSGateway(t, "a-secret-of-the-gateway")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret-of-the-gateway\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var none time.Duration
	s := server.Settings{Folder: t.TempDir(), Database: dsn, Wait: &none, Mails: true,
		Events: []config.Destination{{Name: "siem", Kind: "lines", File: filepath.Join(t.TempDir(), "audit.jsonl")}},
		SMS: server.GatewayOf(config.SMS{URL: gateway.URL, Format: "json", Fields: map[string]string{"to": "{number}", "message": "{text}"},
			Header: "Authorization", Value: "Bearer {secret}", SecretFile: secret})}
	v := &Vault{T: t, how: s, House: &House{World: NewWorldFrom(t, s, "http://localhost", nil)}, Vandal: newVandal(t, dsn)}
	v.people(gateway)
	v.things()
	v.underWay()
	return v
}

// people are accounts with everything that hangs from them.
func (v *Vault) people(gateway *testbed.SMSGateway) {
	v.T.Helper()
	v.Ada = v.EnrollCodes("ada")
	v.Address("ada", "ada@example.org")
	v.Root = v.Administrator("root")
	v.desk = v.Clerk()
	v.Equipment()
	for _, name := range []string{"helga", "carl", "gone"} {
		if _, err := v.Setup.Plant(context.Background(), name, ""); err != nil {
			v.T.Fatal(err)
		}
	}
	v.Join("helga", directory.Helpdesk)
	v.Does("group.create", map[string]any{"name": "staff", "display": "Staff"})
	v.Does("group.create", map[string]any{"name": "former", "privileged": true})
	v.Does("group.member.add", map[string]any{"group": "staff", "account": "ada"})
	phones := &Telephones{v.World, gateway, v.how}
	phones.Bob()
	v.Device = WithBell(v.House.World, v.Ada)
}

func (v *Vault) Does(action string, in map[string]any) {
	v.T.Helper()
	if err := v.desk.Do(context.Background(), action, in, nil); err != nil {
		v.T.Fatalf("%s: %v", action, err)
	}
}

// things are what administrators keep.
func (v *Vault) things() {
	v.T.Helper()
	Stock(v.House.World, "SN-1")
	Stock(v.House.World, "SN-2")
	v.Does("offline.issue", map[string]any{"host": "gate1.example.org", "login": "carl", "codes": 20, "note": "the safe in room 7"})
	v.Does("coverage.declare", map[string]any{"row": "T1669", "reason": "no wireless network", "until": v.Now().AddDate(0, 2, 0).UTC().Format(time.DateOnly)})
	v.Drilled(attack.Held)
	v.Does("checklist.put-away", nil)
	v.provisioned()
	v.signals()
}

// signals is a stream to another system that has begun.
func (v *Vault) signals() {
	v.T.Helper()
	v.Does("stream.create", map[string]any{"name": "elsewhere", "settings": map[string]any{"audience": []string{"elsewhere"}, "delivery": "poll"}})
	all, err := v.Signals.Streams.All(context.Background())
	if err == nil && len(all) == 1 {
		_, err = v.Signals.Transmitter.Poll(context.Background(), all[0], signal.Asked{Most: 1})
	}
	if err != nil || len(all) != 1 {
		v.T.Fatal(len(all), err)
	}
}

// provisioned is what a provisioning client knows somebody by.
func (v *Vault) provisioned() {
	v.T.Helper()
	ctx := context.Background()
	v.Does("account.create", map[string]any{"name": "provisioner", "kind": "service"})
	err := v.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		client, err := v.Accounts.Find(ctx, tx, "provisioner")
		if err != nil {
			return err
		}
		ada, err := v.Accounts.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		if _, err := v.Externals.Set(ctx, tx, directory.External{Client: client.ID, Kind: directory.ExternalUser, Subject: int64(ada.ID)}, "00u1"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.provisioned", Outcome: audit.OK, Account: int64(ada.ID)})
	})
	if err != nil {
		v.T.Fatal(err)
	}
	v.provisions()
}

// provisions has people made in an application, which takes everybody and tells nothing of them.
func (v *Vault) provisions() {
	v.T.Helper()
	var made atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id":"n%d"}`, made.Add(1))
		case strings.HasSuffix(r.URL.Path, "/Users"):
			fmt.Fprint(w, `{"totalResults":0}`)
		default:
			http.NotFound(w, r)
		}
	}))
	v.T.Cleanup(app.Close)
	v.Does("provisioning.set", map[string]any{"application": "vpn", "settings": map[string]any{"address": app.URL, "token": "a-token-of-the-vpn", "inside": []string{"127.0.0.1"}}})
	if err := v.Provision.Worker.Step(context.Background()); err != nil {
		v.T.Fatal(err)
	}
}

// Drilled records a drill of the VPN.
func (v *Vault) Drilled(blocked attack.Proof) {
	v.T.Helper()
	at := v.Now()
	report, err := coverage.SignDrill(v.Keys, attack.DrillReport{Began: at.Add(-time.Hour), Ended: at, By: "a test", Results: []attack.DrillResult{
		{Row: "T1133", Application: "vpn", Blocked: blocked, Audited: attack.Held, Honest: attack.Held, Control: attack.NotRun, Closed: attack.NotRun, Time: at}}})
	if err != nil {
		v.T.Fatal(err)
	}
	v.Does("drill.record", map[string]any{"report": report})
}

// underWay is what has begun and is not over.
func (v *Vault) underWay() {
	v.T.Helper()
	v.Left = v.Visitor("ada", v.Ada)
	v.setQuiet("22:00", "07:00")
	v.Recovering()
	if err := v.Raw.QueryRow("select name from account where id = (select account from recovery)").Scan(&v.Lost); err != nil {
		v.T.Fatal(err)
	}
	bob := v.Person()
	bob.Get("/sign-in")
	bob.Post("/sign-in", "name", "bob", "authenticator", "password", "text", Passphrase)
	bob.Post("/sign-in", "authenticator", "smscode")
	v.Later(time.Hour)
	asking := v.Person()
	asking.Get("/recovery")
	asking.Post("/recovery", "name", "carl")
	v.Asks = shownNumber.FindStringSubmatch(asking.Page)[1]
	if _, err := v.Setup.Plant(context.Background(), "newcomer", ""); err != nil { // the link stays open
		v.T.Fatal(err)
	}
	v.Begin(Line("root", "a wrong password", ""))
	v.Later(time.Minute)
	secret := v.SignedIn(v.Ada)
	v.told(secret)
	v.Later(time.Minute)
	v.Left = v.Visitor("ada", v.Ada)
	var offered bool
	if v.Waits, offered = Elsewhere(v.Begin(Display("ada", Passphrase))); !offered {
		v.T.Fatal("no approval is offered")
	}
	v.Begun = v.AtSecondFactor()
	var err error
	if v.Hand, err = v.Handovers.Derive(context.Background(), secret, OtherHost); err != nil {
		v.T.Fatal(err)
	}
	v.clients(secret)
	v.counted()
}

// told is an application that was told of a session, and the key that signs what it is told.
func (v *Vault) told(secret string) {
	v.T.Helper()
	ctx := context.Background()
	step := v.Check(secret, signin.SignIn, "")
	if step.State != signin.Granted {
		v.T.Fatalf("the session is not enough: %q", step.Reason)
	}
	v.ReadsMetadata()
	err := v.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		if _, err := v.Upstreams.SetTx(ctx, tx, upstream.Upstream{Name: "partner", Settings: upstream.Settings{Title: "Partner", Protocol: upstream.OpenID, Issuer: "https://partner.example"}}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "upstream.set", Outcome: audit.OK, Detail: map[string]string{"upstream": "partner"}})
	})
	if err != nil {
		v.T.Fatal(err)
	}
	v.delegated()
	if _, err := v.Participants.Join(ctx, step.Grant, participant.Joining{Name: "n4m3", Lasts: 100 * 24 * time.Hour}); err != nil {
		v.T.Fatal(err)
	}
}

// ReadsMetadata reads the metadata of a SAML party: our own, which the key signs that is in use.
func (v *Vault) ReadsMetadata() {
	v.T.Helper()
	set, err := v.CertKeys.Of(context.Background(), "saml")
	if err != nil {
		v.T.Fatal(err)
	}
	at := v.Base + "/saml/metadata"
	from := metadata.Source{Party: "upstream/partner", Entity: at, URL: at, Pins: []string{base64.StdEncoding.EncodeToString(set.Now.Certificate)}, Inside: []string{"localhost"}}
	if _, err := v.Metadata.Refresh(context.Background(), from); err != nil {
		v.T.Fatal(err)
	}
}

// clients are what applications were given of ada, of which one has used its code.
func (v *Vault) clients(session string) {
	v.T.Helper()
	ctx := context.Background()
	step, err := v.Engine.Check(ctx, signin.Request{Application: "vpn", Session: session, Source: netip.MustParseAddr("127.0.0.1"), Protocol: "oidc", Medium: prompt.Browser})
	if err != nil || step.State != signin.Granted {
		v.T.Fatalf("%v %s, %v", step.State, step.Reason, err)
	}
	code, err := v.Grants.Begin(ctx, step.Grant, oauth.Spec{Redirect: "https://vpn.example.org/back", Scopes: []string{"openid"}, Subject: "n4m3", Listens: true})
	if err != nil {
		v.T.Fatal(err)
	}
	if v.Given, err = v.Grants.ByCode(ctx, "vpn", code); err != nil {
		v.T.Fatal(err)
	}
	if _, err := v.Grants.UseOnce(ctx, "assertion", "vpn", "a-name", v.Now().Add(time.Minute)); err != nil {
		v.T.Fatal(err)
	}
	if _, err := v.Signing.Published(ctx); err != nil {
		v.T.Fatal(err)
	}
}

// counted is what the overview counts of the log, an alarm among it.
func (v *Vault) counted() {
	v.T.Helper()
	ctx := context.Background()
	err := v.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		return tx.Record(audit.Entry{Event: "alarm.spray", Outcome: audit.OK})
	})
	if err != nil {
		v.T.Fatal(err)
	}
	v.Numbered()
	if _, err := v.Counts.CatchUp(ctx, 10); err != nil {
		v.T.Fatal(err)
	}
}

// setQuiet sets ada's quiet hours without the page.
func (v *Vault) setQuiet(begins, ends string) {
	v.T.Helper()
	p := v.Left
	p.Get("/account/quiet")
	p.Post("/account/quiet", "begins", begins, "ends", ends, "zone", "UTC")
	if strings.Contains(p.Page, "Confirm") {
		p.ProveAgain(v.Ada)
	}
}

// Again stops the server, does something to the database that it left, and starts it
// anew in the same folder. Where it refuses to start, the database is mended first.
func (v *Vault) Again(while, mend func()) (starts bool) {
	v.T.Helper()
	skew := v.Skew.Load()
	v.Stop()
	while()
	if starts = v.starts(time.Duration(skew)); !starts {
		mend()
	}
	v.House = &House{World: newWorldAhead(v.T, time.Duration(skew), v.how, "http://localhost", nil), Ada: v.Ada, Root: v.Root}
	return starts
}

// starts reports whether the server starts.
func (v *Vault) starts(ahead time.Duration) bool {
	v.T.Helper()
	s := v.how
	s.PublicURL, s.Log = &url.URL{Scheme: "http", Host: "localhost:1"}, slog.New(slog.NewTextHandler(v.T.Output(), nil))
	s.Now = func() time.Time { return time.Now().Add(ahead) }
	in, err := server.Assemble(context.Background(), s)
	if err != nil {
		fmt.Fprintln(v.T.Output(), "it refuses to start:", err)
		return false
	}
	return in.DB.Close() == nil
}

// OtherHost is where ada's session is handed to.
var OtherHost = session.Handover{Host: "https://wiki.test", Browser: "ada's"}

// Vandal is somebody who can write to the database, beside the server or while it is
// stopped: with plain SQL on the same file, or as a user of the same PostgreSQL.
type Vandal struct {
	T    *testing.T
	Raw  *sql.DB
	Lite bool
}

func newVandal(t *testing.T, dsn string) *Vandal {
	t.Helper()
	v := &Vandal{T: t, Lite: !strings.HasPrefix(dsn, "postgres"), Raw: storetest.File(t, dsn)}
	v.Raw.SetMaxOpenConns(1)
	return v
}

// EachEngine is storetest.EachDSN with a file in a folder that is there.
func EachEngine(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Helper()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		if !strings.HasPrefix(dsn, "postgres") {
			dsn = filepath.Join(t.TempDir(), "countersign.db")
		}
		f(t, dsn)
	})
}

// Runs runs a statement, and reports whether the database took it.
func (v *Vandal) Runs(query string, args ...any) error {
	_, err := v.Raw.ExecContext(context.Background(), query, args...)
	return err
}

func (v *Vandal) Must(query string, args ...any) {
	v.T.Helper()
	if err := v.Runs(query, args...); err != nil {
		v.T.Fatalf("%s: %v", query, err)
	}
}

// delegated is a partner, and something that waits to be delegated to one of its people.
func (v *Vault) delegated() {
	v.T.Helper()
	ctx := context.Background()
	err := v.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		if _, err := v.Delegations.SetTx(ctx, tx, partner.Partner{Name: "acme", Settings: partner.Settings{Title: "Acme"}}); err != nil {
			return err
		}
		by, err := v.Accounts.Find(ctx, tx, "root")
		if err != nil {
			return err
		}
		to, err := v.Accounts.Create(ctx, tx, directory.NewAccount{Name: "of-acme"})
		if err != nil {
			return err
		}
		d := partner.Delegation{Partner: "acme", Scope: partner.Scope{Actions: []string{"account.list"}}, Until: v.Now().Add(24 * time.Hour)}
		if _, err := v.Delegations.AskTx(ctx, tx, by, to, d); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.delegated", Outcome: audit.OK})
	})
	if err != nil {
		v.T.Fatal(err)
	}
}
