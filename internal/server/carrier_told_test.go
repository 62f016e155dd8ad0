package server_test

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/servertest"
)

// The promise: an administrator reads why mail is not taken where they look first, in the
// console, on the command line and in the log.
func TestAnAdministratorReadsWhyMailWaits(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	ada.Get("/sign-in")
	ada.SignIn("ada", ada.Code())
	ada.Get("/console")
	ada.Sees("What needs attention")
	if strings.Contains(ada.Page, "takes nothing") {
		t.Error("it is said before anything failed")
	}
	const why = "The mail server mx:587 refused the name or the password (mail.username, mail.password_file): 535 5.7.8 <no>"
	if err := w.MailFails(t.Context(), failure.New(failure.Unavailable, why)); err != nil {
		t.Fatal(err)
	}
	ada.Get("/console")
	ada.Sees("the mail server takes nothing: The mail server mx:587 refused")
	if strings.Contains(ada.Page, "<no>") {
		t.Error("what a server answered is not escaped")
	}
	ada.Get("/console/audit")
	ada.Sees("The mail server takes nothing: The mail server mx:587 refused")
	w.Later(time.Minute)
	sh, browser := w.Shell(), w.Person()
	sh.Login(browser, "ada", ada.Code())
	if out, complaint, ok := sh.Run("", "overview"); !ok || !strings.Contains(out, "535 5.7.8 <no>") {
		t.Errorf("%s%s", out, complaint)
	}
}
