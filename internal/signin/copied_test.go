package signin

import (
	"testing"

	"countersign/internal/audit"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/store"
)

// Two copies of an app's key that are found at the same moment are one alarm and one mail,
// and the app is off; of one that its owner removed meanwhile there is none.
func TestACopiedAppIsSwitchedOffOnce(t *testing.T) {
	b := withBells(t)
	found := func(c directory.Credential) {
		t.Helper()
		err := b.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
			caller := appCaller{account: b.ada, credential: c, how: b.kinds["push"].(authenticator.Approver)}
			if err := b.Apps.cloned(t.Context(), tx, caller, AppCall{Kind: "push", Source: home}); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test", Outcome: audit.OK})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(what string, c directory.Credential, status string, times int) {
		t.Helper()
		now, err := b.credentials.Get(t.Context(), b.DB, c.Account, c.ID)
		subject := noticeCloned(b.kinds["push"].Describe().Title).subject
		if err != nil || now.Status != status || len(b.events("alarm.app-cloned")) != times || b.mails(b.ada, subject) != int64(times) {
			t.Errorf("%s: %s, %d alarms, %d mails, %v", what, now.Status, len(b.events("alarm.app-cloned")), b.mails(b.ada, subject), err)
		}
	}
	gone := b.give(b.ada, "push", authenticator.Enrolled{Traits: b.app.Traits, State: []byte("x"), Handle: "gone"})
	b.alter(gone, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
	found(gone)
	is("one that was removed", gone, directory.CredentialRevoked, 0)
	for range 2 {
		found(b.app)
		is("one that is there", b.app, directory.CredentialDisabled, 1)
	}
	if en := b.last("alarm.app-cloned"); en.AccountName != "ada" || en.Source != home.String() || en.Detail["authenticator"] == "" {
		t.Errorf("%+v", en)
	}
}
