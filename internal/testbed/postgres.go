package testbed

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// PostgreSQL starts a database server of its own, with an empty database named
// countersign, and returns its address for pgx. The server forgets durability,
// since its data does not outlive the test.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	bin := postgresFolder(t)
	dir, err := os.MkdirTemp("", "countersign-postgres-") // not t.TempDir: its parents are closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	who := postgresUser(t, dir)
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "countersign", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	addr := Addr(t)
	host, port, _ := net.SplitHostPort(addr)
	Start(t, Process{
		Path: filepath.Join(bin, "postgres"), Dir: dir, Ready: addr, Stop: syscall.SIGQUIT, User: who,
		Args: []string{"-D", data, "-h", host, "-p", port, "-k", "", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=100"},
	})
	create := exec.Command(filepath.Join(bin, "createdb"), "-h", host, "-p", port, "-U", "countersign", "countersign")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("createdb: %v\n%s", err, out)
	}
	return fmt.Sprintf("postgres://countersign@%s/countersign?sslmode=disable", addr)
}

// postgresFolder finds the server's programs, which Debian keeps off the path:
// the newest version there is.
func postgresFolder(t testing.TB) string {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
			return n
		}
		newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(newest)
	}
	return filepath.Dir(Program(t, "initdb"))
}

// postgresUser is whom the server runs as: it refuses to be root. The folder
// becomes that user's.
func postgresUser(t testing.TB, dir string) *syscall.Credential {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
