package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// withDatabase are the commands that take a database's URL, each with what it needs beside it.
func withDatabase(t *testing.T) map[string][]string {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("a passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string][]string{
		"serve": nil, "keys show": nil, "keys rotate-root": nil, "keys rotate-data": nil, "rollback-recovery": nil, "rewound": nil, "drill run": nil,
		"backup":       {"--to=" + filepath.Join(t.TempDir(), "backup"), "--passphrase-file=" + file},
		"policy check": {file}, "audit verify": nil, "audit export": nil, "audit accept": {"--because=a test"},
	}
}

// The promise: whichever command, flag, argument or file has a database's URL that cannot be
// used, no error has anything of its password.
func TestNoCommandRepeatsThePassword(t *testing.T) {
	all := withDatabase(t)
	p, err := parser(&commands{})
	if err != nil {
		t.Fatal(err)
	}
	known := maps.Clone(all)
	for _, leaf := range p.Model.Leaves(false) {
		for _, flags := range leaf.AllFlags(false) {
			for _, f := range flags {
				name := strings.TrimPrefix(leaf.FullPath(), "countersign ")
				if _, ok := all[name]; f.Name == "database" && !ok {
					t.Errorf("%s takes a database, and what it says of one is not tested", name)
				} else if f.Name == "database" {
					delete(known, name)
				}
			}
		}
	}
	if len(known) > 0 {
		t.Errorf("these take no database: %v", known)
	}
	sh := servertest.NewWorld(t).Shell()
	silent := func(args ...string) {
		t.Helper()
		out, complaint, ok := sh.Run("", args...)
		if ok || complaint == "" {
			t.Errorf("%q: it works: %s", args, out)
		}
		for _, piece := range []string{"zebra7", "quokka", "numbat"} {
			if strings.Contains(out+complaint, piece) {
				t.Errorf("%q: %s%s", args, out, complaint)
			}
		}
	}
	for _, url := range []string{
		"postgres://ada:zebra7@quokka@127.0.0.1:1/cs", "postgres://ada:zebra7/quokka@127.0.0.1:1/cs", "postgres://ada:zebra7%40quokka%2fnumbat@127.0.0.1:1/cs",
		"host=127.0.0.1 port=1 user=ada password='zebra7 quokka'", "mysql://ada:zebra7@127.0.0.1/cs",
	} {
		for name, more := range all {
			silent(append(append(strings.Fields(name), more...), "--data="+t.TempDir(), "--database="+url)...)
		}
		silent("audit", "verify", url)
		silent("audit", "verify", "--databse="+url)
		silent("audit", "verify", "--databse", url)
		if strings.Contains(url, "%40") {
			continue // it is a good URL, and nothing connects to it
		}
		file := filepath.Join(t.TempDir(), "countersign.yaml")
		for _, written := range []string{"database: \"%s\"", "database: [%q]", "database: {url: %q}", "databse: %q", "tls: %q", "metrics: %q"} {
			if err := os.WriteFile(file, fmt.Appendf(nil, written+"\n", url), 0o600); err != nil {
				t.Fatal(err)
			}
			silent("serve", "--config="+file)
			if !strings.Contains(url, "@quokka") || !strings.HasPrefix(written, "database: \"") {
				silent("config", "check", file) // of two @ the last counts, and nothing connects there either
			}
		}
	}
}
