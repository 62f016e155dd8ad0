package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// The promise: an upgrade of the package leaves a service running, with the new program;
// a removal stops it; a first installation starts nothing.
func TestDebianScripts(t *testing.T) {
	programs, said := pretended(t)
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(script string, args ...string) string {
		os.Remove(said)
		c := exec.Command("sh", append([]string{filepath.Join("../../deploy/debian", script)}, args...)...)
		c.Env = []string{"PATH=" + programs + ":/usr/bin:/bin", "DPKG_ROOT=" + root}
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v: %s", script, args, err, out)
		}
		b, _ := os.ReadFile(said)
		return string(b)
	}
	for _, c := range []struct {
		script string
		args   []string
		does   []string
		not    []string
	}{
		{"prerm", []string{"upgrade", "2.0"}, nil, []string{"stop"}},
		{"prerm", []string{"failed-upgrade", "1.0"}, nil, []string{"stop"}},
		{"prerm", []string{"deconfigure", "in-favour", "x", "1"}, nil, []string{"stop"}},
		{"prerm", []string{"remove"}, []string{"deb-systemd-invoke stop countersign.service"}, nil},
		{"postinst", []string{"configure", ""}, []string{"daemon-reload"}, []string{"start"}},
		{"postinst", []string{"configure"}, []string{"daemon-reload"}, []string{"start"}},
		{"postinst", []string{"configure", "1.0"}, []string{"daemon-reload", "deb-systemd-invoke restart countersign.service"}, nil},
		{"postinst", []string{"abort-upgrade", "2.0"}, nil, []string{"stop", "restart"}},
		{"postrm", []string{"remove"}, []string{"daemon-reload"}, nil},
		{"postrm", []string{"upgrade", "2.0"}, nil, []string{"stop", "restart"}},
	} {
		got := run(c.script, c.args...)
		for _, want := range c.does {
			if !strings.Contains(got, want) {
				t.Errorf("%s %v does not %q:\n%s", c.script, c.args, want, got)
			}
		}
		for _, not := range c.not {
			if strings.Contains(got, not) {
				t.Errorf("%s %v does %q:\n%s", c.script, c.args, not, got)
			}
		}
	}
	if got := run("postinst", "configure", "1.0"); strings.Index(got, "daemon-reload") > strings.Index(got, "restart") {
		t.Errorf("the service is restarted by the old unit:\n%s", got)
	}
	// Whatever stops or starts on a machine without systemd stops nothing.
	root = t.TempDir()
	if got := run("prerm", "remove"); got != "" {
		t.Errorf("without systemd: %s", got)
	}
	unit, err := os.ReadFile("../../deploy/countersign.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"LimitCORE=0", "NoNewPrivileges=yes", "MemoryDenyWriteExecute=yes", "UMask=0077", "ProtectSystem=strict"} {
		if !strings.Contains(string(unit), "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
}

// pretended are programs that say what they were asked and do nothing, because a test's
// machine is to keep its users and its services.
func pretended(t *testing.T) (folder, said string) {
	t.Helper()
	folder = t.TempDir()
	said = filepath.Join(folder, "said")
	for _, name := range []string{"systemctl", "deb-systemd-invoke", "adduser", "install", "chown", "getent"} {
		script := "#!/bin/sh\necho " + name + " \"$@\" >> " + said + "\n"
		if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return folder, said
}

// dpkg installs what was built into a folder, as on a machine with systemd.
type dpkg struct {
	t                    *testing.T
	root, programs, said string
}

// run returns what the package's scripts did, in order, a line each.
func (d *dpkg) run(args ...string) string {
	d.t.Helper()
	os.Remove(d.said)
	c := exec.Command("dpkg", append([]string{"--root=" + d.root, "--log=/dev/null", "--force-script-chrootless,not-root,depends"}, args...)...)
	c.Env = []string{"PATH=" + d.programs + ":/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	if out, err := c.CombinedOutput(); err != nil {
		d.t.Fatalf("dpkg %v: %v\n%s", args, err, out)
	}
	b, _ := os.ReadFile(d.said)
	return string(b)
}

func (d *dpkg) holds(path, text string) bool {
	b, err := os.ReadFile(filepath.Join(d.root, path))
	return err == nil && strings.Contains(string(b), text)
}

// built packs a version, with a prerm of its own where one is given.
func built(t *testing.T, version, prerm string) string {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "countersign")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n# "+version+"\n"+servertest.AsProgram+"=1 exec "+os.Args[0]+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(env []string, name string, args ...string) {
		c := exec.Command(name, args...)
		c.Env = append(os.Environ(), env...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run([]string{"VERSION=" + version, "PROGRAM=" + program}, "../../deploy/debian/build.sh", folder)
	made, err := filepath.Glob(filepath.Join(folder, "*.deb"))
	if err != nil || len(made) != 1 {
		t.Fatalf("built %v, %v", made, err)
	}
	if prerm != "" {
		open := filepath.Join(folder, "open")
		run(nil, "dpkg-deb", "-R", made[0], open)
		if err := os.WriteFile(filepath.Join(open, "DEBIAN/prerm"), []byte(prerm), 0o755); err != nil {
			t.Fatal(err)
		}
		run(nil, "dpkg-deb", "--root-owner-group", "--build", open, made[0])
	}
	return made[0]
}

// stopsAlways is the prerm of the first packages.
const stopsAlways = `#!/bin/sh
set -e
if [ -d "${DPKG_ROOT:-}/run/systemd/system" ]; then
	deb-systemd-invoke stop countersign.service
fi
`

// The same with dpkg itself, which runs the old package's scripts and the new one's in its
// own order: from a package that stopped its service at each upgrade, then from one that does
// not, with a configuration that somebody changed, and to the end.
func TestDebianPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("there is no dpkg here: the package is for Debian")
	}
	programs, said := pretended(t)
	d := &dpkg{t: t, root: t.TempDir(), programs: programs, said: said}
	for _, folder := range []string{"run/systemd/system", "var/lib/dpkg/updates", "var/lib/dpkg/info"} {
		if err := os.MkdirAll(filepath.Join(d.root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(d.root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const restarted, stopped = "deb-systemd-invoke restart countersign.service", "deb-systemd-invoke stop countersign.service"
	if got := d.run("--install", built(t, "1.0", stopsAlways)); strings.Contains(got, "start ") || !strings.Contains(got, "daemon-reload") {
		t.Errorf("a first installation starts something, or systemd is not told of it:\n%s", got)
	}
	settings := filepath.Join(d.root, "etc/countersign/countersign.yaml")
	if err := os.WriteFile(settings, []byte("url: https://login.example.org\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if got := d.run("--install", built(t, "1.1", "")); !strings.Contains(got, restarted) || strings.Index(got, stopped) > strings.Index(got, restarted) {
		t.Errorf("what the old package stopped is not started again:\n%s", got)
	}
	if got := d.run("--install", built(t, "1.2", "")); strings.Contains(got, stopped) || !strings.Contains(got, restarted) {
		t.Errorf("an upgrade stops the service, or leaves the old program running:\n%s", got)
	}
	if !d.holds("usr/bin/countersign", "# 1.2") || !d.holds("etc/countersign/countersign.yaml", "login.example.org") {
		t.Error("the program is not the new one, or the settings were overwritten")
	}
	if out, err := exec.Command("zcat", filepath.Join(d.root, "usr/share/man/man1/countersign-account.1.gz")).Output(); err != nil || !strings.Contains(string(out), ".SH NAME\ncountersign\\-account ") {
		t.Errorf("the manual is not in the package: %v %s", err, out)
	}
	if got := d.run("--remove", "countersign"); !strings.Contains(got, stopped) || strings.Contains(got, restarted) {
		t.Errorf("a removal leaves it running:\n%s", got)
	}
	if !d.holds("etc/countersign/countersign.yaml", "login.example.org") {
		t.Error("a removal took the settings")
	}
}
