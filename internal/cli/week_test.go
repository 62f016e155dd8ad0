package cli

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/softkey"
)

// besiege is one round of somebody who knows a name and nothing else: a guess of each
// kind, by each protocol, from an address of its own.
func (w *world) besiege(name string, round int) {
	w.t.Helper()
	from := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(round >> 8), byte(round), 15: 1})
	guess := fmt.Sprintf("%06d", 100_000+round)
	try := func(r signin.Request) {
		w.t.Helper()
		if s := w.begin(r); s.State == signin.Granted {
			w.t.Fatalf("%s: a guess was let in by %s", name, r.Protocol)
		}
	}
	for _, kind := range []string{"password", "totp", "recoverycode", "accesspass", signin.AnyCode} {
		r := firstAnswer(name, kind, guess, "192.0.2.1")
		r.Source = from
		try(r)
	}
	r := line(name, "password of the "+guess, guess)
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

// getsPasskey signs somebody in who has codes, and adds a passkey.
func (p *person) getsPasskey() *softkey.Key {
	p.w.t.Helper()
	p.w.later(time.Minute)
	key, browser := &softkey.Key{}, p.w.person()
	browser.get("/sign-in")
	browser.signIn("ada", p.code())
	browser.addPasskey(key)
	p.w.later(time.Minute)
	return key
}

var openingLink = regexp.MustCompile(`http://localhost:\d+(/sign-in/open\?code=\S+)`)

// The promise: for a week somebody who knows two names guesses at them by every protocol
// and kind. Whoever is at home types password and code all the time, and whoever has a
// passkey comes in from anywhere. Whoever has none and travels is told by mail, once of
// each thing, and signs in at a new place with the link in it; then all is open again.
// Nothing was switched off.
func TestAWeekOfGuesses(t *testing.T) {
	t.Parallel()
	w, ada := withVPN(t)
	bob := w.enrollCodes("bob")
	post := w.postOffice()
	w.address("bob", "bob@example.org")
	key, home := ada.getsPasskey(), netip.MustParseAddr("203.0.113.9")
	atHome := func(name string, p *person) signin.Step {
		w.later(time.Minute)
		r := line(name, passphrase, p.code())
		r.Source = home
		return w.begin(r)
	}
	for name, p := range map[string]*person{"ada": ada, "bob": bob} {
		if s := atHome(name, p); s.State != signin.Granted {
			t.Fatal(name, s.Reason)
		}
	}
	post.collect()
	for round := range 7 * 8 { // every three hours
		for _, name := range []string{"ada", "bob", "nobody-such"} {
			w.besiege(name, round)
		}
		if s := atHome("ada", ada); s.State != signin.Granted {
			t.Fatalf("round %d: at home: %s", round, s.Reason)
		}
		if round%8 == 0 {
			traveller := w.person()
			traveller.client.Transport = farAway(fmt.Sprintf("198.51.100.%d", round))
			traveller.get("/sign-in")
			traveller.usePasskey(key)
			if !traveller.inside() {
				t.Fatalf("round %d: a passkey from a new place:\n%s", round, traveller.page)
			}
		}
		w.later(3 * time.Hour)
	}
	var told []string
	for _, m := range post.collect() {
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

	travels := func(from string) *person {
		p := w.person()
		p.client.Transport = farAway(from)
		p.get("/sign-in")
		return p
	}
	signsIn := func(p *person) bool {
		t.Helper()
		w.later(time.Minute)
		p.get("/sign-in")
		p.post("/sign-in", "name", "bob", "authenticator", "password", "text", passphrase)
		if strings.Contains(p.page, `value="totp"`) {
			p.post("/sign-in", "authenticator", "totp", "text", bob.code())
		}
		return p.inside()
	}
	hotel := travels("192.0.2.77")
	if signsIn(hotel) {
		t.Error("what was closed for strangers is open")
	}
	mails := post.server.Mails()
	m := openingLink.FindStringSubmatch(mails[len(mails)-1].Body)
	if m == nil {
		t.Fatalf("no link in the mail:\n%s", mails[len(mails)-1].Body)
	}
	hotel.get(m[1])
	hotel.sees("Is this browser yours?")
	if signsIn(hotel) {
		t.Error("looking at the page was enough")
	}
	_, code, _ := strings.Cut(m[1], "code=")
	hotel.get(m[1])
	hotel.post("/sign-in/open", "code", code)
	hotel.sees("This browser is known now")
	if hotel.inside() {
		t.Fatal("the link let somebody in")
	}
	mallory := travels("192.0.2.78")
	mallory.post("/sign-in/open", "code", code)
	if mallory.keeps("countersign-browser") != nil {
		t.Error("the link was good twice")
	}
	if !signsIn(hotel) {
		t.Errorf("with the link he is kept out:\n%s", hotel.page)
	}
	if other := travels("192.0.2.79"); !signsIn(other) {
		t.Errorf("after he was let in it is closed still:\n%s", other.page)
	}
	if w.events("credential.disabled") != 0 || w.events("credential.opened") == 0 || w.events("browser.known") != 1 {
		t.Errorf("%d switched off, %d opened, %d browsers made known", w.events("credential.disabled"), w.events("credential.opened"), w.events("browser.known"))
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
	w, ada := withVPN(t)
	through := func(password, partner string) signin.Step {
		w.later(time.Minute)
		r := line("ada", password, ada.code())
		r.Source, r.Partner = netip.Addr{}, partner
		return w.begin(r)
	}
	const hers, other = "gateway 192.0.2.1", "gateway 192.0.2.2"
	if s := through(passphrase, hers); s.State != signin.Granted {
		t.Fatal(s.Reason)
	}
	browser := w.person()
	w.later(time.Minute)
	browser.comes("ada", ada.secret)
	closes := func(partner string) {
		t.Helper()
		for i := range 20 {
			w.later(2 * time.Hour)
			if s := through(fmt.Sprint("guess ", i), partner); s.Reason != "wrong" {
				t.Fatalf("guess %d: %s", i, s.Reason)
			}
		}
		w.later(2 * time.Hour)
	}
	closes(other) // where she was never let in
	if s := through(passphrase, other); s.Reason != "closed" {
		t.Errorf("there: %v %s", s.State, s.Reason)
	}
	if s := through(passphrase, hers); s.State != signin.Granted {
		t.Errorf("by the equipment that she uses: %s", s.Reason)
	}
	if s := through(passphrase, other); s.State != signin.Granted {
		t.Errorf("after she was let in by hers: %s", s.Reason)
	}
	closes(hers)
	if s := through(passphrase, hers); s.Reason != "closed" {
		t.Errorf("by hers: %v %s", s.State, s.Reason)
	}
	w.later(time.Minute)
	browser.client.Transport = farAway("198.51.100.9")
	if strings.Contains(browser.page, `action="/sign-out"`) {
		browser.post("/sign-out")
	}
	browser.comes("ada", ada.secret)
	if !browser.inside() {
		t.Fatalf("in her own browser:\n%s", browser.page)
	}
	if s := through(passphrase, hers); s.State != signin.Granted {
		t.Errorf("after she was let in in her browser: %s", s.Reason)
	}
	if w.events("credential.closed") != 2 || w.events("credential.disabled") != 0 {
		t.Errorf("closed %d times, switched off %d", w.events("credential.closed"), w.events("credential.disabled"))
	}
}

// The promise: what was guessed wrong at the owner's own place closes it there alone, and
// not in the owner's browser at the same address; two factors without it open it, and so
// does an administrator.
func TestGuessesAtHomeAreOpenedByAnotherFactor(t *testing.T) {
	t.Parallel()
	w, ada := withVPN(t)
	key := ada.getsPasskey()
	guesses := func() {
		t.Helper()
		for i := range 20 {
			w.later(2 * time.Hour)
			if s := w.begin(line("ada", fmt.Sprint("guess ", i), "")); s.Reason != "wrong" {
				t.Fatalf("guess %d: %s", i, s.Reason)
			}
		}
		w.later(2 * time.Hour)
		if s := w.begin(line("ada", passphrase, ada.code())); s.Reason != "closed" {
			t.Fatalf("after 20 wrong ones: %v %s", s.State, s.Reason)
		}
	}
	if s := w.begin(line("ada", passphrase, ada.code())); s.State != signin.Granted {
		t.Fatal(s.Reason)
	}
	browser := w.person()
	w.later(time.Minute)
	browser.comes("ada", ada.secret)
	guesses()
	hers := line("ada", passphrase, ada.code())
	hers.Browser = browser.keeps("countersign-browser").Value
	if s := w.begin(hers); s.State != signin.Granted {
		t.Errorf("in her browser, at the same address: %s", s.Reason)
	}
	guesses()
	w.later(time.Minute)
	abroad := line("ada", passphrase, ada.code())
	abroad.Source = netip.MustParseAddr("198.51.100.7")
	if s := w.begin(abroad); s.State != signin.Granted {
		t.Errorf("elsewhere: %s", s.Reason)
	}
	guesses()
	p := w.person()
	p.get("/sign-in")
	p.usePasskey(key)
	p.sees("Where you are signed in")
	w.later(time.Minute)
	if s := w.begin(line("ada", passphrase, ada.code())); s.State != signin.Granted {
		t.Errorf("after a passkey: %s", s.Reason)
	}
	guesses()
	root, desk := w.administrator("root"), w.shell()
	desk.login(w.person(), "root", root.code())
	if out := desk.does("account", "show", "ada"); !strings.Contains(out, "password/") {
		t.Errorf("nothing says what is closed:\n%s", out)
	}
	desk.does("account", "open", "ada", "--reason", "called back")
	w.later(time.Minute)
	if s := w.begin(line("ada", passphrase, ada.code())); s.State != signin.Granted {
		t.Errorf("after an administrator opened it: %s", s.Reason)
	}
	if w.events("account.opened") != 1 {
		t.Error("opening is not in the log")
	}
}
