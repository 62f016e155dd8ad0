// Package docs pastes what the documents show into a shell, as their readers do.
package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"countersign/internal/config"
	"countersign/internal/servertest"
	"countersign/internal/store/storetest"
)

// stages prepare what a page assumes beside a server, its administrator and the session of
// their command line: who is there, which files lie where the shell is, and what its reader
// writes in the place of the page's own words.
var stages = map[string]func(*stage){
	"README.md": func(*stage) {},
	"docs/accounts.md": func(s *stage) {
		s.login()
		for _, name := range []string{"grace", "heidi", "ivan", "judy", "mallory"} {
			s.must("countersign account create " + name + " --mail " + name + "@old.example")
		}
	},
	"docs/authenticators.md": func(s *stage) {
		s.person("grace")
		s.login()
		s.replace = append(s.replace, "grace 17 ", fmt.Sprintf("grace %d ", servertest.AuthenticatorsOf(s.w, "grace")[0].ID))
	},
	"docs/backup.md": func(s *stage) {
		key := s.must("countersign keys show --json --data " + s.w.Folder + " | jq -r .audit_log_key")
		s.replace = append(s.replace, "/var/lib/countersign-new", filepath.Join(s.at, "restored"), filepath.Join(s.at, "/var/lib/countersign"), s.w.Folder, "--log-key KEY", "--log-key "+strings.TrimSpace(key))
	},
	"docs/commandline.md": func(s *stage) { s.replace = append(s.replace, "10.20.0.0/16", "127.0.0.0/8") },
	"docs/coverage.md": func(s *stage) {
		s.site("wiki.example.org")
		s.login()
	},
	"docs/drill.md": func(s *stage) {
		s.login()
		s.replace = append(s.replace, "192.0.2.10/32", "127.0.0.0/8")
	},
	"docs/configuration.md": func(*stage) {},
	"docs/offline.md": func(s *stage) {
		s.login()
		s.notes = func(out string) string { return regexp.MustCompile(`(?m)HOTP\S*\s.*$`).FindString(out) + "\n" }
	},
	"docs/nginx.md": func(s *stage) { s.login() },
	"docs/policy.md": func(s *stage) {
		s.person("grace")
		s.site("wiki.example.org")
		s.login()
		s.env = append(s.env, "COUNTERSIGN_DATA="+s.w.Folder)
	},
	"docs/production.md": func(s *stage) {
		live := filepath.Join(s.at, "etc/letsencrypt/live/login.example.org")
		for _, folder := range []string{live, filepath.Join(s.at, "etc/nginx/sites-available"), filepath.Join(s.at, "etc/nginx/sites-enabled"), filepath.Join(s.at, "etc/systemd/system")} {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				s.t.Fatal(err)
			}
		}
		s.must("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=login.example.org -keyout " + live + "/privkey.pem -out " + live + "/fullchain.pem 2>&1")
		s.replace = append(s.replace, "listen 80;", "listen 127.0.0.1:"+portOf(free(s.t))+";", "listen [::]:80;", "", "listen 443 ssl;", "listen 127.0.0.1:"+portOf(free(s.t))+" ssl;", "listen [::]:443 ssl;", "")
	},
	"docs/radius.md": func(s *stage) { s.login() },
	"docs/recovery.md": func(s *stage) {
		s.person("bob")
		s.login()
		s.replace = append(s.replace, "482913", s.lost("bob"))
	},
	"docs/smartcards.md": func(s *stage) {
		s.replace = append(s.replace, "127.0.0.1:8443", free(s.t))
	},
	"docs/tokens.md":   tokens,
	"docs/oidc.md":     func(s *stage) { s.login() },
	"docs/saml.md":     func(s *stage) { s.login() },
	"docs/entra.md":    func(s *stage) { s.login() },
	"docs/partners.md": func(s *stage) { s.login() },
	"docs/scim.md": func(s *stage) {
		s.login()
		s.replace = append(s.replace, "192.0.2.0/24", "127.0.0.0/8")
	},
	"docs/signals.md": func(s *stage) {
		s.login()
		s.replace = append(s.replace, "192.0.2.0/24", "127.0.0.0/8")
	},
	"docs/yubico.md": func(s *stage) { s.login() },
}

func portOf(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// site plants an application behind a proxy, and a VPN.
func (s *stage) site(host string) {
	s.t.Helper()
	if err := s.w.PlantApplications(s.t.Context(), host, servertest.DrillSecret); err != nil {
		s.t.Fatal(err)
	}
}

// lost is the number that somebody who lost their phone reads from their browser.
func (s *stage) lost(name string) string {
	s.t.Helper()
	p := s.w.Person()
	p.Get("/recovery")
	p.Post("/recovery", "name", name)
	m := regexp.MustCompile(`aria-label="The number">(\d{6})<`).FindStringSubmatch(p.Page)
	if m == nil {
		s.t.Fatalf("no number is shown:\n%s", p.Page)
	}
	return m[1]
}

// tokens is a stage with the files of a vendor, and two tokens that lie on the desk.
func tokens(s *stage) {
	s.person("grace")
	s.login()
	b, err := os.ReadFile(filepath.Join(root, "internal/tokenfile/testdata/pskc-tools-key.xml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.file("batch-2026.pskc", string(b))
	s.file("vendor.key", "12345678901234567890123456789012\n")
	s.file("wrong.key", strings.Repeat("ab", 16)+"\n")
	const seed = "3132333435363738393031323334353637383930"
	s.file("bad.csv", "B-1,"+seed+",totp\nB-2,nothexadecimal,totp\nB-1,"+strings.ToUpper(seed[2:])+"41,totp\nB-4,"+seed[2:]+"42,totp,6,45\n")
	var rows strings.Builder
	for i := range 50 {
		fmt.Fprintf(&rows, "P-%d,%064x,totp,6,30\n", i, 1<<20+i)
	}
	s.file("from-privacyidea.csv", rows.String())
}

// TestPasted pastes every block of commands of README.md and docs into a shell beside a real
// server. What needs something that a test's machine does not have says so in the source of
// the page, and is read by the command line's own parser instead.
func TestPasted(t *testing.T) {
	storetest.Long(t, "pastes what the documents show")
	for _, page := range pages(t) {
		if page == firstHour {
			continue // TestTheFirstHour
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel()
			paste(t, page)
		})
	}
}

func paste(t *testing.T, page string) {
	var s *stage
	for _, b := range blocksOf(t, page) {
		if b.lang != "sh" && b.lang != "console" {
			continue
		}
		if b.only != "" {
			b.parse(t)
			continue
		}
		if s == nil {
			prepare, known := stages[page]
			if !known {
				t.Fatal(b.says("the test does not know what this page assumes; add it to its stages, or a remark before the block"))
			}
			s = newStage(t)
			prepare(s)
		}
		b.run(s)
	}
}

func (b block) parse(t *testing.T) {
	for _, turn := range b.turns() {
		if out, err := parse(t, turn.command); err != nil {
			t.Errorf("%s: %v\n%s\n%s", b.says("it cannot be read"), err, turn.command, out)
		}
	}
	t.Log(b.says("only parsed: " + b.only))
}

func (b block) run(s *stage) {
	for _, turn := range b.turns() {
		if strings.Contains(turn.shows, "needs your approval") {
			s.w.Later(6 * time.Minute) // longer ago than administration accepts
		}
		command := s.here(turn.command)
		out, err := s.run(command)
		if (err != nil) != turn.fails() {
			s.t.Errorf("%s: %v\n%s\n%s", b.says("it does not work when it is pasted"), err, command, out)
		}
		for _, line := range turn.missing(out) {
			s.t.Errorf("%s: %s\n%s", b.says("the page shows what is not printed"), line, out)
		}
		if s.notes != nil {
			s.typed = s.notes(out)
		}
	}
	s.t.Log(b.says("run"))
}

// TestEveryBlockSaysWhatItIs finds blocks without a language, which nobody tries, and remarks
// that are on nothing.
func TestEveryBlockSaysWhatItIs(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, b := range blocksOf(t, page) {
			n++
			switch b.lang {
			case "":
				t.Error(b.says("the block does not say what it is: sh for what is pasted, console for a conversation, text, yaml, json, ..."))
			case "sh", "console":
				if b.lang == "sh" && strings.HasPrefix(b.text, "$ ") || b.lang == "console" && len(b.turns()) == 0 {
					t.Error(b.says("sh is pasted as it is, and a conversation has commands behind a $"))
				}
				if b.lang == "sh" && regexp.MustCompile(`(^|\s)\.\.\.(\s|$)`).MatchString(b.text) {
					t.Error(b.says("nobody can paste three dots"))
				}
			case "bash", "shell", "shell-session", "zsh":
				t.Error(b.says("commands are sh or console, so that they are tried"))
			}
		}
	}
	if n < 70 {
		t.Errorf("only %d blocks: the test has lost its way", n)
	}
}

// TestSettingsOfPages reads the settings and documents that pages show: JSON must be
// well formed, and a part of the configuration must name settings that there are.
func TestSettingsOfPages(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, b := range blocksOf(t, page) {
			switch b.lang {
			case "json":
				n++
				if !json.Valid([]byte(b.text)) && !json.Valid([]byte("{"+b.text+"}")) {
					t.Error(b.says("that is not JSON"))
				}
			case "yaml":
				if configures(b.text) {
					n++
					if _, err := config.Parse([]byte(b.text)); err != nil && regexp.MustCompile(`no setting|line \d`).MatchString(err.Error()) {
						t.Error(b.says(err.Error()))
					}
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d were read: the test has lost its way", n)
	}
}

// configures reports whether a block is a part of the configuration.
func configures(text string) bool {
	var whole, part map[string]any
	if yaml.Unmarshal([]byte(text), &part) != nil {
		return false
	}
	var b strings.Builder
	if config.Default().Print(&b) != nil || yaml.Unmarshal([]byte(b.String()), &whole) != nil {
		return false
	}
	for key := range part {
		if _, ours := whole[key]; ours {
			return true
		}
	}
	return false
}

// TestPagesOfConsole finds every address of our own that a page names among those that are
// served.
func TestPagesOfConsole(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "test/web/testdata/routes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var served []*regexp.Regexp
	for line := range strings.Lines(string(b)) {
		method, rest, _ := strings.Cut(line, " ")
		pattern, _, _ := strings.Cut(rest, "\t")
		if method != "GET" {
			continue
		}
		pattern = regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), `[^/]+`)
		served = append(served, regexp.MustCompile("^"+strings.TrimSuffix(pattern, `\{\$\}`)+"$"))
	}
	n := 0
	own := regexp.MustCompile(`(?:^|[\s("` + "`" + `]|example\.org)(/(?:console|account)(?:/[a-zA-Z0-9./_{}-]*)?)`)
	for _, page := range append(pages(t), "CONTRIBUTING.md", "SECURITY.md", "THREATS.md") {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range own.FindAllStringSubmatch(string(text), -1) {
			n++
			found := false
			for _, r := range served {
				found = found || r.MatchString(strings.TrimRight(m[1], "./"))
			}
			if !found {
				t.Errorf("%s names %s, and no page is there", page, m[1])
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d addresses: the test has lost its way", n)
	}
}
