package token

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/authenticator/ocra"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// calculator is a token with keys: it answers the number that is typed into it.
type calculator struct {
	t      testing.TB
	suite  ocra.Suite
	secret []byte
	next   uint64
	pin    string // where it asks for one
}

func newCalculator(t testing.TB, text string, fill byte) *calculator {
	t.Helper()
	s, err := ocra.ParseSuite(text)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := hex.DecodeString(servertest.SecretOf(20, fill))
	if err != nil {
		t.Fatal(err)
	}
	return &calculator{t: t, suite: s, secret: secret}
}

func (c *calculator) line(serial string) string {
	return fmt.Sprintf("%s,%x,ocra,%s,%d\n", serial, c.secret, c.suite, c.next)
}

func (c *calculator) answer(question string, now time.Time) string {
	c.t.Helper()
	hash := sha1.Sum([]byte(c.pin))
	in := ocra.Input{Counter: c.next, Question: question, PINHash: hash[:]}
	if c.suite.Step > 0 {
		in.Time = uint64(now.Unix() / int64(c.suite.Step/time.Second))
	}
	c.next++
	r, err := c.suite.Response(c.secret, in)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

var (
	askedByRADIUS = regexp.MustCompile(`Reply-Message = ".*to the number (\d{6,8}): "`)
	askedOnPage   = regexp.MustCompile(`id="number-ocra"[^>]*>(\d{6,8})<`)
)

// challenged types the password and returns the number and the State.
func challenged(e servertest.Equipment, name string) (number, state string) {
	e.W.T.Helper()
	out := e.Ask(name, servertest.Passphrase, "")
	m, s := askedByRADIUS.FindStringSubmatch(out), servertest.StateAttribute.FindAllStringSubmatch(out, -1)
	if m == nil || s == nil {
		e.W.T.Fatalf("no number was asked for:\n%s", out)
	}
	return m[1], s[len(s)-1][1]
}

func accepts(e servertest.Equipment, name, text, state string) bool {
	e.W.T.Helper()
	return strings.Contains(e.Ask(name, text, state), "Received Access-Accept")
}

// The promise: a challenge token signs in by RADIUS and on the pages, with the answer
// to the number that was just asked, once; an answer to another number, to another
// person's or of before is nothing, and no single line is asked for one.
func TestChallengeToken(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string { return storetest.StartPostgres(t).DSN },
	} {
		t.Run(name, func(t *testing.T) { challengeToken(t, servertest.NewWorldOn(t, database(t))) })
	}
}

func challengeToken(t *testing.T, w *servertest.World) {
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	w.Welcomed("henry")
	plain, counted := newCalculator(t, "OCRA-1:HOTP-SHA1-6:QN08", 1), newCalculator(t, "OCRA-1:HOTP-SHA256-8:C-QA10-T1M", 2)
	counted.next = 5
	file := desk.File(plain.line("O-1") + counted.line("O-2"))
	if out := desk.Does("token", "import", file, "--format", "oath-csv"); !strings.Contains(out, "ocra OCRA-1:HOTP-SHA256-8:C-QA10-T1M") {
		t.Errorf("the preview says %s", out)
	}
	desk.Does("token", "import", file, "--format", "oath-csv", "--commit")
	desk.Refuses("session information", "token", "import", desk.File("O-3,"+servertest.SecretOf(20, 3)+",ocra,OCRA-1:HOTP-SHA1-6:QN08-S064\n"), "--format", "oath-csv")
	desk.Does("token", "assign", "O-1", "grace")
	desk.Does("token", "assign", "O-2", "henry")
	vpn := w.Equipment()

	number, state := challenged(vpn, "grace")
	_, another := challenged(vpn, "grace")
	answer := plain.answer(number, w.Now())
	if accepts(vpn, "grace", answer, another) {
		t.Error("the answer to another number was let in")
	}
	if !accepts(vpn, "grace", answer, state) {
		t.Fatal("the answer was refused")
	}
	if _, next := challenged(vpn, "grace"); accepts(vpn, "grace", answer, next) {
		t.Error("an answer of before was let in")
	}
	if takesLine(vpn, "grace", servertest.Passphrase+","+answer) {
		t.Error("an answer that nobody asked for was let in")
	}
	number, state = challenged(vpn, "henry")
	seen := counted.answer(number, w.Now())
	if accepts(vpn, "henry", plain.answer(number, w.Now()), state) {
		t.Error("another person's token was let in")
	}
	number, state = challenged(vpn, "henry")
	if !accepts(vpn, "henry", counted.answer(number, w.Now()), state) {
		t.Error("a token with counter and clock was refused")
	}
	if _, state = challenged(vpn, "henry"); accepts(vpn, "henry", seen, state) {
		t.Error("an answer of a counter that was passed was let in")
	}

	// Beside a code token, by one question for both.
	fob := servertest.TakesToken(w, desk, "C-7", "henry")
	if out := vpn.Ask("henry", servertest.Passphrase, ""); !strings.Contains(out, "Next code from your code token, or Answer of your token to the number ") {
		t.Errorf("two kinds of tokens are asked for by\n%s", out)
	}
	if _, state = challenged(vpn, "henry"); !accepts(vpn, "henry", fob.Press(), state) {
		t.Error("the code of the one was refused")
	}
	number, state = challenged(vpn, "henry")
	if !accepts(vpn, "henry", counted.answer(number, w.Now()), state) {
		t.Error("the answer of the other was refused")
	}
	if _, state = challenged(vpn, "henry"); accepts(vpn, "henry", "000000", state) {
		t.Error("a wrong one was let in")
	}

	// On the pages, and a wrong answer gets another number.
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "grace", "authenticator", "password", "text", servertest.Passphrase)
	first := askedOnPage.FindStringSubmatch(p.Page)
	if first == nil {
		t.Fatalf("no number on the page:\n%s", p.Page)
	}
	p.Post("/sign-in", "authenticator", "ocra", "text", "000000")
	second := askedOnPage.FindStringSubmatch(p.Page)
	if second == nil || second[1] == first[1] {
		t.Fatal("a wrong answer gets the same number again")
	}
	p.Post("/sign-in", "authenticator", "ocra", "text", plain.answer(first[1], w.Now()))
	if strings.Contains(p.Page, "Where you are signed in") {
		t.Fatal("the answer to the number of before was let in")
	}
	third := askedOnPage.FindStringSubmatch(p.Page)
	p.Post("/sign-in", "authenticator", "ocra", "text", plain.answer(third[1], w.Now()))
	p.Sees("Where you are signed in")

	if vpn := addCodeOnly(w); takesLine(vpn, "grace", answer) || takesLine(vpn, "grace", plain.answer("00000000", w.Now())) {
		t.Error("a single line was let in without a number")
	}
	if n := servertest.Count(w, t, `select count(*) from guess where subject like 'credential/%' and count > 0`); n != 2 { // henry's, for his last
		t.Errorf("%d tokens pay for what was typed unasked", n)
	}
}

// The promise: a challenge token goes the way of every token: put right by two
// answers, returned, handed on without its PIN, lost.
func TestChallengeTokenChangesHands(t *testing.T) {
	w := servertest.NewWorld(t)
	desk, again := desks(w)
	w.Welcomed("grace")
	w.Welcomed("henry")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:C-QN08-PSHA1", 1)
	desk.Does("token", "import", desk.File(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.Does("token", "assign", "O-1", "grace")
	desk.Refuses("made with its PIN", "token", "pin", "O-1", "--none")
	given := pinCell.FindStringSubmatch(desk.Does("token", "pin", "O-1"))
	if given == nil {
		t.Fatal("no PIN was given")
	}
	vpn := w.Equipment()
	signs := func(name string) bool {
		t.Helper()
		number, state := challenged(vpn, name)
		return accepts(vpn, name, c.answer(number, w.Now()), state)
	}
	if signs("grace") {
		t.Error("without its PIN it was let in")
	}
	if c.pin = given[1]; !signs("grace") {
		t.Error("with the PIN that was given it was refused")
	}
	c.next += 300
	if signs("grace") {
		t.Error("three hundred ahead it was let in")
	}
	pair := func() string {
		return "4815162 " + c.answer("4815162", w.Now()) + " 3421084 " + c.answer("3421084", w.Now())
	}
	desk.Refuses("not two codes", "token", "resync", "O-1", c.answer("4815162", w.Now())+" "+c.answer("4815162", w.Now()))
	desk.Does("token", "resync", "O-1", pair())
	if !signs("grace") {
		t.Error("after two answers it was refused")
	}

	servertest.Settled(w)
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "grace", "authenticator", "password", "text", servertest.Passphrase)
	p.Post("/sign-in", "authenticator", "ocra", "text", c.answer(askedOnPage.FindStringSubmatch(p.Page)[1], w.Now()))
	servertest.SetsPIN(p, servertest.OwnPIN)
	p.Sees("The PIN is set")
	if c.pin = servertest.OwnPIN; !signs("grace") {
		t.Error("with her own PIN she was refused")
	}

	again()
	desk.Does("token", "return", "O-1")
	desk.Refuses("not two codes", "token", "resync", "O-1", pair())
	c.pin = "0000"
	desk.Does("token", "resync", "O-1", pair()+" 0000")
	desk.Does("token", "assign", "O-1", "henry")
	if c.pin = servertest.OwnPIN; signs("henry") {
		t.Error("the last owner's PIN is the next one's")
	}
	if c.pin = "0000"; signs("henry") {
		t.Error("the PIN of the stock is the next one's")
	}
	desk.Does("token", "lost", "O-1")
	if out := vpn.Ask("henry", servertest.Passphrase, ""); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("a lost token is still asked for:\n%s", out)
	}
}

// The promise: guessing at numbers wears out like every guess.
func TestGuessingAChallengeToken(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:QN08", 1)
	desk.Does("token", "import", desk.File(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.Does("token", "assign", "O-1", "grace")
	vpn := w.Equipment()
	for range 20 {
		w.Later(2 * time.Hour) // past every delay
		if _, state := challenged(vpn, "grace"); accepts(vpn, "grace", "000000", state) {
			t.Fatal("a guess was let in")
		}
	}
	if n := w.Events("credential.closed"); n != 1 {
		t.Errorf("closed %d times", n)
	}
	w.Later(2 * time.Hour)
	if number, state := challenged(vpn, "grace"); accepts(vpn, "grace", c.answer(number, w.Now()), state) {
		t.Error("after 20 wrong answers the right one was let in")
	}
}

// The number can be read on a phone, and by a screen reader.
func TestChallengeTokenInTheBrowser(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:QN08", 1)
	desk.Does("token", "import", desk.File(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.Does("token", "assign", "O-1", "grace")
	b := testbed.Chromium(t)
	b.Visit(w.Base + "/sign-in")
	b.Fill("#name", "grace")
	b.Fill("#text", servertest.Passphrase)
	b.Click("main form:not([data-passkey]) button")
	b.Wait("#text-ocra")
	servertest.Pictures(b, "challenge-token")
	servertest.Fits(t, b, "challenge-token")
	b.Fill("#text-ocra", c.answer(b.Text("#number-ocra"), w.Now()))
	b.Click("main form:not([data-passkey]) button")
	b.WaitText("main", "This browser")
}

var askedByPAM = regexp.MustCompile(`to the number (\d{6,8}): `)

// The promise: a PAM stack shows the number, and takes the answer to it.
func TestChallengeTokenByPAM(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	w.Welcomed("grace")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:C-QN08", 1)
	desk.Does("token", "import", desk.File(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.Does("token", "assign", "O-1", "grace")
	h := w.LoginHost(true)
	for name, wrong := range map[string]bool{"the answer": false, "an answer to another number": true} {
		in, said := converse(h, "grace", func(said string) (string, bool) {
			m := askedByPAM.FindStringSubmatch(said)
			if m == nil {
				return "", false
			}
			if wrong {
				return c.answer("00000000", w.Now()), true
			}
			return c.answer(m[1], w.Now()), true
		})
		if in == wrong {
			t.Errorf("%s: let in is %t\n%s", name, in, said)
		}
	}
}

// converse types the password, and then what answers the question that is read.
func converse(h *servertest.LoginHost, name string, answer func(said string) (line string, asked bool)) (in bool, all string) {
	h.W.T.Helper()
	cmd := exec.Command("pamtester", h.Service, name, "authenticate")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		h.W.T.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.W.T.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		h.W.T.Fatal(err)
	}
	fmt.Fprintln(stdin, servertest.Passphrase)
	answered, b := false, make([]byte, 4096)
	for {
		n, err := out.Read(b)
		if all += string(b[:n]); err != nil {
			break
		}
		if answered {
			continue
		}
		if line, asked := answer(all); asked {
			answered = true
			fmt.Fprintln(stdin, line)
			stdin.Close()
		}
	}
	return cmd.Wait() == nil, all
}
