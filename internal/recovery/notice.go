package recovery

import (
	"context"
	"strings"

	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/notify"
	"countersign/internal/store"
)

// notice is what somebody is told, in words that anybody understands.
type notice struct{ subject, body language.Sentence }

// messenger tells people.
type messenger struct {
	people *directory.Accounts
	groups *directory.Groups
	outbox *notify.Outbox
}

func newMessenger(p Parts) *messenger {
	return &messenger{people: p.Accounts, groups: p.Groups, outbox: p.Outbox}
}

// tell queues a notice to every address of an account.
func (m *messenger) tell(ctx context.Context, tx *store.Tx, account directory.Account, n notice) error {
	mails, err := m.people.Mails(ctx, tx, account.ID)
	if err != nil {
		return err
	}
	return m.outbox.QueueAll(ctx, tx, mails, m.outbox.Write(notify.Letter{Account: int64(account.ID), Language: account.Language, Subject: n.subject, Body: n.body}))
}

// tellAdministrators tells whoever administers.
func (m *messenger) tellAdministrators(ctx context.Context, tx *store.Tx, n notice) error {
	members, err := m.groups.Administering(ctx, tx, 100)
	if err != nil {
		return err
	}
	for _, one := range members {
		if err := m.tell(ctx, tx, one, n); err != nil {
			return err
		}
	}
	return nil
}

// noticeOpened has the link that stops the case. It can do nothing else, so that
// whoever reads the mail as well can only keep somebody out.
func noticeOpened(opener, account directory.Account, c Case, stop string) notice {
	how := language.Say("%s recorded how they made sure that it is you: %s.", opener.Name, language.Word(Words(c.Check)))
	if c.Check == Codes {
		how = language.Say("They had a saved recovery code, and a code that was mailed.")
	}
	what := language.Say("From %s on they can set up a new way to sign in; what you sign in with now is switched off then.", language.At(c.Due))
	if c.Second {
		what = language.Say("As soon as an administrator confirms it they can set up a new way to sign in; what you sign in with now is switched off then.")
	}
	return notice{
		subject: language.Say("Somebody asks to get back into your account"),
		body: language.Say("At %s somebody asked to get back into the account %s, without what you sign in with. %s %s\n\n"+
			"If that is you, go on in the browser that showed you the number.\n\n"+
			"If it is not you, stop it now. This link does that and nothing else:\n\n%s\n\n"+
			"Signing in as usual stops it as well.\n", language.At(c.Opened), account.Name, how, what, stop),
	}
}

func noticeConfirmed(by, account directory.Account, c Case) notice {
	what := language.Say("What you hold is replaced then; what you know is asked for.")
	if c.Forgotten {
		what = language.Say("All that you sign in with is replaced then.")
	}
	return notice{
		subject: language.Say("The recovery of your account was confirmed"),
		body: language.Say("%s confirmed that whoever asked to get back into the account %s is you, so they need not wait any more. %s\n\n"+
			"If it is not you, use the link in the mail before, or sign in as usual: either stops it.\n", by.Name, account.Name, what),
	}
}

func noticeCollected(account directory.Account, c Case) notice {
	gone := language.Say("What you held, such as phones, keys and recovery codes, can no longer be used to sign in.")
	if c.Forgotten {
		gone = language.Say("Nothing that you signed in with until now can be used any more.")
	}
	return notice{
		subject: language.Say("A new way to sign in is being set up for your account"),
		body: language.Say("The browser that asked to get back into the account %s took its pass. %s\n\n"+
			"If that was not you, use the link in the first mail about it: for three days it stops it, and undoes what came of it. Then call your help desk.\n", account.Name, gone),
	}
}

func noticeNotMine(opener, account directory.Account, undone Undone) notice {
	who := language.Say("It was opened by %s.", opener.Name)
	switch opener.ID {
	case account.ID:
		who = language.Say("It was opened with two codes of the account's owner, who should make new ones.")
	case 0:
		who = language.Say("Who opened it has no account any more.")
	}
	return notice{
		subject: language.Say("Somebody reports a recovery that was not theirs"),
		body:    language.Say("%s stopped the recovery of their account and says that it was not them. %s %s Find out who called.\n", account.Name, who, undone.Sentence()),
	}
}

// noticeDoubted names recoveries that somebody vouched for who says now that something
// in their name was not them.
func noticeDoubted(by directory.Account, taken []string) notice {
	return notice{
		subject: language.Say("Recoveries of the last days are in doubt"),
		body: language.Say("%s reports that something in their name was not them. In their name these people were let back in during the last days: %s. "+
			"Ask each of them whether that was them. If it was not, recovery stop undoes it.\n", by.Name, strings.Join(taken, ", ")),
	}
}
