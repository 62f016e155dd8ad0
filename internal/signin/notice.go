package signin

import (
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/throttle"
)

// notice is what an owner is told, in words that anybody understands.
type notice struct{ subject, body language.Sentence }

// to is the notice as it is written to an account.
func (n notice) to(account directory.Account) notify.Letter {
	return notify.Letter{Account: int64(account.ID), Language: account.Language, Subject: n.subject, Body: n.body}
}

func noticeFactorMissing(at *attempt, now time.Time) notice {
	var from any = audit.AddressText(at.Source)
	if from == "" {
		from = language.Word("an unknown address")
	}
	return notice{
		subject: language.Say("Somebody used your password, and was refused"),
		body: language.Say("At %s somebody at %s typed your right password for %s and had no second factor, so they were not let in.\n\n"+
			"If that was you, all is well. If it was not, your password is known to somebody else: sign in, change it, and choose \"This was not me\" in your history.\n",
			language.At(now), from, at.Application),
	}
}

// noticeSlowed is of guesses that make everybody wait who is a stranger here.
func noticeSlowed(title string) notice {
	return notice{
		subject: language.Say("Somebody is guessing your %s", language.Word(title)),
		body:    language.Say("There were many wrong answers in a row for your %s. Whoever is not known to be you must wait between two answers, up to an hour.\n", language.Word(title)),
	}
}

// noticeClosed is of guesses that ended what they were for, on their side.
func noticeClosed(title string, s throttle.Side) notice {
	return notice{
		subject: language.Say("Your %s is closed for %s", language.Word(title), language.Word(s.Words())),
		body: language.Say("There were too many wrong answers in a row for your %s, so it is closed for %s. It is not switched off: it opens again when you sign in with it from where it is open still, "+
			"or without it by two other factors, such as a passkey. An administrator can open it as well.\n", language.Word(title), language.Word(s.Words())),
	}
}
