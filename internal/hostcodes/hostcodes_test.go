package hostcodes

import (
	"strings"
	"testing"

	"countersign/internal/authenticator/otp"
)

const someSecret = "3132333435363738393031323334353637383930"

func TestReadFile(t *testing.T) {
	const unused, once = "HOTP root - " + someSecret, "HOTP\tops\t-\t" + someSecret + "\t5\t68254676\t2026-11-25T20:18:18L"
	got, err := readFile("# the lists\n\n" + unused + "\n" + once + "\n")
	if err != nil || len(got) != 2 || got[0].counter != -1 || got[1].counter != 5 || got[1].code != "68254676" || got[1].at.Hour() != 20 || got[1].login != "ops" {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, bad := range []string{
		"HOTP/T30 root - " + someSecret, "HOTP root -", "HOTP root - xyz", "root " + someSecret, unused + " 5", unused + " 5 1234 2026-11-25T20:18:18L",
		unused + " -5 68254676 2026-11-25T20:18:18L", unused + " 5 68254676 yesterday", unused + " 99999999999 68254676 2026-11-25T20:18:18L",
		"HOTP root - " + strings.Repeat("ab", 1<<17), strings.Repeat(unused+"\n", mostLines+1),
	} {
		if got, err := readFile(unused + "\n" + bad); err == nil {
			t.Errorf("%.60q is read as %+v", bad, got)
		} else if strings.Contains(err.Error(), someSecret) {
			t.Error("an error holds a secret")
		}
	}
}

func TestJudge(t *testing.T) {
	l := List{Codes: 20, Next: 3, key: otp.Key{Algorithm: otp.SHA1, Digits: Digits, Secret: []byte("12345678901234567890")}}
	of := func(secret string, counter int, code string) used {
		return used{secret: []byte(secret), counter: counter, code: code}
	}
	right := func(i int) string { return l.key.Code(uint64(i)) }
	const own = "12345678901234567890"
	for name, c := range map[string]struct {
		u     used
		used  int
		wrong string
	}{
		"the next":                 {of(own, 3, right(3)), 4, ""},
		"three passed over":        {of(own, 6, right(6)), 7, ""},
		"the last of the list":     {of(own, 19, right(19)), 20, ""},
		"nothing since":            {of(own, 2, right(2)), 0, ""},
		"put back":                 {of(own, 1, right(1)), 0, "went-back"},
		"put back to unused":       {of(own, -1, ""), 0, "went-back"},
		"behind the list":          {of(own, 20, right(20)), 0, "forged"},
		"a code of another place":  {of(own, 5, right(6)), 0, "forged"},
		"a changed code of before": {of(own, 2, right(6)), 0, "forged"},
		"another list":             {of("another secret......", 5, right(5)), 0, "other-list"},
	} {
		if f := l.judge(c.u); f.Used != c.used || f.Wrong != c.wrong {
			t.Errorf("%s: used %d, %q", name, f.Used, f.Wrong)
		}
	}
}

// No file makes a reader fall over, and what is read has what is used of it.
func FuzzReadFile(f *testing.F) {
	f.Add("HOTP root - " + someSecret + " 5 68254676 2026-11-25T20:18:18L\n")
	f.Add("# \n\nHOTP\t\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := readFile(text)
		for _, u := range lines {
			if err != nil || u.login == "" || len(u.secret) == 0 || u.counter < -1 || u.counter >= 0 && (len(u.code) != Digits || u.at.IsZero()) {
				t.Errorf("%+v, %v", u, err)
			}
			List{Codes: 5, key: otp.Key{Algorithm: otp.SHA1, Digits: Digits, Secret: []byte("12345678901234567890")}}.judge(u)
		}
	})
}
