package signin

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/approval"
	"countersign/internal/prompt"
)

// mailed is the last that ada was told: its subject and its text.
func (p *phone) mailed() (subject, body string) {
	p.t.Helper()
	if err := p.DB.QueryRow(p.t.Context(), `select subject, body from notice where account = $1 order by id desc limit 1`, int64(p.ada.ID)).Scan(&subject, &body); err != nil {
		p.t.Fatal(err)
	}
	return subject, body
}

// Who knows the password and nothing else is refused, and its owner is told when, of what
// and from where, as far as that is known.
func TestOwnersReadWhereTheirPasswordWasUsed(t *testing.T) {
	p := withPhone(t)
	for address, want := range map[string]string{"203.0.113.9": "somebody at 203.0.113.9 typed", "": "somebody at an unknown address typed"} {
		p.clock.Later(2 * time.Hour)
		q := Request{Application: "wiki", Name: "ada", Protocol: "radius", Medium: prompt.Single, Partner: "nas", Opening: []prompt.Answer{typed("password", secret)}}
		if address != "" {
			q.Source = netip.MustParseAddr(address)
		}
		if s := p.begin(q); s.State != Denied {
			t.Fatalf("from %q: %+v", address, s)
		}
		subject, body := p.mailed()
		if subject != "Somebody used your password, and was refused" || !strings.Contains(body, want) || !strings.Contains(body, "for wiki ") {
			t.Errorf("from %q: %s: %s", address, subject, body)
		}
	}
}

// Whose quiet hours were changed is told to what: somebody else would change them to go
// unnoticed.
func TestOwnersReadOfTheirQuietHours(t *testing.T) {
	p, _ := withPages(t)
	night, err := approval.ReadQuietHours("22:00", "07:00", "Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    approval.QuietHours
		want string
	}{{night, "Your app is not woken from 22:00 to 07:00, Europe/Berlin. "}, {approval.QuietHours{}, "Your app is woken at any hour. "}} {
		p.clock.Later(2 * time.Hour) // the same is not told twice in an hour
		if err := p.Pushes.SetQuiet(t.Context(), p.grants(SetQuiet, c.q.String()), c.q); err != nil {
			t.Fatal(err)
		}
		if subject, body := p.mailed(); subject != "Your quiet hours were changed" || !strings.HasPrefix(body, c.want) {
			t.Errorf("%s: %s: %s", c.q, subject, body)
		}
	}
}

// A typed name of a group is read as the directory reads names; what can be no name is
// none, so that it is nobody's group.
func TestGroupNames(t *testing.T) {
	for typed, want := range map[string]string{"staff": "staff", "Staff": "staff", "STAFF": "staff", "": "", "a\x00b": "", strings.Repeat("x", 10_000): ""} {
		if got := GroupName(typed); got != want {
			t.Errorf("%.20q is %.20q", typed, got)
		}
	}
}
