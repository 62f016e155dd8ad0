package store_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"

	"github.com/jackc/pgx/v5"
)

// pooler starts a pgbouncer in front of a server, and returns the database's URL there.
func pooler(t *testing.T, s *storetest.Server, mode string, more ...string) string {
	t.Helper()
	program := testbed.Program(t, "pgbouncer")
	u, err := url.Parse(s.DSN)
	if err != nil {
		t.Fatal(err)
	}
	sockets, addr := u.Query().Get("host"), testbed.Addr(t)
	_, port, _ := net.SplitHostPort(addr)
	ini, users := filepath.Join(sockets, "pgbouncer-"+port+".ini"), filepath.Join(sockets, "users-"+port)
	text := fmt.Sprintf("[databases]\n* = host=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir =\nauth_type = trust\nauth_file = %s\npool_mode = %s\n%s\n",
		sockets, port, users, mode, strings.Join(more, "\n"))
	for file, text := range map[string]string{ini: text, users: `"postgres" ""`} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	testbed.Start(t, testbed.Process{Path: program, Args: []string{ini}, Dir: "/", Ready: addr, User: postgresUser(t)})
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

// postgresUser is whom neither PostgreSQL nor pgbouncer refuses to run as, if we are root.
func postgresUser(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// A pooler that passes connections on between transactions is refused at the start, with what
// to set; whatever it does meanwhile.
func TestPoolersInTransactionModeAreRefused(t *testing.T) {
	s := storetest.StartPostgres(t)
	for name, more := range map[string][]string{
		"transaction":              nil,
		"transaction, round robin": {"server_round_robin = 1"},
		"statement":                nil,
	} {
		mode, _, _ := strings.Cut(name, ",")
		dsn := pooler(t, s, mode, more...)
		for busy := range 3 { // processes that are there already
			db, err := store.Open(t.Context(), store.Options{DSN: dsn})
			if err == nil {
				db.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "set pool_mode = session for this database in pgbouncer.ini") {
				t.Errorf("%s, %d others: %v", name, busy, err)
			}
			other, err := pgx.Connect(t.Context(), dsn+"&default_query_exec_mode=simple_protocol")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close(context.Background()) })
			if _, err := other.Exec(t.Context(), "select 1"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// In session mode everything is as without a pooler: what is written, what reading connections
// may not, and the limits of time.
func TestPoolersInSessionMode(t *testing.T) {
	s := storetest.StartPostgres(t)
	dsn := pooler(t, s, "session", "default_pool_size = 200")
	db := storetest.OpenWith(t, store.Options{DSN: dsn}, storetest.Keys(t))
	for i := range 50 {
		if err := change(db, key("pooled", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(spent(t, db)); n != 50 {
		t.Errorf("%d rows of 50", n)
	}
	verify(t, db)
	if got := store.Setting(t.Context(), db, true, "default_transaction_read_only"); got != "on" {
		t.Errorf("a reading connection can write: %s", got)
	}
	if got := store.Setting(t.Context(), db, false, "statement_timeout"); got != "20s" {
		t.Errorf("a writing connection has no end: %s", got)
	}
}

// What a pooler does not do is said with what to set.
func TestPoolersThatNeedASetting(t *testing.T) {
	s := storetest.StartPostgres(t)
	_, err := store.Open(t.Context(), store.Options{DSN: pooler(t, s, "session") + "&search_path=public"})
	if err == nil || !strings.Contains(err.Error(), `take it out of the URL, and set it for the user: alter role "postgres" set`) {
		t.Errorf("a parameter that is not passed on: %v", err)
	}
	_, err = store.Open(t.Context(), store.Options{DSN: pooler(t, s, "session", "default_pool_size = 2")})
	if err == nil || !strings.Contains(err.Error(), "set default_pool_size in pgbouncer.ini") {
		t.Errorf("too few connections: %v", err)
	}
}
