package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// severalWait is how long one of several hosts may take to answer before the next is tried,
// unless the URL has connect_timeout: one that is gone without a word must not hold up those
// that are there.
const severalWait = 3 * time.Second

// errScheme is for anything that is no URL of PostgreSQL. Like all errors of this file it
// repeats nothing of what was read, because a password can be anywhere in it.
var errScheme = errors.New("the database must be a URL such as postgres://countersign@127.0.0.1/countersign, and not separate words for host and user")

// errEscape says how to write a password, which is the cause of nearly all unreadable URLs.
var errEscape = errors.New("the database's URL cannot be read: in the user and the password write / as %2F, ? as %3F, # as %23, @ as %40, : as %3A and % as %25")

// CheckURL returns an error unless the database can be read as a URL of PostgreSQL: one or
// several hosts with ports, and parameters as libpq and pgx know them (PostgreSQL
// documentation, section 34.1.1.2). It connects to nothing, and its error repeats nothing of
// the URL.
func CheckURL(database string) error {
	_, err := readURL(database)
	return err
}

// readURL reads the URL of a PostgreSQL database.
//
// pgx ends the user and the password at the first @, or takes them for a host if there is a /
// before it, and quotes the rest in its errors. So they are delimited and escaped here, and
// what is left to pgx has no password that it could take for anything else.
func readURL(database string) (*pgx.ConnConfig, error) {
	scheme, rest, ok := strings.Cut(database, "://")
	if !ok || scheme != "postgres" && scheme != "postgresql" {
		return nil, errScheme
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	if strings.ContainsAny(tail, "@#") {
		return nil, errEscape // a password with a / ends there; parameters write %40
	}
	user, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		var err error
		if user, err = escaped(authority[:at]); err != nil {
			return nil, err
		}
		hosts = authority[at+1:]
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if !hostAndPort(host) {
			return nil, errEscape
		}
	}
	c, err := pgx.ParseConfig("postgres://" + user + hosts + tail)
	if err != nil {
		return nil, settingError(err)
	}
	for _, f := range c.Fallbacks {
		if c.ConnectTimeout == 0 && (f.Host != c.Host || f.Port != c.Port) { // and not the same host without TLS
			c.ConnectTimeout = severalWait
		}
	}
	return c, nil
}

// escaped writes user:password so that there is one way to read it, with an @ behind it.
func escaped(userinfo string) (string, error) {
	user, password, has := strings.Cut(userinfo, ":")
	name, err := url.PathUnescape(user)
	if err != nil {
		return "", errEscape
	}
	if !has {
		return url.User(name).String() + "@", nil
	}
	secret, err := url.PathUnescape(password)
	if err != nil {
		return "", errEscape
	}
	return url.UserPassword(name, secret).String() + "@", nil
}

// hostAndPort reports whether this is a host, or none, with a port or none.
func hostAndPort(s string) bool {
	if after, ok := strings.CutPrefix(s, "["); ok {
		_, after, ok = strings.Cut(after, "]")
		if !ok || after != "" && after[0] != ':' {
			return false
		}
		s = after
	}
	_, port, has := strings.Cut(s, ":")
	if !has || port == "" {
		return true
	}
	n, err := strconv.Atoi(port)
	return err == nil && n > 0 && n < 1<<16
}

// settingError is the error for a parameter of the URL that pgx refuses.
func settingError(err error) error {
	var file *fs.PathError
	if errors.As(err, &file) {
		return fmt.Errorf("a file that the database's URL names cannot be read: %w", file)
	}
	return errors.New("the database's URL has a parameter that cannot be read, such as sslmode, connect_timeout or target_session_attrs")
}

// limited has each new connection of a pool bounded in time, or unable to write. It is said by
// statements and not as parameters of the start, for two reasons: poolers pass no parameters
// on, and target_session_attrs=read-write asks a new connection whether it can write.
func limited(c *pgx.ConnConfig, readOnly bool) *pgx.ConnConfig {
	c = c.Copy()
	said := "set default_transaction_read_only = on"
	if !readOnly {
		said = "set enable_seqscan = off; set plan_cache_mode = force_generic_plan;" // a serializable transaction locks what it scans, and a scan of a small table is all of it
		for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
			if c.RuntimeParams[limit] == "" {
				said += fmt.Sprintf("set %s = %d;", limit, txTimeout.Milliseconds())
			}
		}
	}
	c.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, said).ReadAll()
		return err
	}
	return c
}
