package oidc

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strings"
)

// dn is a distinguished name as two of them are compared: each relative name as its types and
// values in one order, the most specific first (RFC 4514 section 2.1). Values are compared letter
// by letter, which is stricter than a directory does.
type dn []string

// attributeTypes are the short names that are known (RFC 4514 section 3, and those that are usual).
var attributeTypes = map[string]string{
	"CN": "2.5.4.3", "SN": "2.5.4.4", "SERIALNUMBER": "2.5.4.5", "C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "STREET": "2.5.4.9",
	"O": "2.5.4.10", "OU": "2.5.4.11", "TITLE": "2.5.4.12", "POSTALCODE": "2.5.4.17", "GN": "2.5.4.42", "ORGANIZATIONIDENTIFIER": "2.5.4.97",
	"UID": "0.9.2342.19200300.100.1.1", "DC": "0.9.2342.19200300.100.1.25", "EMAILADDRESS": "1.2.840.113549.1.9.1",
}

// dnOf is the name in a certificate; a value that is no text is not compared, and not ok.
func dnOf(der []byte) (dn, bool) {
	var all pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &all); err != nil || len(rest) > 0 {
		return nil, false
	}
	var out dn
	for _, rdn := range slices.Backward(all) {
		var one []string
		for _, a := range rdn {
			value, ok := a.Value.(string)
			if !ok {
				return nil, false
			}
			one = append(one, a.Type.String()+"="+value)
		}
		out = append(out, joined(one))
	}
	return out, len(out) > 0
}

// joined is a relative name: the order of its parts says nothing.
func joined(parts []string) string {
	slices.Sort(parts)
	return strings.Join(parts, "\x00")
}

// parseDN reads a name in the form of RFC 4514. What is quoted, or written as the bytes of its
// encoding (#...), is not read.
func parseDN(text string) (dn, bool) {
	var out dn
	var one []string
	for {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return nil, false
		}
		kind, ok := attributeType(strings.TrimSpace(name))
		if !ok {
			return nil, false
		}
		value, end, rest, ok := dnValue(rest)
		if !ok {
			return nil, false
		}
		one = append(one, kind+"="+value)
		text = rest
		if end == '+' {
			continue
		}
		out, one = append(out, joined(one)), nil
		if end == 0 {
			return out, true
		}
	}
}

func attributeType(name string) (string, bool) {
	if kind, known := attributeTypes[strings.ToUpper(name)]; known {
		return kind, true
	}
	dotted := strings.Count(name, ".") > 0 && !strings.ContainsFunc(name, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	return name, dotted
}

// dnValue reads a value up to the comma or the plus that ends it; zero is the end of the text.
func dnValue(text string) (value string, end byte, rest string, ok bool) {
	var b []byte
	kept := 0 // of b, what no blank at the end shortens
	text = strings.TrimLeft(text, " ")
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\':
			got, n := unescaped(text[i+1:])
			if n == 0 {
				return "", 0, "", false
			}
			b = append(b, got)
			i += n
			kept = len(b)
		case c == ',' || c == '+':
			return string(b[:kept]), c, text[i+1:], kept > 0
		case c < ' ' || c == 0x7f || strings.IndexByte(`"<>;`, c) >= 0 || c == '#' && len(b) == 0:
			return "", 0, "", false
		default:
			b = append(b, c)
			if c != ' ' {
				kept = len(b)
			}
		}
	}
	return string(b[:kept]), 0, "", kept > 0
}

// unescaped is the byte behind a backslash, and how many characters it takes; zero is none.
func unescaped(text string) (byte, int) {
	if text == "" {
		return 0, 0
	}
	if strings.IndexByte(` "#+,;<=>\`, text[0]) >= 0 {
		return text[0], 1
	}
	if len(text) < 2 {
		return 0, 0
	}
	got, err := hex.DecodeString(text[:2])
	if err != nil || got[0] == 0 {
		return 0, 0
	}
	return got[0], 2
}
