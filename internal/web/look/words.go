package look

import "strings"

// kinds are what people call the authenticators, within a sentence.
var kinds = map[string]string{
	"password": "password", "passkey": "passkey", "totp": "authenticator app", "hotp": "code token", "ocra": "challenge token", "recoverycode": "recovery code",
	"accesspass": "temporary access pass", "certificate": "smart card", "push": "approval on a phone", "smscode": "code by SMS", "mailcode": "code by mail",
	"vouched-password": "password", "apikey": "automation key",
}

// Kinds writes a list of kinds, as the log has them, for people: "password,
// totp" is "password and authenticator app". A kind without words is shown as it is.
func Kinds(list string) string {
	all := strings.Split(list, ", ")
	for i, k := range all {
		if w := kinds[k]; w != "" {
			all[i] = w
		}
	}
	if n := len(all); n > 1 {
		return strings.Join(all[:n-1], ", ") + " and " + all[n-1]
	}
	return all[0]
}

// Act says in words what somebody is about to do, or did, to their own account;
// any other act is shown as it is, because its own words are what is approved.
func Act(action, object string) string {
	switch action {
	case "authenticator.enroll":
		return "Set up: " + Kinds(object)
	case "authenticator.remove":
		return "Remove a way to sign in (number " + object + ")"
	case "authenticator.rename":
		return "Rename a way to sign in (number " + object + ")"
	case "authenticator.pin":
		return "Set the PIN of a token (number " + object + ")"
	case "sign-in.approve":
		return "Approve " + object
	case "account.recover":
		return "Get back into your account by two codes"
	case "push.quiet-hours":
		return "Set quiet hours: " + object
	case "report.not-me":
		return "Report that entry " + object + " of your history was not you"
	}
	return action + ": " + object
}
