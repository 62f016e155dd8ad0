package approval

import (
	"countersign/internal/directory"
	"countersign/internal/store"
	"testing"
)

// Two copies of an app's key that are found at the same moment are one alarm and one mail,
// and the app is off; of one that its owner removed meanwhile there is none.
func TestACopiedAppIsSwitchedOffOnce(t *testing.T) {
	b := withBells(t)
	found := func(c directory.Credential) {
		t.Helper()
		b.change(func(tx *store.Tx) error {
			return b.Apps.cloned(t.Context(), tx, appCaller{account: b.ada, credential: c, how: ringing{}}, AppCall{Kind: "push", Source: home})
		})
	}
	is := func(what string, c directory.Credential, status string, times int) {
		t.Helper()
		now, err := b.credentials.Get(t.Context(), b.db, c.Account, c.ID)
		if err != nil || now.Status != status || len(b.events("alarm.app-cloned")) != times || len(b.told) != times {
			t.Errorf("%s: %s, %d alarms, told %q, %v", what, now.Status, len(b.events("alarm.app-cloned")), b.told, err)
		}
	}
	gone := b.gives("gone")
	b.change(func(tx *store.Tx) error {
		now, err := b.credentials.Get(t.Context(), tx, b.ada.ID, gone.ID)
		if err != nil {
			return err
		}
		now.Status = directory.CredentialRevoked
		return b.credentials.Update(t.Context(), tx, now)
	})
	found(gone)
	is("one that was removed", gone, directory.CredentialRevoked, 0)
	for range 2 {
		found(b.app)
		is("one that is there", b.app, directory.CredentialDisabled, 1)
	}
	if en := b.events("alarm.app-cloned")[0]; en.AccountName != "ada" || en.Source != home.String() || en.Detail["authenticator"] == "" {
		t.Errorf("%+v", en)
	}
}
