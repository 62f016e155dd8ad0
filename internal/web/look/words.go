package look

import (
	"strings"

	"countersign/internal/language"
)

// Kind is what pages say of a kind of authenticator.
type Kind struct {
	// Noun is what people call it, within a sentence; Mark the name of its picture.
	Noun, Mark string
	// Known says that it is only known, as a password is, and Vouched that somebody else
	// gave it for a time.
	Known, Vouched bool
	// Approves says that it is a device of its own, which is woken, and Bound that such a
	// device proposes itself by the code that is shown.
	Approves, Bound bool
	// Carrier is the word of HTML for the address that its codes are sent to: "tel",
	// "email", or empty.
	Carrier string
	// Noted says that its codes can be noted today and given at any time later.
	Noted bool
}

// Kinds writes a list of kinds, as the log has them, for people: "password,
// totp" is "password and authenticator app". A kind without words is shown as it is.
func (l *Look) Kinds(list string) language.Sentence {
	all := strings.Split(list, ", ")
	for i, k := range all {
		if w := l.Options.Kinds[k].Noun; w != "" {
			all[i] = w
		}
	}
	return language.Listed(all)
}

// Nouns is [Look.Kinds] in English.
func (l *Look) Nouns(list string) string { return l.Kinds(list).String() }

// doing are people's own acts, as what they are proved for.
var doing = map[string]string{
	"authenticator.enroll": "set up a way to sign in", "authenticator.remove": "remove a way to sign in", "authenticator.rename": "rename a way to sign in",
	"authenticator.pin": "set a PIN", "push.quiet-hours": "set quiet hours", "account.recover": "get back in by codes", "report.not-me": "report an entry",
	"sign-in.approve": "approve a sign-in", "command-line.sign-in": "sign in the command line",
}

// Doing says in words what an act of a person's own is, after "to": set up a way to sign in. It
// is empty for what is none, such as a command.
func Doing(action string) string { return doing[action] }

// Act says in words what somebody is about to do, or did, to their own account;
// any other act is shown as it is, because its own words are what is approved.
func (l *Look) Act(action, object string) language.Sentence {
	switch action {
	case "authenticator.enroll":
		return language.Say("Set up: %s", l.Kinds(object))
	case "authenticator.remove":
		return language.Say("Remove a way to sign in (number %s)", object)
	case "authenticator.rename":
		return language.Say("Rename a way to sign in (number %s)", object)
	case "authenticator.pin":
		return language.Say("Set the PIN of a token (number %s)", object)
	case "sign-in.approve":
		return language.Say("Approve %s", object)
	case "account.recover":
		return language.Say("Get back into your account by two codes")
	case "push.quiet-hours":
		return language.Say("Set quiet hours: %s", object)
	case "report.not-me":
		return language.Say("Report that entry %s of your history was not you", object)
	}
	return language.Say("%s: %s", action, object)
}
