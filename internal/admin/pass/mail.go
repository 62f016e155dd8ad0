package pass

import (
	"countersign/internal/directory"
	"countersign/internal/language"
	"countersign/internal/notify"
)

// linkHere is where the link comes in as the mail is sent.
const linkHere = "{the link}"

// letter is what an invitation by mail says.
func (i *Invitations) letter(d directory.Account, k kept) notify.Letter {
	host := i.publicURL.Hostname()
	return notify.Letter{Account: int64(d.ID), Language: d.Language, Subject: language.Say("Set up how you sign in at %s", host),
		Body: language.Say("Hello %s,\n\nan account was made for you at %s. Its name is %s.\n\nOpen this link and set up how you sign in. It is for you alone: do not forward it.\n\n%s\n\n"+
			"It is good until %s, until you have set up how you sign in.\n\nIf you expect no such mail, leave it alone and tell whoever administers %s.\n",
			called(d), host, d.Name, linkHere, language.At(k.Expires), host)}
}

// called is how a person is addressed.
func called(d directory.Account) string {
	if d.Display != "" {
		return d.Display
	}
	return d.Name
}
