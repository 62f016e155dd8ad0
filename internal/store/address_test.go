package store_test

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// piecesOf are what must not be read of a password in an error: each run of its letters, but a
// single one. All passwords here are made of runs that are nowhere else.
func piecesOf(password string) []string {
	all := strings.FieldsFunc(password, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9') })
	return slices.DeleteFunc(all, func(piece string) bool { return len(piece) == 1 })
}

// hostile are passwords that end a part of a URL, raw and as they should be written.
var hostile = []string{"zebra7", "zebra7@quokka", "zebra7/quokka", "zebra7?quokka", "zebra7#quokka", "zebra7:quokka", "zebra7%quokka", "zebra7%4", "7512/8834",
	"zebra7@quokka/numbat", "zebra7/quokka@numbat:ocelot", "zebra7 quokka", "zebra7&quokka=numbat", "zebra7'quokka", "[zebra7", "zebra7]:quokka", "zebra7,quokka:numbat", "zebra7+quokka", "zebra7\nquokka"}

// However a password is written, no error has any of it: whether the URL is refused, or what
// is read of it leads nowhere.
func TestNoErrorHasThePassword(t *testing.T) {
	for _, password := range hostile {
		for _, form := range []string{"postgres://ada:%@127.0.0.1:1/cs", "postgres://ada:%@127.0.0.1:1,[::1]:1/cs?target_session_attrs=read-write", "postgres://:%@127.0.0.1:1/cs",
			"postgres://127.0.0.1:1/cs?user=ada&password=%", "postgres://127.0.0.1:1/cs?sslmode=%", "postgres://127.0.0.1:1/cs?sslpassword=%&sslmode=no",
			"host=127.0.0.1 port=1 user=ada password=%", "host=127.0.0.1 port=1 password='%'", "mysql://ada:%@127.0.0.1:1/cs", "postgres:ada:%@127.0.0.1:1/cs", "%"} {
			for _, written := range []string{password, url.PathEscape(password), url.QueryEscape(password)} {
				dsn := strings.Replace(form, "%", written, 1)
				err := store.CheckURL(dsn)
				if err == nil {
					_, err = store.Open(t.Context(), store.Options{DSN: dsn})
				}
				if err == nil {
					t.Fatalf("%s leads somewhere", dsn)
				}
				for _, piece := range piecesOf(password) {
					if strings.Contains(err.Error(), piece) {
						t.Errorf("%s: the error has %q: %v", dsn, piece, err)
					}
				}
			}
		}
	}
}

// pgx's own errors would have parts of such passwords: what is tested above is not their work.
func TestTheDriversErrorsHavePasswords(t *testing.T) {
	for dsn, part := range map[string]string{
		"postgres://ada:zebra7@quokka@127.0.0.1:1/cs":  "quokka", // for a host
		"postgres://ada:7512/quokka@127.0.0.1:1/cs":    "quokka", // for a database
		"host=127.0.0.1 port=1 password=zebra7 quokka": "quokka", // for the next word
	} {
		c, err := pgx.ParseConfig(dsn)
		if err == nil {
			_, err = pgx.ConnectConfig(t.Context(), c)
		}
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: the driver no longer tells %q: %v", dsn, part, err)
		}
	}
}

// What is escaped, and what needs no escape, reaches PostgreSQL as it was meant.
func TestURLsAreRead(t *testing.T) {
	for _, password := range hostile {
		dsn := "postgres://" + url.UserPassword("ada@site", password).String() + "@one.test:5433,two.test/cs?target_session_attrs=read-write&application_name=a%40b"
		c, err := store.ReadURL(dsn)
		if err != nil {
			t.Errorf("%s: %v", dsn, err)
			continue
		}
		if c.User != "ada@site" || c.Password != password || c.Host != "one.test" || c.Port != 5433 || c.Database != "cs" || c.ValidateConnect == nil || c.RuntimeParams["application_name"] != "a@b" {
			t.Errorf("%s is read as %s, %q at %s:%d/%s", dsn, c.User, c.Password, c.Host, c.Port, c.Database)
		}
		if last := c.Fallbacks[len(c.Fallbacks)-1]; last.Host != "two.test" || last.Port != 5432 || c.ConnectTimeout == 0 {
			t.Errorf("the last host is %s:%d, and each has %s", last.Host, last.Port, c.ConnectTimeout)
		}
	}
	for dsn, password := range map[string]string{
		"postgres://ada:p@ss:word@127.0.0.1/cs": "p@ss:word", // one @ is the last before the path
		"postgresql://ada@127.0.0.1/cs":         "",
		"postgres:///cs?host=/run/postgresql":   "",
		"postgres://ada:x@[::1]:5432/cs":        "x",
		"postgres://ada:x@127.0.0.1:/cs":        "x",
	} {
		c, err := store.ReadURL(dsn)
		if err != nil || c.Password != password {
			t.Errorf("%s: %v, %v", dsn, c, err)
		}
		if err == nil && c.ConnectTimeout != 0 {
			t.Errorf("%s has one host, which may take longer than %s", dsn, c.ConnectTimeout)
		}
	}
	c, err := store.ReadURL("postgres://one.test,two.test/cs?connect_timeout=9")
	if err != nil || c.ConnectTimeout.Seconds() != 9 {
		t.Errorf("connect_timeout is read as %v, %v", c, err)
	}
}

// A server that demands a password says that it is wrong, and with how to write it; and takes
// the right one, whatever it is made of.
func TestAWrongPasswordIsNotRepeated(t *testing.T) {
	s := storetest.StartPostgres(t)
	const right = "zebra7@quokka/numbat:ocelot?wombat#dingo%potoroo"
	s.Do(t, "create role ada login password '"+right+"'", "create database cs owner ada")
	u, _ := url.Parse(s.DSN)
	// The server's administrator decides who needs a password in a file.
	file := filepath.Join(u.Query().Get("host"), "data", "pg_hba.conf")
	s.Do(t, "copy (select 'local cs ada scram-sha-256' union all select 'local all postgres trust') to '"+file+"'", "select pg_reload_conf()")
	at := func(password string) string {
		u.User, u.Path = url.UserPassword("ada", password), "/cs"
		return u.String()
	}
	if _, err := store.Open(t.Context(), store.Options{DSN: at("thylacine9")}); err == nil || !strings.Contains(err.Error(), "28P01") || !strings.Contains(err.Error(), "%2F") || strings.Contains(err.Error(), "thylacine") {
		t.Errorf("a wrong password: %v", err)
	}
	db, err := store.Open(t.Context(), store.Options{DSN: at(right)})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

// Who starts without what a schema needs reads what to run, and it is what mends it.
func TestStartsThatCanBeMended(t *testing.T) {
	s := storetest.StartPostgres(t)
	s.Do(t, "create role ada login", "create role bob login")
	u, _ := url.Parse(s.DSN)
	open := func(user, database string, more ...string) error {
		u.User, u.Path = url.User(user), "/"+database
		db, err := store.Open(t.Context(), store.Options{DSN: u.String() + strings.Join(more, "")})
		if err == nil {
			db.Close()
		}
		return err
	}
	said := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v\nand not %q", err, want)
		}
	}
	said(open("ada", "cs"), `make the database: create database "cs" owner "ada"`)
	s.Do(t, "create database cs")
	said(open("ada", "cs"), `grant usage, create on schema "public" to "ada"`)
	in := func(statements ...string) { t.Helper(); s.DoIn(t, "cs", statements...) }
	in(`grant usage, create on schema "public" to "ada"`)
	if err := open("ada", "cs"); err != nil {
		t.Errorf("what it said did not help: %v", err)
	}
	said(open("bob", "cs"), `grant usage, create on schema "public" to "bob"`)
	said(open("ada", "cs", "&search_path=nowhere"), "no schema of the search path exists")
	s.Do(t, "alter database cs set default_transaction_read_only = on")
	said(open("ada", "cs"), `alter database "cs" reset default_transaction_read_only`)
	s.Do(t, `alter database "cs" reset default_transaction_read_only`)
	if err := open("ada", "cs"); err != nil {
		t.Errorf("what it said did not help: %v", err)
	}
}

// Connections that only read cannot write, and those that write are bounded, although it is
// not said as parameters of the start.
func TestConnectionsAreLimited(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t) + "&idle_in_transaction_session_timeout=19000"}, storetest.Keys(t))
	for name, want := range map[string]string{"default_transaction_read_only": "on", "statement_timeout": "0"} {
		if got := store.Setting(t.Context(), db, true, name); got != want {
			t.Errorf("a reading connection has %s = %s", name, got)
		}
	}
	for name, want := range map[string]string{"default_transaction_read_only": "off", "statement_timeout": "20s", "idle_in_transaction_session_timeout": "19s"} {
		if got := store.Setting(t.Context(), db, false, name); got != want {
			t.Errorf("a writing connection has %s = %s", name, got)
		}
	}
}

// target_session_attrs=read-write asks each new connection whether it can write. Those that
// only read are asked before they are told so: else no server would ever be found for them.
func TestReadingConnectionsFindAServer(t *testing.T) {
	db := storetest.OpenWith(t, store.Options{DSN: storetest.Postgres(t) + "&target_session_attrs=read-write"}, storetest.Keys(t))
	if err := change(db, "a"); err != nil {
		t.Fatal(err)
	}
	if !spent(t, db)["a"] {
		t.Error("a reading connection does not see the row")
	}
}
