package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errPooler refuses a pooler that gives a connection of ours to others between two
// transactions: limits of time, the ban on writing and prepared statements, which belong to a
// connection, would end on somebody else's.
var errPooler = errors.New("the database's URL is that of a pooler in transaction mode, which keeps nothing of a connection: " +
	"set pool_mode = session for this database in pgbouncer.ini, or give the address of PostgreSQL itself; each server has a pool of its own")

// poolerTries is how many connections are held until a pooler must have used one again.
const poolerTries = 4

// noTransactionPooler returns an error if there is a pooler in transaction or statement mode
// between us and PostgreSQL.
//
// A pooler tells a number of its own when a connection starts, and PostgreSQL that of the
// process. Only if they differ it is found out which kind it is: in session mode a process
// serves nobody else as long as its client is there.
func noTransactionPooler(ctx context.Context, c *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, txTimeout)
	defer cancel()
	first, err := pgconn.ConnectConfig(ctx, &c.Config)
	if err != nil {
		return err
	}
	defer first.Close(ctx)
	pid, err := process(ctx, first, "")
	if err != nil || pid == int64(first.PID()) {
		return err
	}
	for range poolerTries {
		ctx, cancel := context.WithTimeout(ctx, severalWait)
		defer cancel()
		other, err := pgconn.ConnectConfig(ctx, &c.Config)
		if err != nil {
			return err
		}
		defer other.Close(ctx)
		held, err := process(ctx, other, "begin;") // and stays open, so that its process is taken
		if pg := new(pgconn.PgError); errors.As(err, &pg) && strings.Contains(pg.Message, "statement pooling") {
			return errPooler
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return errors.New("the pooler in front of the database has too few connections: " + tooFew())
		}
		if err != nil {
			return err
		}
		again, err := process(ctx, first, "")
		if err != nil {
			return err
		}
		if held == pid || again != pid {
			return errPooler
		}
	}
	return nil
}

// tooFew says how many connections a server needs.
func tooFew() string {
	return fmt.Sprintf("this server uses up to %d, so set default_pool_size in pgbouncer.ini to at least that for each server", 2*poolSize())
}

// process asks for the number of the process that serves a connection.
func process(ctx context.Context, conn *pgconn.PgConn, before string) (int64, error) {
	results, err := conn.Exec(ctx, before+"select pg_backend_pid()").ReadAll()
	if err != nil {
		return 0, err
	}
	last := results[len(results)-1]
	if len(last.Rows) != 1 {
		return 0, errors.New("the server does not tell its process")
	}
	return strconv.ParseInt(string(last.Rows[0][0]), 10, 64)
}
