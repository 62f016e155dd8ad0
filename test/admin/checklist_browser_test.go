package admin

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// The promise: from the set-up link a new administrator walks the checklist to its end, in a
// browser, by the form or the button of each item.
func TestTheChecklistInTheBrowser(t *testing.T) {
	office := testbed.NewMailServer(t)
	mail := config.Mail{Server: office.Addr, From: "mfa@example.org"}
	w := servertest.NewWorldFrom(t, server.Settings{Mails: true, Mail: func() config.Mail { return mail }}, "http://localhost", nil)
	code, err := w.Setup.Link(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b := testbed.Chromium(t)
	first := b.Passkey()
	b.Visit(w.Base + "/setup?code=" + code)
	b.Fill("#name", "root")
	b.Click("main form button")
	servertest.MakePasskey(b)
	b.WaitText("main", "Use a passkey or security key")
	b.Click("form[data-passkey] button")
	b.WaitText("main", "Until all is ready") // the first page after the first passkey
	b.WaitText("main", "0 of 5 done")
	servertest.Pictures(b, "checklist")
	servertest.Fits(t, b, "checklist")

	first.Unplug()
	b.PasskeyWith(testbed.PasskeyOptions{Resident: true, Verifies: true})
	b.Click(`form:has(input[value=checklist]) button`)
	b.WaitText("button", "Create it")
	b.Click("main form button")
	b.WaitText("main", "1 of 5 done")
	b.WaitText(".said", "Added: ")

	b.Fill("#admin-name", "grace")
	b.Fill("#admin-mail", "grace@example.org")
	b.Click(`form[action="/console/new-account"] button`)
	b.WaitText("main", "The account was made.")
	b.Visit(w.Base + "/console")
	b.WaitText("main", "grace cannot administer yet")
	b.Fill("#pass-note", "met in person")
	b.Click(`form[action="/console/accounts/grace/pass"] button`)
	b.WaitText("h1", "A pass for grace")
	grace := b.Stranger()
	grace.Passkey()
	grace.Visit(b.Text("#pass-link"))
	grace.Click("main form button")
	servertest.MakePasskey(grace)
	grace.WaitText("main", "Use a passkey or security key")
	b.Visit(w.Base + "/console")
	b.WaitText("main", "2 of 5 done")

	b.Visit(w.Base + "/console")
	b.Fill(`#own-mail`, "root@example.org")
	b.Fill(`#own-reason`, "my own")
	b.Click(`form[action$="/set-mail"] button`)
	b.WaitText("main", "The mail address was changed.")
	b.Visit(w.Base + "/console")
	b.Click(`form[action="/console/checklist/test-mail"] button`)
	b.WaitText("main", "accepted the mail to root@example.org")
	servertest.Pictures(b, "checklist-mail")
	servertest.Fits(t, b, "checklist-mail")

	b.Visit(w.Base + "/console")
	b.Click(`.checklist a[href="/console/new-application?protocol=forward-auth"]`)
	b.WaitText("h1", "New application")
	b.Fill("#name", "wiki")
	page, addr := testbed.NewPage(t), testbed.Addr(t)
	testbed.Eval[bool](b, fmt.Sprintf(`document.querySelector("#hosts").value = %q, document.querySelector("#kind").value = "wiki", true`, addr))
	b.Click(`details:has(#backend) summary`)
	b.Fill("#backend", "http://"+page.Addr)
	b.Click("main form.panel .actions button:not(.second)")
	b.WaitText("main", "The application was saved.")
	b.Visit(w.Base + "/console")
	b.Click(`form[action="/console/applications/wiki/test"] button`)
	b.WaitText("#test", "To mend.")
	own, err := url.Parse(w.Base)
	if err != nil {
		t.Fatal(err)
	}
	b.Visit(w.Base + "/console/applications/wiki?for=nginx&countersign=127.0.0.1:" + own.Port())
	testbed.Nginx(t, addr, testbed.Eval[string](b, `document.querySelector("#file-0").value`))
	somebody := b.Stranger()
	somebody.Visit("http://" + addr + "/")
	somebody.WaitText("h1", "Sign in")
	b.Visit(w.Base + "/console")
	b.WaitText("main", "4 of 5 done")

	b.Visit(w.Base + "/console")
	testbed.Eval[bool](b, `(() => { const d = new DataTransfer(); d.items.add(new File(["name,display,mail\nada,Ada,ada@example.org\n"], "people.csv", {type: "text/csv"})); document.querySelector("#check-file").files = d.files; return true })()`)
	b.Click(`form[action="/console/import"] button`)
	b.WaitText("main", "What the file comes to")
	b.Click(`form[action="/console/import/do"] button`)
	b.WaitText("h1", "accounts were made")
	b.Visit(w.Base + "/console/checklist")
	b.WaitText("main", "All is done.")
	b.Visit(w.Base + "/console")
	b.WaitText("h1", "Overview")
	if b.Has(".checklist") {
		t.Error("all is done, and the overview shows the checklist")
	}
}
