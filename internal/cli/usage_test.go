package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"countersign/internal/servertest"
)

// said is what the program prints, alone, and what it ends with.
func said(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = []string{servertest.AsProgram + "=1", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// The promise: whoever asks for help in one of the usual ways gets it, and whoever mistypes a
// command is told which help explains it.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args, says string
		code       int
	}{
		{"", "Usage: countersign COMMAND [flags]", 0},
		{"help", "Administration, by a running server:", 0},
		{"help account create", "Usage: countersign account create <name> [flags]", 0},
		{"help recovery open", "<account> --browser=TEXT --check=in-person|called-back|video|manager --note=TEXT", 0},
		{"help key issue", "--lifetime=90d", 0},
		{"help nothing", "See: countersign --help", 2},
		{"--version", "countersign ", 0},
		{"--version --json", `{"version":`, 0},
		{"account crate x", "did you mean \"create\"?\nSee: countersign account --help\n", 2},
		{"account create", "See: countersign account create --help\n", 2},
		{"group member add x", "See: countersign group member add --help\n", 2},
		{"key issue robot --action a --network n --lifetime soon", "no length of time such as 7d or 90d", 2},
		{"key issue robot --action a --network n --lifetime 36h", "no length of time such as 7d or 90d", 2},
		{"pass issue ada --lifetime=-5m", "no length of time such as 30m or 8h", 2},
		{"--zone Nowhere/Town version", "no zone of the time zone database", 2},
		{"login --no-wait --server https://login.example.org", "login waits for you", 1},
	} {
		if out, code := said(t, strings.Fields(c.args)...); code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("countersign %s: %d, and it does not say %q:\n%s", c.args, code, c.says, out)
		}
	}
}

// Lengths of time reach the commands in the unit of their field, and a number alone is in it.
func TestLengths(t *testing.T) {
	for args, want := range map[string][3]int{
		"key issue robot --action a --network n --lifetime 30d": {30, 0, 0},
		"key issue robot --action a --network n --lifetime 48h": {2, 0, 0},
		"key issue robot --action a --network n --days 7":       {7, 0, 0},
		"pass issue ada --lifetime 30m":                         {0, 1800, 0},
		"pass issue ada --lifetime 1h30m":                       {0, 5400, 0},
		"pass issue ada --lifetime 3600":                        {0, 3600, 0},
		"prompts --since 7d":                                    {0, 0, 7},
		"prompts ada --days 3":                                  {0, 0, 3},
	} {
		var c commands
		p, err := parser(&c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(strings.Fields(args)); err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if got := [3]int{c.Key.Issue.Command.Days, c.Pass.Issue.Command.Lifetime, c.Prompts.Show.Command.Days}; got != want {
			t.Errorf("%s: %v and not %v", args, got, want)
		}
	}
}

// Every command is typed in one order: what it is about, then flags. What belongs to a noun
// stands before the account that gets it.
func TestOrderOfArguments(t *testing.T) {
	p, err := parser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Model.Leaves(true) {
		var names []string
		for _, a := range n.Positional {
			names = append(names, a.Name)
		}
		order := strings.Join(names, " ")
		if regexp.MustCompile(`^account (file|serial|group|host)`).MatchString(order) {
			t.Errorf("%s: %s: the account comes last, as in token assign", n.Path(), order)
		}
		if s := synopsis(n); strings.Contains(s, "--") && strings.LastIndex(s, "<") > strings.Index(s, "--") {
			t.Errorf("%s: flags stand before arguments", s)
		}
		for _, f := range n.Flags {
			if f.PlaceHolder == "STRING" || f.Help == "" && !f.Hidden {
				t.Errorf("%s --%s does not say what it takes", n.Path(), f.Name)
			}
			if regexp.MustCompile(`(?i)\b(seconds|minutes|hours|days) (it|that)\b`).MatchString(f.Help) {
				t.Errorf("%s --%s counts units: %s", n.Path(), f.Name, f.Help)
			}
		}
	}
}

// The manual has a page for each command, with every argument and flag in it, and man reads
// it without a warning.
func TestManual(t *testing.T) {
	folder := t.TempDir()
	if out, code := said(t, "man", folder); code != 0 {
		t.Fatal(out)
	}
	p, err := parser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(folder + "/*.1")
	if want := len(shown(p.Model.Node)) + 1; err != nil || len(pages) != want {
		t.Fatalf("%d pages for %d commands", len(pages), want)
	}
	for _, n := range shown(p.Model.Node) {
		text := read(t, filepath.Join(folder, "countersign-"+n.Name+".1"))
		for _, leaf := range n.Leaves(true) {
			for _, want := range manualNames(leaf) {
				if !strings.Contains(text, roff(want)) {
					t.Errorf("countersign-%s(1) lacks %s", n.Name, want)
				}
			}
		}
	}
	if _, err := exec.LookPath("groff"); err != nil {
		t.Log("there is no groff here: what man thinks of the pages is not tried")
		return
	}
	for _, page := range pages {
		if out, err := exec.Command("groff", "-man", "-ww", "-z", "-K", "utf8", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v %s", filepath.Base(page), err, out)
		}
	}
}

func manualNames(n *kong.Node) []string {
	out := []string{synopsis(n)}
	for _, p := range n.Positional {
		out = append(out, p.Summary())
	}
	for _, f := range n.Flags {
		if f.Name != "help" {
			out = append(out, f.String(), kong.DefaultHelpValueFormatter(f.Value))
		}
	}
	return out
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What is printed with a time of day names its zone, and the zone is the one that was chosen.
func TestZone(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	sh, browser := w.Shell(), w.Person()
	sh.Login(browser, "ada", ada.Code())
	for zone, names := range map[string]string{"UTC": "UTC", "Asia/Tokyo": "JST", "America/Sao_Paulo": "-03"} {
		for _, args := range []string{"audit search --limit 20", "account show ada", "overview", "whoami"} {
			out, complaint, ok := sh.Run("", append(strings.Fields(args), "--zone", zone)...)
			if !ok {
				t.Fatal(complaint)
			}
			for _, at := range regexp.MustCompile(`\d\d:\d\d:\d\d ?\S*`).FindAllString(out, -1) {
				if !strings.HasSuffix(at, " "+names) {
					t.Errorf("%s --zone %s says %q", args, zone, at)
				}
			}
		}
	}
	sh.Env = append(sh.Env, "COUNTERSIGN_ZONE=Asia/Tokyo")
	if out, _, _ := sh.Run("", "audit", "search", "--limit", "1"); !strings.Contains(out, " JST ") {
		t.Errorf("the variable chooses no zone: %s", out)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if !strings.HasSuffix(name, "_test.go") && name != "moment.go" && regexp.MustCompile(`\.Local\(\)|time\.DateTime|Format\("`).MatchString(read(t, name)) {
			t.Errorf("%s writes times by itself: moment names the zone", name)
		}
	}
}

// A search begins where people say so: a length of time ago, a day of their zone, a moment.
func TestAgo(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	defer func(was *time.Location) { time.Local = was }(time.Local)
	time.Local = tokyo
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{"24h": "2026-11-30T12:00:00Z", "7d": "2026-11-24T12:00:00Z", "2026-12-01": "2026-11-30T15:00:00Z", "2026-12-01T09:00": "2026-12-01T00:00:00Z",
		"2026-12-01T09:00:00Z": "2026-12-01T09:00:00Z", "": "", "soon": "soon"} {
		if got := ago(in, now); got != want {
			t.Errorf("%q is %q and not %q", in, got, want)
		}
	}
}

// The promise: --no-wait leaves at once and changes nothing; the answer is there once the
// change is approved, and once.
func TestNoWait(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.Administrator("ada")
	sh, browser := w.Shell(), w.Person()
	sh.Login(browser, "ada", ada.Code())
	w.Later(6 * time.Minute)
	cmd := sh.Command("account", "create", "bob", "--no-wait")
	out, _ := cmd.CombinedOutput()
	page := regexp.MustCompile(`http://\S+/approve\?code=\S+`).FindString(string(out))
	wait := regexp.MustCompile(`countersign approval (\S+)`).FindStringSubmatch(string(out))
	if cmd.ProcessState.ExitCode() != 3 || page == "" || wait == nil {
		t.Fatalf("%d: %s", cmd.ProcessState.ExitCode(), out)
	}
	cmd = sh.Command("approval", wait[1])
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "still waits") || w.Events("account.created") != 1 {
		t.Errorf("before it is approved: %d: %s", cmd.ProcessState.ExitCode(), out)
	}
	browser.Approves(page, "person bob", "ada", ada.Code())
	if out, complaint, ok := sh.Run(wait[1]+"\n", "approval", "-"); !ok || !strings.Contains(out, "bob") {
		t.Errorf("after it was approved: %s%s", out, complaint)
	}
	if out, _, ok := sh.Run("", "approval", wait[1]); ok {
		t.Errorf("its answer is told again: %s", out)
	}
	for _, other := range []string{"", "a-secret-of-nobody", wait[1] + "x"} {
		cmd := sh.Command("approval", "--", other)
		if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 1 || strings.Contains(string(out), "still waits") {
			t.Errorf("what waits for nothing is answered %d: %s", cmd.ProcessState.ExitCode(), out)
		}
	}
}
