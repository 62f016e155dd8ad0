package tokenfile

import (
	"bufio"
	"cmp"
	"encoding/base32"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row reads the cells of one line into a token. first says that no line before it
// had any, for formats that begin with a heading; a heading returns errSkip.
type row func(x *reading, cells []string, first bool) (Token, error)

// errSkip is a line that holds no token and need not.
var errSkip = errors.New("no token")

// tables are the formats with a token on each line.
var tables = map[string]row{
	"oath-csv": oathRow, "linotp": linotpRow, "yubico-csv": yubicoRow, "entra-csv": entraRow, "multiotp": multiotpRow, "authelia": autheliaRow,
	"privacyidea-csv": privacyideaRow,
}

// mostCells is how many cells a line of a format has at most: a spreadsheet adds empty
// ones.
var mostCells = map[string]int{"oath-csv": 6, "linotp": 6, "yubico-csv": 8, "entra-csv": 6, "multiotp": 6, "authelia": 6, "privacyidea-csv": 6}

// table reads a file of lines. A cell may be quoted; it may not hold a line break.
func (x *reading) table(r io.Reader, read row) error {
	l := &lines{r: bufio.NewReaderSize(r, maxRecord)}
	first := true
	for {
		text, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		x.at = l.line
		if text = x.tidy(text); text == "" || text[0] == '#' {
			if err := x.comment(text); err != nil {
				return err
			}
			continue
		}
		err = x.line(l.line, text, read, first)
		first = false
		if err != nil {
			return err
		}
	}
}

// comment reads what privacyIDEA says in a comment of the version of its CSV.
func (x *reading) comment(text string) error {
	if x.Format != "oath-csv" && x.Format != "privacyidea-csv" {
		return nil
	}
	m := versionComment.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	if m[1] != "1" && m[1] != "2" {
		return fatal(x.at, "the file has a version that cannot be read, only 1 and 2 can")
	}
	x.version = int(m[1][0] - '0')
	return nil
}

var versionComment = regexp.MustCompile(`^#\s*version:\s*(\d+)`)

func (x *reading) line(number int, text string, read row, first bool) error {
	cells, err := x.cut(text)
	if err != nil {
		x.note(Problem{number, err.Error()})
		return nil
	}
	t, err := read(x, cells, first)
	if errors.Is(err, errSkip) {
		return nil
	}
	t.Line = number
	switch {
	case err != nil:
	case likeSecret(t.Serial), likeSecret(t.Manufacturer):
		err = errors.New("the serial number or the manufacturer has the form of a secret: the columns must be in another order")
	case rounded.MatchString(t.Serial):
		err = errors.New("a spreadsheet rounded the serial number: export the file again with serial numbers as text")
	}
	if err != nil {
		x.note(Problem{number, err.Error()})
		return nil
	}
	return x.add(t)
}

// rounded is a long number as a spreadsheet writes it.
var rounded = regexp.MustCompile(`^\d([.,]\d+)?[eE]\+?\d+$`)

// likeSecret reports whether a cell would be a whole secret of 16 bytes or more, in
// hexadecimal or base32.
func likeSecret(text string) bool {
	return len(text) >= 32 && strings.Trim(text, "0123456789abcdefABCDEF") == "" ||
		len(text) >= 26 && strings.Trim(strings.ToUpper(text), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=") == ""
}

// cut returns the cells of a line without spaces around them.
func (x *reading) cut(text string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	usual := ','
	if x.Format == "multiotp" {
		usual = ';'
	}
	r.Comma = usual
	for _, other := range ",;\t" {
		if !strings.ContainsRune(text, r.Comma) && strings.ContainsRune(text, other) {
			r.Comma = other
			x.forgive("another character than usual is between the cells")
		}
	}
	cells, err := r.Read()
	if err != nil {
		return nil, errors.New("the line is not comma-separated values")
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	if x.version == 2 {
		if len(cells) < 4 {
			return nil, errors.New("a line of a file of version 2 begins with 3 cells for the owner: name, resolver, realm")
		}
		x.forgive("the owner is not used")
		cells = cells[3:]
	}
	return x.trim(cells), nil
}

// trim takes away the empty cells that a spreadsheet adds at the end.
func (x *reading) trim(cells []string) []string {
	n := len(cells)
	for n > mostCells[x.Format] && cells[n-1] == "" {
		n--
	}
	if n < len(cells) {
		x.forgive("the line has empty cells at its end")
	}
	return cells[:n]
}

func cell(cells []string, i int) string {
	if i >= 0 && i < len(cells) {
		return cells[i]
	}
	return ""
}

// number reads a cell; an empty one is the fallback.
func number(text string, fallback int) (int, error) {
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, errors.New("a number was expected")
	}
	return int(n), nil
}

// ungroup takes away what is between the groups of a secret that is printed for people.
func (x *reading) ungroup(text string) string {
	joined := strings.NewReplacer(" ", "", "\u00a0", "", "-", "", ":", "").Replace(text)
	if joined != text {
		x.forgive("the secret is in groups")
	}
	return joined
}

func (x *reading) hexSecret(text string) ([]byte, error) {
	b, err := hex.DecodeString(x.ungroup(text))
	if err != nil {
		return nil, errors.New("the secret is not hexadecimal")
	}
	return b, nil
}

func (x *reading) base32Secret(text string) ([]byte, error) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimRight(x.ungroup(text), "=")))
	if err != nil {
		return nil, errors.New("the secret is not base32")
	}
	return b, nil
}

// natural are the hashes that secrets of a length are made for (RFC 6238 appendix B).
var natural = map[int]string{32: "SHA256", 64: "SHA512"}

// errAmbiguous is a token whose hash can only be guessed.
var errAmbiguous = errors.New("a secret of 32 or 64 bytes may go with SHA1 or with a longer hash, and the file does not say which: ask its maker, and give --algorithm SHA1, SHA256 or SHA512")

// hash is the hash of a line: what its cell says, else what the caller said. Without
// either, a secret of 32 or 64 bytes is refused, or believed to show it by its length in
// the files of those who read it so.
func (x *reading) hash(text string, secret []byte, byLength bool) (string, error) {
	long := natural[len(secret)]
	switch {
	case text != "" || x.Algorithm != "":
		return algorithm(text, x.Algorithm)
	case long == "":
		return "SHA1", nil
	case byLength:
		x.forgive("no hash is named: it was taken from the length of the secret, SHA256 of 32 bytes and SHA512 of 64")
		return long, nil
	}
	return "", errAmbiguous
}

// algorithm reads the name of a hash as different systems write it.
func algorithm(text, fallback string) (string, error) {
	if text == "" {
		return fallback, nil
	}
	s := strings.NewReplacer("-", "", "_", "").Replace(strings.ToUpper(text))
	switch s = strings.TrimPrefix(s, "HMAC"); s {
	case "SHA1", "SHA256", "SHA512":
		return s, nil
	}
	return "", errors.New("the algorithm must be SHA1, SHA256 or SHA512")
}

// oathRow is "serial, secret in hex, hotp or totp, digits, counter or period,
// algorithm"; all but the first two may be left out. Of an OCRA token it is "serial,
// secret in hex, ocra, suite, counter".
func oathRow(x *reading, c []string, first bool) (Token, error) {
	return x.oath(c, first, false)
}

// linotpRow is the same as LinOTP reads it: the fifth cell is a period also for
// hotp, where it says nothing, and the length of the secret names the hash where
// no cell does.
func linotpRow(x *reading, c []string, first bool) (Token, error) {
	if len(c) > 4 && strings.EqualFold(c[2], HOTP) {
		c = slices.Clone(c)
		c[4] = ""
	}
	return x.oath(c, first, true)
}

// privacyideaRow is what privacyIDEA reads, where the length of the secret names the hash,
// and what privacyidea-token-janitor exports: "owner, serial, secret, hotp or totp, digits,
// period", with the secret in base32 if it was asked so.
func privacyideaRow(x *reading, c []string, first bool) (t Token, err error) {
	kind := strings.ToLower(cell(c, 3))
	if kind != HOTP && kind != TOTP {
		return x.oath(c, first, true)
	}
	x.forgive("the owner is not used")
	if len(c) < 5 {
		return t, errors.New("a line of the token janitor must have 5 or 6 cells: owner, serial, secret, type, digits, period")
	}
	t = Token{Serial: c[1], Kind: kind}
	if t.Secret, err = x.janitorSecret(c[2]); err != nil {
		return t, err
	}
	if t.Digits, err = number(c[4], 0); err != nil {
		return t, err
	}
	if t.Algorithm, err = x.hash("", t.Secret, true); err != nil {
		return t, err
	}
	period := cell(c, 5)
	switch {
	case kind == HOTP:
		x.forgive("the counter is not in the file: 0 was taken, so that a used token needs two codes first")
	case period == "" || period == "None":
		x.forgive("the period is not in the file: 30 seconds were taken")
		t.Period = 30
	default:
		t.Period, err = number(period, 0)
	}
	return t, err
}

// janitorSecret reads a secret that is hexadecimal in lower case or base32 in upper case.
// What could be both is neither.
func (x *reading) janitorSecret(text string) ([]byte, error) {
	text = x.ungroup(text)
	switch {
	case strings.Trim(text, "234567") == "":
		return nil, errors.New("the secret may be hexadecimal or base32")
	case strings.Trim(text, "0123456789abcdef") == "":
		return x.hexSecret(text)
	case strings.ToUpper(text) == text:
		return x.base32Secret(text)
	}
	return nil, errors.New("the secret is neither hexadecimal in lower case nor base32 in upper case")
}

// oath reads a line of these formats.
func (x *reading) oath(c []string, first, byLength bool) (Token, error) {
	if x.oathHeading(c, first) {
		return Token{}, errSkip
	}
	if strings.EqualFold(cell(c, 2), OCRA) {
		return x.ocraCells(c)
	}
	t, err := x.oathCells(c)
	if err != nil {
		return t, err
	}
	if t.Algorithm, err = x.hash(cell(c, 5), t.Secret, byLength); err != nil || t.Kind == TOTP {
		return t, err
	}
	n, err := number(cell(c, 4), 0)
	t.Counter = uint64(n)
	return t, err
}

// oathHeading reports whether a line says in words what its first two columns are.
func (x *reading) oathHeading(c []string, first bool) bool {
	serials, secrets := []string{"serial", "serial number", "serial_number", "serialnumber"}, []string{"secret", "secret key", "seed", "key", "otpkey"}
	return slices.Contains(serials, strings.ToLower(c[0])) && slices.Contains(secrets, strings.ToLower(cell(c, 1))) && x.heading(first)
}

// heading notes a heading that is not the first line, as in two files that were joined.
func (x *reading) heading(first bool) bool {
	if !first {
		x.forgive("a second heading is in the file")
	}
	return true
}

func (x *reading) ocraCells(c []string) (t Token, err error) {
	if len(c) == 6 && c[5] == "" {
		c = c[:5]
	}
	t = Token{Serial: c[0], Kind: OCRA}
	if len(c) < 4 || len(c) > 5 {
		return t, errors.New("a line for ocra must have 4 or 5 cells: serial, secret, ocra, suite, counter")
	}
	if t.Secret, err = x.hexSecret(c[1]); err != nil {
		return t, err
	}
	if err := t.suite(c[3]); err != nil {
		return t, err
	}
	n, err := number(cell(c, 4), 0)
	t.Counter = uint64(n)
	return t, err
}

func (x *reading) oathCells(c []string) (t Token, err error) {
	t = Token{Serial: c[0], Kind: strings.ToLower(cell(c, 2))}
	switch {
	case len(c) < 2 || len(c) > 6:
		return t, errors.New("a line must have 2 to 6 cells: serial, secret, type, digits, counter or period, algorithm")
	case t.Kind == "":
		t.Kind = HOTP
	case t.Kind != HOTP && t.Kind != TOTP:
		return t, fmt.Errorf("%s tokens cannot be used; only hotp, totp and ocra", word(t.Kind, "other"))
	}
	if t.Secret, err = x.hexSecret(c[1]); err != nil {
		return t, err
	}
	if t.Digits, err = number(cell(c, 3), x.Digits); err == nil && t.Kind == TOTP {
		t.Period, err = number(cell(c, 4), 30)
	}
	return t, err
}

// yubicoRow is the Yubico format of YubiKey personalization, which ykman and
// ykksm-gen-keys write too: "serial, public id, private id, secret in hex, access
// code, time,". A row whose private id is 0 is of OATH, any other of Yubico OTP.
func yubicoRow(x *reading, c []string, _ bool) (Token, error) {
	t := Token{Serial: c[0], Manufacturer: "Yubico"}
	switch strings.ToLower(t.Serial) {
	case "log start", "log end", "logging start", "logging end":
		return t, errSkip // one file can have several logs
	case "yubico otp", "oath-hotp", "static password", "challenge-response":
		return Token{}, errors.New("the traditional format has no serial numbers; choose the Yubico format when logging")
	}
	if len(c) < 6 || len(c) > 8 {
		return t, errors.New("a line must have 6 cells: serial, public id, private id, secret, access code, time")
	}
	if strings.Trim(t.Serial, "0123456789") != "" {
		return t, errors.New("the serial number of a YubiKey is a number")
	}
	err := x.yubico(&t, c)
	if err != nil || c[5] == "" {
		return t, err
	}
	if t.Issued, err = time.Parse("2006-01-02T15:04:05", c[5]); err != nil {
		return t, errors.New("the time must look like 2013-12-12T08:41:07")
	}
	return t, nil
}

func (x *reading) yubico(t *Token, c []string) (err error) {
	if c[2] == "0" {
		if c[1] != "" {
			return errors.New("that key types an id before each code; set it up without one")
		}
		t.Kind, t.Algorithm, t.Digits = HOTP, cmp.Or(x.Algorithm, "SHA1"), x.Digits
		t.Secret, err = x.hexSecret(c[3])
		return err
	}
	t.Kind, t.Public = YubicoOTP, strings.ToLower(c[1])
	if t.Private, err = hex.DecodeString(c[2]); err != nil {
		return errors.New("the private id is not hexadecimal")
	}
	t.Secret, err = x.hexSecret(c[3])
	return err
}

// entraColumns are the names of the columns of entra-csv, in their usual order.
var entraColumns = []string{"upn", "serial number", "secret key", "time interval", "manufacturer", "model"}

// entraRow is what Microsoft Entra takes and many makers deliver: "upn, serial
// number, secret key, time interval, manufacturer, model", in base32. A heading says which
// columns there are; without one, five of them are all but the upn.
func entraRow(x *reading, c []string, first bool) (t Token, err error) {
	if names := named(c); names["serial number"] > 0 && names["secret key"] > 0 {
		x.columns = names
		x.heading(first)
		return t, errSkip
	}
	columns := x.columns
	if columns == nil {
		columns = named(entraColumns)
		if len(c) == 5 {
			columns = named(entraColumns[1:])
		} else if len(c) != 6 {
			return t, errors.New("a line must have 6 cells: upn, serial number, secret key, time interval, manufacturer, model; or 5, without the upn")
		}
	} else if len(c) > 6 {
		return t, errors.New("the line has more cells than the heading")
	}
	if columns["upn"] == 0 {
		x.forgive("there is no column for the owner, which is not used")
	}
	of := func(name string) string { return cell(c, columns[name]-1) }
	t = Token{Serial: of("serial number"), Manufacturer: of("manufacturer"), Kind: TOTP, Algorithm: cmp.Or(x.Algorithm, "SHA1"), Digits: x.Digits}
	if t.Secret, err = x.base32Secret(of("secret key")); err == nil {
		t.Period, err = number(of("time interval"), 30)
	}
	return t, err
}

// named are the columns of a heading that entra-csv has, from 1; a name that is not one of
// them counts for nothing.
func named(c []string) map[string]int {
	columns := map[string]int{}
	for i, name := range c {
		if name = strings.ToLower(name); slices.Contains(entraColumns, name) {
			columns[name] = i + 1
		}
	}
	return columns
}

// multiotpRow is "serial_number; manufacturer; algorithm; seed; digits;
// interval_or_event", the seed in hex.
func multiotpRow(x *reading, c []string, first bool) (t Token, err error) {
	if strings.EqualFold(c[0], "serial_number") && x.heading(first) {
		return t, errSkip
	}
	t = Token{Serial: c[0], Manufacturer: cell(c, 1), Kind: strings.ToLower(cell(c, 2)), Algorithm: cmp.Or(x.Algorithm, "SHA1")}
	if len(c) != 6 {
		return t, errors.New("a line must have 6 cells: serial_number; manufacturer; algorithm; seed; digits; interval_or_event")
	}
	if t.Secret, err = x.hexSecret(c[3]); err != nil {
		return t, err
	}
	if t.Digits, err = number(c[4], x.Digits); err != nil {
		return t, err
	}
	n, err := number(c[5], 0)
	if t.Kind == TOTP {
		t.Period = n
	} else {
		t.Counter = uint64(n)
	}
	return t, err
}

// autheliaRow is "issuer,username,algorithm,digits,period,secret", in base32. Such
// keys have no serial number; they get one made of the name.
func autheliaRow(x *reading, c []string, first bool) (t Token, err error) {
	if strings.EqualFold(c[0], "issuer") && strings.EqualFold(cell(c, 1), "username") && x.heading(first) {
		return t, errSkip
	}
	if len(c) != 6 || c[1] == "" {
		return t, errors.New("a line must have 6 cells: issuer, username, algorithm, digits, period, secret")
	}
	t = Token{Serial: "authelia-" + c[1], Manufacturer: c[0], Kind: TOTP}
	if t.Algorithm, err = algorithm(c[2], ""); err != nil {
		return t, err
	}
	if t.Digits, err = number(c[3], 0); err != nil {
		return t, err
	}
	if t.Period, err = number(c[4], 0); err == nil {
		t.Secret, err = x.base32Secret(c[5])
	}
	return t, err
}
