package signin

import (
	"strconv"

	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// How much of what a stranger says is looked at, in octets. Names are as long as the
// longest that an account can have.
const (
	nameMost    = 512
	methodMost  = 32
	browserMost = 200
)

// bounded is a request of which nothing is longer than it can rightly be, before
// anything of it is compared, hashed or written. A name that is longer than any is one
// that nobody has: a text with spaces.
func bounded(r Request, kinds map[string]authenticator.Authenticator) Request {
	if len(r.Name) > nameMost {
		r.Name = "a name of " + strconv.Itoa(len(r.Name)) + " octets"
	}
	if len(r.Method) > methodMost {
		r.Method = r.Method[:methodMost]
	}
	if len(r.Browser) > browserMost { // it is none of ours
		r.Browser = ""
	}
	if len(r.Opening) > 0 {
		opening := make([]prompt.Answer, len(r.Opening))
		for i, a := range r.Opening {
			opening[i] = plain(a, kinds)
		}
		r.Opening = opening
	}
	return r
}

// plain is an answer that is for an authenticator of ours, or for one called unknown.
func plain(a prompt.Answer, kinds map[string]authenticator.Authenticator) prompt.Answer {
	if a.Authenticator != "" && a.Authenticator != AnyCode && a.Authenticator != OutOfBand && kinds[a.Authenticator] == nil {
		a.Authenticator = "unknown"
	}
	return a
}
