package wire

// Mode is how an application of the protocol RADIUS is played (docs/radius.md).
type Mode string

// The modes. The empty one is Challenge.
const (
	// Challenge takes the password, and asks for the code by an Access-Challenge.
	Challenge Mode = "challenge"
	// Appended takes password and code in one line.
	Appended Mode = "appended"
	// CodeOnly takes the code; the equipment has checked the password.
	CodeOnly Mode = "code-only"
	// Wait takes the password and waits while the owner acts elsewhere.
	Wait Mode = "wait"
)

func (s Radius) mode() Mode {
	if s.Mode == "" {
		return Challenge
	}
	return s.Mode
}

// lines are what somebody types who has this password and this code.
func (s Radius) lines(password, code string) []string {
	switch s.mode() {
	case Appended:
		return []string{password + s.Separator + code}
	case CodeOnly:
		return []string{code}
	case Wait:
		return []string{password}
	}
	return []string{password, code}
}

// digits is how many a code has.
func (s Radius) digits() int {
	if s.CodeDigits == 0 {
		return 6
	}
	return s.CodeDigits
}

// takesTwo reports whether two codes in a row fit where one is typed: without a separator
// the first of them would belong to the password.
func (s Radius) takesTwo() bool { return s.mode() != Appended || s.Separator != "" }
