package token

import (
	"context"
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
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

var pinCell = regexp.MustCompile(`(?m)^pin\s+(\d{6})$`)

// addCodeOnly adds equipment that takes one line and checks no password itself.
func addCodeOnly(w *servertest.World) servertest.Equipment {
	return oneLine(w, map[string]any{"mode": "code-only"})
}

// oneLine adds equipment that takes one line.
func oneLine(w *servertest.World, how map[string]any) servertest.Equipment {
	w.T.Helper()
	e := w.Equipment()
	how["clients"] = []any{map[string]any{"name": "loopback", "networks": []string{"127.0.0.0/8"}, "secret": e.Secret}}
	servertest.PlantApplication(w, application.Application{Name: "vpn", Title: "The VPN", Kind: "vpn", Tier: application.Standard, Protocol: "radius"}, how)
	return e
}

// takesLine sends one typed line and says whether it was let in.
func takesLine(e servertest.Equipment, name, text string) bool {
	e.W.T.Helper()
	return strings.Contains(e.Ask(name, text, ""), "Received Access-Accept")
}

// desks is an administrator's command line, and signing in to it again later.
func desks(w *servertest.World) (desk *servertest.Shell, again func()) {
	w.T.Helper()
	ada := w.Administrator("ada")
	desk = w.Shell()
	again = func() { desk.Login(w.Person(), "ada", ada.Code()) }
	again()
	return desk, again
}

// The promise: the owner of a token sets its PIN; PIN and code in one line are then
// two factors by RADIUS, PAM and in the browser, and neither alone is anything.
func TestPINOfAToken(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { pinOfAToken(t, servertest.NewWorld(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { pinOfAToken(t, servertest.NewWorldOn(t, storetest.StartPostgres(t).DSN)) })
}

func pinOfAToken(t *testing.T, w *servertest.World) {
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	vpn := addCodeOnly(w)

	if takesLine(vpn, "grace", grace.Press()) {
		t.Fatal("a code alone was let in")
	}
	p := servertest.ComesIn(w, "grace", "hotp", grace.Press())
	p.Get("/account")
	p.Post("/account/do", "action", "authenticator.pin", "object", servertest.PinObject.FindStringSubmatch(p.Page)[1])
	p.Sees("Not allowed") // whoever handed the token out may have it still
	servertest.Settled(w)
	p = servertest.ComesIn(w, "grace", "hotp", grace.Press())
	servertest.SetsPIN(p, "1234")
	p.Sees("guessed first")
	p.Post("/account/pin", "pin", servertest.OwnPIN, "again", "481517")
	p.Sees("not the same")
	p.Post("/account/pin", "pin", servertest.OwnPIN, "again", servertest.OwnPIN)
	p.Sees("The PIN is set")
	p.Sees("with a PIN")

	if takesLine(vpn, "grace", grace.Press()) || takesLine(vpn, "grace", servertest.OwnPIN) {
		t.Error("half of it was let in")
	}
	if !takesLine(vpn, "grace", servertest.OwnPIN+grace.Press()) {
		t.Error("PIN and code were refused")
	}
	seen := grace.Press()
	if takesLine(vpn, "grace", "481517"+seen) {
		t.Error("a wrong PIN was let in")
	}
	if takesLine(vpn, "grace", servertest.OwnPIN+seen) {
		t.Error("a code that was seen behind a wrong PIN was let in with the right one")
	}
	if !takesLine(vpn, "grace", servertest.OwnPIN+grace.Press()) {
		t.Error("the next code was refused")
	}
	bare := grace.Press()
	if takesLine(vpn, "grace", bare) || takesLine(vpn, "grace", servertest.OwnPIN+bare) {
		t.Error("a code that was seen without its PIN was let in with it")
	}
	if !takesLine(vpn, "grace", servertest.OwnPIN+grace.Press()) {
		t.Error("then the next code was refused")
	}
	p = servertest.ComesIn(w, "grace", "hotp", servertest.OwnPIN+grace.Press())
	p.Get("/account")
	p.Sees("Ways to sign in")

	appended := oneLine(w, map[string]any{"mode": "appended", "separator": ","})
	if takesLine(appended, "grace", servertest.Passphrase+","+grace.Press()) || takesLine(appended, "grace", servertest.Passphrase+servertest.OwnPIN+grace.Press()) {
		t.Error("password and code were let in without the PIN, or without the separator")
	}
	w.Later(time.Hour)
	if !takesLine(appended, "grace", servertest.Passphrase+","+servertest.OwnPIN+grace.Press()) {
		t.Error("password, PIN and code in one line were refused")
	}

	// The log tells nobody which of both was wrong, and holds neither.
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text := fmt.Sprintf("%+v", e)
		if strings.Contains(text, servertest.OwnPIN) || strings.Contains(text, "481517") {
			t.Errorf("a PIN is in the log: %s", e.Event)
		}
		if e.Event == "signin.refused" && e.AccountName == "grace" && e.Reason != "wrong" && e.Reason != "replayed" && e.Reason != "not-enough" && e.Reason != "cannot-ask-here" {
			t.Errorf("refused as %q", e.Reason)
		}
	}
	if w.Events("credential.pin-set") != 1 {
		t.Error("that a PIN was set is not in the log once")
	}
	nothingOf(w, t, grace)
}

// The promise: PIN and code in one line by a PAM stack as well.
func TestPINByPAM(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	servertest.Settled(w)
	servertest.SetsPIN(servertest.ComesIn(w, "grace", "hotp", grace.Press()), servertest.OwnPIN)
	h := w.LoginHost(true)
	if in, said := h.LogIn("grace", servertest.Passphrase, grace.Press()); in || !strings.Contains(said, "PIN and next code") {
		t.Errorf("PAM without the PIN: %t\n%s", in, said)
	}
	if in, said := h.LogIn("grace", servertest.Passphrase, servertest.OwnPIN+grace.Press()); !in {
		t.Errorf("PAM: %s", said)
	}
}

// The promise: wrong PINs draw on the one budget of the token. Whoever has the
// token and not the PIN has 20 tries and no more, and the owner is told.
func TestGuessingThePIN(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	vpn := addCodeOnly(w)
	servertest.Settled(w)
	servertest.SetsPIN(servertest.ComesIn(w, "grace", "hotp", grace.Press()), servertest.OwnPIN)
	for i := range 20 {
		w.Later(2 * time.Hour) // past every delay
		line := fmt.Sprintf("%06d", 700_100+i) + grace.Press()
		if i >= 3 {
			line += grace.Press() // two in a row are demanded
		}
		if takesLine(vpn, "grace", line) {
			t.Fatal("a guess was let in")
		}
	}
	w.Later(2 * time.Hour)
	if takesLine(vpn, "grace", servertest.OwnPIN+grace.Press()+grace.Press()) {
		t.Error("after 20 wrong PINs the right one was let in")
	}
	if n := w.Events("credential.closed"); n != 1 {
		t.Errorf("closed %d times", n)
	}
}

// The promise: a PIN that an administrator gives must be typed and counts for
// nothing until its owner has changed it; what the PIN of before showed stops
// counting at once; nobody does this for themselves.
func TestPINGivenByAnAdministrator(t *testing.T) {
	w := servertest.NewWorld(t)
	desk, again := desks(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	vpn := addCodeOnly(w)
	w.Address("grace", "grace@example.org")
	post := w.PostOffice()
	servertest.Settled(w)
	servertest.SetsPIN(servertest.ComesIn(w, "grace", "hotp", grace.Press()), servertest.OwnPIN)
	if got := post.Collect(); !slices.Contains(got, "grace@example.org: The PIN of one of your tokens was changed") {
		t.Errorf("the owner was told %q", got)
	}
	in := w.Person() // signed in by PIN and code, and nothing else
	in.Get("/sign-in")
	in.Post("/sign-in", "name", "grace", "authenticator", "hotp", "text", servertest.OwnPIN+grace.Press())
	in.Get("/account")
	in.Sees("Ways to sign in")

	again()
	out := desk.Does("token", "pin", "C-1", "--note", "met in person")
	m := pinCell.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no PIN was given: %s", out)
	}
	if got := post.Collect(); !slices.Contains(got, "grace@example.org: The PIN of one of your tokens was replaced") {
		t.Errorf("the owner was told %q", got)
	}
	in.Get("/account")
	if strings.Contains(in.Page, "Ways to sign in") {
		t.Error("a session rests on a PIN that was replaced")
	}
	if takesLine(vpn, "grace", servertest.OwnPIN+grace.Press()) {
		t.Error("the PIN of before was let in")
	}
	if takesLine(vpn, "grace", m[1]+grace.Press()) {
		t.Error("a PIN that somebody else knows is a second factor")
	}
	p := servertest.ComesIn(w, "grace", "hotp", m[1]+grace.Press())
	p.Get("/account")
	p.Sees("was given to you")
	servertest.SetsPIN(p, "902738")
	p.Sees("The PIN is set")
	if !takesLine(vpn, "grace", "902738"+grace.Press()) {
		t.Error("the owner's own PIN was refused")
	}

	desk.Does("token", "pin", "C-1", "--none")
	if got := post.Collect(); !slices.Contains(got, "grace@example.org: The PIN of one of your tokens was taken away") {
		t.Errorf("the owner was told %q", got)
	}
	if takesLine(vpn, "grace", "902738"+grace.Press()) || takesLine(vpn, "grace", grace.Press()) {
		t.Error("without a PIN the token alone was let in")
	}
	if w.Events("token.pin-given") != 1 || w.Events("token.pin-cleared") != 1 {
		t.Error("the log does not say what happened to the PIN")
	}
	bob := w.Administrator("bob")
	other := w.Shell()
	other.Login(w.Person(), "bob", bob.Code())
	servertest.TakesToken(w, other, "C-2", "ada")
	desk.Refuses("to themselves", "token", "pin", "C-2")
	desk.Refuses("not with anybody", "token", "pin", func() string {
		desk.Does("token", "return", "C-1")
		return "C-1"
	}())
}

// The promise: a token that comes back brings no PIN of its last owner's with it.
func TestPINStaysWithItsOwner(t *testing.T) {
	w := servertest.NewWorld(t)
	desk, again := desks(w)
	w.Welcomed("grace")
	w.Welcomed("henry")
	f := servertest.TakesToken(w, desk, "C-1", "grace")
	servertest.Settled(w)
	servertest.SetsPIN(servertest.ComesIn(w, "grace", "hotp", f.Press()), servertest.OwnPIN)
	again()
	desk.Does("token", "return", "C-1")
	desk.Does("token", "resync", "C-1", f.Press()+" "+f.Press())
	desk.Does("token", "assign", "C-1", "henry", "--codes", f.Press()+" "+f.Press())
	vpn := w.Equipment()
	if vpn.SignIn("henry", servertest.OwnPIN+f.Press()) {
		t.Error("the PIN of the last owner is asked of the next")
	}
	if !vpn.SignIn("henry", f.Press()) {
		t.Error("the next owner's code was refused")
	}
}

// The promise: of any number of lines at once with one code, some behind the right
// PIN and some behind a wrong one, one is let in at most, and none after them. A PIN
// is still compared after the key that hashes PINs was rotated.
func TestPINAtOnce(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	servertest.Settled(w)
	servertest.SetsPIN(servertest.ComesIn(w, "grace", "hotp", grace.Press()), servertest.OwnPIN)
	addCodeOnly(w)
	if err := w.Keys.RotateDataKey(t.Context(), audit.System("test"), keyring.PIN); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		code := grace.Press()
		line := func(text string) bool {
			step, err := w.Engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: "grace", Protocol: "radius", Medium: prompt.Single,
				CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: text}}})
			return err == nil && step.State == signin.Granted
		}
		var granted atomic.Int32
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				if pin := []string{servertest.OwnPIN, "481517", "481518", "481519"}[i%4]; line(pin + code) {
					granted.Add(1)
					if pin != servertest.OwnPIN {
						t.Error("a wrong PIN was let in")
					}
				}
			})
		}
		all.Wait()
		if n := granted.Load(); n > 1 {
			t.Errorf("one code was let in %d times", n)
		}
		if line(servertest.OwnPIN + code) {
			t.Error("a code that was used up was let in")
		}
		w.Later(3 * time.Hour)
		if !line(servertest.OwnPIN + grace.Press() + grace.Press()) {
			t.Fatal("then the next codes are refused")
		}
	}
}

// The promise: setting a PIN takes as much as the account can show, as adding an
// authenticator does. Who got in with a password and a code makes no second factor
// of the code where the account has a passkey.
func TestPINTakesAllThatCanBeShown(t *testing.T) {
	w, ada, _, key := servertest.WithPasskey(t)
	w.SetPolicy("rules:\n  - name: all\n    require: two-factors\n")
	servertest.Settled(w)
	thief := w.Person()
	thief.Get("/sign-in")
	thief.SignIn("ada", ada.Code())
	thief.Get("/account")
	m := servertest.PinObject.FindStringSubmatch(thief.Page)
	if m == nil {
		t.Fatal("the app takes no PIN")
	}
	if s := w.Check(thief.Held(), "authenticator.pin", m[1]); s.State == signin.Granted {
		t.Error("a password and a code set a PIN where there is a passkey")
	}
	other := w.Person()
	other.Get("/sign-in")
	other.UsePasskey(key)
	servertest.SetsPIN(other, servertest.OwnPIN)
	other.Sees("The PIN is set")
	if s := w.Check(thief.Held(), signin.SignIn, ""); s.State == signin.Granted {
		t.Error("a session of before the PIN was set still stands")
	}
	if s := w.Check(other.Held(), signin.SignIn, ""); s.State != signin.Granted {
		t.Errorf("who set the PIN was thrown out: %v %s", s.State, s.Reason)
	}
}

// The promise: who asks for eight digits gets eight, also of a PIN that is given.
func TestPINDigits(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{PINDigits: 8}, "http://localhost", nil)
	desk, again := desks(w)
	w.Welcomed("grace")
	grace := servertest.TakesToken(w, desk, "C-1", "grace")
	servertest.Settled(w)
	p := servertest.ComesIn(w, "grace", "hotp", grace.Press())
	servertest.SetsPIN(p, servertest.OwnPIN)
	p.Sees("8 to 16 digits here")
	p.Post("/account/pin", "pin", "48151623", "again", "48151623")
	p.Sees("The PIN is set")
	again()
	if out := desk.Does("token", "pin", "C-1"); !regexp.MustCompile(`(?m)^pin\s+\d{8}$`).MatchString(out) {
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
	desk.Refuses("cannot have a PIN", "token", "pin", bobs.Serial)
	desk.Refuses("cannot have a PIN", "token", "pin", bobs.Serial, "--none")
}
