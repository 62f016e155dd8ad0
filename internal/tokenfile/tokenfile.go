// Package tokenfile reads the files in which hardware tokens are sold and moved:
// PSKC (RFC 6030), the CSV of several makers, and what other servers export.
//
// It owns the formats, the decryption of PSKC and the report of what is wrong,
// line by line, and of what was forgiven. It keeps nothing, knows no account and
// opens no file: admin puts tokens into stock, the command line opens the file. Its
// one invariant: a file is read to its end before it counts, and with one fault
// anywhere, or one MAC that does not fit, all of it is refused. A report quotes no
// cell that is not a word of the formats: where columns are shifted, any cell may be
// a secret.
package tokenfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kinds of tokens.
const (
	HOTP = "hotp"
	TOTP = "totp"
	OCRA = "ocra"
	// YubicoOTP is a YubiKey that types one-time passwords of Yubico's own form.
	YubicoOTP = "yubico-otp"
)

// Token is one token as its file describes it.
type Token struct {
	// Line is where in the file it begins, from 1.
	Line         int
	Kind         string // hotp, totp, ocra, yubico-otp
	Serial       string
	Manufacturer string
	Algorithm    string // SHA1, SHA256, SHA512; yubico-otp: none
	Digits       int    // 6 to 8; yubico-otp: none
	Period       int    // totp: 30 or 60 seconds
	Counter      uint64 // hotp, ocra: of the next code
	// Suite is what says the hash, the digits and all else of an OCRA token, as
	// RFC 6287 section 6 writes it.
	Suite  string
	Secret []byte // 16 to 128 bytes
	// Public and Private are the ids of a yubico-otp: 1 to 16 octets in modhex that
	// it types before each one-time password, and 6 octets within.
	Public  string
	Private []byte
	// Issued is when it was made or became valid; zero where the file is silent.
	Issued time.Time
}

// Formats are the words for what can be read.
func Formats() []string {
	return []string{"pskc", "oath-csv", "yubico-csv", "entra-csv", "privacyidea", "linotp", "multiotp", "authelia", "privacyidea-csv"}
}

// Options say how a file is read.
type Options struct {
	// Format is one of Formats.
	Format string
	// Key opens a PSKC file that was encrypted with a key agreed on beforehand: 16,
	// 24 or 32 bytes. Password opens one that was encrypted with a password.
	Key, Password []byte
	// Digits are those of tokens whose format does not say, 6 when 0.
	Digits int
	// Algorithm is the hash of tokens whose format does not say: SHA1, SHA256 or
	// SHA512. When it is empty, such tokens have SHA1, except that a secret of 32 or
	// 64 bytes is refused or said, by its format.
	Algorithm string
	// Now refuses tokens that have expired.
	Now time.Time
	// Check says in one sentence what more is wrong with a token; nil for nothing.
	Check func(Token) error
}

// Problem is one thing that is wrong with a file.
type Problem struct {
	Line int    // from 1; 0 for the whole file
	Text string // one sentence without a full stop; it quotes no cell
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

// Forgiven is a decoration that reading passed over, or a gap that it filled, so that a
// person can judge whether it was meant so.
type Forgiven struct {
	Line  int    // the first, from 1; 0 for the whole file
	Count int    // of lines
	Text  string // one sentence without a full stop; it quotes no cell
}

func (f Forgiven) String() string {
	switch {
	case f.Line == 0:
		return f.Text
	case f.Count == 1:
		return fmt.Sprintf("line %d: %s", f.Line, f.Text)
	}
	return fmt.Sprintf("line %d and %d more: %s", f.Line, f.Count-1, f.Text)
}

// Report is what reading came to.
type Report struct {
	// Tokens is how many were handed over.
	Tokens int
	// Problems are the first 100; More is how many there are beside them. With any
	// of them nothing of the file may be used.
	Problems []Problem
	More     int
	// Left are keys that are no tokens and were passed over on purpose: the PINs
	// that a file brings for its tokens.
	Left int
	// Forgiven has each kind of decoration once, in the order of their first lines.
	Forgiven []Forgiven
}

// OK reports whether the file may be used.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Bounds of a file.
const (
	maxTokens   = 1_000_000
	maxSize     = 4 << 30
	maxRecord   = 64 << 10 // bytes of one line, or of one XML token
	maxProblems = 100
)

// stop is a fault after which nothing more of a file can be read.
type stop struct{ problem Problem }

func (s *stop) Error() string { return s.problem.String() }

func fatal(line int, format string, args ...any) error {
	return &stop{Problem{Line: line, Text: fmt.Sprintf(format, args...)}}
}

// Read reads a whole file, in memory that does not grow with it beyond the serial
// numbers. Each token that is well formed goes to each, which may keep it only if
// the Report is OK in the end: a caller reads a file once to judge it, and again
// to use it. An error is of each or of the reader, never about the file.
func Read(r io.Reader, o Options, each func(Token) error) (Report, error) {
	x := &reading{Options: o, each: each, seen: map[string]int{}}
	if o.Digits == 0 {
		x.Digits = 6
	}
	counted, err := x.decoded(&bounded{r: r, left: maxSize})
	if err != nil {
		return Report{}, err
	}
	switch o.Format {
	case "pskc", "privacyidea":
		err = x.pskc(counted)
	default:
		read, ok := tables[o.Format]
		if !ok {
			return Report{}, fmt.Errorf("there is no format %q; it is one of %s", o.Format, strings.Join(Formats(), ", "))
		}
		err = x.table(counted, read)
	}
	var s *stop
	if errors.As(err, &s) {
		x.note(s.problem)
		err = nil
	}
	if err == nil && x.report.OK() && x.report.Tokens == 0 {
		x.note(Problem{Text: "there is no token in the file"})
	}
	return x.report, err
}

// reading is one file being read.
type reading struct {
	Options
	each   func(Token) error
	seen   map[string]int // serial to line
	report Report
	at     int  // the line that is being read
	wide   bool // the file was in UTF-16
	// version is what the first comment of privacyIDEA's CSV says, 0 for nothing.
	version int
	columns map[string]int // of the heading of entra-csv, nil without one
}

// forgive notes a decoration of the line that is being read.
func (x *reading) forgive(text string) {
	for i := range x.report.Forgiven {
		if f := &x.report.Forgiven[i]; f.Text == text {
			f.Count++
			return
		}
	}
	x.report.Forgiven = append(x.report.Forgiven, Forgiven{x.at, 1, text})
}

func (x *reading) note(p Problem) {
	if len(x.report.Problems) == maxProblems {
		x.report.More++
		return
	}
	x.report.Problems = append(x.report.Problems, p)
}

// add hands over a token, or notes what is wrong with it.
func (x *reading) add(t Token) error {
	err := t.check()
	if err == nil && x.Check != nil {
		err = x.Check(t)
	}
	if err != nil {
		x.note(Problem{t.Line, err.Error()})
		return nil
	}
	if line, twice := x.seen[t.Serial]; twice {
		x.note(Problem{t.Line, fmt.Sprintf("the serial number is that of line %d", line)})
		return nil
	}
	if len(x.seen) == maxTokens {
		return fatal(t.Line, "a file may have %d tokens; split it", maxTokens)
	}
	x.seen[t.Serial] = t.Line
	x.report.Tokens++
	return x.each(t)
}

func (t Token) check() error {
	if t.Kind == YubicoOTP {
		return t.checkYubico()
	}
	switch {
	case !plain(t.Serial) || t.Serial == "":
		return errors.New("a serial number must have 1 to 64 printable ASCII characters")
	case !printable(t.Manufacturer):
		return errors.New("the manufacturer must have 64 printable characters at most")
	case t.Algorithm != "SHA1" && t.Algorithm != "SHA256" && t.Algorithm != "SHA512":
		return errors.New("the algorithm must be SHA1, SHA256 or SHA512")
	case t.Digits < 6 || t.Digits > 8:
		return fmt.Errorf("codes must have 6 to 8 digits%s", but(t.Digits))
	case len(t.Secret) < 16 || len(t.Secret) > 128:
		return fmt.Errorf("the secret must have 16 to 128 bytes, not %d", len(t.Secret))
	case t.Kind == TOTP && t.Period != 30 && t.Period != 60:
		return fmt.Errorf("the period must be 30 or 60 seconds%s", but(t.Period))
	case t.Kind != TOTP && t.Counter > 1<<62:
		return errors.New("the counter is out of range")
	case t.Kind != TOTP && t.Kind != HOTP && t.Kind != OCRA:
		return errors.New("a token must be hotp, totp, ocra or yubico-otp")
	case (t.Kind == OCRA) != (t.Suite != "") || !plain(t.Suite):
		return errors.New("a token of the type ocra, and no other, must have a suite such as OCRA-1:HOTP-SHA1-6:QN08")
	}
	return nil
}

func (t Token) checkYubico() error {
	switch {
	case !plain(t.Serial) || t.Serial == "":
		return errors.New("a serial number must have 1 to 64 printable ASCII characters")
	case len(t.Public) < 2 || len(t.Public) > 32 || len(t.Public)%2 != 0 || strings.Trim(t.Public, "cbdefghijklnrtuv") != "":
		return errors.New("the public id must be 2 to 32 characters of modhex (cbdefghijklnrtuv)")
	case len(t.Private) != 6:
		return errors.New("the private id must be 12 hexadecimal digits")
	case len(t.Secret) != 16:
		return errors.New("the secret key must be 32 hexadecimal digits")
	}
	return nil
}

// suite fills in what a suite says of the hash and the digits, as far as a list
// shows it; who keeps the token reads the whole.
func (t *Token) suite(text string) error {
	function := strings.Split(text, ":")
	if len(function) == 3 && function[0] == "OCRA-1" {
		if parts := strings.Split(function[1], "-"); len(parts) == 3 && parts[0] == "HOTP" {
			digits, err := number(parts[2], 0)
			t.Suite, t.Algorithm, t.Digits = text, parts[1], digits
			return err
		}
	}
	return errors.New("an OCRA suite looks like OCRA-1:HOTP-SHA1-6:QN08")
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 64
}

// printable reports whether a name can be shown on one line: 64 characters at most, none
// of which is a control or changes the direction of the text.
func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return utf8.RuneCountInString(s) <= 64
}

// but says a number that is out of range, unless it is so long that it may be a part of
// a secret.
func but(n int) string {
	if n > 999 {
		return ""
	}
	return fmt.Sprintf(", not %d", n)
}

// words are what files are known to say where we know better than to believe it.
var words = []string{"motp", "spass", "pw", "sms", "email", "tan", "yubikey", "daypassword", "u2f", "webauthn", "push", "paper", "radius", "hmac",
	"hexadecimal", "alphanumeric", "base64", "binary", "append", "prepend", "algorithmic"}

// word quotes a text only if it is a known word.
func word(text, otherwise string) string {
	if slices.Contains(words, strings.ToLower(text)) {
		return strconv.Quote(text)
	}
	return otherwise
}

// bounded refuses a file without end.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fatal(0, "the file is longer than %d GiB", maxSize>>30)
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}

// lines reads lines of bounded length and counts them.
type lines struct {
	r    *bufio.Reader
	line int
}

// next returns a line without its end. io.EOF is the end of the file.
func (l *lines) next() (string, error) {
	b, err := l.r.ReadSlice('\n')
	l.line++
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fatal(l.line, "the line is longer than %d bytes", maxRecord)
	case err != nil && (!errors.Is(err, io.EOF) || len(b) == 0):
		return "", err
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
