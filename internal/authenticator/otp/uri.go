package otp

import (
	"encoding/base32"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// Provision is what brings a key to an app. The zero Counter and Period are left
// out of the URI; exactly one of them belongs in it.
type Provision struct {
	Type    string // "totp" or "hotp"
	Issuer  string
	Account string
	Key     Key
	Period  int // seconds, totp
	Counter uint64
}

// URI returns the otpauth URI of the Key URI format, as QR codes carry it:
// https://github.com/google/google-authenticator/wiki/Key-Uri-Format. Everything
// but letters, digits, "-", "_", "." and "~" is percent-encoded, so that a colon
// or an ampersand in a name cannot end its part; a space is %20, because apps do
// not read "+" as one.
func (p Provision) URI() string {
	var b strings.Builder
	b.WriteString("otpauth://" + p.Type + "/")
	if p.Issuer != "" {
		b.WriteString(escape(p.Issuer) + ":")
	}
	b.WriteString(escape(p.Account) + "?secret=" + p.secret())
	if p.Issuer != "" {
		b.WriteString("&issuer=" + escape(p.Issuer))
	}
	b.WriteString("&algorithm=" + string(p.Key.Algorithm) + "&digits=" + strconv.Itoa(p.Key.Digits))
	if p.Type == "hotp" {
		b.WriteString("&counter=" + strconv.FormatUint(p.Counter, 10))
	} else {
		b.WriteString("&period=" + strconv.Itoa(p.Period))
	}
	return b.String()
}

// Data is what an enrollment page shows: the URI for a QR code, and its parts
// for people who type.
func (p Provision) Data() (json.RawMessage, error) {
	return json.Marshal(map[string]string{"uri": p.URI(), "secret": p.secret(), "issuer": p.Issuer, "account": p.Account})
}

func (p Provision) secret() string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(p.Key.Secret)
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
