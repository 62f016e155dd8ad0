package signin

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
)

// besiege is one round of somebody who knows a name and nothing else: a guess of each
// kind, by each protocol, from an address of its own.
func besiege(w *servertest.World, name string, round int) {
	w.T.Helper()
	from := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(round >> 8), byte(round), 15: 1})
	guess := fmt.Sprintf("%06d", 100_000+round)
	try := func(r signin.Request) {
		w.T.Helper()
		if s := w.Begin(r); s.State == signin.Granted {
			w.T.Fatalf("%s: a guess was let in by %s", name, r.Protocol)
		}
	}
	for _, kind := range []string{"password", "totp", "recoverycode", "accesspass", signin.AnyCode} {
		r := firstAnswer(name, kind, guess, "192.0.2.1")
		r.Source = from
		try(r)
	}
	r := servertest.Line(name, "password of the "+guess, guess)
	r.Source = from
	try(r)
	r = firstAnswer(name, "recoverycode", guess, "192.0.2.1")
	r.Source, r.Action, r.Object = from, signin.Recover, "number 1"
	try(r)
	codes := signin.Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Single, Partner: "elsewhere 192.0.2.2", CodeAlone: true,
		Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: guess}}}
	try(codes)
	codes.Source = from
	try(codes)
}

var openingLink = regexp.MustCompile(`http://localhost:\d+(/sign-in/open\?code=\S+)`)

// The promise: for a week somebody who knows two names guesses at them by every protocol
// and kind. Whoever is at home types password and code all the time, and whoever has a
// passkey comes in from anywhere. Whoever has none and travels is told by mail, once of
// each thing, and signs in at a new place with the link in it; then all is open again.
// Nothing was switched off.
func TestAWeekOfGuesses(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	bob := w.EnrollCodes("bob")
	post := w.PostOffice()
	w.Address("bob", "bob@example.org")
	key, home := servertest.GetsPasskey(ada), netip.MustParseAddr("203.0.113.9")
	atHome := func(name string, p *servertest.Person) signin.Step {
		w.Later(time.Minute)
		r := servertest.Line(name, servertest.Passphrase, p.Code())
		r.Source = home
		return w.Begin(r)
	}
	for name, p := range map[string]*servertest.Person{"ada": ada, "bob": bob} {
		if s := atHome(name, p); s.State != signin.Granted {
			t.Fatal(name, s.Reason)
		}
	}
	post.Collect()
	for round := range 7 * 8 { // every three hours
		for _, name := range []string{"ada", "bob", "nobody-such"} {
			besiege(w, name, round)
		}
		if s := atHome("ada", ada); s.State != signin.Granted {
			t.Fatalf("round %d: at home: %s", round, s.Reason)
		}
		if round%8 == 0 {
			traveller := w.Person()
			traveller.Client.Transport = farAway(fmt.Sprintf("198.51.100.%d", round))
			traveller.Get("/sign-in")
			traveller.UsePasskey(key)
			if !traveller.Inside() {
				t.Fatalf("round %d: a passkey from a new place:\n%s", round, traveller.Page)
			}
		}
		w.Later(3 * time.Hour)
	}
	var told []string
	for _, m := range post.Collect() {
		if strings.HasPrefix(m, "bob@") {
			told = append(told, m)
		}
	}
	want := []string{"Somebody is guessing your Authenticator app", "Somebody is guessing your Password", "Your Authenticator app is closed for strangers", "Your Password is closed for strangers"}
	for i, s := range want {
		want[i] = "bob@example.org: " + s
	}
	if !slices.Equal(told, want) {
		t.Errorf("he was told %q", told)
	}

	travels := func(from string) *servertest.Person {
		p := w.Person()
		p.Client.Transport = farAway(from)
		p.Get("/sign-in")
		return p
	}
	signsIn := func(p *servertest.Person) bool {
		t.Helper()
		w.Later(time.Minute)
		p.Get("/sign-in")
		p.Post("/sign-in", "name", "bob", "authenticator", "password", "text", servertest.Passphrase)
		if strings.Contains(p.Page, `value="totp"`) {
			p.Post("/sign-in", "authenticator", "totp", "text", bob.Code())
		}
		return p.Inside()
	}
	hotel := travels("192.0.2.77")
	if signsIn(hotel) {
		t.Error("what was closed for strangers is open")
	}
	mails := post.Server.Mails()
	m := openingLink.FindStringSubmatch(mails[len(mails)-1].Body)
	if m == nil {
		t.Fatalf("no link in the mail:\n%s", mails[len(mails)-1].Body)
	}
	hotel.Get(m[1])
	hotel.Sees("Is this browser yours?")
	if signsIn(hotel) {
		t.Error("looking at the page was enough")
	}
	_, code, _ := strings.Cut(m[1], "code=")
	hotel.Get(m[1])
	hotel.Post("/sign-in/open", "code", code)
	hotel.Sees("This browser is known now")
	if hotel.Inside() {
		t.Fatal("the link let somebody in")
	}
	mallory := travels("192.0.2.78")
	mallory.Post("/sign-in/open", "code", code)
	if keeps(mallory, "countersign-browser") != nil {
		t.Error("the link was good twice")
	}
	if !signsIn(hotel) {
		t.Errorf("with the link he is kept out:\n%s", hotel.Page)
	}
	if other := travels("192.0.2.79"); !signsIn(other) {
		t.Errorf("after he was let in it is closed still:\n%s", other.Page)
	}
	if w.Events("credential.disabled") != 0 || w.Events("credential.opened") == 0 || w.Events("browser.known") != 1 {
		t.Errorf("%d switched off, %d opened, %d browsers made known", w.Events("credential.disabled"), w.Events("credential.opened"), w.Events("browser.known"))
	}
	if report, err := w.DB.AuditLog().Verify(t.Context()); err != nil || !report.OK() {
		t.Errorf("the log: %v, %v", report, err)
	}
}

// The promise: through equipment that does not tell where people are, guesses close what
// comes that way and nothing else; its owner opens it by signing in from where they are
// known, or an administrator does.
func TestGuessesThroughSilentEquipment(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	through := func(password, partner string) signin.Step {
		w.Later(time.Minute)
		r := servertest.Line("ada", password, ada.Code())
		r.Source, r.Partner = netip.Addr{}, partner
		return w.Begin(r)
	}
	const hers, other = "gateway 192.0.2.1", "gateway 192.0.2.2"
	if s := through(servertest.Passphrase, hers); s.State != signin.Granted {
		t.Fatal(s.Reason)
	}
	browser := w.Person()
	w.Later(time.Minute)
	browser.Comes("ada", ada.Secret)
	closes := func(partner string) {
		t.Helper()
		for i := range 20 {
			w.Later(2 * time.Hour)
			if s := through(fmt.Sprint("guess ", i), partner); s.Reason != "wrong" {
				t.Fatalf("guess %d: %s", i, s.Reason)
			}
		}
		w.Later(2 * time.Hour)
	}
	closes(other) // where she was never let in
	if s := through(servertest.Passphrase, other); s.Reason != "closed" {
		t.Errorf("there: %v %s", s.State, s.Reason)
	}
	if s := through(servertest.Passphrase, hers); s.State != signin.Granted {
		t.Errorf("by the equipment that she uses: %s", s.Reason)
	}
	if s := through(servertest.Passphrase, other); s.State != signin.Granted {
		t.Errorf("after she was let in by hers: %s", s.Reason)
	}
	closes(hers)
	if s := through(servertest.Passphrase, hers); s.Reason != "closed" {
		t.Errorf("by hers: %v %s", s.State, s.Reason)
	}
	w.Later(time.Minute)
	browser.Client.Transport = farAway("198.51.100.9")
	if strings.Contains(browser.Page, `action="/sign-out"`) {
		browser.Post("/sign-out")
	}
	browser.Comes("ada", ada.Secret)
	if !browser.Inside() {
		t.Fatalf("in her own browser:\n%s", browser.Page)
	}
	if s := through(servertest.Passphrase, hers); s.State != signin.Granted {
		t.Errorf("after she was let in in her browser: %s", s.Reason)
	}
	if w.Events("credential.closed") != 2 || w.Events("credential.disabled") != 0 {
		t.Errorf("closed %d times, switched off %d", w.Events("credential.closed"), w.Events("credential.disabled"))
	}
}

// The promise: what was guessed wrong at the owner's own place closes it there alone, and
// not in the owner's browser at the same address; two factors without it open it, and so
// does an administrator.
func TestGuessesAtHomeAreOpenedByAnotherFactor(t *testing.T) {
	t.Parallel()
	w, ada := servertest.WithVPN(t)
	key := servertest.GetsPasskey(ada)
	guesses := func() {
		t.Helper()
		for i := range 20 {
			w.Later(2 * time.Hour)
			if s := w.Begin(servertest.Line("ada", fmt.Sprint("guess ", i), "")); s.Reason != "wrong" {
				t.Fatalf("guess %d: %s", i, s.Reason)
			}
		}
		w.Later(2 * time.Hour)
		if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.Reason != "closed" {
			t.Fatalf("after 20 wrong ones: %v %s", s.State, s.Reason)
		}
	}
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Fatal(s.Reason)
	}
	browser := w.Person()
	w.Later(time.Minute)
	browser.Comes("ada", ada.Secret)
	guesses()
	hers := servertest.Line("ada", servertest.Passphrase, ada.Code())
	hers.Browser = keeps(browser, "countersign-browser").Value
	if s := w.Begin(hers); s.State != signin.Granted {
		t.Errorf("in her browser, at the same address: %s", s.Reason)
	}
	guesses()
	w.Later(time.Minute)
	abroad := servertest.Line("ada", servertest.Passphrase, ada.Code())
	abroad.Source = netip.MustParseAddr("198.51.100.7")
	if s := w.Begin(abroad); s.State != signin.Granted {
		t.Errorf("elsewhere: %s", s.Reason)
	}
	guesses()
	p := w.Person()
	p.Get("/sign-in")
	p.UsePasskey(key)
	p.Sees("Where you are signed in")
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("after a passkey: %s", s.Reason)
	}
	guesses()
	root, desk := w.Administrator("root"), w.Shell()
	desk.Login(w.Person(), "root", root.Code())
	if out := desk.Does("account", "show", "ada"); !strings.Contains(out, "password/") {
		t.Errorf("nothing says what is closed:\n%s", out)
	}
	desk.Does("account", "open", "ada", "--reason", "called back")
	w.Later(time.Minute)
	if s := w.Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("after an administrator opened it: %s", s.Reason)
	}
	if w.Events("account.opened") != 1 {
		t.Error("opening is not in the log")
	}
}
