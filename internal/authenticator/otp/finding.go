package otp

import (
	"cmp"
	"strings"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/authenticator/pin"
	"countersign/internal/authenticator/typed"
	"countersign/internal/prompt"
)

// Reasons of a refusal, as the audit log words them.
const (
	Malformed = "malformed"
	Wrong     = "wrong"
	Replayed  = "replayed"
)

// Stored is a key of some kind, which writes itself for the store.
type Stored interface{ Encode() ([]byte, error) }

// Finding is what one key makes of an answer. S is the key as it is kept.
type Finding[S Stored] struct {
	Accepted bool // wholly, or as the first of two
	Partial  bool
	Used     bool            // refused and used up: the right code behind a wrong PIN
	Once     string          // what accepting it uses up
	Next     S               // the key afterwards, when accepted or used up
	Traits   assurance.Trait // what it shows, where the PIN in front does not say
	Reason   string          // when not accepted
	Detail   string
}

// Refused is an answer that is not accepted.
func Refused[S Stored](reason, detail string) Finding[S] {
	return Finding[S]{Reason: reason, Detail: detail}
}

// rank orders what several keys make of one answer: a yes, then half of one,
// then the refusal that explains most.
func (f Finding[S]) rank() int {
	switch {
	case f.Accepted && !f.Partial:
		return 5
	case f.Accepted:
		return 4
	case f.Used:
		return 3
	case f.Reason == Replayed:
		return 2
	case f.Reason != Wrong:
		return 1
	}
	return 0
}

// Result is the finding as signin reads it, about one credential.
func (f Finding[S]) Result(id assurance.CredentialID) (authenticator.Result, error) {
	if !f.Accepted && !f.Used {
		return authenticator.Result{Reason: f.Reason, Detail: f.Detail}, nil
	}
	next, err := f.Next.Encode()
	if err != nil {
		return authenticator.Result{}, err
	}
	r := authenticator.Result{Credential: id, Next: next, Once: f.Once, Detail: f.Detail}
	switch {
	case f.Used:
		r.Used, r.Reason = true, f.Reason
	case f.Partial:
		r.Partial, r.Reason = true, "second-code-wanted"
	default:
		r.OK, r.Traits = true, f.Traits
	}
	return r, nil
}

// Judge is what differs between the kinds of codes.
type Judge[S Stored] struct {
	Decode func(stored []byte) (S, error)
	// Match judges digits by one key, which has had so many failures in a row. It
	// need not say why they are refused unless it is to explain that.
	Match func(s S, digits string, failures int, explain bool) Finding[S]
	// Decoy is what is compared with when there is nothing else.
	Decoy S
	// PIN returns what is kept of the PIN in front of the code, or nil. Passed
	// returns the key as it is when what was found is good for nothing any more.
	PIN    func(s S) *pin.Kept
	Digits func(s S) int // of a code
	Passed func(s S, f Finding[S]) S
	Keys   pin.Keys
}

// Check judges what was typed by the keys of all the credentials, and answers
// with the best that any makes of it.
func (j Judge[S]) Check(credentials []authenticator.Credential, answer prompt.Answer) (authenticator.Result, error) {
	digits, ok := typed.Digits(answer.Text)
	if !ok {
		return authenticator.Wrong(Malformed), nil
	}
	if len(credentials) == 0 {
		j.judge(j.Decoy, digits, 0)
		return authenticator.Wrong(Wrong), nil
	}
	best, of := Refused[S](Wrong, ""), assurance.CredentialID(0)
	for _, c := range credentials {
		s, err := j.Decode(c.State)
		if err != nil {
			return authenticator.Result{}, err
		}
		if f := j.judge(s, digits, c.Failures); f.rank() > best.rank() {
			best, of = f, c.ID
		}
	}
	return best.Result(of)
}

// judge judges a line by one key: PIN and code, always both. A refusal says the
// same whichever of them was wrong, also to the log. A right code in a refused line
// is used up: somebody may have seen it, and may have the PIN from another day.
func (j Judge[S]) judge(s S, digits string, failures int) Finding[S] {
	kept := j.PIN(s)
	typed, code := kept.Cut(digits)
	right := kept.Matches(j.Keys, typed)
	f := j.Match(s, code, failures, true)
	switch {
	case f.Accepted && right:
		if f.Traits == 0 {
			f.Traits = kept.Traits()
		}
		return f
	case f.Accepted:
		return j.used(s, f)
	case kept == nil:
		return f
	}
	for _, hidden := range pin.Hidden(digits, j.Digits(s)) {
		if g := j.Match(s, hidden, failures, false); g.Accepted {
			return j.used(s, g)
		}
	}
	return f
}

func (j Judge[S]) used(s S, f Finding[S]) Finding[S] {
	return Finding[S]{Used: true, Once: f.Once, Next: j.Passed(s, f), Reason: Wrong}
}

// Asked is what a question says of one credential.
type Asked struct {
	Digits int
	PIN    *pin.Kept
}

// withPIN are the labels of the kinds with a PIN in front, each a text of its own because
// languages join words in other ways.
var withPIN = map[string]string{
	"Code from your authenticator app":   "PIN and code from your authenticator app",
	"Next code from your code token":     "PIN and next code from your code token",
	"Answer of your token to the number": "PIN and answer of your token to the number",
}

const (
	pinFirst       = "The PIN first and the code right behind it, in one line."
	pinFirstOrNone = "The PIN first and the code right behind it, in one line. For the one without a PIN: the code alone."
)

// Ask completes a question for a code: with how many digits it has, which is 0
// where the credentials differ or a PIN stands in front, and what the prompt says
// where there are none.
func Ask(p prompt.Prompt, credentials []authenticator.Credential, read func(stored []byte) (Asked, error)) (prompt.Prompt, error) {
	digits, pins, bare := p.Digits, false, false
	for i, c := range credentials {
		a, err := read(c.State)
		if err != nil {
			return prompt.Prompt{}, err
		}
		pins, bare = pins || a.PIN != nil, bare || a.PIN == nil
		if i > 0 && a.Digits != digits {
			digits = 0 // either will do
			continue
		}
		digits = a.Digits
	}
	if p.Digits = digits; pins {
		p.Digits, p.Kind = 0, prompt.Secret
		p.Label = cmp.Or(withPIN[p.Label], "PIN and "+strings.ToLower(p.Label[:1])+p.Label[1:])
		p.Hint = pinFirst
		if bare {
			p.Hint = pinFirstOrNone
		}
	}
	return p, nil
}
