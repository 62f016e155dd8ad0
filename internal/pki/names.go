package pki

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	subjectAltName    = asn1.ObjectIdentifier{2, 5, 29, 17}
	userPrincipalName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
)

var (
	errAltName = errors.New("pki: the subject alternative name cannot be read")
	// errName is a user principal name in a form that no mapping takes, in a subject
	// alternative name that is well formed.
	errName = errors.New("pki: the user principal name is no text")
)

// UPNs returns the user principal names that a certificate holds: an otherName of
// type 1.3.6.1.4.1.311.20.2.3 (RFC 5280 section 4.2.1.6) with a UTF8String, as Microsoft
// has it, or with an IA5String or a PrintableString, as some authorities write it.
func UPNs(c *x509.Certificate) ([]string, error) {
	for _, e := range c.Extensions {
		if e.Id.Equal(subjectAltName) {
			return parseUPNs(e.Value)
		}
	}
	return nil, nil
}

func parseUPNs(value []byte) ([]string, error) {
	in := cryptobyte.String(value)
	var names cryptobyte.String
	if !in.ReadASN1(&names, der.SEQUENCE) || !in.Empty() {
		return nil, errAltName
	}
	var out []string
	var unread error
	for !names.Empty() {
		var one cryptobyte.String
		var tag der.Tag
		if !names.ReadAnyASN1(&one, &tag) {
			return nil, errAltName
		}
		if tag != der.Tag(0).ContextSpecific().Constructed() {
			continue
		}
		switch name, ok, err := otherName(one); {
		case errors.Is(err, errName):
			unread = err
		case err != nil:
			return nil, err
		case ok:
			out = append(out, name)
		}
	}
	if unread != nil {
		return nil, unread
	}
	return out, nil
}

// otherName reads one, and reports whether it is a user principal name.
func otherName(in cryptobyte.String) (string, bool, error) {
	var kind asn1.ObjectIdentifier
	var value, text cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&kind) || !in.ReadASN1(&value, der.Tag(0).ContextSpecific().Constructed()) || !in.Empty() {
		return "", false, errAltName
	}
	if !kind.Equal(userPrincipalName) {
		return "", false, nil
	}
	var tag der.Tag
	if !value.ReadAnyASN1(&text, &tag) || !value.Empty() {
		return "", false, errAltName
	}
	ascii := !strings.ContainsFunc(string(text), func(r rune) bool { return r >= utf8.RuneSelf })
	if len(text) == 0 || !utf8.Valid(text) || tag != der.UTF8String && (!ascii || tag != der.IA5String && tag != der.PrintableString) {
		return "", false, errName
	}
	return string(text), true, nil
}

// name returns the one name that the mapping takes. None, or more than one, is
// nobody's: then it would not be clear whose certificate it is.
func (a Authority) name(leaf *x509.Certificate) (string, error) {
	names := leaf.EmailAddresses
	if a.Mapping == UPN {
		var err error
		if names, err = UPNs(leaf); errors.Is(err, errName) {
			return "", NoName
		} else if err != nil {
			return "", Malformed
		}
	}
	if len(names) != 1 || !plain(names[0]) {
		return "", NoName
	}
	return strings.ToLower(names[0]), nil
}

// plain keeps to printable ASCII, so that no two names look alike and lower case is
// one thing.
func plain(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Owns reports whether a name in a certificate is that of a person.
func (a Authority) Owns(name, account string, mails []string) bool {
	switch a.Mapping {
	case IssuerSerial:
		return true
	case UPN:
		if a.Realm != "" {
			account += "@" + a.Realm
		}
		return strings.EqualFold(name, account)
	case Email:
		for _, m := range mails {
			if strings.EqualFold(name, m) {
				return true
			}
		}
	}
	return false
}
