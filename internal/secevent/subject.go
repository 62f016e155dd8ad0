package secevent

import (
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"
)

// The formats of subjects: RFC 9493 section 3, and "complex" of SSF 1.0.
const (
	Email   = "email"
	Account = "account"
	IssSub  = "iss_sub"
	Opaque  = "opaque"
	Aliases = "aliases"
	Complex = "complex"
)

// Subject is whom or what an event is about. The zero Subject is nobody.
type Subject struct {
	Format string `json:"format"`
	Email  string `json:"email,omitempty"`
	URI    string `json:"uri,omitempty"`
	Iss    string `json:"iss,omitempty"`
	Sub    string `json:"sub,omitempty"`
	ID     string `json:"id,omitempty"`
	// Identifiers are those of [Aliases]: several names of the same one.
	Identifiers []Subject `json:"identifiers,omitempty"`
	// User, Session and Tenant are members of a [Complex] subject.
	User    *Subject `json:"user,omitempty"`
	Session *Subject `json:"session,omitempty"`
	Tenant  *Subject `json:"tenant,omitempty"`
	// Others are the names of further members of a complex subject, which are not read.
	Others []string `json:"-"`
}

// longest is the longest value in a subject, in bytes, and most how many names aliases have.
const longest, most = 512, 8

// ParseSubject reads a subject. A [Fault] says what is wrong with it.
func ParseSubject(raw []byte) (Subject, error) {
	all, err := members(raw)
	if err != nil {
		return Subject{}, bad("The subject is not a JSON object.")
	}
	var format string
	if err := json.Unmarshal(all["format"], &format); err != nil {
		return Subject{}, bad("The subject has no format.")
	}
	switch format {
	case Complex:
		return parseComplex(all)
	case Aliases:
		return parseAliases(all)
	}
	return parseSimple(format, all)
}

// parseSimple reads one identifier. One of a format that is unknown here has that alone.
func parseSimple(format string, all map[string]json.RawMessage) (Subject, error) {
	s := Subject{Format: format}
	need := map[string]map[string]*string{Email: {"email": &s.Email}, Account: {"uri": &s.URI}, IssSub: {"iss": &s.Iss, "sub": &s.Sub}, Opaque: {"id": &s.ID}}[format]
	for name, to := range need {
		if json.Unmarshal(all[name], to) != nil || *to == "" || len(*to) > longest || !utf8.ValidString(*to) {
			return Subject{}, bad("A subject of the format %q needs the member %q.", format, name)
		}
	}
	return s, nil
}

func parseAliases(all map[string]json.RawMessage) (Subject, error) {
	var raw []json.RawMessage
	if json.Unmarshal(all["identifiers"], &raw) != nil || len(raw) == 0 || len(raw) > most {
		return Subject{}, bad("Aliases have 1 to %d identifiers.", most)
	}
	out := Subject{Format: Aliases}
	for _, r := range raw {
		one, err := parsePart(r)
		if err != nil {
			return Subject{}, err
		}
		out.Identifiers = append(out.Identifiers, one)
	}
	return out, nil
}

// parsePart reads an identifier inside of another subject, where nothing nests any deeper.
func parsePart(raw json.RawMessage) (Subject, error) {
	all, err := members(raw)
	if err != nil {
		return Subject{}, bad("A part of the subject is not a JSON object.")
	}
	var format string
	if json.Unmarshal(all["format"], &format) != nil || format == Aliases || format == Complex {
		return Subject{}, bad("A part of the subject has a format that cannot be inside of another.")
	}
	return parseSimple(format, all)
}

func parseComplex(all map[string]json.RawMessage) (Subject, error) {
	out := Subject{Format: Complex}
	into := map[string]**Subject{"user": &out.User, "session": &out.Session, "tenant": &out.Tenant}
	for name, raw := range all {
		if name == "format" {
			continue
		}
		to, known := into[name]
		if !known {
			out.Others = append(out.Others, name)
			continue
		}
		one, err := parsePart(raw)
		if err != nil {
			return Subject{}, err
		}
		*to = &one
	}
	return out, nil
}

// AccountURI is the acct URI (RFC 7565) of a name at a host.
func AccountURI(name, host string) string {
	return "acct:" + strings.ReplaceAll(url.PathEscape(name), "@", "%40") + "@" + host
}

// SplitAccount takes an acct URI apart; false is none.
func SplitAccount(uri string) (name, host string, ok bool) {
	rest, ok := strings.CutPrefix(uri, "acct:")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 1 || at == len(rest)-1 || strings.Contains(rest[:at], "@") {
		return "", "", false
	}
	name, err := url.PathUnescape(rest[:at])
	return name, strings.ToLower(rest[at+1:]), err == nil
}

// SplitEmail takes a mail address apart; false is none: an address has exactly one @ here.
func SplitEmail(address string) (domain string, ok bool) {
	local, domain, ok := strings.Cut(address, "@")
	return strings.ToLower(domain), ok && local != "" && domain != "" && !strings.Contains(domain, "@")
}
