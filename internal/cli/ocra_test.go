package cli

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
	secret, err := hex.DecodeString(secretOf(20, fill))
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
func (e equipment) challenged(name string) (number, state string) {
	e.w.t.Helper()
	out := e.ask(name, passphrase, "")
	m, s := askedByRADIUS.FindStringSubmatch(out), stateAttribute.FindAllStringSubmatch(out, -1)
	if m == nil || s == nil {
		e.w.t.Fatalf("no number was asked for:\n%s", out)
	}
	return m[1], s[len(s)-1][1]
}

func (e equipment) accepts(name, text, state string) bool {
	e.w.t.Helper()
	return strings.Contains(e.ask(name, text, state), "Received Access-Accept")
}

// The promise: a challenge token signs in by RADIUS and on the pages, with the answer
// to the number that was just asked, once; an answer to another number, to another
// person's or of before is nothing, and no single line is asked for one.
func TestChallengeToken(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string { return storetest.StartPostgres(t).DSN },
	} {
		t.Run(name, func(t *testing.T) { challengeToken(t, newWorldOn(t, database(t))) })
	}
}

func challengeToken(t *testing.T, w *world) {
	desk := w.tokenDesk()
	w.welcomed("grace")
	w.welcomed("henry")
	plain, counted := newCalculator(t, "OCRA-1:HOTP-SHA1-6:QN08", 1), newCalculator(t, "OCRA-1:HOTP-SHA256-8:C-QA10-T1M", 2)
	counted.next = 5
	file := desk.file(plain.line("O-1") + counted.line("O-2"))
	if out := desk.does("token", "import", file, "--format", "oath-csv"); !strings.Contains(out, "ocra OCRA-1:HOTP-SHA256-8:C-QA10-T1M") {
		t.Errorf("the preview says %s", out)
	}
	desk.does("token", "import", file, "--format", "oath-csv", "--commit")
	desk.refuses("session information", "token", "import", desk.file("O-3,"+secretOf(20, 3)+",ocra,OCRA-1:HOTP-SHA1-6:QN08-S064\n"), "--format", "oath-csv")
	desk.does("token", "assign", "O-1", "grace")
	desk.does("token", "assign", "O-2", "henry")
	vpn := w.equipment()

	number, state := vpn.challenged("grace")
	_, another := vpn.challenged("grace")
	answer := plain.answer(number, w.now())
	if vpn.accepts("grace", answer, another) {
		t.Error("the answer to another number was let in")
	}
	if !vpn.accepts("grace", answer, state) {
		t.Fatal("the answer was refused")
	}
	if _, next := vpn.challenged("grace"); vpn.accepts("grace", answer, next) {
		t.Error("an answer of before was let in")
	}
	if vpn.line("grace", passphrase+","+answer) {
		t.Error("an answer that nobody asked for was let in")
	}
	number, state = vpn.challenged("henry")
	seen := counted.answer(number, w.now())
	if vpn.accepts("henry", plain.answer(number, w.now()), state) {
		t.Error("another person's token was let in")
	}
	number, state = vpn.challenged("henry")
	if !vpn.accepts("henry", counted.answer(number, w.now()), state) {
		t.Error("a token with counter and clock was refused")
	}
	if _, state = vpn.challenged("henry"); vpn.accepts("henry", seen, state) {
		t.Error("an answer of a counter that was passed was let in")
	}

	// Beside a code token, by one question for both.
	fob := w.takesToken(desk, "C-7", "henry")
	if out := vpn.ask("henry", passphrase, ""); !strings.Contains(out, "Next code from your code token, or Answer of your token to the number ") {
		t.Errorf("two kinds of tokens are asked for by\n%s", out)
	}
	if _, state = vpn.challenged("henry"); !vpn.accepts("henry", fob.press(), state) {
		t.Error("the code of the one was refused")
	}
	number, state = vpn.challenged("henry")
	if !vpn.accepts("henry", counted.answer(number, w.now()), state) {
		t.Error("the answer of the other was refused")
	}
	if _, state = vpn.challenged("henry"); vpn.accepts("henry", "000000", state) {
		t.Error("a wrong one was let in")
	}

	// On the pages, and a wrong answer gets another number.
	p := w.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "grace", "authenticator", "password", "text", passphrase)
	first := askedOnPage.FindStringSubmatch(p.page)
	if first == nil {
		t.Fatalf("no number on the page:\n%s", p.page)
	}
	p.post("/sign-in", "authenticator", "ocra", "text", "000000")
	second := askedOnPage.FindStringSubmatch(p.page)
	if second == nil || second[1] == first[1] {
		t.Fatal("a wrong answer gets the same number again")
	}
	p.post("/sign-in", "authenticator", "ocra", "text", plain.answer(first[1], w.now()))
	if strings.Contains(p.page, "Where you are signed in") {
		t.Fatal("the answer to the number of before was let in")
	}
	third := askedOnPage.FindStringSubmatch(p.page)
	p.post("/sign-in", "authenticator", "ocra", "text", plain.answer(third[1], w.now()))
	p.sees("Where you are signed in")

	if vpn := w.codeOnly(); vpn.line("grace", answer) || vpn.line("grace", plain.answer("00000000", w.now())) {
		t.Error("a single line was let in without a number")
	}
	if n := w.count(t, `select count(*) from guess where subject like 'credential/%' and count > 0`); n != 2 { // henry's, for his last
		t.Errorf("%d tokens pay for what was typed unasked", n)
	}
}

// The promise: a challenge token goes the way of every token: put right by two
// answers, returned, handed on without its PIN, lost.
func TestChallengeTokenChangesHands(t *testing.T) {
	w := newWorld(t)
	desk, again := w.desks()
	w.welcomed("grace")
	w.welcomed("henry")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:C-QN08-PSHA1", 1)
	desk.does("token", "import", desk.file(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.does("token", "assign", "O-1", "grace")
	desk.refuses("made with its PIN", "token", "pin", "O-1", "--none")
	given := pinCell.FindStringSubmatch(desk.does("token", "pin", "O-1"))
	if given == nil {
		t.Fatal("no PIN was given")
	}
	vpn := w.equipment()
	signs := func(name string) bool {
		t.Helper()
		number, state := vpn.challenged(name)
		return vpn.accepts(name, c.answer(number, w.now()), state)
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
		return "4815162 " + c.answer("4815162", w.now()) + " 3421084 " + c.answer("3421084", w.now())
	}
	desk.refuses("not two codes", "token", "resync", "O-1", c.answer("4815162", w.now())+" "+c.answer("4815162", w.now()))
	desk.does("token", "resync", "O-1", pair())
	if !signs("grace") {
		t.Error("after two answers it was refused")
	}

	w.settled()
	p := w.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "grace", "authenticator", "password", "text", passphrase)
	p.post("/sign-in", "authenticator", "ocra", "text", c.answer(askedOnPage.FindStringSubmatch(p.page)[1], w.now()))
	p.setsPIN(ownPIN)
	p.sees("The PIN is set")
	if c.pin = ownPIN; !signs("grace") {
		t.Error("with her own PIN she was refused")
	}

	again()
	desk.does("token", "return", "O-1")
	desk.refuses("not two codes", "token", "resync", "O-1", pair())
	c.pin = "0000"
	desk.does("token", "resync", "O-1", pair()+" 0000")
	desk.does("token", "assign", "O-1", "henry")
	if c.pin = ownPIN; signs("henry") {
		t.Error("the last owner's PIN is the next one's")
	}
	if c.pin = "0000"; signs("henry") {
		t.Error("the PIN of the stock is the next one's")
	}
	desk.does("token", "lost", "O-1")
	if out := vpn.ask("henry", passphrase, ""); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("a lost token is still asked for:\n%s", out)
	}
}

// The promise: guessing at numbers wears out like every guess.
func TestGuessingAChallengeToken(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	w.welcomed("grace")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:QN08", 1)
	desk.does("token", "import", desk.file(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.does("token", "assign", "O-1", "grace")
	vpn := w.equipment()
	for range 20 {
		w.later(2 * time.Hour) // past every delay
		if _, state := vpn.challenged("grace"); vpn.accepts("grace", "000000", state) {
			t.Fatal("a guess was let in")
		}
	}
	if n := w.events("credential.closed"); n != 1 {
		t.Errorf("closed %d times", n)
	}
	w.later(2 * time.Hour)
	if number, state := vpn.challenged("grace"); vpn.accepts("grace", c.answer(number, w.now()), state) {
		t.Error("after 20 wrong answers the right one was let in")
	}
}

// The number can be read on a phone, and by a screen reader.
func TestChallengeTokenInTheBrowser(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	w.welcomed("grace")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:QN08", 1)
	desk.does("token", "import", desk.file(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.does("token", "assign", "O-1", "grace")
	b := testbed.Chromium(t)
	b.Visit(w.base + "/sign-in")
	b.Fill("#name", "grace")
	b.Fill("#text", passphrase)
	b.Click("main form:not([data-passkey]) button")
	b.Wait("#text-ocra")
	pictures(b, "challenge-token")
	fits(t, b, "challenge-token")
	b.Fill("#text-ocra", c.answer(b.Text("#number-ocra"), w.now()))
	b.Click("main form:not([data-passkey]) button")
	b.WaitText("main", "This browser")
}

var askedByPAM = regexp.MustCompile(`to the number (\d{6,8}): `)

// The promise: a PAM stack shows the number, and takes the answer to it.
func TestChallengeTokenByPAM(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	w.welcomed("grace")
	c := newCalculator(t, "OCRA-1:HOTP-SHA1-6:C-QN08", 1)
	desk.does("token", "import", desk.file(c.line("O-1")), "--format", "oath-csv", "--commit")
	desk.does("token", "assign", "O-1", "grace")
	h := w.loginHost(true)
	for name, wrong := range map[string]bool{"the answer": false, "an answer to another number": true} {
		in, said := h.converse("grace", func(said string) (string, bool) {
			m := askedByPAM.FindStringSubmatch(said)
			if m == nil {
				return "", false
			}
			if wrong {
				return c.answer("00000000", w.now()), true
			}
			return c.answer(m[1], w.now()), true
		})
		if in == wrong {
			t.Errorf("%s: let in is %t\n%s", name, in, said)
		}
	}
}

// converse types the password, and then what answers the question that is read.
func (h *loginHost) converse(name string, answer func(said string) (line string, asked bool)) (in bool, all string) {
	h.w.t.Helper()
	cmd := exec.Command("pamtester", h.service, name, "authenticate")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		h.w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		h.w.t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		h.w.t.Fatal(err)
	}
	fmt.Fprintln(stdin, passphrase)
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
