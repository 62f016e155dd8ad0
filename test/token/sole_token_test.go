package token

import (
	"strings"
	"testing"

	"countersign/internal/admin"
	"countersign/internal/authenticator/totp"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	hardware "countersign/internal/token"
)

// The promise: the sole administrator, who has a password and one hardware token, loses
// neither the token nor the account by any command, whatever it says became of the
// token: nobody is asked to approve it, and what was approved while there were two is
// refused all the same, with an entry. Beside a second administrator it goes.
func TestSoleAdministratorKeepsTheToken(t *testing.T) {
	w := servertest.NewWorld(t)
	office := servertest.OfficeOf(w, "ada", "bob")
	bob := office[1]
	var app, token int64
	for _, c := range servertest.AuthenticatorsOf(w, "ada") {
		if c.Kind == totp.Kind {
			app = int64(c.ID)
		}
	}
	servertest.Stock(w, "T-1")
	if err := bob.Do(t.Context(), "token.assign", map[string]any{"serial": "T-1", "account": "ada", "note": "in person"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := bob.Do(t.Context(), "authenticator.revoke", map[string]any{"account": "ada", "id": app}, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range servertest.AuthenticatorsOf(w, "ada") {
		if c.Kind == totp.Kind && c.Status == directory.CredentialActive {
			token = int64(c.ID)
		}
	}
	commands := []admin.Command{
		servertest.Prepared(w, "token.lost", map[string]any{"serial": "T-1", "reason": "left in a train"}),
		servertest.Prepared(w, "token.return", map[string]any{"serial": "T-1"}),
		servertest.Prepared(w, "token.revoke", map[string]any{"serial": "T-1"}),
		servertest.Prepared(w, "authenticator.revoke", map[string]any{"account": "ada", "id": token}),
		servertest.Prepared(w, "account.suspend", map[string]any{"name": "ada", "reason": "left"}),
		servertest.Prepared(w, "group.member.remove", map[string]any{"group": "administrators", "account": "ada"}),
	}
	var grants []signin.Grant
	for _, cmd := range commands {
		if err := w.Admin.Preflight(t.Context(), cmd); err != nil {
			t.Errorf("%s of one of two: %v", cmd.Action(), err)
		}
		g, err := bob.Grant(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		grants = append(grants, g)
	}
	if err := bob.Do(t.Context(), "group.member.remove", map[string]any{"group": "administrators", "account": "bob"}, nil); err != nil {
		t.Fatal(err)
	}
	for i, cmd := range commands {
		const says = "After that, nobody could administer Countersign. First make somebody else an administrator"
		if err := w.Admin.Preflight(t.Context(), cmd); failure.ReasonOf(err) != "last-administrator" || !strings.HasPrefix(failure.Public(err), says) {
			t.Errorf("%s, before it is approved: %v", cmd.Action(), err)
		}
		if _, err := w.Admin.Do(t.Context(), grants[i], cmd); failure.ReasonOf(err) != "last-administrator" || !strings.HasPrefix(failure.Public(err), says) {
			t.Errorf("%s, which was approved: %v", cmd.Action(), err)
		}
		if e := servertest.LatestOf(w, "command.refused"); e.Action != cmd.Action() || e.Actor.Name != "bob" || e.Reason != "last-administrator" {
			t.Errorf("%s: the entry says %+v", cmd.Action(), e)
		}
	}
	if n := w.Events("command.refused"); n != len(commands) {
		t.Errorf("%d entries of %d refusals", n, len(commands))
	}
	kept, err := w.Hardware.Get(t.Context(), w.DB, "T-1")
	if err != nil || kept.State != hardware.Assigned || int64(kept.Credential) != token || !servertest.Administers(w, "ada") || servertest.StatusOf(w, "ada", totp.Kind) != directory.CredentialActive {
		t.Errorf("something of it was taken away all the same: the token is %s, %v", kept.State, err)
	}
	w.Promote("bob")
	if _, err := w.Admin.Do(t.Context(), grants[0], commands[0]); err != nil {
		t.Errorf("beside a second administrator: %v", err)
	}
	if s := servertest.StatusOf(w, "ada", totp.Kind); s != directory.CredentialRevoked {
		t.Errorf("the lost token is %s", s)
	}
}
