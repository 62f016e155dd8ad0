package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The promise: an upgrade of the package leaves a service running, with the new program;
// a removal stops it; a first installation starts nothing.
func TestDebianScripts(t *testing.T) {
	programs, root := t.TempDir(), t.TempDir()
	said := filepath.Join(programs, "said")
	for _, name := range []string{"systemctl", "deb-systemd-invoke", "adduser", "install", "chown", "getent"} {
		script := "#!/bin/sh\necho " + name + " \"$@\" >> " + said + "\n"
		if err := os.WriteFile(filepath.Join(programs, name), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
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
