package drill

import (
	"os"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
	"countersign/internal/servertest"
	"countersign/internal/throttle"
)

// triedAtMail are words for what must have been tried at each application of mail.
var triedAtMail = map[string][]string{
	"mail": {"imap://", "imaps://", "pop3://", "pop3s://", "submission://", "without TLS", "LOGIN with the password", "USER with the password", "PLAIN with the password",
		"OAUTHBEARER with a token of mail-lenient for one factor", "XOAUTH2 with a token of another application", "a token without the scope", "a token of somebody else", "a token that is too old", "whose owner has signed out"},
	"mail-filters": {"sieve://", "without TLS", "PLAIN with the password", "OAUTHBEARER with a token of mail-lenient for one factor", "a token of another application", "a token that is too old", "whose owner has signed out"},
	"webmail":      {"with the password alone", "guessed code"},
}

// The promise: the rows about mail hold at every door of Debian's Dovecot and Postfix, with all five
// proofs.
func TestDrillOfMail(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start Postfix; run the tests with sudo")
	}
	b := servertest.NewBed(t, throttle.Limits{}).WithMail()
	results, err := drill.Run(t.Context(), drill.Plan{Stage: b.Stage, Admin: b.Admin, Bed: b, Now: time.Now, Rows: []string{"T1040", "T1098.002", "T1114", "T1114.002"}})
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]bool{}
	for _, r := range results {
		if triedAtMail[r.Application] == nil {
			continue
		}
		at[r.Row+" "+r.Application] = true
		for _, p := range r.Proofs() {
			t.Logf("%-10s %-12s %-12s %-7s %.300s", r.Row, r.Application, p.Name, p.State, p.Detail)
			// Of T1040 the table of mutants is the control.
			if p.State != drill.Passed && (p.Name != "control" || p.State == drill.Failed || r.Row == "T1114" || r.Row == "T1114.002" || r.Row == "T1098.002") {
				t.Errorf("%s at %s: %s %s: %.600s", r.Row, r.Application, p.Name, p.State, p.Detail)
			}
		}
		if r.Row != "T1114.002" {
			continue
		}
		for _, what := range triedAtMail[r.Application] {
			found := false
			for _, d := range r.Tries {
				found = found || strings.Contains(d.Name, what)
			}
			if !found {
				t.Errorf("%s at %s does not try %q", r.Row, r.Application, what)
			}
		}
		if r.Application == "mail" && !strings.Contains(r.Control.Detail, "mail") {
			t.Errorf("the control: %s", r.Control.Detail)
		}
	}
	for _, want := range []string{"T1040 mail", "T1040 mail-filters", "T1098.002 mail", "T1098.002 mail-filters", "T1114 mail", "T1114 mail-filters", "T1114 webmail", "T1114.002 mail"} {
		if !at[want] {
			t.Errorf("%s was not attacked", want)
		}
	}
	for _, r := range results {
		if r.Row == "T1098.002" && r.Application == "mail" && !strings.Contains(r.Control.Detail, "mallory reads the owner's mailbox") {
			t.Errorf("the control does not show mallory reading mail: %.400s", r.Control.Detail)
		}
	}
}
