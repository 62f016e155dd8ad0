package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// block is the block of docs/events.md that has a text.
func block(t *testing.T, has string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testbed.Root(t), "docs/events.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(page), "\n```") {
		if _, text, _ := strings.Cut(part, "\n"); i%2 == 1 && strings.Contains(text, has) {
			return text
		}
	}
	t.Fatalf("docs/events.md has no block with %q", has)
	return ""
}

// The promise: an auditor compares what a destination has with the log, by the lines that are
// documented: they agree, and a line that was removed or changed shows.
func TestAnAuditorCompares(t *testing.T) {
	testbed.Program(t, "jq")
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	w := servertest.NewWorldFrom(t, server.Settings{Events: []config.Destination{{Name: "file", Kind: "lines", File: file, From: "beginning"}}}, "http://localhost", nil)
	ctx, stop := context.WithCancel(t.Context())
	w.Delivery.Run(ctx)
	ada := w.Administrator("ada")
	ada.Get("/sign-in")
	ada.SignIn("ada", ada.Code())
	counts := httptest.NewServer(w.Metrics())
	defer counts.Close()
	lag := func() string {
		p := w.Person()
		p.Take(http.Get(counts.URL + "/metrics"))
		return p.Page
	}
	for end := time.Now().Add(time.Minute); !strings.Contains(lag(), `countersign_events_lag_entries{destination="file"} 0`); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(lag())
		}
	}
	stop()
	w.Delivery.Wait()
	w.Stop()
	dir := t.TempDir()
	script := strings.NewReplacer("countersign audit", `"$PROGRAM" audit`, "/var/lib/countersign", w.Folder, "/var/log/countersign/audit.jsonl", file).Replace(block(t, "countersign audit export"))
	compare := func() (string, bool) {
		cmd := exec.Command("sh", "-e", "-c", script)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), servertest.AsProgram+"=1", "PROGRAM="+os.Args[0])
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	if out, same := compare(); !same || out != "" {
		t.Fatalf("they differ:\n%s", out)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "\n") < 10 {
		t.Fatalf("%v\n%s", err, text)
	}
	for name, lie := range map[string]string{"removed": strings.Join(strings.SplitAfter(string(text), "\n")[1:], ""), "changed": strings.Replace(string(text), `"outcome":"ok"`, `"outcome":"failed"`, 1)} {
		if err := os.WriteFile(file, []byte(lie), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, same := compare(); same || out == "" {
			t.Errorf("a line that was %s is not seen", name)
		}
	}
}

// The promise: an administrator reads where they look first that a destination takes nothing,
// and a sign-in does not wait for it.
func TestADestinationThatIsAwayIsTold(t *testing.T) {
	away := testbed.Addr(t)
	w := servertest.NewWorldFrom(t, server.Settings{Events: []config.Destination{{Name: "siem", Kind: "syslog", Server: away, Transport: "tcp"}}}, "http://localhost", nil)
	ctx, stop := context.WithCancel(t.Context())
	w.Delivery.Run(ctx)
	ada := w.Administrator("ada")
	ada.Get("/sign-in")
	ada.SignIn("ada", ada.Code())
	for end := time.Now().Add(time.Minute); len(w.Delivery.Says()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody is told")
		}
	}
	ada.Get("/console")
	ada.Sees("the destination siem of the audit log takes nothing")
	ada.Sees("The syslog server " + away + " cannot be reached")
	stop()
	w.Delivery.Wait()
}

// The promise: events test prints each step, and says in a sentence why nothing arrives.
func TestEventsTest(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "countersign.yaml")
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("whsec_"+strings.Repeat("A", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "events:\n- {name: file, kind: lines, file: " + dir + "/out}\n- {name: hook, kind: webhook, url: 'https://127.0.0.1:1/path', secret_file: " + dir + "/secret}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := &servertest.Shell{W: &servertest.World{T: t}, Home: dir}
	out, complaint, ok := sh.Run("", "events", "test", "file", "--config", file)
	if got, err := os.ReadFile(dir + "/out"); !ok || err != nil || !strings.Contains(out, "wrote") || !strings.Contains(string(got), `"destination.test"`) {
		t.Errorf("%s%s%s %v", out, complaint, got, err)
	}
	out, complaint, ok = sh.Run("", "events", "test", "hook", "--config", file)
	if ok || !strings.Contains(complaint, "inside the network") || strings.Contains(out+complaint, "AAAA") || strings.Contains(complaint, "/path") {
		t.Errorf("%s%s", out, complaint)
	}
	if _, complaint, ok = sh.Run("", "events", "test", "siem", "--config", file); ok || !strings.Contains(complaint, "it has file, hook") {
		t.Error(complaint)
	}
}
