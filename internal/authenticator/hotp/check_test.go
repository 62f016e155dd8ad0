package hotp_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign/internal/authenticator"
	"countersign/internal/authenticator/authenticatortest"
	"countersign/internal/authenticator/hotp"
	"countersign/internal/authenticator/otp"
	"countersign/internal/authenticator/pin"
	"countersign/internal/prompt"
	"countersign/internal/testbed"
)

// rfcKey is the key of RFC 4226, appendix D.
var rfcKey = otp.Key{Secret: []byte("12345678901234567890"), Algorithm: otp.SHA1, Digits: 6}

// bench does the engine's part for one credential, both guards in place.
type bench struct {
	t        testing.TB
	how      *hotp.Authenticator
	state    []byte
	spent    map[string]bool
	failures int
}

func newBench(t testing.TB, o hotp.Options, k otp.Key, counter uint64) *bench {
	t.Helper()
	e, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: k.Secret, Algorithm: string(k.Algorithm), Digits: k.Digits, Counter: counter})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, how: open(t, o), state: e.State, spent: map[string]bool{}}
}

// try answers and returns "ok", "half" or the reason of the refusal.
func (b *bench) try(text string) string {
	b.t.Helper()
	c := authenticator.Credential{ID: 1, State: b.state, Failures: b.failures}
	r, err := b.how.Check(b.t.Context(), []authenticator.Credential{c}, nil, prompt.Answer{Text: text}, time.Time{})
	if err != nil {
		b.t.Fatal(err)
	}
	if r.OK || r.Partial {
		if b.spent[r.Once] {
			b.failures++
			return "spent"
		}
		b.spent[r.Once], b.state = true, r.Next
	}
	switch {
	case r.OK:
		b.failures = 0
		return "ok"
	case r.Partial:
		return "half"
	}
	b.failures++
	return r.Reason
}

func (b *bench) want(what, text, want string) {
	b.t.Helper()
	if got := b.try(text); got != want {
		b.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// Each code of the RFC's table signs in once, in turn.
func TestRFC4226(t *testing.T) {
	f, err := os.Open("testdata/rfc4226-appendix-d.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := newBench(t, hotp.Options{}, rfcKey, 0)
	n := uint64(0)
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		var counter uint64
		var code string
		if _, err := fmt.Sscan(s.Text(), &counter, &code); err != nil || counter != n {
			t.Fatalf("line %q: %v", s.Text(), err)
		}
		b.want(fmt.Sprintf("code %d", n), code, "ok")
		b.failures = 0
		b.want(fmt.Sprintf("code %d again", n), code, "replayed")
		b.failures = 0
		n++
	}
	if n != 10 {
		t.Fatalf("the table has %d codes", n)
	}
}

// A second implementation, OATH Toolkit's, presses the button. It counts with
// SHA-1 alone; for the other hashes its clock is set to the counter's 30 seconds.
func TestOathtool(t *testing.T) {
	const start, window = 4_294_967_290, 12 // over the end of 32 bits
	for _, a := range []otp.Algorithm{otp.SHA1, otp.SHA256, otp.SHA512} {
		for digits := 6; digits <= 8; digits++ {
			k, err := otp.NewKey(a, digits)
			if err != nil {
				t.Fatal(err)
			}
			mode := []string{"--hotp", "-c", fmt.Sprint(start)}
			if a != otp.SHA1 {
				mode = []string{"--totp=" + strings.ToLower(string(a)), "--now", fmt.Sprintf("@%d", start*30)}
			}
			args := append(mode, "-d", fmt.Sprint(digits), "-w", fmt.Sprint(window), hex.EncodeToString(k.Secret))
			out, err := exec.Command(testbed.Program(t, "oathtool"), args...).Output()
			if err != nil {
				t.Fatalf("oathtool (Debian package oathtool): %v", err)
			}
			codes := strings.Fields(string(out))
			if len(codes) != window+1 {
				t.Fatalf("oathtool gave %d codes", len(codes))
			}
			b := newBench(t, hotp.Options{}, k, start)
			for i, code := range codes {
				b.want(fmt.Sprintf("%s, %d digits, code %d", a, digits, i), code, "ok")
			}
			b.want("the last one again", codes[window], "replayed")
		}
	}
}

// The window is exactly as wide as it says, and a device beyond it comes back by
// two codes in a row and by nothing less.
func TestWindowAndWayBack(t *testing.T) {
	b := newBench(t, hotp.Options{}, rfcKey, 5)
	b.want("the last code of the window", rfcKey.Code(14), "ok")
	b.want("one beyond", rfcKey.Code(25), "ahead")
	b.want("two that are not in a row", rfcKey.Code(40)+rfcKey.Code(42), "ahead")
	b.want("two in the wrong order", rfcKey.Code(41)+rfcKey.Code(40), "ahead")
	b.failures = 0
	b.want("one used code and the next", rfcKey.Code(14)+rfcKey.Code(15), "ahead")
	b.want("two in a row", rfcKey.Code(60)+" "+rfcKey.Code(61), "ok")
	b.want("the same two", rfcKey.Code(60)+" "+rfcKey.Code(61), "replayed")
	b.want("the first of them alone", rfcKey.Code(60), "replayed")
	b.want("the one that was passed over", rfcKey.Code(30), "replayed")
	b.failures = 0
	b.want("beyond the way back", rfcKey.Code(300)+rfcKey.Code(301), "wrong")
	b.want("the next one", rfcKey.Code(62), "ok")
}

// After three wrong answers two codes in a row are demanded, one after the other
// or at once, wherever within the wider window the device is.
func TestTwoAfterFailures(t *testing.T) {
	b := newBench(t, hotp.Options{}, rfcKey, 0)
	b.failures = 3
	b.want("the first", rfcKey.Code(50), "half")
	b.want("the first again", rfcKey.Code(50), "replayed")
	b.want("not the next", rfcKey.Code(52), "half") // it begins anew
	b.want("the first again", rfcKey.Code(50), "spent")
	b.want("the next", rfcKey.Code(53), "ok")
	b.want("one that was passed over", rfcKey.Code(51), "replayed")
	b.want("the first", rfcKey.Code(50), "replayed")
	b.failures = 0
	b.want("then one is enough", rfcKey.Code(54), "ok")
}

// Whoever guesses the first of two, far ahead, moves nothing: the owner's own
// codes still work.
func TestGuessedHalfLocksNobodyOut(t *testing.T) {
	b := newBench(t, hotp.Options{}, rfcKey, 5)
	b.failures = 3
	b.want("the stranger's guess", rfcKey.Code(90), "half")
	b.want("the owner's next code", rfcKey.Code(5), "half")
	b.want("and the one after it", rfcKey.Code(6), "ok")
}

// Whatever is typed in whatever order: no code is accepted twice or before one
// that was accepted, and none of the wider window by itself.
func TestNeverBackwards(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, hotp.Options{Window: 5, Resync: 20}, rfcKey, 0)
		highest, before := int64(-1), uint64(0)
		for range rapid.IntRange(1, 40).Draw(rt, "answers") {
			at := rapid.Uint64Range(before, before+30).Draw(rt, "counter")
			pair := rapid.Bool().Draw(rt, "pair")
			demanded := rapid.Bool().Draw(rt, "demanded")
			b.failures = 0
			if demanded {
				b.failures = 3
			}
			text, first := rfcKey.Code(at), int64(at)
			if pair {
				text, at = text+rfcKey.Code(at+1), at+1
			}
			was := highest
			switch got := b.try(text); {
			case got == "ok":
				if first <= was {
					rt.Fatalf("counter %d was accepted after %d", first, was)
				}
				if !pair && !demanded && first > was+5 {
					rt.Fatalf("counter %d was accepted by itself, %d ahead", first, first-was)
				}
				highest, before = int64(at), uint64(max(0, int64(at)-10))
			case got == "half" && (pair || !demanded):
				rt.Fatalf("half of a pair, or where none was demanded")
			}
		}
	})
}

// The first of two is spent by the state alone as well, when an administrator
// forgave the failures meanwhile and one code is enough again.
func TestHalfIsNoWholeLater(t *testing.T) {
	b := newBench(t, hotp.Options{}, rfcKey, 0)
	b.failures = 3
	b.want("the first", rfcKey.Code(4), "half")
	b.failures, b.spent = 0, map[string]bool{}
	b.want("the first by itself", rfcKey.Code(4), "replayed")
	b.want("the next", rfcKey.Code(5), "ok")
}

// Of two counters with one code the later is meant, so that the same digits are
// not right twice.
func TestSameCodeTwiceInTheWindow(t *testing.T) {
	k, at, again := twins(t)
	b := newBench(t, hotp.Options{}, k, at)
	b.want("the code", k.Code(at), "ok")
	b.want("the same digits, which the window holds once more", k.Code(again), "replayed")
}

// twins finds a key and two counters of one window with the same code.
func twins(t *testing.T) (k otp.Key, at, again uint64) {
	t.Helper()
	seen := map[string]uint64{}
	for c := range uint64(2_000_000) {
		code := rfcKey.Code(c)
		if before, ok := seen[code]; ok && c-before < 10 {
			return rfcKey, before, c
		}
		seen[code] = c
	}
	t.Fatal("no two codes alike")
	return k, 0, 0
}

// Of several tokens the right one answers.
func TestSeveralTokens(t *testing.T) {
	how := open(t, hotp.Options{})
	var all []authenticator.Credential
	var keys []otp.Key
	for i := range 3 {
		k, err := otp.NewKey(otp.SHA1, 6+i)
		if err != nil {
			t.Fatal(err)
		}
		e, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: k.Secret, Algorithm: string(k.Algorithm), Digits: k.Digits, Label: "a token"})
		if err != nil {
			t.Fatal(err)
		}
		keys, all = append(keys, k), append(all, authenticator.Credential{ID: 10, State: e.State})
		all[i].ID += 1 << i
	}
	for i, k := range keys {
		r, err := how.Check(t.Context(), all, nil, prompt.Answer{Text: k.Code(2)}, time.Time{})
		if err != nil || !r.OK || r.Credential != all[i].ID || r.Detail != "the device was 2 codes ahead" {
			t.Errorf("token %d: %+v, %v", i, r, err)
		}
	}
	q, _, err := how.Ask(all, time.Time{})
	if err != nil || q.Digits != 0 {
		t.Errorf("asked for %d digits of tokens with 6, 7 and 8: %v", q.Digits, err)
	}
}

func TestOptions(t *testing.T) {
	good := hotp.Options{Issuer: "I"}
	for name, change := range map[string]func(*hotp.Options){
		"no issuer":             func(o *hotp.Options) { o.Issuer = "" },
		"MD5":                   func(o *hotp.Options) { o.Algorithm = "MD5" },
		"5 digits":              func(o *hotp.Options) { o.Digits = 5 },
		"a window of 34":        func(o *hotp.Options) { o.Window = 34 },
		"a window of -1":        func(o *hotp.Options) { o.Window = -1 },
		"20 guesses at 10 each": func(o *hotp.Options) { o.Window, o.NextCode = 20, 10 },
		"never two":             func(o *hotp.Options) { o.NextCode = 11 },
		"a narrower way back":   func(o *hotp.Options) { o.Resync = 9 },
		"a way back of 1001":    func(o *hotp.Options) { o.Resync = 1001 },
	} {
		o := good
		change(&o)
		if _, err := hotp.New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for _, o := range []hotp.Options{good, {Issuer: "I", Window: 33}, {Issuer: "I", Window: 10, NextCode: 10, Resync: 1000, Digits: 8, Algorithm: otp.SHA512}} {
		if _, err := hotp.New(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// An offer brings the key as a counter's and from 0 on; a device that was pressed
// a few times confirms it, and one that is far ahead is told how.
func TestOffer(t *testing.T) {
	how, ada := open(t, hotp.Options{}), authenticator.Person{Account: 7, Name: "ada"}
	offer, memo, err := how.Offer(ada, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var shown map[string]string
	if err := json.Unmarshal(offer.Data, &shown); err != nil {
		t.Fatal(err)
	}
	if u := shown["uri"]; !strings.HasPrefix(u, "otpauth://hotp/Countersign:ada?") || !strings.HasSuffix(u, "&counter=0") {
		t.Error("the offer's URI is not a counter's from 0 on")
	}
	press := button(t, offer)
	for range 10 {
		press()
	}
	accept := func(text string) error {
		_, err := how.Accept(t.Context(), ada, memo, prompt.Answer{Text: text}, time.Time{})
		return err
	}
	refused, ok := accept(press()).(*authenticator.Refused)
	if !ok || refused.Reason != "ahead" || !strings.Contains(refused.Public, "two of its codes") {
		t.Errorf("a device that is ahead is told %+v", refused)
	}
	if err := accept(press() + press()); err != nil {
		t.Errorf("two codes in a row: %v", err)
	}
}

// next is the counter of a stored key, in either form.
func next(t *testing.T, state []byte) uint64 {
	t.Helper()
	if otp.InJSON(state) {
		var old struct {
			Next uint64 `json:"n"`
		}
		if err := json.Unmarshal(state, &old); err != nil {
			t.Fatal("accepted over a state that is neither form")
		}
		return old.Next
	}
	var n [2]uint64
	if _, _, err := otp.Kept(state, n[:]); err != nil {
		t.Fatal("accepted over a state that is neither form")
	}
	return n[0]
}

// A key that an earlier release stored, with and without a PIN, is good as it was,
// and is stored in the new form with its next answer. Both forms are fixed here.
func TestKeysOfEarlierReleases(t *testing.T) {
	secret := hex.EncodeToString(rfcKey.Secret)
	salt, sum := strings.Repeat("ab", 16), "" // of the PIN 481516
	kept := pin.Kept{Digits: 6, Salt: bytes.Repeat([]byte{0xab}, 16)}
	kept.Sum = authenticatortest.PINKeys{}.MAC(kept.Salt, myPIN)
	sum = hex.EncodeToString(kept.Sum)
	how := open(t, hotp.Options{PINs: authenticatortest.PINKeys{}})
	for name, c := range map[string]struct{ stored, text, next string }{
		"bare": {`{"v":1,"k":{"s":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","a":"SHA1","d":6},"n":5}`, rfcKey.Code(7),
			"03010614" + secret + "0000000000000008" + "0000000000000000" + "00"},
		"half": {`{"v":1,"k":{"s":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","a":"SHA1","d":6},"n":5,"w":9}`, rfcKey.Code(9),
			"03010614" + secret + "000000000000000a" + "0000000000000000" + "00"},
		"with a PIN": {fmt.Sprintf(`{"v":2,"k":{"s":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","a":"SHA1","d":6},"n":5,"pin":{"d":6,"s":%q,"h":%q,"f":true}}`,
			base64.StdEncoding.EncodeToString(kept.Salt), base64.StdEncoding.EncodeToString(kept.Sum)), myPIN + rfcKey.Code(5),
			"03010614" + secret + "0000000000000006" + "0000000000000000" + "0610" + salt + "20" + sum + "01"},
	} {
		failures := 0
		if name == "half" {
			failures = 3
		}
		r, err := how.Check(t.Context(), []authenticator.Credential{{ID: 1, State: []byte(c.stored), Failures: failures}}, nil, prompt.Answer{Text: c.text}, time.Time{})
		if err != nil || !r.OK || hex.EncodeToString(r.Next) != c.next {
			t.Errorf("%s: ok %t, stored as %x, %v", name, r.OK, r.Next, err)
			continue
		}
		again, err := how.Check(t.Context(), []authenticator.Credential{{ID: 1, State: r.Next}}, nil, prompt.Answer{Text: c.text}, time.Time{})
		if err != nil || again.OK || again.Reason != otp.Replayed && name != "with a PIN" {
			t.Errorf("%s: again it is %q, ok %t, %v", name, again.Reason, again.OK, err)
		}
	}
}

// FuzzState: what no release wrote breaks down or refuses; what is read is
// written again as it was; and whatever was read, the counter does not go back.
func FuzzState(f *testing.F) {
	e, err := new(hotp.Authenticator).Import(authenticator.Seed{Secret: rfcKey.Secret, Algorithm: string(rfcKey.Algorithm), Digits: rfcKey.Digits, Counter: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.State, rfcKey.Code(3), 0)
	f.Add(e.State, rfcKey.Code(3)+rfcKey.Code(4), 3)
	f.Add([]byte(`{"v":1,"k":{"s":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","a":"SHA1","d":6},"n":4611686018427387904}`), "755224", 3)
	f.Add([]byte(`{"v":1,"k":{"s":"MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=","a":"SHA1","d":6},"n":18446744073709551615,"w":1}`), "755224", 3)
	f.Add([]byte(`{"v":2}`), "1", 0)
	how := open(f, hotp.Options{})
	f.Fuzz(func(t *testing.T, state []byte, text string, failures int) {
		c := authenticator.Credential{ID: 1, State: slices.Clone(state), Failures: failures}
		r, err := how.Check(t.Context(), []authenticator.Credential{c}, nil, prompt.Answer{Text: text}, time.Time{})
		if err != nil || r.Next == nil {
			return
		}
		before, after := next(t, state), next(t, r.Next)
		if after < before || r.OK && after == before {
			t.Fatalf("the counter went from %d to %d", before, after)
		}
		c.State = r.Next
		if again, err := how.Check(t.Context(), []authenticator.Credential{c}, nil, prompt.Answer{Text: text}, time.Time{}); err == nil && again.OK && r.OK {
			t.Fatal("the same answer was right twice")
		}
	})
}
