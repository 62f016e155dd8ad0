package incident

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/recovery"
	"countersign/internal/store"
)

// "This was not me" ends what stands, switches the password off and keeps why, and
// stops a recovery that waits.
func TestReport(t *testing.T) {
	for _, alone := range []bool{false, true} {
		r := setUp(t)
		r.Person("bob", "totp", "password", "passkey")
		r.recovery("bob")
		keep, other := r.Enters("bob", "passkey"), r.Enters("bob", "password")
		g := r.Grant("bob", keep, Report, "7")
		if _, err := r.Report(t.Context(), g, 8); failure.ReasonOf(err) != "other-action" {
			t.Errorf("another entry: %v", err)
		}
		if alone {
			r.spare = failure.Refuse("last-administrator", "no")
		}
		r.now = began.Add(time.Second)
		if off, err := r.Report(t.Context(), g, 7); err != nil || off == alone {
			t.Fatalf("it says that the password was switched off: %v, %v", off, err)
		}
		password := r.Newest("bob")["password"]
		if off := password.Status == directory.CredentialDisabled && password.End.Cause == directory.ByReport; off == alone {
			t.Errorf("the password is %s by %s", password.Status, password.End.Cause)
		}
		for kind, c := range r.Newest("bob") {
			if kind != "password" && c.Status != directory.CredentialActive {
				t.Errorf("%s is %s", kind, c.Status)
			}
		}
		if _, err := r.Sessions.Active(t.Context(), other); err == nil {
			t.Error("another session stands")
		}
		if _, err := r.Sessions.Active(t.Context(), keep); err != nil {
			t.Error("the session of the report ended")
		}
		if !r.Account("bob").Risk.Equal(r.now) {
			t.Error("the account is not at risk")
		}
		if c := r.cases("bob"); len(c) != 1 || c[0].Phase(r.now) != recovery.Stopped {
			t.Errorf("the recovery goes on: %+v", c)
		}
		all, err := r.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "alarm.not-me"})
		if err != nil || len(all) != 1 || all[0].Detail["entry"] != "7" || all[0].Detail["recovery-stopped"] != "true" || all[0].Detail["sessions-ended"] != "1" || all[0].Detail["password-disabled"] != strconv.FormatBool(!alone) || all[0].Outcome != audit.OK {
			t.Errorf("%+v, %v", all, err)
		}
		if got := r.mails("not theirs"); len(got) != 2 || !slices.ContainsFunc(got, func(m string) bool {
			return strings.HasPrefix(m, "root@example.org: Somebody reports a sign-in that was not theirs")
		}) {
			t.Errorf("told %q", got)
		}
	}
	r := setUp(t)
	r.Person("bob", "passkey")
	if off, err := r.Report(t.Context(), r.Grant("bob", r.Enters("bob", "passkey"), Report, "7"), 7); err != nil || off {
		t.Errorf("without a password: %v, %v", off, err)
	}
	if all, err := r.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "alarm.not-me"}); err != nil || len(all) != 1 || all[0].Detail["recovery-stopped"] != "false" {
		t.Errorf("no recovery was under way: %+v, %v", all, err)
	}
}

// In another room's change no session is kept, what that room says of where it was said
// stays, and mails say whether a password was switched off.
func TestReportInAChange(t *testing.T) {
	for _, c := range []struct {
		spare error
		told  string
		not   string
	}{
		{nil, "their password was switched off.", "no password"},
		{failure.Refuse("last-administrator", "no"), "no password was switched off", "their password was switched off"},
	} {
		r := setUp(t)
		bob := r.Person("bob", "password", "totp")
		session := r.Enters("bob", "password")
		r.spare = c.spare
		r.now = began.Add(time.Second)
		said := Reported{Account: bob, Entry: audit.Entry{Protocol: "app", Source: "192.0.2.7", Attempt: "a1", Detail: map[string]string{"label": "phone"}}}
		r.change(func(tx *store.Tx) error {
			off, err := r.ReportTx(t.Context(), tx, said)
			if off != (c.spare == nil) {
				t.Errorf("it says that the password was switched off: %v", off)
			}
			return err
		})
		if _, err := r.Sessions.Active(t.Context(), session); err == nil {
			t.Error("a session stands")
		}
		if len(said.Entry.Detail) != 1 {
			t.Errorf("what the other room holds was changed: %v", said.Entry.Detail)
		}
		all, err := r.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "alarm.not-me"})
		if err != nil || len(all) != 1 || all[0].Protocol != "app" || all[0].Source != "192.0.2.7" || all[0].Attempt != "a1" || all[0].Detail["label"] != "phone" || all[0].AccountName != "bob" {
			t.Errorf("%+v, %v", all, err)
		}
		told := r.mails("bob@example.org")
		if len(told) != 1 || !strings.Contains(told[0], c.told) || strings.Contains(told[0], c.not) {
			t.Errorf("told %q", told)
		}
	}
}

// A report that breaks down half-way changed nothing: neither a session, nor the password,
// nor the risk.
func TestAReportIsAllOrNothing(t *testing.T) {
	r := setUp(t)
	r.Person("bob", "password", "passkey")
	keep, other := r.Enters("bob", "passkey"), r.Enters("bob", "password")
	g := r.Grant("bob", keep, Report, "7")
	r.spare = errors.New("the disk is gone")
	if _, err := r.Report(t.Context(), g, 7); err == nil {
		t.Fatal("nothing broke down")
	}
	if _, err := r.Sessions.Active(t.Context(), other); err != nil {
		t.Errorf("a session ended: %v", err)
	}
	if c := r.Newest("bob")["password"]; c.Status != directory.CredentialActive || !r.Account("bob").Risk.IsZero() || len(r.mails("not theirs")) != 0 {
		t.Errorf("the password is %s, the risk %s", c.Status, r.Account("bob").Risk)
	}
}
