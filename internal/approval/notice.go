package approval

import "countersign/internal/language"

// notice is what an owner is told, in words that anybody understands.
type notice struct{ subject, body language.Sentence }

func noticeDisabled(title string) notice {
	return notice{
		subject: language.Say("One of your ways to sign in was switched off"),
		body: language.Say("There were too many wrong answers for your %s, so it is switched off. Your other ways to sign in still work.\n\n"+
			"If that was not you, somebody is guessing. To use it again, sign in another way and set it up anew, or ask an administrator for a temporary access pass.\n", language.Word(title)),
	}
}

func noticeCloned(title string) notice {
	return notice{
		subject: language.Say("Your %s was switched off: its key is on two devices", language.Word(title)),
		body: language.Say("Two devices use the key of your %s, so it is switched off. Your other ways to sign in still work.\n\n"+
			"If you did not copy or restore your device, somebody else has its key: sign in another way, choose \"This was not me\" in your history, and set the app up anew on a device that is yours alone.\n", language.Word(title)),
	}
}

func noticeQuiet(q QuietHours) notice {
	said := language.Say("Your app is not woken from %s.", q.Sentence())
	if q.IsZero() {
		said = language.Say("Your app is woken at any hour.")
	}
	return notice{
		subject: language.Say("Your quiet hours were changed"),
		body: language.Say("%s It approves at any hour: open it and type the number.\n\n"+
			"If that was not you, somebody else is signed in as you: sign in, end their session, and choose \"This was not me\" in your history.\n", said),
	}
}

func noticePushFlood() notice {
	return notice{
		subject: language.Say("Sign-ins as you were left unanswered"),
		body: language.Say("Somebody begins sign-ins with your password, and nobody answers them, so your app is no longer woken for them. You can still open the app and type a number, and all your other ways to sign in work.\n\n" +
			"If that is not you, your password is known to somebody else: sign in, change it, and choose \"This was not me\" in your history.\n"),
	}
}
