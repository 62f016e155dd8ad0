package policy

import (
	_ "embed"
	"strings"
)

//go:embed default.yaml
var defaultDocument string

// Default returns the document of a new installation. It compiles wherever the
// actions "sign-in", "account.recover", "app-password", "authenticator.enroll",
// "account.create" and "audit.search" and the tier "control-plane" are
// known.
func Default() []byte { return []byte(defaultDocument) }

// DefaultRule is a rule of [Default]: its name, and its text with the remarks above it.
type DefaultRule struct{ Name, Text string }

// DefaultRules returns the rules of [Default], in their order.
func DefaultRules() []DefaultRule {
	_, text, _ := strings.Cut(defaultDocument, "\nrules:\n")
	text, _, _ = strings.Cut(text, "\n# Expectations")
	var out []DefaultRule
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if _, rest, ok := strings.Cut("\n"+block, "\n  - name: "); ok {
			name, _, _ := strings.Cut(rest, "\n")
			out = append(out, DefaultRule{name, strings.Trim(block, "\n")})
		}
	}
	return out
}

// DefaultForCodes returns [Default] for an installation whose first
// administrator has a password and a code and no passkey: administrators need
// two factors, as fresh as there, so that they are not locked out of adding a
// passkey. It is weaker, says so in its first line, and coverage shows it. For accounts at
// risk it is as strict: their rule is written as a list.
func DefaultForCodes() []byte {
	weaker := strings.NewReplacer("require: phishing-resistant\n", "require: two-factors\n", "expect: phishing-resistant\n", "expect: two-factors\n")
	return []byte("# WEAKER THAN THE DEFAULT: the first administrator has no passkey yet. Once every\n" +
		"# administrator has one, write phishing-resistant in \"administrators\" and \"administration\".\n#\n" +
		weaker.Replace(defaultDocument))
}
