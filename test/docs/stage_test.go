package docs

import (
	"context"
	"fmt"
	"html"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"countersign/internal/server"
	"countersign/internal/servertest"
)

// stage is a machine on which the blocks of one page are pasted, one after the other: a folder
// in the place of /, a server with people, and a shell whose administrator has a browser.
type stage struct {
	t       *testing.T
	w       *servertest.World
	ada     *servertest.Person // administers
	at      string             // the folder in the place of /
	work    string             // where the shell is
	bin     string
	env     []string
	typed   string                  // what the shell's owner types, or pastes, into a command
	notes   func(out string) string // what they note for that of what was printed; may be nil
	replace []string                // what a reader writes in the place of the page's own words
}

// newStage prepares what every page may take for granted: a server with an administrator, who
// is signed in, and programs that are not for a test's machine.
func newStage(t *testing.T) *stage {
	t.Helper()
	at := t.TempDir()
	s := &stage{t: t, w: servertest.NewWorldFrom(t, server.Settings{Mails: true}, "http://localhost", nil), at: at, work: filepath.Join(at, "work"), bin: filepath.Join(at, "shims")}
	for _, folder := range []string{s.work, s.bin, filepath.Join(at, "home"), filepath.Join(at, "etc/countersign"), filepath.Join(at, "var/lib")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.ada = s.w.Administrator("ada")
	s.shims()
	s.env = []string{"PATH=" + s.bin + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(at, "home"), "XDG_CONFIG_HOME=" + filepath.Join(at, "home"), "COUNTERSIGN_SERVER=" + s.w.Base,
		"COUNTERSIGN_LISTEN=" + free(t), "TMPDIR=" + at, "TZ=UTC"}
	s.replace = []string{"https://login.example.org", s.w.Base}
	return s
}

// free is an address on loopback that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// shims are programs in the place of those that would leave this folder. A server that is
// started is asked for the page whose link it prints, and stopped.
func (s *stage) shims() {
	program := "env " + servertest.AsProgram + "=1 " + os.Args[0]
	for name, script := range map[string]string{
		"countersign": `if [ "$1" != serve ]; then exec ` + program + ` "$@"; fi
log=$(mktemp)
` + program + ` "$@" >"$log" 2>&1 &
pid=$!
until grep -q -e 'setup?code=' -e 'Open this' "$log"; do
	jobs -rp | grep -q $pid || { cat "$log"; exit 1; }
	sleep 0.1
done
link=$(grep -o -e 'http://[^ ]*setup?code=[^ ]*' -e 'Open this .*' "$log" | grep -o 'http.*')
curl -sfk -o /dev/null "$link" || { echo "the link does not work: $link"; kill -INT $pid; exit 1; }
kill -INT $pid
wait $pid
status=$?
cat "$log"
exit $status`,
		"go": `[ "$1" = run ] || exec "` + mustLook(s.t, "go") + `" "$@"
shift
[ "$1" != -v ] || shift
HOME=` + os.Getenv("HOME") + ` "` + mustLook(s.t, "go") + `" list -C ` + absolute(s.t, root) + ` "$1" >/dev/null || exit 1
shift
exec countersign "$@"`,
		"make": `exec "` + mustLook(s.t, "make") + `" -n -C ` + absolute(s.t, root) + ` "$@" >/dev/null`,
		"nginx": `printf 'pid %s/nginx.pid; error_log stderr; events {} http { access_log off; include %s/etc/nginx/sites-enabled/*; }' ` + s.at + ` ` + s.at + ` > ` + s.at + `/nginx.conf
PATH=$PATH:/usr/sbin:/sbin
hash -r; exec $(PATH=${PATH#*:} command -v nginx) -t -c ` + s.at + `/nginx.conf`,
		"sudo": `exec "$@"`,
		"ssh":  `shift; exec sh -c "$*"`,
	} {
		if err := os.WriteFile(filepath.Join(s.bin, name), []byte("#!/bin/bash\n"+script+"\n"), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
}

func mustLook(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	out, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// watched is what a shell prints, read by ada: she opens each page that asks for her approval.
type watched struct {
	s    *stage
	text []byte
	seen map[string]bool
	busy sync.WaitGroup
}

var approval = regexp.MustCompile(`http://\S+/approve\?code=\S+\n`)

func (w *watched) Write(b []byte) (int, error) {
	w.text = append(w.text, b...)
	for _, page := range approval.FindAllString(string(w.text), -1) {
		if !w.seen[page] {
			w.seen[page] = true
			w.busy.Go(func() { w.s.approve(strings.TrimSpace(page)) })
		}
	}
	return len(b), nil
}

// approve is ada at her browser: she signs in, presses the button, and follows the way back to
// the command line where there is one.
func (s *stage) approve(page string) {
	s.w.Later(time.Minute) // so that a code is good that was not used
	browser := s.w.Person()
	browser.Approves(page, "", "ada", s.ada.Code())
	if m := servertest.Onward.FindStringSubmatch(html.UnescapeString(browser.Page)); m != nil {
		browser.Get(m[1])
	}
}

// login signs the shell in, for pages that begin where somebody is.
func (s *stage) login() {
	s.t.Helper()
	s.must("countersign login")
}

// must runs a script that the stage needs and no page shows.
func (s *stage) must(script string) string {
	s.t.Helper()
	out, err := s.run(script)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// person is somebody with a password and codes.
func (s *stage) person(name string) *servertest.Person {
	s.t.Helper()
	p := s.w.EnrollCodes(name)
	s.w.Address(name, name+"@example.org")
	return p
}

// file puts a file where the shell is.
func (s *stage) file(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.work, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// here writes a block as its reader does: with their own names, and below the folder that is in
// the place of /.
func (s *stage) here(text string) string {
	for _, folder := range []string{"/etc/", "/var/lib/countersign"} {
		text = strings.ReplaceAll(text, folder, s.at+folder)
	}
	return strings.NewReplacer(s.replace...).Replace(text)
}

// run pastes commands into a shell that stops at the first one that fails.
func (s *stage) run(commands string) (string, error) {
	ctx, over := context.WithTimeout(s.t.Context(), 10*time.Minute)
	defer over()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", commands)
	cmd.Stdin = strings.NewReader(s.typed)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // and what it started
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.work, s.env, 5*time.Second
	out := &watched{s: s, seen: map[string]bool{}}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.busy.Wait()
	return string(out.text), err
}

// parse has a shell read commands in which nothing but the command line's own parser is there
// to be run.
func parse(t *testing.T, commands string) (string, error) {
	t.Helper()
	folder := t.TempDir()
	script := "#!/bin/sh\n" + asParser + "=1 exec " + os.Args[0] + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(folder, "countersign"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(mustLook(t, "bash"), "-e", "-o", "pipefail", "-c", "command_not_found_handle() { return 0; }\n"+commands)
	cmd.Dir, cmd.Env = folder, []string{"PATH=" + folder, "HOME=" + folder}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// says is a line of what became of a block.
func (b block) says(what string) string { return fmt.Sprintf("%s:%d: %s", b.page, b.line, what) }
