package typed_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"countersign/internal/authenticator/typed"
)

func TestDigits(t *testing.T) {
	for text, want := range map[string]string{
		"123456": "123456", "123 456": "123456", " 123456 ": "123456", "123-456": "123456",
		"123456 654321": "123456654321", "123\u00a0456": "123456", "12\u20133": "123",
		"１２３４５６": "123456", "١٢٣٤٥٦": "123456", "۱۲۳۴۵۶": "123456", "१२३४५६": "123456",
		"𝟏𝟐𝟑": "123", "1\u3000２": "12",
	} {
		if got, ok := typed.Digits(text); !ok || got != want {
			t.Errorf("%q is read as %q, %t; want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", " ", "-", "12a", "1\x002", "1\n2", "¹²³", "①②③", "ⅠⅡⅢ", "½", "一二三", "1.2", "+1", "1\u200b2",
		"\xff1", "\u202e12", strings.Repeat("1", 129), strings.Repeat(" ", 129),
	} {
		if got, ok := typed.Digits(text); ok {
			t.Errorf("%q is read as %q, want no code", text, got)
		}
	}
}

// The value of a digit is its place in a row of ten; this holds the tables of
// the Go release at hand to that.
func TestDigitTables(t *testing.T) {
	for _, block := range unicode.Nd.R16 {
		if block.Stride != 1 || (block.Hi-block.Lo+1)%10 != 0 {
			t.Errorf("%U to %U is not rows of ten digits", block.Lo, block.Hi)
		}
	}
	for _, block := range unicode.Nd.R32 {
		if block.Stride != 1 || (block.Hi-block.Lo+1)%10 != 0 {
			t.Errorf("%U to %U is not rows of ten digits", block.Lo, block.Hi)
		}
	}
}

func TestLetters(t *testing.T) {
	for text, want := range map[string]string{
		"ABCD-EFGH": "ABCDEFGH", "abcd efgh": "ABCDEFGH", "oOiI-lL01": "00111101", "ＡＢｃｄ１２３４": "ABCD1234",
	} {
		if got, ok := typed.Letters(text, 8); !ok || got != want {
			t.Errorf("%q is read as %q, %t; want %q", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "ABCDEFG", "ABCDEFGHJ", "ABCDEFGU", "ABCDEFG\x00", "ABCDEFGé", "ÀBCDEFGH", strings.Repeat("A", 64<<10)} {
		if _, ok := typed.Letters(text, 8); ok {
			t.Errorf("%.20q is read as a code of 8", text)
		}
	}
}

// Five bits a character, most significant first: checked by hand.
func TestEncode(t *testing.T) {
	for want, b := range map[string][]byte{
		"00000000": {0, 0, 0, 0, 0}, "ZZZZZZZZ": {0xff, 0xff, 0xff, 0xff, 0xff}, "08000000": {0x02, 0, 0, 0, 0}, "04": {0x01}, "": {},
	} {
		if got := typed.Encode(b); got != want {
			t.Errorf("% x is written %q, want %q", b, got, want)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "bytes")
		o := rapid.SliceOfN(rapid.Byte(), 10, 10).Draw(t, "others")
		code := typed.Encode(b)
		shown := typed.Group(code, rapid.IntRange(1, 16).Draw(t, "group"))
		if rapid.Bool().Draw(t, "lower") {
			shown = strings.ToLower(shown)
		}
		back, ok := typed.Letters(shown, 16)
		if !ok || back != code {
			t.Fatalf("%q came back as %q, %t", shown, back, ok)
		}
		if (typed.Encode(o) == code) != bytes.Equal(o, b) {
			t.Fatal("two secrets are written alike")
		}
	})
}

func FuzzDigits(f *testing.F) {
	for _, s := range []string{"123456", "１２３", "1 2-3", "\xff", "①", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := typed.Digits(text)
		if !ok {
			return
		}
		if strings.Trim(got, "0123456789") != "" || len(got) > utf8.RuneCountInString(text) || !utf8.ValidString(text) {
			t.Fatalf("%q is read as %q", text, got)
		}
		if again, ok := typed.Digits(got); !ok || again != got {
			t.Fatalf("%q is not read as itself", got)
		}
	})
}

func FuzzLetters(f *testing.F) {
	for _, s := range []string{"ABCD-EFGH-JKMN-PQRS", "oil", "ＡＢ", "\xff", "U"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := typed.Letters(text, 16)
		if !ok {
			return
		}
		if len(got) != 16 || strings.Trim(got, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
			t.Fatalf("%q is read as %q", text, got)
		}
	})
}
