package oidc

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that a test found.
type Finding struct {
	Works bool   `json:"works"`
	Says  string `json:"says"`
}

// Trial is what a test found of a provider: what is in order and what is not, and the keys that
// it publishes, by their thumbprints.
type Trial struct {
	Findings []Finding
	Keys     []string
}

// Try asks a provider anew, and says what of it cannot be used.
func (c *Clients) Try(ctx context.Context, p Provider) Trial {
	var t Trial
	d, err := discover(ctx, p)
	if err != nil {
		t.wrong("It cannot be asked: %s. Compare the issuer with what its administrators say; what is inside the network has to be listed.", says(err))
		return t
	}
	t.works("It describes itself as %s.", d.Issuer)
	if len(d.Challenges) > 0 && !slices.Contains(d.Challenges, "S256") {
		t.wrong("It does not take PKCE by S256, which every request has.")
	}
	if n := len(common(d.Algorithms, p.Algorithms)); n == 0 && len(d.Algorithms) > 0 {
		t.wrong("It signs by %s, of which none is taken; say which are to be.", strings.Join(d.Algorithms, ", "))
	}
	if !d.Named {
		t.works("It does not send iss with its answers (RFC 9207); its own redirect address tells them apart.")
	}
	keys, err := fetchKeys(ctx, p, d)
	if err != nil {
		t.wrong("Its keys cannot be read: %s.", says(err))
		return t
	}
	for _, k := range keys {
		if !slices.ContainsFunc(p.Algorithms, func(a string) bool { return signsBy(k, a) }) {
			continue
		}
		if print, err := Thumbprint(k); err == nil {
			t.Keys = append(t.Keys, print)
		}
	}
	if len(t.Keys) == 0 {
		t.wrong("It publishes no key for signatures that are taken.")
		return t
	}
	t.works("It publishes %d keys that can sign.", len(t.Keys))
	return t
}

func (t *Trial) works(format string, args ...any) {
	t.Findings = append(t.Findings, Finding{true, fmt.Sprintf(format, args...)})
}

func (t *Trial) wrong(format string, args ...any) {
	t.Findings = append(t.Findings, Finding{false, fmt.Sprintf(format, args...)})
}

func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

func says(err error) string { return strings.TrimPrefix(err.Error(), "upstream: ") }
