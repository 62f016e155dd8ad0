package ocra_test

import (
	"crypto/rand"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/ocra"
	"countersign/internal/authenticator/pin"
	"countersign/internal/prompt"
)

// device is a token: it answers the number that is typed into it.
type device struct {
	suite   ocra.Suite
	secret  []byte
	next    uint64
	pinHash []byte
	fast    time.Duration // how much its clock is ahead
}

func newDevice(t testing.TB, text string) *device {
	t.Helper()
	d := &device{suite: suite(t, text), secret: make([]byte, 20)}
	rand.Read(d.secret)
	return d
}

func (d *device) answer(t testing.TB, question string, now time.Time) string {
	t.Helper()
	in := ocra.Input{Counter: d.next, Question: question, PINHash: d.pinHash}
	if d.suite.Step > 0 {
		in.Time = uint64(now.Add(d.fast).Unix() / int64(d.suite.Step/time.Second))
	}
	d.next++
	r, err := d.suite.Response(d.secret, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (d *device) imported(t testing.TB) authenticator.Enrolled {
	t.Helper()
	e, err := new(ocra.Authenticator).Import(authenticator.Seed{Suite: d.suite.String(), Secret: d.secret})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func open(t testing.TB) *ocra.Authenticator {
	t.Helper()
	a, err := ocra.New(authenticatortest.PINKeys{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func subject(text string) authenticatortest.Subject {
	return authenticatortest.Subject{
		New: func(t testing.TB) authenticator.Authenticator { return open(t) },
		Enroll: func(t testing.TB, _ authenticator.Authenticator, _ authenticator.Person, _ time.Time) (authenticator.Enrolled, authenticatortest.Answerer) {
			t.Helper()
			d := newDevice(t, text)
			return d.imported(t), func(t testing.TB, question prompt.Prompt, now time.Time) prompt.Answer {
				t.Helper()
				return prompt.Answer{Authenticator: ocra.Kind, Text: d.answer(t, question.Number, now)}
			}
		},
	}
}

func TestExam(t *testing.T) {
	plain := subject("OCRA-1:HOTP-SHA1-6:QN08")
	plain.Unmoved = true
	t.Run("question alone", func(t *testing.T) { authenticatortest.Exam(t, plain) })
	t.Run("counter", func(t *testing.T) { authenticatortest.Exam(t, subject("OCRA-1:HOTP-SHA256-6:C-QA10")) })
	timed := subject("OCRA-1:HOTP-SHA512-6:QH08-T1M")
	timed.Unmoved, timed.Pause, timed.Stale = true, time.Minute, 3*time.Minute
	t.Run("time", func(t *testing.T) { authenticatortest.Exam(t, timed) })
}

// held is a token as an engine keeps it.
type held struct {
	*device
	t        *testing.T
	failures int
	how      *ocra.Authenticator
	state    []byte
	spent    map[string]bool
}

func hold(t *testing.T, text string) *held {
	t.Helper()
	d := newDevice(t, text)
	return &held{d, t, 0, open(t), d.imported(t).State, map[string]bool{}}
}

var noon = time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)

func (h *held) ask(now time.Time) (prompt.Prompt, authenticator.Memo) {
	h.t.Helper()
	q, memo, err := h.how.Ask([]authenticator.Credential{{ID: 5, Account: 7, State: h.state}}, now)
	if err != nil {
		h.t.Fatal(err)
	}
	return q, memo
}

func (h *held) types(memo authenticator.Memo, text string, now time.Time) authenticator.Result {
	h.t.Helper()
	r, err := h.how.Check(h.t.Context(), []authenticator.Credential{{ID: 5, Account: 7, State: h.state, Failures: h.failures}}, memo, prompt.Answer{Text: text}, now)
	if err != nil {
		h.t.Fatal(err)
	}
	if r.OK && h.spent[r.Once] {
		return authenticator.Wrong("replayed")
	}
	if r.OK || r.Used {
		h.state, h.spent[r.Once] = r.Next, true
	}
	return r
}

// signs answers a new question rightly.
func (h *held) signs(prefix string, now time.Time) authenticator.Result {
	h.t.Helper()
	q, memo := h.ask(now)
	return h.types(memo, prefix+h.answer(h.t, q.Number, now), now)
}

// A response is good for the number that was asked, and the number for one answer.
func TestResponseIsForItsQuestion(t *testing.T) {
	h := hold(t, "OCRA-1:HOTP-SHA1-6:QN08")
	q, memo := h.ask(noon)
	other, otherMemo := h.ask(noon)
	if q.Number == other.Number || len(q.Number) != 8 {
		t.Fatalf("asked %s and %s", q.Number, other.Number)
	}
	answer := h.answer(t, q.Number, noon)
	if h.types(otherMemo, answer, noon).OK || h.types(nil, answer, noon).OK {
		t.Error("the response to another number is right")
	}
	foreign, foreignMemo, err := h.how.Ask([]authenticator.Credential{{ID: 6, Account: 8, State: h.state}}, noon)
	if err != nil || h.types(foreignMemo, h.answer(t, foreign.Number, noon), noon).OK {
		t.Error("a number that another account was asked has a right answer")
	}
	if !h.types(memo, answer, noon).OK {
		t.Error("the response was refused")
	}
	if r := h.types(memo, answer, noon); r.OK {
		t.Error("a number was answered twice")
	}
}

// A PIN in front: wrong ones use the response up.
func TestPINInFront(t *testing.T) {
	h := hold(t, "OCRA-1:HOTP-SHA1-6:C-QN08")
	kept, digits, err := pin.New(authenticatortest.PINKeys{}, "481516")
	if err != nil {
		t.Fatal(err)
	}
	e, err := new(ocra.Authenticator).SetPIN(h.state, kept, digits)
	if err != nil {
		t.Fatal(err)
	}
	h.state = e.State
	if q, _ := h.ask(noon); q.Kind != prompt.Secret || q.Label != "PIN and answer of your token to the number" {
		t.Errorf("the question is %+v", q)
	}
	if r := h.signs("481516", noon); !r.OK || r.Traits != assurance.Held|assurance.Known {
		t.Errorf("refused as %q, showing %s", r.Reason, r.Traits)
	}
	if h.signs("", noon).OK {
		t.Error("without the PIN it is right")
	}
	q, memo := h.ask(noon)
	seen := h.answer(t, q.Number, noon)
	if r := h.types(memo, "481517"+seen, noon); r.OK || !r.Used {
		t.Errorf("behind a wrong PIN: ok %t, used %t", r.OK, r.Used)
	}
	if h.types(memo, "481516"+seen, noon).OK {
		t.Error("a response that was seen behind a wrong PIN is right")
	}
	if r := h.signs("481516", noon); !r.OK {
		t.Errorf("then refused as %q", r.Reason)
	}
}

// Where the suite hashes the PIN it is typed into the token, and nothing is right
// before one is set, nor with another.
func TestPINInTheToken(t *testing.T) {
	h := hold(t, "OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1")
	h.pinHash = make([]byte, 20)
	if r := h.signs("", noon); r.OK || r.Reason != "no-pin" {
		t.Errorf("without a PIN: ok %t, %q", r.OK, r.Reason)
	}
	given, digits := pin.Give(authenticatortest.PINKeys{}, 0)
	e, err := new(ocra.Authenticator).SetPIN(h.state, given, digits)
	if err != nil || e.Traits != assurance.Held {
		t.Fatal(err, e.Traits)
	}
	h.state, h.pinHash = e.State, sum("000000")
	if h.signs("", noon).OK {
		t.Error("another PIN in the token is right")
	}
	h.pinHash = sum(digits)
	if r := h.signs("", noon); !r.OK || r.Traits != assurance.Held {
		t.Errorf("a first PIN: %q, showing %s", r.Reason, r.Traits)
	}
	if h.signs(digits, noon).OK {
		t.Error("the PIN in front as well is right")
	}
	kept, own, err := pin.New(authenticatortest.PINKeys{}, "481516")
	if err != nil {
		t.Fatal(err)
	}
	if e, err = new(ocra.Authenticator).SetPIN(h.state, kept, own); err != nil {
		t.Fatal(err)
	}
	h.state, h.pinHash = e.State, sum(own)
	if r := h.signs("", noon); !r.OK || r.Traits != assurance.Held|assurance.Known {
		t.Errorf("one's own PIN: %q, showing %s", r.Reason, r.Traits)
	}
	if e, err = new(ocra.Authenticator).SetPIN(h.state, nil, ""); err != nil {
		t.Fatal(err)
	}
	if kept, needed, err := new(ocra.Authenticator).PIN(e.State); kept != nil || !needed || err != nil {
		t.Error("the PIN was not taken away")
	}
}

// The counter goes forward, the window is ten, and two answers bring it back.
func TestCounterAndResync(t *testing.T) {
	h := hold(t, "OCRA-1:HOTP-SHA1-6:C-QN08")
	h.next = 9
	if !h.signs("", noon).OK {
		t.Error("nine ahead is refused")
	}
	h.failures, h.next = 3, h.next+1
	if h.signs("", noon).OK {
		t.Error("one ahead is right after three failures")
	}
	h.next -= 2
	if !h.signs("", noon).OK {
		t.Error("the very next one is refused after three failures")
	}
	h.failures = 0
	h.next -= 2
	if h.signs("", noon).OK {
		t.Error("a response of a counter that was passed is right")
	}
	h.next += 40
	if r := h.signs("", noon); r.OK || r.Reason != "ahead" {
		t.Errorf("forty ahead: ok %t, %q", r.OK, r.Reason)
	}
	h.next += 700
	pair := func(q1, q2 string) string {
		return q1 + " " + h.answer(t, q1, noon) + " " + q2 + " " + h.answer(t, q2, noon)
	}
	for what, text := range map[string]string{"one question twice": pair("4815", "4815"), "one answer": "4815 " + h.answer(t, "4815", noon), "nothing": "", "words": "a b c d",
		"a long question": pair("481516234", "4815")} {
		if r, err := new(ocra.Authenticator).Resync(h.state, text, noon); err != nil || r.OK {
			t.Errorf("%s: ok %t, %v", what, r.OK, err)
		}
	}
	text := pair("48151623", "42481516")
	r, err := new(ocra.Authenticator).Resync(h.state, text, noon)
	if err != nil || !r.OK {
		t.Fatalf("two answers: %q, %v", r.Reason, err)
	}
	h.state = r.Next
	if again, _ := new(ocra.Authenticator).Resync(h.state, text, noon); again.OK {
		t.Error("two answers put it right twice")
	}
	if !h.signs("", noon).OK {
		t.Error("then a response is refused")
	}
}

// A clock that is off is found, followed and not believed beyond its bounds.
func TestClock(t *testing.T) {
	h := hold(t, "OCRA-1:HOTP-SHA256-8:QN08-T1M")
	h.fast = 12 * time.Minute
	if h.signs("", noon).OK {
		t.Error("twelve minutes ahead is right")
	}
	text := "48151623 " + h.answer(t, "48151623", noon) + " 42481516 " + h.answer(t, "42481516", noon.Add(40*time.Second))
	r, err := new(ocra.Authenticator).Resync(h.state, text, noon.Add(40*time.Second))
	if err != nil || !r.OK {
		t.Fatalf("two answers: %q, %v", r.Reason, err)
	}
	h.state = r.Next
	for range 3 { // it drifts on, and is followed
		h.fast += time.Minute
		if r := h.signs("", noon.Add(time.Hour)); !r.OK {
			t.Errorf("refused as %q", r.Reason)
		}
	}
	h.fast = 40 * time.Minute
	text = "48151623 " + h.answer(t, "48151623", noon) + " 42481516 " + h.answer(t, "42481516", noon)
	if r, _ := new(ocra.Authenticator).Resync(h.state, text, noon); r.OK {
		t.Error("forty minutes off is found")
	}
}

// A token whose suite hashes a PIN is put right in stock by a PIN for this once.
func TestResyncInStockWithAPIN(t *testing.T) {
	h := hold(t, "OCRA-1:HOTP-SHA256-8:C-QN08-PSHA512")
	h.pinHash = sum512("0000")
	text := "48151623 " + h.answer(t, "48151623", noon) + " 42481516 " + h.answer(t, "42481516", noon)
	if r, _ := new(ocra.Authenticator).Resync(h.state, text, noon); r.OK {
		t.Error("without its PIN")
	}
	r, err := new(ocra.Authenticator).Resync(h.state, text+" 0000", noon)
	if err != nil || !r.OK {
		t.Fatalf("%q, %v", r.Reason, err)
	}
	h.state = r.Next
	if r := h.signs("", noon); r.OK || r.Reason != "no-pin" {
		t.Error("the PIN of stock is a PIN")
	}
}

func TestImportRefuses(t *testing.T) {
	for text, secret := range map[string]int{
		"OCRA-1:HOTP-SHA1-5:QN08": 20, "OCRA-1:HOTP-SHA1-9:QN08": 20, "OCRA-1:HOTP-SHA1-0:QN08": 20, "OCRA-1:HOTP-SHA1-6:QN08-S064": 20, "OCRA-1:HOTP-SHA1-6:QN05": 20,
		"OCRA-1:HOTP-SHA1-6:QN05-T1M": 20, "OCRA-1:HOTP-SHA1-6:QN08": 15, "OCRA-1:HOTP-SHA256-6:QN08": 129, "hotp": 20,
	} {
		if _, err := new(ocra.Authenticator).Import(authenticator.Seed{Suite: text, Secret: make([]byte, secret)}); err == nil {
			t.Errorf("%s with %d bytes is imported", text, secret)
		}
	}
	if _, err := new(ocra.Authenticator).Import(authenticator.Seed{Suite: "OCRA-1:HOTP-SHA1-6:C-QN04", Secret: make([]byte, 20)}); err != nil {
		t.Errorf("four digits with a counter: %v", err)
	}
	if _, err := new(ocra.Authenticator).Import(authenticator.Seed{Suite: "OCRA-1:HOTP-SHA1-6:C-QN08", Secret: make([]byte, 20), Counter: 1 << 63}); err == nil {
		t.Error("a counter at the end is imported")
	}
}

func BenchmarkCheck(b *testing.B) {
	d := newDevice(b, "OCRA-1:HOTP-SHA256-8:C-QN08")
	how, state := open(b), d.imported(b).State
	c := []authenticator.Credential{{ID: 5, Account: 7, State: state}}
	q, memo, err := how.Ask(c, noon)
	if err != nil {
		b.Fatal(err)
	}
	answer := prompt.Answer{Text: d.answer(b, q.Number, noon)}
	b.ReportAllocs()
	for b.Loop() {
		if r, err := how.Check(b.Context(), c, memo, answer, noon); err != nil || !r.OK {
			b.Fatal(err, r.Reason)
		}
	}
}
