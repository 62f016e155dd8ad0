package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admintoken "countersign/internal/admin/token"
	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/ticket"
)

// fob is a hardware token, whose codes another implementation computes: OATH
// Toolkit's. Its secret is the token's alone; the tests know it, its owner not.
type fob struct {
	t      testing.TB
	serial string
	hash   string // sha1, sha256, sha512; of hotp empty
	secret string // hexadecimal
	digits int
	period int
	count  uint64 // hotp: the next
}

// at is the code of a moment.
func (f *fob) at(now time.Time) string {
	return f.ask("--totp="+f.hash, "-d", fmt.Sprint(f.digits), "-s", fmt.Sprintf("%ds", f.period), "--now", fmt.Sprintf("@%d", now.Unix()), f.secret)
}

// press is the next code.
func (f *fob) press() string {
	f.count++
	return f.ask("--hotp", "-d", fmt.Sprint(f.digits), "-c", fmt.Sprint(f.count-1), f.secret)
}

// inHand is what shows, when it is assigned, that it is in somebody's hands.
func (f *fob) inHand() []string {
	if f.period > 0 {
		return nil
	}
	return []string{"--codes", f.press() + " " + f.press()}
}

func (f *fob) ask(args ...string) string {
	f.t.Helper()
	out, err := exec.Command("oathtool", args...).Output()
	if err != nil {
		f.t.Fatalf("oathtool (Debian package oathtool): %v", err)
	}
	return strings.TrimSpace(string(out))
}

func secretOf(size int, fill byte) string {
	return hex.EncodeToString([]byte(strings.Repeat(string('A'+fill), size)))
}

// tokenDesk is an administrator's command line, signed in.
func (w *world) tokenDesk() *shell {
	w.t.Helper()
	ada := w.administrator("ada")
	sh := w.shell()
	sh.login(w.person(), "ada", ada.code())
	return sh
}

func (s *shell) does(args ...string) string {
	s.w.t.Helper()
	out, complaint, ok := s.run("", args...)
	if !ok {
		s.w.t.Fatalf("%v: %s%s", args, out, complaint)
	}
	return out
}

func (s *shell) refuses(says string, args ...string) {
	s.w.t.Helper()
	out, complaint, ok := s.run("", args...)
	if ok || !strings.Contains(complaint, says) {
		s.w.t.Errorf("%v: ok %t, want a refusal with %q:\n%s%s", args, ok, says, out, complaint)
	}
}

func (s *shell) file(text string) string {
	s.w.t.Helper()
	path := filepath.Join(s.w.t.TempDir(), "tokens.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.w.t.Fatal(err)
	}
	return path
}

// The promise: tokens of every kind are imported all or none, assigned, and then
// sign in by RADIUS with codes that another implementation computed.
func TestTokensFromFileToRADIUS(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	fobs := []*fob{
		{t, "TS256", "sha256", secretOf(32, 0), 8, 60, 0},
		{t, "TS512", "sha512", secretOf(64, 1), 8, 30, 0},
		{t, "TS1", "sha1", secretOf(20, 2), 7, 60, 0},
		{t, "TC1", "", secretOf(20, 3), 8, 0, 5},
	}
	var lines strings.Builder
	for _, f := range fobs[:3] {
		fmt.Fprintf(&lines, "%s,%s,totp,%d,%d,%s\n", f.serial, f.secret, f.digits, f.period, f.hash)
	}
	fmt.Fprintf(&lines, "TC1,%s,hotp,8,5\n", fobs[3].secret)
	path := desk.file(lines.String())

	if out := desk.does("token", "import", path, "--format", "oath-csv"); !strings.Contains(out, "4 tokens would be imported") || !strings.Contains(out, "totp SHA256, 8 digits, 60 seconds") {
		t.Errorf("the preview says %s", out)
	}
	if out := desk.does("token", "list"); !strings.Contains(out, "Nothing") {
		t.Errorf("a preview imported: %s", out)
	}
	desk.does("token", "import", path, "--format", "oath-csv", "--commit")
	desk.refuses("there already", "token", "import", path, "--format", "oath-csv", "--commit")
	if out := desk.does("token", "list", "TS", "--state", "stock"); strings.Count(out, "\n") != 4 {
		t.Errorf("the list says %s", out)
	}

	vpn := w.equipment()
	for i, f := range fobs { // all of them first: later the session is too old for it
		name := fmt.Sprintf("user%d", i)
		w.welcomed(name)
		desk.does(append([]string{"token", "assign", f.serial, name, "--note", "met in person"}, f.inHand()...)...)
		desk.refuses("not in stock", "token", "assign", f.serial, name)
	}
	for i, f := range fobs {
		name := fmt.Sprintf("user%d", i)
		code := func() string {
			if f.hash == "" {
				return f.press()
			}
			return f.at(w.now())
		}
		first := code()
		if !vpn.signIn(name, first) {
			t.Fatalf("%s: the code was refused", f.serial)
		}
		if vpn.signIn(name, first) {
			t.Errorf("%s: a code was accepted twice", f.serial)
		}
		w.later(2 * time.Minute)
		if !vpn.signIn(name, code()) {
			t.Errorf("%s: the next code was refused", f.serial)
		}
	}
	w.nothingOf(t, fobs...)
}

// nothingOf makes sure that no secret of a token can be read in the database, in
// the log or in a list.
func (w *world) nothingOf(t *testing.T, fobs ...*fob) {
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
		b, _ := os.ReadFile(filepath.Join(w.folder, name))
		all.Write(b)
	}
	for _, f := range fobs {
		raw, _ := hex.DecodeString(f.secret)
		if strings.Contains(all.String(), f.secret) || strings.Contains(all.String(), string(raw)) {
			t.Errorf("the secret of %s can be read", f.serial)
		}
	}
	report, err := w.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		t.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// The promise: a file with one fault imports nothing, and neither does one that
// meets a token that is there.
func TestNothingHalfImported(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	var lines strings.Builder
	for i := range 250 {
		fmt.Fprintf(&lines, "S%04d,%s,totp,6,30\n", i, secretOf(20, byte(i%26)))
	}
	good := lines.String()
	desk.refuses("line 251", "token", "import", desk.file(good+"S9999,nothex\n"), "--format", "oath-csv", "--commit")
	if n := w.count(t, `select count(*) from token`); n != 0 {
		t.Fatalf("%d tokens of a file with a fault", n)
	}
	desk.does("token", "import", desk.file("S0240,"+secretOf(20, 1)+"\n"), "--format", "oath-csv", "--commit")
	desk.refuses("there already", "token", "import", desk.file(good), "--format", "oath-csv", "--commit")
	desk.refuses("nothing would be imported", "token", "import", desk.file(good), "--format", "oath-csv")
	if n := w.count(t, `select count(*) from token`); n != 1 {
		t.Fatalf("%d tokens, want the one", n)
	}
	if w.events("token.imported") != 1 {
		t.Error("an import that failed is in the log as one")
	}
}

func (w *world) count(t *testing.T, query string) (n int) {
	t.Helper()
	if err := w.DB.QueryRow(context.Background(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The promise: a token that comes back is nobody's until it has shown two codes
// in a row, and no code that its last owner used or noted down is good for it
// with the next.
func TestTokenChangesHands(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	timed, pressed := &fob{t, "T-1", "sha256", secretOf(32, 0), 6, 30, 0}, &fob{t, "C-1", "", secretOf(20, 1), 6, 0, 0}
	desk.does("token", "import", desk.file(fmt.Sprintf("T-1,%s,totp,6,30,sha256\nC-1,%s,hotp,6\n", timed.secret, pressed.secret)), "--format", "oath-csv", "--commit")
	w.welcomed("grace")
	w.welcomed("mallory")
	vpn := w.equipment()
	desk.refuses("to themselves", "token", "assign", "T-1", "ada")
	desk.does("token", "assign", "T-1", "mallory")
	desk.does("token", "assign", "C-1", "mallory", "--codes", pressed.press()+" "+pressed.press())

	used := pressed.press()
	if !vpn.signIn("mallory", used) {
		t.Fatal("the token's code was refused")
	}
	noted := []string{pressed.press(), pressed.press(), pressed.press()}
	desk.does("token", "return", "C-1", "--reason", "left")
	desk.does("token", "return", "T-1")
	if out := vpn.ask("mallory", passphrase, ""); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("a token that was returned is still asked for:\n%s", out)
	}
	desk.refuses("came back", "token", "assign", "C-1", "grace")
	desk.refuses("not two codes", "token", "resync", "C-1", used+" "+noted[0])
	desk.refuses("not two codes", "token", "resync", "C-1", pressed.press())
	desk.does("token", "resync", "C-1", pressed.press()+" "+pressed.press())
	desk.does("token", "assign", "C-1", "grace", "--codes", pressed.press()+" "+pressed.press())
	for _, code := range append(noted, used) {
		if vpn.signIn("grace", code) {
			t.Error("a code that the last owner noted is good for the next")
		}
	}
	if !vpn.signIn("grace", pressed.press()+" "+pressed.press()) {
		t.Error("the next owner's codes are refused")
	}

	desk.does("token", "lost", "C-1", "--reason", "on the train")
	if out := vpn.ask("grace", passphrase, ""); !strings.Contains(out, "Received Access-Reject") {
		t.Errorf("a lost token is still asked for:\n%s", out)
	}
	desk.does("token", "revoke", "C-1")
	desk.refuses("is revoked", "token", "return", "C-1")
	desk.refuses("is revoked", "token", "resync", "C-1", pressed.press()+pressed.press())
	w.nothingOf(t, timed, pressed)
}

// The promise: a token whose clock is minutes off is put right by two of its
// codes, which are good for nothing after that, and its clock is then followed.
func TestTokenWithAPoorClock(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	slow := &fob{t, "SLOW", "sha1", secretOf(20, 0), 6, 30, 0}
	desk.does("token", "import", desk.file("SLOW,"+slow.secret+",totp\n"), "--format", "oath-csv", "--commit")
	w.welcomed("grace")
	desk.does("token", "assign", "SLOW", "grace")
	vpn := w.equipment()
	off := func(d time.Duration) string { return slow.at(w.now().Add(d)) }
	if vpn.signIn("grace", off(-4*time.Minute)) {
		t.Fatal("a code of four minutes ago was accepted")
	}
	first, second := off(-4*time.Minute-30*time.Second), off(-4*time.Minute)
	desk.does("token", "resync", "SLOW", first+" "+second)
	if vpn.signIn("grace", first) || vpn.signIn("grace", second) {
		t.Error("a code that put the token right was accepted after that")
	}
	desk.refuses("not two codes", "token", "resync", "SLOW", first+" "+second)
	w.later(2 * time.Minute)
	if vpn.signIn("grace", off(0)) {
		t.Error("a code of a clock that is right was accepted from one that is not")
	}
	if !vpn.signIn("grace", off(-4*time.Minute-30*time.Second)+off(-4*time.Minute)) {
		t.Error("the slow token is refused")
	}
}

// The attacker writes to the database: a token from stock is not made somebody's,
// nor one that was revoked put back.
func TestTokenRowsChangedBehindOurBack(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	desk.does("token", "import", desk.file("A,"+secretOf(20, 0)+"\nB,"+secretOf(20, 1)+"\n"), "--format", "oath-csv", "--commit")
	desk.does("token", "revoke", "A")
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
	w.welcomed("grace")
	for _, serial := range []string{"A", "C"} {
		desk.refuses("went wrong", "token", "assign", serial, "grace")
	}
}

// The attacker holds an administrator's session and swaps tokens between what is
// approved and what is imported; or sends parts as somebody else.
func TestImportIsWhatWasApproved(t *testing.T) {
	w := newWorld(t)
	desk := w.tokenDesk()
	stage := func(name string) admintoken.Batch {
		var b admintoken.Batch
		out := desk.does("--json", "token", "stage", desk.file(name+","+secretOf(20, 0)+"\n"), "--format", "oath-csv")
		if err := json.Unmarshal([]byte(out), &b); err != nil || b.Count != 1 || strings.Contains(out, secretOf(20, 0)) {
			t.Fatalf("%v: %s", err, out)
		}
		return b
	}
	b, err := os.ReadFile(filepath.Join(desk.home, "countersign", "login.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Secret string }
	if err := json.Unmarshal(b, &kept); err != nil {
		t.Fatal(err)
	}
	post := func(batch admintoken.Batch) (int, string) {
		body, _ := json.Marshal(admintoken.Import{Batch: batch})
		req, _ := http.NewRequest("POST", w.base+"/api/v1/commands/token.import", bytes.NewReader(body))
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
	if n := w.count(t, `select count(*) from token`); n != 0 {
		t.Fatalf("%d tokens", n)
	}
	if status, answer := post(good); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	if status, _ := post(good); status < 400 {
		t.Error("one upload was imported twice")
	}
	other := w.administrator("eve")
	theirs := w.shell()
	theirs.login(w.person(), "eve", other.code())
	if b, err = os.ReadFile(filepath.Join(theirs.home, "countersign", "login.json")); err != nil {
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
	w := newWorld(t)
	desk := w.tokenDesk()
	button := &fob{t, "A", "", secretOf(20, 0), 6, 0, 0}
	desk.does("token", "import", desk.file("A,"+button.secret+"\n"), "--format", "oath-csv", "--commit")
	desk.does("account", "create", "bob", "--mail", "bob@example.org")
	desk.does("token", "assign", "A", "bob", "--codes", button.press()+button.press())
	if n := w.count(t, `select count(*) from notice where address = 'bob@example.org' and subject = 'Something to sign in with was assigned to your account'`); n != 1 {
		t.Errorf("told %d times of the token", n)
	}
	held := w.authenticatorsOf("bob")
	if len(held) != 1 || !held[0].Quarantine.After(w.now()) || held[0].Label != "Token A" {
		t.Errorf("%d authenticators; want one in quarantine", len(held))
	}
	desk.does("token", "lost", "A")
	if n := w.count(t, `select count(*) from notice where address = 'bob@example.org' and subject = 'A way to sign in was revoked'`); n != 1 {
		t.Errorf("told %d times of its loss", n)
	}
	desk.does("account", "create", "robot", "--kind", "service")
	desk.refuses("service", "token", "assign", "A", "robot")
}

// The same rows on PostgreSQL: import, list, assign, return.
func TestTokensOnPostgreSQL(t *testing.T) {
	w := newWorldOn(t, storetest.Postgres(t))
	desk := w.tokenDesk()
	button := &fob{t, "C-1", "", secretOf(20, 0), 6, 0, 0}
	path := desk.file("C-1," + button.secret + "\nC-2," + secretOf(20, 1) + "\n")
	desk.does("token", "import", path, "--format", "oath-csv", "--commit")
	desk.refuses("there already", "token", "import", path, "--format", "oath-csv", "--commit")
	w.welcomed("grace")
	desk.does("token", "assign", "C-1", "grace", "--codes", button.press()+button.press())
	if out := desk.does("token", "list", "C", "--owner", "grace", "--state", "assigned"); strings.Count(out, "C-") != 1 {
		t.Errorf("the list says %s", out)
	}
	desk.does("token", "return", "C-1")
	desk.does("token", "resync", "C-1", button.press()+button.press())
	if n := w.count(t, `select count(*) from token where state = 'stock'`); n != 2 {
		t.Errorf("%d tokens in stock", n)
	}
}
