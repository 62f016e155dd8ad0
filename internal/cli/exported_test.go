package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/servertest"
)

// An exported log is verified on a machine that has neither the database nor a secret key;
// a file that was changed or cut, another installation's, and entries that no checkpoint
// covers are not taken for whole.
func TestAnExportIsVerified(t *testing.T) {
	w := servertest.NewWorld(t)
	w.EnrollCodes("ada")
	if _, err := w.DB.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.EnrollCodes("bob") // newer than the checkpoint
	sh, key := w.Shell(), w.Keys.LogKey()
	export := func() string {
		t.Helper()
		out, complaint, ok := sh.Run("", "audit", "export", "--data", w.Folder)
		if !ok {
			t.Fatal(complaint)
		}
		return out
	}
	verify := func(text, key string, more ...string) (says string, ok bool) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, complaint, ok := sh.Run("", append([]string{"audit", "verify", "--export", path, "--log-key", key}, more...)...)
		return out + complaint, ok
	}
	whole := export()
	covered := upToCheckpoint(t, whole)
	if says, ok := verify(covered, key); !ok || !strings.Contains(says, "checkpoints agree") {
		t.Fatalf("as it was exported: %s", says)
	}
	other := servertest.NewWorld(t)
	lines := strings.SplitAfter(covered, "\n")
	for name, c := range map[string]struct{ text, key, says string }{
		"a changed entry":           {strings.Replace(covered, "ada", "eve", 1), key, "not as it was written"},
		"cut off":                   {strings.Join(lines[:len(lines)-2], ""), key, "not as it was written"},
		"another installation's":    {covered, other.Keys.LogKey(), "of another log than the key"},
		"no key":                    {whole, "x", "--log-key is no key"},
		"no export":                 {"{}\n", key, "its first line"},
		"newer than any checkpoint": {whole, key, "nothing vouches for the last"},
	} {
		if says, ok := verify(c.text, c.key); ok || !strings.Contains(says, c.says) {
			t.Errorf("%s: %t, %s", name, ok, says)
		}
	}
	if _, complaint, ok := sh.Run("", "audit", "verify", "--log-key", key); ok || !strings.Contains(complaint, "go together") {
		t.Errorf("a key without a file: %s", complaint)
	}
}

// upToCheckpoint is an export as far as its newest checkpoint covers it.
func upToCheckpoint(t *testing.T, export string) string {
	t.Helper()
	log, err := audit.ReadLog(strings.NewReader(export))
	if err != nil {
		t.Fatal(err)
	}
	var most int64
	for _, c := range log.Checkpoints {
		if parsed, err := audit.ParseCheckpoint(c); err == nil {
			most = max(most, parsed.Size)
		}
	}
	var out bytes.Buffer
	w, err := audit.NewWriter(&out, log.Origin, log.Checkpoints)
	if err != nil {
		t.Fatal(err)
	}
	for leaf, err := range log.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Seq < most {
			if err := w.Write(leaf); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.String()
}
