package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"countersign/internal/store"

	"github.com/jackc/pgx/v5"
)

// The environment that decides where the PostgreSQL half of an exam runs.
const (
	// EnvDSN names a server to use, by its postgres:// URL.
	EnvDSN = "COUNTERSIGN_TEST_POSTGRES"
	// EnvNone, set to 1, leaves that half out. Nothing else does: a machine
	// without PostgreSQL fails the exam, and says why.
	EnvNone = "COUNTERSIGN_TEST_NO_POSTGRES"
)

// Main runs a package's tests and then stops the server that they may have
// started. It is the whole of a TestMain.
func Main(m *testing.M) {
	code := m.Run()
	server.stop()
	os.Exit(code)
}

// Each runs a test on SQLite and on PostgreSQL, on a fresh database each.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	EachDSN(t, func(t *testing.T, dsn string) { f(t, OpenWith(t, store.Options{DSN: dsn}, Keys(t))) })
}

// EachDSN is Each for a test that opens the database itself, more than once
// perhaps.
func EachDSN(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "test.db")) })
	if os.Getenv(EnvNone) == "1" {
		t.Logf("PostgreSQL is left out: %s=1", EnvNone)
		return
	}
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// Postgres returns the URL of a fresh schema on a real server, which is started
// if need be. The schema is dropped when the test ends.
func Postgres(tb testing.TB) string {
	tb.Helper()
	Long(tb, "starts PostgreSQL")
	base, err := server.start()
	if err != nil {
		tb.Fatalf("no PostgreSQL to test on: %v\nInstall the server (Debian: postgresql), set %s to a server's URL, or %s=1 to do without.", err, EnvDSN, EnvNone)
	}
	schema := "t_" + strings.ToLower(rand.Text())
	statement(tb, base, "create schema "+schema)
	tb.Cleanup(func() { statement(tb, base, "drop schema "+schema+" cascade") })
	u, err := url.Parse(base)
	if err != nil {
		tb.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

// Server is a private PostgreSQL server that a test may kill.
type Server struct {
	DSN string
	s   *throwaway
}

// StartPostgres starts a server for one test, stopped when that ends.
func StartPostgres(tb testing.TB) *Server {
	tb.Helper()
	Long(tb, "starts PostgreSQL")
	s := new(throwaway)
	tb.Cleanup(s.stop)
	if err := s.launch(); err != nil {
		tb.Fatalf("PostgreSQL does not start: %v", err)
	}
	return &Server{DSN: s.dsn, s: s}
}

// StartDurablePostgres is StartPostgres for measurements: the server waits for
// its disk, as it does in life. More settings have the form name=value.
func StartDurablePostgres(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	Long(tb, "starts PostgreSQL")
	s := &throwaway{durable: true, settings: settings}
	tb.Cleanup(s.stop)
	if err := s.launch(); err != nil {
		tb.Fatalf("PostgreSQL does not start: %v", err)
	}
	return &Server{DSN: s.dsn, s: s}
}

// Kill ends the server at once.
func (s *Server) Kill() { s.s.kill() }

// Restart starts it again, on what it had.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if err := s.s.run(); err != nil {
		tb.Fatalf("PostgreSQL does not start again: %v", err)
	}
}

// Do runs statements as the server's own administrator, on one connection.
func (s *Server) Do(tb testing.TB, statements ...string) {
	tb.Helper()
	s.DoIn(tb, "postgres", statements...)
}

// DoIn is Do in another database of the server.
func (s *Server) DoIn(tb testing.TB, database string, statements ...string) {
	tb.Helper()
	conn, err := pgx.Connect(context.Background(), strings.Replace(s.DSN, "@/postgres?", "@/"+database+"?", 1))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			tb.Fatalf("%s: %v", sql, err)
		}
	}
}

// Pause stops all processes of the server where they are, as an overloaded or
// frozen machine does: connections stay and nothing answers. What it returns
// has them go on.
func (s *Server) Pause(tb testing.TB) (resume func()) {
	tb.Helper()
	root := s.s.cmd.Process.Pid
	all := []int{root}
	signal := func(pids []int, what syscall.Signal) {
		for _, pid := range pids {
			syscall.Kill(pid, what) //nolint:errcheck // it may be gone
		}
	}
	// The first stops before the others are listed, so that it starts no more.
	signal(all, syscall.SIGSTOP)
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", root, root))
	if err != nil {
		signal(all, syscall.SIGCONT)
		tb.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(word); err == nil {
			all = append(all, pid)
		}
	}
	signal(all[1:], syscall.SIGSTOP)
	resume = sync.OnceFunc(func() { signal(all, syscall.SIGCONT) })
	tb.Cleanup(resume) // before the server is stopped
	return resume
}

func statement(tb testing.TB, dsn, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		tb.Fatal(err)
	}
}

// throwaway is a private server: its files in a temporary folder, reachable only
// by a socket in it.
type throwaway struct {
	once sync.Once
	dsn  string
	err  error
	dir  string
	bin  string
	who  *syscall.Credential
	cmd  *exec.Cmd
	done chan struct{}
	// durable has it wait for the disk.
	durable  bool
	settings []string
}

var server throwaway

func (s *throwaway) start() (string, error) {
	s.once.Do(func() {
		if s.dsn = os.Getenv(EnvDSN); s.dsn == "" {
			s.err = s.launch()
		}
	})
	return s.dsn, s.err
}

func (s *throwaway) launch() error {
	bin, err := findBinaries()
	if err != nil {
		return err
	}
	who, err := unprivileged()
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "countersign-pg-"); err != nil {
		return err
	}
	if who != nil {
		if err := os.Chown(s.dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(s.dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: who}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.bin, s.who = bin, who
	s.dsn = "postgres://postgres@/postgres?host=" + url.QueryEscape(s.dir)
	return s.run()
}

// run starts the server and waits until it answers.
func (s *throwaway) run() error {
	args := []string{"-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=300", "-c", "shared_buffers=32MB"}
	if !s.durable {
		// What is tested is that we wait for a commit, not that the disk does.
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), args...)
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: s.who, Pdeathsig: syscall.SIGQUIT}
	var log bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &log, &log
	started := make(chan error)
	s.done = make(chan struct{})
	go func() {
		runtime.LockOSThread() // the server dies with the thread that started it
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.cmd.Wait()
		}
		close(s.done)
	}()
	if err := <-started; err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.dsn)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.done:
			return fmt.Errorf("the server ended:\n%s", log.String())
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *throwaway) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Signal(syscall.SIGQUIT) // at once
		<-s.done
		s.cmd = nil
	}
}

func (s *throwaway) stop() {
	s.kill()
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// findBinaries returns the folder of the newest server that is installed.
func findBinaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if p, err := exec.LookPath("postgres"); err == nil {
		found = append(found, p)
	}
	if len(found) == 0 {
		return "", errors.New("there is no postgres in /usr/lib/postgresql/*/bin nor in PATH")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// unprivileged returns whom the server runs as when we are root, which it
// refuses to be, and nil otherwise.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// CPU returns the CPU time that all processes of the server have used so far.
func (s *Server) CPU(tb testing.TB) time.Duration {
	tb.Helper()
	root := s.s.cmd.Process.Pid
	ticks := cpuTicks(tb, root, 11, 4) // with its processes that have ended
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", root, root))
	if err != nil {
		tb.Fatal(err)
	}
	for word := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(word); err == nil {
			ticks += cpuTicks(tb, pid, 11, 2)
		}
	}
	return time.Duration(ticks) * time.Second / 100
}

// cpuTicks adds up so many of the numbers behind a process's name in its stat file, in
// hundredths of a second (proc_pid_stat(5), utime and the three that follow). A process that
// has just ended has none.
func cpuTicks(tb testing.TB, pid, from, n int) (sum int64) {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, behind, _ := strings.Cut(string(stat), ") ")
	for _, word := range strings.Fields(behind)[from : from+n] {
		ticks, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			tb.Fatal(err)
		}
		sum += ticks
	}
	return sum
}
