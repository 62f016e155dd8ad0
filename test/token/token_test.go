package token

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admintoken "countersign/internal/admin/token"
	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/ticket"
)

// inHand is what shows, when it is assigned, that it is in somebody's hands.
func inHand(f *servertest.Fob) []string {
	if f.Period > 0 {
		return nil
	}
	return []string{"--codes", f.Press() + " " + f.Press()}
}

// The promise: tokens of every kind are imported all or none, assigned, and then
// sign in by RADIUS with codes that another implementation computed.
func TestTokensFromFileToRADIUS(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	fobs := []*servertest.Fob{
		{T: t, Serial: "TS256", Hash: "sha256", Secret: servertest.SecretOf(32, 0), Digits: 8, Period: 60, Count: 0},
		{T: t, Serial: "TS512", Hash: "sha512", Secret: servertest.SecretOf(64, 1), Digits: 8, Period: 30, Count: 0},
		{T: t, Serial: "TS1", Hash: "sha1", Secret: servertest.SecretOf(20, 2), Digits: 7, Period: 60, Count: 0},
		{T: t, Serial: "TC1", Hash: "", Secret: servertest.SecretOf(20, 3), Digits: 8, Period: 0, Count: 5},
	}
	var lines strings.Builder
	for _, f := range fobs[:3] {
		fmt.Fprintf(&lines, "%s,%s,totp,%d,%d,%s\n", f.Serial, f.Secret, f.Digits, f.Period, f.Hash)
	}
	fmt.Fprintf(&lines, "TC1,%s,hotp,8,5\n", fobs[3].Secret)
	path := desk.File(lines.String())

	if out := desk.Does("token", "import", path, "--format", "oath-csv"); !strings.Contains(out, "4 tokens would be imported") || !strings.Contains(out, "totp SHA256, 8 digits, 60 seconds") {
		t.Errorf("the preview says %s", out)
	}
	if out := desk.Does("token", "list"); !strings.Contains(out, "Nothing") {
		t.Errorf("a preview imported: %s", out)
	}
	desk.Does("token", "import", path, "--format", "oath-csv", "--commit")
	desk.Refuses("there already", "token", "import", path, "--format", "oath-csv", "--commit")
	if out := desk.Does("token", "list", "TS", "--state", "stock"); strings.Count(out, "\n") != 4 {
		t.Errorf("the list says %s", out)
	}

	vpn := w.Equipment()
	for i, f := range fobs { // all of them first: later the session is too old for it
		name := fmt.Sprintf("user%d", i)
		w.Welcomed(name)
		desk.Does(append([]string{"token", "assign", f.Serial, name, "--note", "met in person"}, inHand(f)...)...)
		desk.Refuses("not in stock", "token", "assign", f.Serial, name)
	}
	for i, f := range fobs {
		name := fmt.Sprintf("user%d", i)
		code := func() string {
			if f.Hash == "" {
				return f.Press()
			}
			return f.At(w.Now())
		}
		first := code()
		if !vpn.SignIn(name, first) {
			t.Fatalf("%s: the code was refused", f.Serial)
		}
		if vpn.SignIn(name, first) {
			t.Errorf("%s: a code was accepted twice", f.Serial)
		}
		w.Later(2 * time.Minute)
		if !vpn.SignIn(name, code()) {
			t.Errorf("%s: the next code was refused", f.Serial)
		}
	}
	nothingOf(w, t, fobs...)
}

// nothingOf makes sure that no secret of a token can be read in the database, in
// the log or in a list.
func nothingOf(w *servertest.World, t *testing.T, fobs ...*servertest.Fob) {
	t.Helper()
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&all, "%+v\n", e)
	}
	for _, name := range []string{"countersign.db", "countersign.db-wal"} {
		b, _ := os.ReadFile(filepath.Join(w.Folder, name))
		all.Write(b)
	}
	for _, f := range fobs {
		raw, _ := hex.DecodeString(f.Secret)
		if strings.Contains(all.String(), f.Secret) || strings.Contains(all.String(), string(raw)) {
			t.Errorf("the secret of %s can be read", f.Serial)
		}
	}
	report, err := w.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// The promise: the preview says what was forgiven, and a file whose columns are shifted is
// refused without a word of its secrets, on the screen and in the log.
func TestPreviewSaysWhatWasForgiven(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	secret := servertest.SecretOf(32, 1)
	path := desk.File("T-1," + secret + ",totp,6,30,,,,\n,,,,,,,,\n")
	out, said, ok := desk.Run("", "token", "import", path, "--format", "privacyidea-csv")
	for _, want := range []string{"totp SHA256", "1 tokens would be imported"} {
		if !ok || !strings.Contains(out, want) {
			t.Errorf("ok %t, want %q:\n%s%s", ok, want, out, said)
		}
	}
	for _, want := range []string{"forgiven: line 1: the line has empty cells", "forgiven: line 1: no hash is named", "forgiven: line 2: the row is empty"} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q:\n%s", want, said)
		}
	}
	desk.Refuses("--algorithm", "token", "import", path, "--format", "oath-csv", "--commit")
	if out := desk.Does("token", "import", path, "--format", "oath-csv", "--algorithm", "SHA1"); !strings.Contains(out, "totp SHA1") {
		t.Errorf("with its hash:\n%s", out)
	}
	for _, line := range []string{secret + ",T-1,totp\n", "T-1,totp," + secret + "\n", "T-1," + servertest.SecretOf(20, 1) + "," + secret + "\n", secret + "," + secret + ",totp,6,30,sha1\n"} {
		out, said, ok := desk.Run("", "token", "import", desk.File(line), "--format", "oath-csv", "--commit")
		if ok || strings.Contains(out+said, secret[:10]) {
			t.Errorf("ok %t, a secret in another column: %s%s", ok, out, said)
		}
	}
}

// The promise: a file with one fault imports nothing, and neither does one that
// meets a token that is there.
func TestNothingHalfImported(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	var lines strings.Builder
	for i := range 250 {
		fmt.Fprintf(&lines, "S%04d,%s,totp,6,30\n", i, servertest.SecretOf(20, byte(i%26)))
	}
	good := lines.String()
	desk.Refuses("line 251", "token", "import", desk.File(good+"S9999,nothex\n"), "--format", "oath-csv", "--commit")
	if n := servertest.Count(w, t, `select count(*) from token`); n != 0 {
		t.Fatalf("%d tokens of a file with a fault", n)
	}
	desk.Does("token", "import", desk.File("S0240,"+servertest.SecretOf(20, 1)+"\n"), "--format", "oath-csv", "--commit")
	desk.Refuses("there already", "token", "import", desk.File(good), "--format", "oath-csv", "--commit")
	desk.Refuses("nothing would be imported", "token", "import", desk.File(good), "--format", "oath-csv")
	if n := servertest.Count(w, t, `select count(*) from token`); n != 1 {
		t.Fatalf("%d tokens, want the one", n)
	}
	if w.Events("token.imported") != 1 {
		t.Error("an import that failed is in the log as one")
	}
}

// The promise: a token that comes back is nobody's until it has shown two codes
// in a row, and no code that its last owner used or noted down is good for it
// with the next.
func TestTokenChangesHands(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	timed, pressed := &servertest.Fob{T: t, Serial: "T-1", Hash: "sha256", Secret: servertest.SecretOf(32, 0), Digits: 6, Period: 30, Count: 0}, &servertest.Fob{T: t, Serial: "C-1", Hash: "", Secret: servertest.SecretOf(20, 1), Digits: 6, Period: 0, Count: 0}
	desk.Does("token", "import", desk.File(fmt.Sprintf("T-1,%s,totp,6,30,sha256\nC-1,%s,hotp,6\n", timed.Secret, pressed.Secret)), "--format", "oath-csv", "--commit")
	w.Welcomed("grace")
	w.Welcomed("mallory")
	vpn := w.Equipment()
	desk.Refuses("to themselves", "token", "assign", "T-1", "ada")
	desk.Does("token", "assign", "T-1", "mallory")
	desk.Does("token", "assign", "C-1", "mallory", "--codes", pressed.Press()+" "+pressed.Press())

	used := pressed.Press()
	if !vpn.SignIn("mallory", used) {
		t.Fatal("the token's code was refused")
	}
	noted := []string{pressed.Press(), pressed.Press(), pressed.Press()}
	desk.Does("token", "return", "C-1", "--reason", "left")
	desk.Does("token", "return", "T-1")
	if out := vpn.Ask("mallory", servertest.Passphrase, ""); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("a token that was returned is still asked for:\n%s", out)
	}
	desk.Refuses("came back", "token", "assign", "C-1", "grace")
	desk.Refuses("not two codes", "token", "resync", "C-1", used+" "+noted[0])
	desk.Refuses("not two codes", "token", "resync", "C-1", pressed.Press())
	desk.Does("token", "resync", "C-1", pressed.Press()+" "+pressed.Press())
	desk.Does("token", "assign", "C-1", "grace", "--codes", pressed.Press()+" "+pressed.Press())
	for _, code := range append(noted, used) {
		if vpn.SignIn("grace", code) {
			t.Error("a code that the last owner noted is good for the next")
		}
	}
	if !vpn.SignIn("grace", pressed.Press()+" "+pressed.Press()) {
		t.Error("the next owner's codes are refused")
	}

	desk.Does("token", "lost", "C-1", "--reason", "on the train")
	if out := vpn.Ask("grace", servertest.Passphrase, ""); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("a lost token is still asked for:\n%s", out)
	}
	desk.Does("token", "revoke", "C-1")
	desk.Refuses("is revoked", "token", "return", "C-1")
	desk.Refuses("is revoked", "token", "resync", "C-1", pressed.Press()+pressed.Press())
	nothingOf(w, t, timed, pressed)
}

// The promise: a token whose clock is minutes off is put right by two of its
// codes, which are good for nothing after that, and its clock is then followed.
func TestTokenWithAPoorClock(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	slow := &servertest.Fob{T: t, Serial: "SLOW", Hash: "sha1", Secret: servertest.SecretOf(20, 0), Digits: 6, Period: 30, Count: 0}
	desk.Does("token", "import", desk.File("SLOW,"+slow.Secret+",totp\n"), "--format", "oath-csv", "--commit")
	w.Welcomed("grace")
	desk.Does("token", "assign", "SLOW", "grace")
	vpn := w.Equipment()
	off := func(d time.Duration) string { return slow.At(w.Now().Add(d)) }
	if vpn.SignIn("grace", off(-4*time.Minute)) {
		t.Fatal("a code of four minutes ago was accepted")
	}
	first, second := off(-4*time.Minute-30*time.Second), off(-4*time.Minute)
	desk.Does("token", "resync", "SLOW", first+" "+second)
	if vpn.SignIn("grace", first) || vpn.SignIn("grace", second) {
		t.Error("a code that put the token right was accepted after that")
	}
	desk.Refuses("not two codes", "token", "resync", "SLOW", first+" "+second)
	w.Later(2 * time.Minute)
	if vpn.SignIn("grace", off(0)) {
		t.Error("a code of a clock that is right was accepted from one that is not")
	}
	if !vpn.SignIn("grace", off(-4*time.Minute-30*time.Second)+off(-4*time.Minute)) {
		t.Error("the slow token is refused")
	}
}

// The attacker writes to the database: a token from stock is not made somebody's,
// nor one that was revoked put back.
func TestTokenRowsChangedBehindOurBack(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	desk.Does("token", "import", desk.File("A,"+servertest.SecretOf(20, 0)+"\nB,"+servertest.SecretOf(20, 1)+"\n"), "--format", "oath-csv", "--commit")
	desk.Does("token", "revoke", "A")
	for _, statement := range []string{`update token set state = 'stock' where serial = 'A'`, `update token set serial = 'C' where serial = 'B'`} {
		err := w.DB.Change(context.Background(), audit.System("attacker"), func(tx *store.Tx) error {
			if _, err := tx.Exec(context.Background(), statement); err != nil {
				return err
			}
			return tx.Record(audit.Entry{Event: "test.attack", Outcome: audit.OK})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.Welcomed("grace")
	for _, serial := range []string{"A", "C"} {
		desk.Refuses("went wrong", "token", "assign", serial, "grace")
	}
}

// The attacker holds an administrator's session and swaps tokens between what is
// approved and what is imported; or sends parts as somebody else.
func TestImportIsWhatWasApproved(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	stage := func(name string) admintoken.Batch {
		var b admintoken.Batch
		out := desk.Does("--json", "token", "stage", desk.File(name+","+servertest.SecretOf(20, 0)+"\n"), "--format", "oath-csv")
		if err := json.Unmarshal([]byte(out), &b); err != nil || b.Count != 1 || strings.Contains(out, servertest.SecretOf(20, 0)) {
			t.Fatalf("%v: %s", err, out)
		}
		return b
	}
	b, err := os.ReadFile(filepath.Join(desk.Home, "countersign", "login.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Secret string }
	if err := json.Unmarshal(b, &kept); err != nil {
		t.Fatal(err)
	}
	post := func(batch admintoken.Batch) (int, string) {
		body, _ := json.Marshal(admintoken.Import{Batch: batch})
		req, _ := http.NewRequest("POST", w.Base+"/api/v1/commands/token.import", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+kept.Secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(answer)
	}
	good, evil := stage("GOOD"), stage("EVIL")
	swapped, more, none := good, good, good
	swapped.Upload = evil.Upload
	more.Count = 2
	none.Upload = ticket.NewSecret()
	for name, batch := range map[string]admintoken.Batch{"swapped": swapped, "another count": more, "nothing sent": none} {
		if status, answer := post(batch); status < 400 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if n := servertest.Count(w, t, `select count(*) from token`); n != 0 {
		t.Fatalf("%d tokens", n)
	}
	if status, answer := post(good); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if status, _ := post(good); status < 400 {
		t.Error("one upload was imported twice")
	}
	other := w.Administrator("eve")
	theirs := w.Shell()
	theirs.Login(w.Person(), "eve", other.Code())
	if b, err = os.ReadFile(filepath.Join(theirs.Home, "countersign", "login.json")); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &kept); err != nil {
		t.Fatal(err)
	}
	if status, answer := post(evil); status < 400 {
		t.Errorf("another administrator imported what ada sent: %s", answer)
	}
}

// The promise: whoever is given a token is told so at their address, and told
// again when it is taken; and a new token approves nothing privileged at first.
func TestOwnerOfATokenIsTold(t *testing.T) {
	w := servertest.NewWorld(t)
	desk := servertest.TokenDesk(w)
	button := &servertest.Fob{T: t, Serial: "A", Hash: "", Secret: servertest.SecretOf(20, 0), Digits: 6, Period: 0, Count: 0}
	desk.Does("token", "import", desk.File("A,"+button.Secret+"\n"), "--format", "oath-csv", "--commit")
	desk.Does("account", "create", "bob", "--mail", "bob@example.org")
	desk.Does("token", "assign", "A", "bob", "--codes", button.Press()+button.Press())
	if n := servertest.Count(w, t, `select count(*) from notice where address = 'bob@example.org' and subject = 'Something to sign in with was assigned to your account'`); n != 1 {
		t.Errorf("told %d times of the token", n)
	}
	held := servertest.AuthenticatorsOf(w, "bob")
	if len(held) != 1 || !held[0].Quarantine.After(w.Now()) || held[0].Label != "Token A" {
		t.Errorf("%d authenticators; want one in quarantine", len(held))
	}
	desk.Does("token", "lost", "A")
	if n := servertest.Count(w, t, `select count(*) from notice where address = 'bob@example.org' and subject = 'A way to sign in was revoked'`); n != 1 {
		t.Errorf("told %d times of its loss", n)
	}
	desk.Does("account", "create", "robot", "--kind", "service")
	desk.Refuses("service", "token", "assign", "A", "robot")
}

// The same rows on PostgreSQL: import, list, assign, return.
func TestTokensOnPostgreSQL(t *testing.T) {
	w := servertest.NewWorldOn(t, storetest.Postgres(t))
	desk := servertest.TokenDesk(w)
	button := &servertest.Fob{T: t, Serial: "C-1", Hash: "", Secret: servertest.SecretOf(20, 0), Digits: 6, Period: 0, Count: 0}
	path := desk.File("C-1," + button.Secret + "\nC-2," + servertest.SecretOf(20, 1) + "\n")
	desk.Does("token", "import", path, "--format", "oath-csv", "--commit")
	desk.Refuses("there already", "token", "import", path, "--format", "oath-csv", "--commit")
	w.Welcomed("grace")
	desk.Does("token", "assign", "C-1", "grace", "--codes", button.Press()+button.Press())
	if out := desk.Does("token", "list", "C", "--owner", "grace", "--state", "assigned"); strings.Count(out, "C-") != 1 {
		t.Errorf("the list says %s", out)
	}
	desk.Does("token", "return", "C-1")
	desk.Does("token", "resync", "C-1", button.Press()+button.Press())
	if n := servertest.Count(w, t, `select count(*) from token where state = 'stock'`); n != 2 {
		t.Errorf("%d tokens in stock", n)
	}
}
