package tokenfile

import (
	"bufio"
	"encoding/base32"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
}

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
		if l.line == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
			continue
		}
		err = x.line(l.line, text, read, first)
		first = false
		if err != nil {
			return err
		}
	}
}

func (x *reading) line(number int, text string, read row, first bool) error {
	cells, err := cut(text, x.Format)
	if err != nil {
		x.note(Problem{Line: number, Text: err.Error()})
		return nil
	}
	t, err := read(x, cells, first)
	if errors.Is(err, errSkip) {
		return nil
	}
	t.Line = number
	if err != nil {
		serial := t.Serial
		if !plain(serial) {
			serial = ""
		}
		x.note(Problem{number, serial, err.Error()})
		return nil
	}
	return x.add(t)
}

// cut returns the cells of a line without spaces around them.
func cut(text, format string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	if format == "multiotp" {
		r.Comma = ';'
	}
	cells, err := r.Read()
	if err != nil {
		return nil, errors.New("the line is not comma-separated values")
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells, nil
}

func cell(cells []string, i int) string {
	if i < len(cells) {
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

func hexSecret(text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, errors.New("the secret is not hexadecimal")
	}
	return b, nil
}

func base32Secret(text string) ([]byte, error) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimRight(text, "=")))
	if err != nil {
		return nil, errors.New("the secret is not base32")
	}
	return b, nil
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
// algorithm"; all but the first two may be left out. privacyIDEA writes the same.
// Of an OCRA token it is "serial, secret in hex, ocra, suite, counter".
func oathRow(x *reading, c []string, _ bool) (Token, error) {
	if strings.EqualFold(cell(c, 2), OCRA) {
		return ocraCells(c)
	}
	t, err := oathCells(x, c)
	if err != nil {
		return t, err
	}
	if t.Algorithm, err = algorithm(cell(c, 5), "SHA1"); err != nil || t.Kind == TOTP {
		return t, err
	}
	n, err := number(cell(c, 4), 0)
	t.Counter = uint64(n)
	return t, err
}

// linotpRow is the same as LinOTP reads it: the fifth cell is a period also for
// hotp, where it says nothing, and the length of the secret names the hash where
// no cell does.
func linotpRow(x *reading, c []string, _ bool) (Token, error) {
	if strings.EqualFold(cell(c, 2), OCRA) {
		return ocraCells(c)
	}
	t, err := oathCells(x, c)
	if err != nil {
		return t, err
	}
	fallback := map[int]string{32: "SHA256", 64: "SHA512"}[len(t.Secret)]
	if fallback == "" {
		fallback = "SHA1"
	}
	t.Algorithm, err = algorithm(cell(c, 5), fallback)
	return t, err
}

func ocraCells(c []string) (t Token, err error) {
	t = Token{Serial: c[0], Kind: OCRA}
	if len(c) < 4 || len(c) > 5 {
		return t, errors.New("a line for ocra must have 4 or 5 cells: serial, secret, ocra, suite, counter")
	}
	if t.Secret, err = hexSecret(c[1]); err != nil {
		return t, err
	}
	if err := t.suite(c[3]); err != nil {
		return t, err
	}
	n, err := number(cell(c, 4), 0)
	t.Counter = uint64(n)
	return t, err
}

func oathCells(x *reading, c []string) (t Token, err error) {
	t = Token{Serial: c[0], Kind: strings.ToLower(cell(c, 2))}
	switch {
	case len(c) < 2 || len(c) > 6:
		return t, errors.New("a line must have 2 to 6 cells: serial, secret, type, digits, counter or period, algorithm")
	case t.Kind == "":
		t.Kind = HOTP
	case t.Kind != HOTP && t.Kind != TOTP:
		return t, fmt.Errorf("%.16q tokens cannot be used; only hotp, totp and ocra", t.Kind)
	}
	if t.Secret, err = hexSecret(c[1]); err != nil {
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
	case "yubico otp", "oath-hotp", "static password", "challenge-response", "log start", "log end":
		return Token{}, errors.New("the traditional format has no serial numbers; choose the Yubico format when logging")
	}
	if len(c) < 6 || len(c) > 8 {
		return t, errors.New("a line must have 6 cells: serial, public id, private id, secret, access code, time")
	}
	if strings.Trim(t.Serial, "0123456789") != "" {
		return t, errors.New("the serial number of a YubiKey is a number")
	}
	err := t.yubico(c, x.Digits)
	if err != nil || c[5] == "" {
		return t, err
	}
	if t.Issued, err = time.Parse("2006-01-02T15:04:05", c[5]); err != nil {
		return t, errors.New("the time must look like 2013-12-12T08:41:07")
	}
	return t, nil
}

func (t *Token) yubico(c []string, digits int) (err error) {
	if c[2] == "0" {
		if c[1] != "" {
			return errors.New("that key types an id before each code; set it up without one")
		}
		t.Kind, t.Algorithm, t.Digits = HOTP, "SHA1", digits
		t.Secret, err = hexSecret(c[3])
		return err
	}
	t.Kind, t.Public = YubicoOTP, strings.ToLower(c[1])
	if t.Private, err = hex.DecodeString(c[2]); err != nil {
		return errors.New("the private id is not hexadecimal")
	}
	t.Secret, err = hexSecret(c[3])
	return err
}

// entraRow is what Microsoft Entra takes and many makers deliver: "upn, serial
// number, secret key, time interval, manufacturer, model", in base32.
func entraRow(x *reading, c []string, first bool) (t Token, err error) {
	if first && strings.EqualFold(cell(c, 1), "serial number") {
		return t, errSkip
	}
	t = Token{Serial: cell(c, 1), Manufacturer: cell(c, 4), Kind: TOTP, Algorithm: "SHA1", Digits: x.Digits}
	if len(c) != 6 {
		return t, errors.New("a line must have 6 cells: upn, serial number, secret key, time interval, manufacturer, model")
	}
	if t.Secret, err = base32Secret(c[2]); err == nil {
		t.Period, err = number(c[3], 30)
	}
	return t, err
}

// multiotpRow is "serial_number; manufacturer; algorithm; seed; digits;
// interval_or_event", the seed in hex.
func multiotpRow(x *reading, c []string, first bool) (t Token, err error) {
	if first && strings.EqualFold(c[0], "serial_number") {
		return t, errSkip
	}
	t = Token{Serial: c[0], Manufacturer: cell(c, 1), Kind: strings.ToLower(cell(c, 2)), Algorithm: "SHA1"}
	if len(c) != 6 {
		return t, errors.New("a line must have 6 cells: serial_number; manufacturer; algorithm; seed; digits; interval_or_event")
	}
	if t.Secret, err = hexSecret(c[3]); err != nil {
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
func autheliaRow(_ *reading, c []string, first bool) (t Token, err error) {
	if first && strings.EqualFold(cell(c, 1), "username") {
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
		t.Secret, err = base32Secret(c[5])
	}
	return t, err
}
