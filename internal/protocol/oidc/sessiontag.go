package oidc

import (
	"regexp"
	"time"

	"countersign/internal/assurance"
)

// tagsClaim is where a security token service of AWS's kind finds session tags in a web identity
// token ("Passing session tags using AssumeRoleWithWebIdentity" in AWS's IAM User Guide).
const tagsClaim = "https://aws.amazon.com/tags"

// sessionTags are that claim. A tag that is transitive stays when a role takes on another one.
type sessionTags struct {
	Principal  map[string][]string `json:"principal_tags"`
	Transitive []string            `json:"transitive_tag_keys"`
}

// tagWords are the values of the tag, the strongest first.
var tagWords = []class{hardware, phishing, {"mfa", assurance.TwoFactors()}}

const (
	defaultTagMinutes = 15
	maxTagMinutes     = 60
)

// tagForm is a key of a session tag as policies can name it without quoting: 128 characters at most
// are allowed.
var tagForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`)

func (s Settings) checkSessionTag() error {
	switch {
	case s.SessionTag == "" && s.SessionTagMinutes != 0:
		return invalid("session_tag_minutes is for a session tag; give its key in session_tag.")
	case s.SessionTag != "" && !tagForm.MatchString(s.SessionTag):
		return invalid("The key of a session tag is 1 to 128 letters, digits, hyphens and underscores, such as cs-mfa.")
	case s.SessionTagMinutes < 0 || s.SessionTagMinutes > maxTagMinutes:
		return invalid("A session tag is for what was shown in the last 1 to 60 minutes.")
	}
	return nil
}

// sessionTag is what a cloud is told of how somebody signed in just now: a word where what was
// shown in the last minutes, for itself, is at least two factors, and else nothing. A policy that
// demands the tag so refuses who has none.
func (s Settings) sessionTag(evidence []assurance.Evidence, now time.Time) (sessionTags, bool) {
	if s.SessionTag == "" {
		return sessionTags{}, false
	}
	fresh := since(evidence, now.Add(-time.Duration(s.SessionTagMinutes)*time.Minute))
	for _, c := range tagWords {
		if _, met := shownAt(c.need, fresh); met {
			return sessionTags{map[string][]string{s.SessionTag: {c.name}}, []string{s.SessionTag}}, true
		}
	}
	return sessionTags{}, false
}
