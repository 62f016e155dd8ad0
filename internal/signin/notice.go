package signin

import (
	"fmt"
	"time"

	"countersign/internal/notify"
	"countersign/internal/throttle"
)

// notice is what an owner is told, in words that anybody understands.
type notice struct{ subject, body string }

func noticeFactorMissing(at *attempt, now time.Time) notice {
	from := addrText(at.Source)
	if from == "" {
		from = "an unknown address"
	}
	return notice{
		subject: "Somebody used your password, and was refused",
		body: fmt.Sprintf("At %s somebody at %s typed your right password for %s and had no second factor, so they were not let in.\n\n"+
			"If that was you, all is well. If it was not, your password is known to somebody else: sign in, change it, and choose \"This was not me\" in your history.\n",
			notify.Moment(now), from, at.Application),
	}
}

func noticeDisabled(title string) notice {
	return notice{
		subject: "One of your ways to sign in was switched off",
		body: fmt.Sprintf("There were too many wrong answers for your %s, so it is switched off. Your other ways to sign in still work.\n\n"+
			"If that was not you, somebody is guessing. To use it again, sign in another way and set it up anew, or ask an administrator for a temporary access pass.\n", title),
	}
}

// noticeSlowed is of guesses that make everybody wait who is a stranger here.
func noticeSlowed(title string) notice {
	return notice{
		subject: "Somebody is guessing your " + title,
		body:    fmt.Sprintf("There were many wrong answers in a row for your %s. Whoever is not known to be you must wait between two answers, up to an hour.\n", title),
	}
}

// noticeClosed is of guesses that ended what they were for, on their side.
func noticeClosed(title string, s throttle.Side) notice {
	return notice{
		subject: "Your " + title + " is closed for " + s.Words(),
		body: fmt.Sprintf("There were too many wrong answers in a row for your %s, so it is closed for %s. It is not switched off: it opens again when you sign in with it from where it is open still, "+
			"or without it by two other factors, such as a passkey. An administrator can open it as well.\n", title, s.Words()),
	}
}

func noticeCloned(title string) notice {
	return notice{
		subject: "Your " + title + " was switched off: its key is on two devices",
		body: fmt.Sprintf("Two devices use the key of your %s, so it is switched off. Your other ways to sign in still work.\n\n"+
			"If you did not copy or restore your device, somebody else has its key: sign in another way, choose \"This was not me\" in your history, and set the app up anew on a device that is yours alone.\n", title),
	}
}

func noticeQuiet(q QuietHours) notice {
	said := "Your app is not woken from " + q.String() + "."
	if q.IsZero() {
		said = "Your app is woken at any hour."
	}
	return notice{
		subject: "Your quiet hours were changed",
		body: said + " It approves at any hour: open it and type the number.\n\n" +
			"If that was not you, somebody else is signed in as you: sign in, end their session, and choose \"This was not me\" in your history.\n",
	}
}

func noticePushFlood() notice {
	return notice{
		subject: "Sign-ins as you were left unanswered",
		body: "Somebody begins sign-ins with your password, and nobody answers them, so your app is no longer woken for them. You can still open the app and type a number, and all your other ways to sign in work.\n\n" +
			"If that is not you, your password is known to somebody else: sign in, change it, and choose \"This was not me\" in your history.\n",
	}
}
