package servertest

import (
	"net/url"
	"regexp"
	"testing"

	recoveries "countersign/internal/admin/recovery"
	"countersign/internal/directory"
	"countersign/internal/server"
)

// HelpDesk is an installation with a help desk, and bob, who lost his phone.
type HelpDesk struct {
	*World
	Post *postOffice
	// helga helps people back in, root administers.
	Helga, Root *Clerk
	Bob         *Person // with what he had
}

func WithHelpDesk(t *testing.T, dsn string) *HelpDesk {
	t.Helper()
	return WithHelpDeskFrom(t, server.Settings{Database: dsn, Mails: true})
}

func WithHelpDeskFrom(t *testing.T, s server.Settings) *HelpDesk {
	t.Helper()
	w := NewWorldFrom(t, s, "http://localhost", nil)
	if err := w.PlantApplications(t.Context(), "wiki.test", DrillSecret); err != nil {
		t.Fatal(err)
	}
	d := &HelpDesk{World: w, Bob: w.EnrollCodes("bob"), Root: w.Clerk(), Helga: &Clerk{W: w, Name: "helga", Person: w.EnrollCodes("helga")}}
	w.Join("helga", directory.Helpdesk)
	w.Address("bob", "bob@example.org")
	w.Address("bob", "bob@home.example")
	d.Post = w.PostOffice()
	d.Post.Collect()
	return d
}

var shownNumber = regexp.MustCompile(`aria-label="The number">(\d{6})<`)

// Asks opens the page on a new browser, and reads the number there.
func (d *HelpDesk) Asks(name string) (*Person, string) {
	d.T.Helper()
	p := d.Person()
	p.Get("/sign-in")
	p.Sees("I lost what I sign in with")
	p.Get("/recovery")
	p.Post("/recovery", "name", name)
	m := shownNumber.FindStringSubmatch(p.Page)
	if m == nil {
		d.T.Fatalf("no number is shown (%d):\n%s", p.Status, p.Page)
	}
	return p, m[1]
}

// GoesOn presses the button, whether or not the page shows it, and returns the
// status.
func (p *Person) GoesOn() int {
	p.W.T.Helper()
	p.Get("/sign-in") // a page with a form on it
	p.Post("/recovery/go-on")
	return p.Status
}

func Opens(account, number string) map[string]any {
	return map[string]any{"account": account, "browser": number, "check": "called-back", "note": "ticket 4711"}
}

func (d *HelpDesk) Opens(by *Clerk, account, number string) recoveries.Recovery {
	d.T.Helper()
	var out recoveries.Recovery
	if err := by.Do(d.T.Context(), "recovery.open", Opens(account, number), &out); err != nil {
		d.T.Fatalf("%s cannot open a recovery: %v", by.Name, err)
	}
	return out
}

// Bound is what a browser holds that is bound to a recovery.
func Bound(p *Person) string {
	p.W.T.Helper()
	base, err := url.Parse(p.W.Base)
	if err != nil {
		p.W.T.Fatal(err)
	}
	for _, c := range p.Client.Jar.Cookies(base) {
		if c.Name == "countersign-recovery" {
			return c.Value
		}
	}
	p.W.T.Fatal("the browser is bound to nothing")
	return ""
}
