package admin

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"countersign/internal/admin/hostcodes"
	"countersign/internal/audit"
	"countersign/internal/drill/host"
	"countersign/internal/failure"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

const localPassword = "the local password of the host"

var _ host.Console = (*servertest.ConsoleOf)(nil)

// The promise, T1078.003: with the network away a stolen local password is nothing,
// and a code of the list beside it lets the honest person in, once; with the network
// there only we decide, and the list is nothing. What was used is in the log
// afterwards. The stack is the one of the documentation, with Debian's pam_radius,
// pam_unix and pam_oath.
func TestOfflineCodes(t *testing.T) {
	t.Parallel() // it waits, for a server that does not answer
	w := servertest.NewWorld(t)
	host := w.Console("127.0.0.0/8")
	operator := w.Clerk()
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	documented, name := servertest.DocumentedStack(t), "cs"+strings.ToLower(rand.Text()[:8])
	local := w.EnrollCodes(name)

	var handed hostcodes.Handed
	issue := map[string]any{"host": "gate1.example.org", "login": name, "codes": 20, "note": "the safe in room 7"}
	if err := operator.Do(t.Context(), "offline.issue", issue, &handed); err != nil || len(handed.List) != 20 {
		t.Fatalf("%d codes, %v", len(handed.List), err)
	}
	code := func(number int) string {
		c := handed.List[number-1]
		if c.Number != number {
			t.Fatalf("code %d is written as %d", number, c.Number)
		}
		return strings.ReplaceAll(c.Code, " ", "")
	}
	leave, err := host.Join(name, localPassword, handed.Line)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leave)

	// The control arm: without the list's line the stolen local password is enough.
	host.Stack(servertest.Unguarded(documented))
	host.CutOff()
	if in, said := host.LogIn(name, localPassword); !in {
		t.Fatalf("the control arm does not let the attacker in: %s", said)
	}

	host.Stack(documented)
	refused := func(tries map[string][]string) {
		t.Helper()
		var all sync.WaitGroup
		for what, lines := range tries {
			all.Go(func() {
				if in, said := host.LogIn(name, lines...); in {
					t.Errorf("%s: %s", what, said)
				}
			})
		}
		all.Wait()
	}
	refused(map[string][]string{
		"the local password alone": {localPassword, ""}, "with a guess": {localPassword, "00000000"}, "a code with a wrong password": {"wrong", code(1)},
		"the password twice": {localPassword, localPassword}, "a code alone": {code(1), code(1)},
	})
	if in, said := host.LogIn(name, localPassword, code(2)); !in { // the first was typed with a wrong password
		t.Fatalf("the honest person with code 2: %s", said)
	}
	refused(map[string][]string{"code 2 again": {localPassword, code(2)}, "code 1 after code 2": {localPassword, code(1)}})
	if in, said := host.LogIn(name, localPassword, code(5)); !in {
		t.Errorf("code 5, three passed over: %s", said)
	}

	// The cable is back: only we decide, and neither password nor list helps.
	host.Trust(servertest.PamSecret)
	if in, said := host.LogIn(name, localPassword, code(6)); in {
		t.Errorf("the list, with the network there: %s", said)
	}
	if in, said := host.LogIn(name, servertest.Passphrase, local.Code()); !in {
		t.Errorf("password and phone, with the network there: %s", said)
	}

	file, err := os.ReadFile(host.Users)
	if err != nil {
		t.Fatal(err)
	}
	reconcile := func(text string) hostcodes.Found {
		t.Helper()
		var found []hostcodes.Found
		if err := operator.Do(t.Context(), "offline.reconcile", map[string]any{"host": "gate1.example.org", "file": text}, &found); err != nil || len(found) != 1 {
			t.Fatalf("%d findings, %v", len(found), err)
		}
		return found[0]
	}
	if got := reconcile(string(file)); got.Used != 5 || got.Left != 15 || got.Wrong != "" {
		t.Errorf("the host's file says %+v", got)
	}
	if got := reconcile(string(file)); got.Used != 0 || got.Left != 15 || got.Wrong != "" {
		t.Errorf("the same file again says %+v", got)
	}
	for text, wrong := range map[string]string{
		handed.Line: "went-back",
		strings.Replace(string(file), code(5), code(7), 1):                                         "forged",
		strings.Replace(string(file), name, "somebody", 1):                                         "unknown",
		strings.Replace(string(file), strings.Fields(handed.Line)[3], strings.Repeat("ab", 20), 1): "other-list",
	} {
		if got := reconcile(text); got.Wrong != wrong {
			t.Errorf("a file that should be %s is %+v", wrong, got)
		}
	}
	for event, n := range map[string]int{"offline.issued": 1, "offline.used": 1, "offline.unused": 1, "alarm.offline": 3, "offline.unknown": 1} {
		if got := w.Events(event); got != n {
			t.Errorf("%s is %d times in the log, want %d", event, got, n)
		}
	}
	all, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", all)
	for _, secret := range []string{strings.Fields(handed.Line)[3], code(1), code(5), code(9)} {
		if strings.Contains(text, secret) {
			t.Error("a code or the secret is in the log")
		}
	}
	var lists []hostcodes.Codes
	if err := operator.Do(t.Context(), "offline.list", nil, &lists); err != nil || len(lists) != 1 || lists[0].Left != 15 || lists[0].Used.IsZero() {
		t.Errorf("%+v, %v", lists, err)
	}
	if err := operator.Do(t.Context(), "offline.revoke", map[string]any{"host": "gate1.example.org", "login": name, "reason": "a new list"}, nil); err != nil {
		t.Error(err)
	}
	if got := reconcile(string(file)); got.Wrong != "unknown" {
		t.Errorf("after it was revoked the file says %+v", got)
	}
}

// The promise: a list is of one host and account whose names say nothing else, and
// whoever writes to the database makes no used code new again.
func TestOfflineListsAreKept(t *testing.T) {
	w := servertest.NewWorld(t)
	operator := w.Clerk()
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	for _, in := range []map[string]any{
		{"host": "gate 1", "login": "root"}, {"host": "gate1", "login": "root - 00"}, {"host": "", "login": "root"}, {"host": "gate1", "login": "root\nHOTP eve"},
		{"host": "gate1", "login": "root", "codes": 51}, {"host": "gate1", "login": "root", "codes": -1},
	} {
		if err := operator.Do(t.Context(), "offline.issue", in, nil); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%v is answered %v", in, err)
		}
	}
	var first, second hostcodes.Handed
	for _, into := range []*hostcodes.Handed{&first, &second} {
		if err := operator.Do(t.Context(), "offline.issue", map[string]any{"host": "gate1", "login": "root"}, into); err != nil {
			t.Fatal(err)
		}
	}
	var found []hostcodes.Found
	if err := operator.Do(t.Context(), "offline.reconcile", map[string]any{"host": "gate1", "file": first.Line}, &found); err != nil || found[0].Wrong != "other-list" {
		t.Errorf("the list of before is %+v, %v", found, err)
	}
	err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		tx.Record(audit.Entry{Event: "test.tampered", Outcome: audit.OK})
		_, err := tx.Exec(t.Context(), `update offline_list set codes = 50`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := operator.Do(t.Context(), "offline.reconcile", map[string]any{"host": "gate1", "file": second.Line}, &found); err != nil || found[0].Wrong != "unknown" {
		t.Errorf("a changed row is believed: %+v, %v", found, err)
	}
}
