package pass

import (
	"fmt"

	"countersign/internal/directory"
	"countersign/internal/notify"
)

// linkHere is where the link comes in as the mail is sent.
const linkHere = "{the link}"

// mailText is what an invitation by mail says.
func (i *Invitations) mailText(d directory.Account, k kept) string {
	return fmt.Sprintf("Hello %s,\n\nan account was made for you at %s. Its name is %s.\n\nOpen this link and set up how you sign in. It is for you alone: do not forward it.\n\n%s\n\n"+
		"It is good until %s, until you have set up how you sign in.\n\nIf you expect no such mail, leave it alone and tell whoever administers %s.\n",
		called(d), i.publicURL.Hostname(), d.Name, linkHere, notify.Moment(k.Expires), i.publicURL.Hostname())
}

// called is how a person is addressed.
func called(d directory.Account) string {
	if d.Display != "" {
		return d.Display
	}
	return d.Name
}
