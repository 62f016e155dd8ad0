package admin

import (
	"strings"
	"testing"

	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
)

// The promise: where no mail is sent, the overview says so and no form promises a mail; where it
// is, nothing complains.
func TestMailIsOff(t *testing.T) {
	for _, mails := range []bool{false, true} {
		var file config.Mail
		if mails {
			file = config.Mail{Server: "mail.test:25", From: "mfa@example.org"}
		}
		w := servertest.NewWorldFrom(t, server.Settings{Mails: mails, Mail: func() config.Mail { return file }}, "http://localhost", nil)
		root := w.Administrator("root")
		w.EnrollCodes("grace")
		p := w.Person()
		p.Comes("root", root.Secret)
		p.Get("/console")
		if off := strings.Contains(p.Page, "Mail is off: notices wait"); off == mails {
			t.Errorf("mails %t: the overview says that mail is off: %t", mails, off)
		}
		p.Get("/console/accounts/grace")
		p.Sees("Issue a temporary access pass")
		if promised := strings.Contains(p.Page, "They are told by mail that you issued it"); promised != mails {
			t.Errorf("mails %t: the form of a pass promises a mail: %t", mails, promised)
		}
	}
}
