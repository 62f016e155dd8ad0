package approval

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/store"
)

// The promise: whoever guesses a number has one chance in a million. It is drawn of all six
// digits, the leading ones too: of 300 each place shows all ten, but for one run in a billion.
func TestTheRangeOfANumber(t *testing.T) {
	b := withBells(t)
	seen := [approvalDigits]map[byte]bool{}
	for i := range seen {
		seen[i] = map[byte]bool{}
	}
	b.change(func(tx *store.Tx) error {
		for range 300 {
			number, _, err := b.Requests.Open(t.Context(), tx, Asker{Account: b.ada.ID, Attempt: "a", Source: home, Deadline: b.clock.Now().Add(time.Minute)}, Waiting{Name: "ada", Application: "vpn"})
			if err != nil {
				return err
			}
			if len(number) != len(seen) || strings.Trim(number, "0123456789") != "" {
				t.Fatalf("the number is %q", number)
			}
			for i := range seen {
				seen[i][number[i]] = true
			}
		}
		return nil
	})
	for i, digits := range seen {
		if len(digits) != 10 {
			t.Errorf("place %d shows %d digits", i+1, len(digits))
		}
	}
}

// What is typed is six digits, however they are set apart, or it is no guess.
func TestANumberIsSixDigits(t *testing.T) {
	for _, typed := range []string{"012345", "012 345", "012-345", " 01 23 45 "} {
		if number, err := readNumber(typed); err != nil || number != "012345" {
			t.Errorf("%q is %q, %v", typed, number, err)
		}
	}
	for _, typed := range []string{"", "12345", "1234567", "12345a", "abcdef", "-12345", "+12345", "12345\n", "１２", "0x1234", "12.345", "      "} {
		if number, err := readNumber(typed); err == nil {
			t.Errorf("%q is the number %q", typed, number)
		}
	}
}
