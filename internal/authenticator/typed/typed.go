// Package typed reads what people type for a code, and writes codes that people
// can type.
//
// It owns two alphabets: decimal digits in any script, and Crockford's base32
// for secrets of our own making. It does not know what a code is for, and it
// compares nothing. Its one invariant: reading only forgives what cannot change
// which code was meant (spaces, hyphens, case, look-alike letters, another
// script's digits); everything else is not a code.
package typed

import (
	"crypto/rand"
	"strings"
	"unicode"
)

// maxLength is the longest typed text, in bytes, that is looked at. The longest
// honest one is two 8-digit codes with a space after each digit.
const maxLength = 128

// Digits returns the decimal digits of a typed code as ASCII, without spaces and
// hyphens. Digits of every script count, as full-width and Arabic keyboards type
// them; superscripts, circled numbers and numerals do not. Text with anything
// else in it, with no digit, or longer than 128 bytes is not a code.
func Digits(text string) (string, bool) {
	if len(text) > maxLength {
		return "", false
	}
	out := make([]byte, 0, len(text))
	for _, r := range text {
		switch d := digit(r); {
		case d >= 0:
			out = append(out, '0'+byte(d))
		case !separator(r):
			return "", false
		}
	}
	return string(out), len(out) > 0
}

// Random returns n digits, each as likely as any other: bytes above the last
// multiple of ten are drawn again.
func Random(n int) string {
	out, b := make([]byte, 0, n), make([]byte, 1)
	for len(out) < n {
		if rand.Read(b); b[0] < 250 {
			out = append(out, '0'+b[0]%10)
		}
	}
	return string(out)
}

// digit returns the value of a decimal digit, or -1. Unicode encodes the digits
// of every script as ten code points in a row that begin with zero (The Unicode
// Standard, section 4.6), so the value is the place in the row.
func digit(r rune) int {
	if r >= '0' && r <= '9' {
		return int(r - '0')
	}
	if r < 0x80 {
		return -1
	}
	for _, block := range unicode.Nd.R16 {
		if r >= rune(block.Lo) && r <= rune(block.Hi) {
			return int(r-rune(block.Lo)) % 10
		}
	}
	for _, block := range unicode.Nd.R32 {
		if r >= rune(block.Lo) && r <= rune(block.Hi) {
			return int(r-rune(block.Lo)) % 10
		}
	}
	return -1
}

// separator is what people and apps put between groups: spaces and hyphens, but
// not line breaks, which no line holds.
func separator(r rune) bool {
	switch r {
	case '-', '\u2010', '\u2011', '\u2012', '\u2013', '\t':
		return true
	}
	return unicode.Is(unicode.Zs, r)
}

// crockford is Crockford's base32 alphabet: no I, L, O or U.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Encode writes bytes in Crockford's base32, five bits a character, the last
// one padded with zero bits. It is meant for lengths that are a multiple of five.
func Encode(b []byte) string {
	var out strings.Builder
	buffer, bits := uint(0), 0
	for _, c := range b {
		buffer, bits = buffer<<8|uint(c), bits+8
		for ; bits >= 5; bits -= 5 {
			out.WriteByte(crockford[buffer>>(bits-5)&31])
		}
	}
	if bits > 0 {
		out.WriteByte(crockford[buffer<<(5-bits)&31])
	}
	return out.String()
}

// Letters returns the characters of a typed code in the spelling that [Encode]
// writes: capitals, no separators, O read as 0 and I and L as 1. Text with
// anything else in it, or with another count of characters than n, is not a code.
func Letters(text string, n int) (string, bool) {
	if len(text) > maxLength {
		return "", false
	}
	out := make([]byte, 0, n)
	for _, r := range text {
		if separator(r) {
			continue
		}
		c, ok := letter(r)
		if !ok || len(out) == n {
			return "", false
		}
		out = append(out, c)
	}
	return string(out), len(out) == n
}

func letter(r rune) (byte, bool) {
	if r >= 0xff01 && r <= 0xff5e { // full-width forms of ASCII
		r -= 0xff01 - '!'
	}
	if d := digit(r); d >= 0 {
		return '0' + byte(d), true
	}
	if r >= 'a' && r <= 'z' {
		r -= 'a' - 'A'
	}
	switch r {
	case 'O':
		return '0', true
	case 'I', 'L':
		return '1', true
	}
	if r < 'A' || r > 'Z' || r == 'U' {
		return 0, false
	}
	return byte(r), true
}

// Group writes a hyphen after every n characters, for the eye.
func Group(code string, n int) string {
	var out strings.Builder
	for i, r := range code {
		if i > 0 && i%n == 0 {
			out.WriteByte('-')
		}
		out.WriteRune(r)
	}
	return out.String()
}
