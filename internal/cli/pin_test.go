package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/config"
	"countersign/internal/keyring"
	"countersign/internal/prompt"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

const ownPIN = "481516"

var pinCell = regexp.MustCompile(`(?m)^pin\s+(\d{6})$`)

// codeOnly adds equipment that takes one line and checks no password itself.
func (w *world) codeOnly() equipment { return w.oneLine(map[string]any{"mode": "code-only"}) }

// oneLine adds equipment that takes one line.
func (w *world) oneLine(how map[string]any) equipment {
	w.t.Helper()
	e := w.equipment()
	how["clients"] = []any{map[string]any{"name": "loopback", "networks": []string{"127.0.0.0/8"}, "secret": e.secret}}
	w.plantApplication(application.Application{Name: "vpn", Title: "The VPN", Kind: "vpn", Tier: application.Standard, Protocol: "radius"}, how)
	return e
}

// plantApplication adds or changes one application with its protocol's settings.
func (w *world) plantApplication(a application.Application, settings map[string]any) {
	w.t.Helper()
	var err error
	if a.Settings, err = json.Marshal(settings); err != nil {
		w.t.Fatal(err)
	}
	err = w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := w.Catalogue.Set(context.Background(), tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.application", Outcome: audit.OK})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// line sends one typed line and says whether it was let in.
func (e equipment) line(name, text string) bool {
	e.w.t.Helper()
	return strings.Contains(e.ask(name, text, ""), "Received Access-Accept")
}

// takesToken imports a button token and assigns it.
func (w *world) takesToken(desk *shell, serial, name string) *fob {
	w.t.Helper()
	f := &fob{w.t, serial, "", secretOf(20, serial[len(serial)-1]-'0'), 6, 0, 0}
	desk.does("token", "import", desk.file(fmt.Sprintf("%s,%s,hotp,6\n", serial, f.secret)), "--format", "oath-csv", "--commit")
	desk.does("token", "assign", serial, name, "--codes", f.press()+" "+f.press())
	return f
}

// comesIn signs in on the pages with the password and a line for the token.
func (w *world) comesIn(name, kind, line string) *person {
	w.t.Helper()
	p := w.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", name, "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", kind, "text", line)
	return p
}

// desks is an administrator's command line, and signing in to it again later.
func (w *world) desks() (desk *shell, again func()) {
	w.t.Helper()
	ada := w.administrator("ada")
	desk = w.shell()
	again = func() { desk.login(w.person(), "ada", ada.code()) }
	again()
	return desk, again
}

// settled lets the quarantine of new authenticators pass.
func (w *world) settled() { w.later(25 * time.Hour) }

var pinObject = regexp.MustCompile(`name="action" value="authenticator.pin"><input type="hidden" name="object" value="(\d+)"`)

// setsPIN sets the PIN of the first authenticator that can have one.
func (p *person) setsPIN(pin string) {
	p.w.t.Helper()
	p.get("/account")
	m := pinObject.FindStringSubmatch(p.page)
	if m == nil {
		p.w.t.Fatalf("nothing takes a PIN:\n%s", p.page)
	}
	p.post("/account/do", "action", "authenticator.pin", "object", m[1])
	p.sees("New PIN")
	p.post("/account/pin", "pin", pin, "again", pin)
}

// The promise: the owner of a token sets its PIN; PIN and code in one line are then
// two factors by RADIUS, PAM and in the browser, and neither alone is anything.
func TestPINOfAToken(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { pinOfAToken(t, newWorld(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { pinOfAToken(t, newWorldOn(t, storetest.StartPostgres(t).DSN)) })
}

func pinOfAToken(t *testing.T, w *world) {
	desk := w.tokenDesk()
	w.welcomed("grace")
	grace := w.takesToken(desk, "C-1", "grace")
	vpn := w.codeOnly()

	if vpn.line("grace", grace.press()) {
		t.Fatal("a code alone was let in")
	}
	p := w.comesIn("grace", "hotp", grace.press())
	p.get("/account")
	p.post("/account/do", "action", "authenticator.pin", "object", pinObject.FindStringSubmatch(p.page)[1])
	p.sees("Not allowed") // whoever handed the token out may have it still
	w.settled()
	p = w.comesIn("grace", "hotp", grace.press())
	p.setsPIN("1234")
	p.sees("guessed first")
	p.post("/account/pin", "pin", ownPIN, "again", "481517")
	p.sees("not the same")
	p.post("/account/pin", "pin", ownPIN, "again", ownPIN)
	p.sees("The PIN is set")
	p.sees("with a PIN")

	if vpn.line("grace", grace.press()) || vpn.line("grace", ownPIN) {
		t.Error("half of it was let in")
	}
	if !vpn.line("grace", ownPIN+grace.press()) {
		t.Error("PIN and code were refused")
	}
	seen := grace.press()
	if vpn.line("grace", "481517"+seen) {
		t.Error("a wrong PIN was let in")
	}
	if vpn.line("grace", ownPIN+seen) {
		t.Error("a code that was seen behind a wrong PIN was let in with the right one")
	}
	if !vpn.line("grace", ownPIN+grace.press()) {
		t.Error("the next code was refused")
	}
	bare := grace.press()
	if vpn.line("grace", bare) || vpn.line("grace", ownPIN+bare) {
		t.Error("a code that was seen without its PIN was let in with it")
	}
	if !vpn.line("grace", ownPIN+grace.press()) {
		t.Error("then the next code was refused")
	}
	p = w.comesIn("grace", "hotp", ownPIN+grace.press())
	p.get("/account")
	p.sees("Ways to sign in")

	appended := w.oneLine(map[string]any{"mode": "appended", "separator": ","})
	if appended.line("grace", passphrase+","+grace.press()) || appended.line("grace", passphrase+ownPIN+grace.press()) {
		t.Error("password and code were let in without the PIN, or without the separator")
	}
	w.later(time.Hour)
	if !appended.line("grace", passphrase+","+ownPIN+grace.press()) {
		t.Error("password, PIN and code in one line were refused")
	}

	// The log tells nobody which of both was wrong, and holds neither.
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text := fmt.Sprintf("%+v", e)
		if strings.Contains(text, ownPIN) || strings.Contains(text, "481517") {
			t.Errorf("a PIN is in the log: %s", e.Event)
		}
		if e.Event == "signin.refused" && e.AccountName == "grace" && e.Reason != "wrong" && e.Reason != "replayed" && e.Reason != "not-enough" && e.Reason != "cannot-ask-here" {
			t.Errorf("refused as %q", e.Reason)
		}
	}
	if w.events("credential.pin-set") != 1 {
		t.Error("that a PIN was set is not in the log once")
	}
	w.nothingOf(t, grace)
}

// The promise: PIN and code in one line by a PAM stack as well.
func TestPINByPAM(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	w.welcomed("grace")
	grace := w.takesToken(desk, "C-1", "grace")
	w.settled()
	w.comesIn("grace", "hotp", grace.press()).setsPIN(ownPIN)
	h := w.loginHost(true)
	if in, said := h.login("grace", passphrase, grace.press()); in || !strings.Contains(said, "PIN and next code") {
		t.Errorf("PAM without the PIN: %t\n%s", in, said)
	}
	if in, said := h.login("grace", passphrase, ownPIN+grace.press()); !in {
		t.Errorf("PAM: %s", said)
	}
}

// The promise: wrong PINs draw on the one budget of the token. Whoever has the
// token and not the PIN has 20 tries and no more, and the owner is told.
func TestGuessingThePIN(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	w.welcomed("grace")
	grace := w.takesToken(desk, "C-1", "grace")
	vpn := w.codeOnly()
	w.settled()
	w.comesIn("grace", "hotp", grace.press()).setsPIN(ownPIN)
	for i := range 20 {
		w.later(2 * time.Hour) // past every delay
		line := fmt.Sprintf("%06d", 700_100+i) + grace.press()
		if i >= 3 {
			line += grace.press() // two in a row are demanded
		}
		if vpn.line("grace", line) {
			t.Fatal("a guess was let in")
		}
	}
	w.later(2 * time.Hour)
	if vpn.line("grace", ownPIN+grace.press()+grace.press()) {
		t.Error("after 20 wrong PINs the right one was let in")
	}
	if n := w.events("credential.closed"); n != 1 {
		t.Errorf("closed %d times", n)
	}
}

// The promise: a PIN that an administrator gives must be typed and counts for
// nothing until its owner has changed it; what the PIN of before showed stops
// counting at once; nobody does this for themselves.
func TestPINGivenByAnAdministrator(t *testing.T) {
	w := newWorld(t)
	desk, again := w.desks()
	w.welcomed("grace")
	grace := w.takesToken(desk, "C-1", "grace")
	vpn := w.codeOnly()
	w.address("grace", "grace@example.org")
	post := w.postOffice()
	w.settled()
	w.comesIn("grace", "hotp", grace.press()).setsPIN(ownPIN)
	if got := post.collect(); !slices.Contains(got, "grace@example.org: The PIN of one of your tokens was changed") {
		t.Errorf("the owner was told %q", got)
	}
	in := w.person() // signed in by PIN and code, and nothing else
	in.get("/sign-in")
	in.post("/sign-in", "name", "grace", "authenticator", "hotp", "text", ownPIN+grace.press())
	in.get("/account")
	in.sees("Ways to sign in")

	again()
	out := desk.does("token", "pin", "C-1", "--note", "met in person")
	m := pinCell.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no PIN was given: %s", out)
	}
	if got := post.collect(); !slices.Contains(got, "grace@example.org: The PIN of one of your tokens was replaced") {
		t.Errorf("the owner was told %q", got)
	}
	in.get("/account")
	if strings.Contains(in.page, "Ways to sign in") {
		t.Error("a session rests on a PIN that was replaced")
	}
	if vpn.line("grace", ownPIN+grace.press()) {
		t.Error("the PIN of before was let in")
	}
	if vpn.line("grace", m[1]+grace.press()) {
		t.Error("a PIN that somebody else knows is a second factor")
	}
	p := w.comesIn("grace", "hotp", m[1]+grace.press())
	p.get("/account")
	p.sees("was given to you")
	p.setsPIN("902738")
	p.sees("The PIN is set")
	if !vpn.line("grace", "902738"+grace.press()) {
		t.Error("the owner's own PIN was refused")
	}

	desk.does("token", "pin", "C-1", "--none")
	if got := post.collect(); !slices.Contains(got, "grace@example.org: The PIN of one of your tokens was taken away") {
		t.Errorf("the owner was told %q", got)
	}
	if vpn.line("grace", "902738"+grace.press()) || vpn.line("grace", grace.press()) {
		t.Error("without a PIN the token alone was let in")
	}
	if w.events("token.pin-given") != 1 || w.events("token.pin-cleared") != 1 {
		t.Error("the log does not say what happened to the PIN")
	}
	bob := w.administrator("bob")
	other := w.shell()
	other.login(w.person(), "bob", bob.code())
	w.takesToken(other, "C-2", "ada")
	desk.refuses("to themselves", "token", "pin", "C-2")
	desk.refuses("not with anybody", "token", "pin", func() string {
		desk.does("token", "return", "C-1")
		return "C-1"
	}())
}

// The promise: a token that comes back brings no PIN of its last owner's with it.
func TestPINStaysWithItsOwner(t *testing.T) {
	w := newWorld(t)
	desk, again := w.desks()
	w.welcomed("grace")
	w.welcomed("henry")
	f := w.takesToken(desk, "C-1", "grace")
	w.settled()
	w.comesIn("grace", "hotp", f.press()).setsPIN(ownPIN)
	again()
	desk.does("token", "return", "C-1")
	desk.does("token", "resync", "C-1", f.press()+" "+f.press())
	desk.does("token", "assign", "C-1", "henry", "--codes", f.press()+" "+f.press())
	vpn := w.equipment()
	if vpn.signIn("henry", ownPIN+f.press()) {
		t.Error("the PIN of the last owner is asked of the next")
	}
	if !vpn.signIn("henry", f.press()) {
		t.Error("the next owner's code was refused")
	}
}

// The promise: of any number of lines at once with one code, some behind the right
// PIN and some behind a wrong one, one is let in at most, and none after them. A PIN
// is still compared after the key that hashes PINs was rotated.
func TestPINAtOnce(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	w.welcomed("grace")
	grace := w.takesToken(desk, "C-1", "grace")
	w.settled()
	w.comesIn("grace", "hotp", grace.press()).setsPIN(ownPIN)
	w.codeOnly()
	if err := w.Keys.RotateDataKey(t.Context(), audit.System("test"), keyring.PIN); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		code := grace.press()
		line := func(text string) bool {
			step, err := w.Engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: "grace", Protocol: "radius", Medium: prompt.Single,
				CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: text}}})
			return err == nil && step.State == signin.Granted
		}
		var granted atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				if pin := []string{ownPIN, "481517", "481518", "481519"}[i%4]; line(pin + code) {
					granted.Add(1)
					if pin != ownPIN {
						t.Error("a wrong PIN was let in")
					}
				}
			})
		}
		all.Wait()
		if n := granted.Load(); n > 1 {
			t.Errorf("one code was let in %d times", n)
		}
		if line(ownPIN + code) {
			t.Error("a code that was used up was let in")
		}
		w.later(3 * time.Hour)
		if !line(ownPIN + grace.press() + grace.press()) {
			t.Fatal("then the next codes are refused")
		}
	}
}

// The promise: setting a PIN takes as much as the account can show, as adding an
// authenticator does. Who got in with a password and a code makes no second factor
// of the code where the account has a passkey.
func TestPINTakesAllThatCanBeShown(t *testing.T) {
	w, ada, _, key := withPasskey(t)
	w.setPolicy("rules:\n  - name: all\n    require: two-factors\n")
	w.settled()
	thief := w.person()
	thief.get("/sign-in")
	thief.signIn("ada", ada.code())
	thief.get("/account")
	m := pinObject.FindStringSubmatch(thief.page)
	if m == nil {
		t.Fatal("the app takes no PIN")
	}
	if s := w.check(thief.held(), "authenticator.pin", m[1]); s.State == signin.Granted {
		t.Error("a password and a code set a PIN where there is a passkey")
	}
	other := w.person()
	other.get("/sign-in")
	other.usePasskey(key)
	other.setsPIN(ownPIN)
	other.sees("The PIN is set")
	if s := w.check(thief.held(), signin.SignIn, ""); s.State == signin.Granted {
		t.Error("a session of before the PIN was set still stands")
	}
	if s := w.check(other.held(), signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("who set the PIN was thrown out: %v %s", s.State, s.Reason)
	}
}

// The promise: who asks for eight digits gets eight, also of a PIN that is given.
func TestPINDigits(t *testing.T) {
	w := newWorldFrom(t, server.Settings{PINDigits: 8}, "http://localhost", nil)
	desk, again := w.desks()
	w.welcomed("grace")
	grace := w.takesToken(desk, "C-1", "grace")
	w.settled()
	p := w.comesIn("grace", "hotp", grace.press())
	p.setsPIN(ownPIN)
	p.sees("8 to 16 digits here")
	p.post("/account/pin", "pin", "48151623", "again", "48151623")
	p.sees("The PIN is set")
	again()
	if out := desk.does("token", "pin", "C-1"); !regexp.MustCompile(`(?m)^pin\s+\d{8}$`).MatchString(out) {
		t.Errorf("given: %s", out)
	}
	for _, n := range []int{-1, 3, 17} {
		if _, err := server.SettingsOf(config.File{Limits: config.Limits{PINDigits: n}}, nil); err == nil || !strings.Contains(err.Error(), "limits.pin_digits") {
			t.Errorf("%d digits: %v", n, err)
		}
	}
}

// What types by itself has no place for a PIN, and says so.
func TestNoPINForWhatTypesItself(t *testing.T) {
	_, desk, bobs, _ := withYubikeys(t, "")
	desk.refuses("cannot have a PIN", "token", "pin", bobs.serial)
	desk.refuses("cannot have a PIN", "token", "pin", bobs.serial, "--none")
}
