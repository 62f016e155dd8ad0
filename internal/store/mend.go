package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// mend adds to an error at the start what to do about it, where PostgreSQL's own text does not
// tell an administrator.
func mend(ctx context.Context, pool *sql.DB, c *pgx.ConnConfig, err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	how := ""
	switch {
	case pg.Code == "42501": // insufficient_privilege
		how = grants(ctx, pool, c)
	case pg.Code == "3F000": // invalid_schema_name: there is none to create tables in
		how = "no schema of the search path exists: create one as the database's owner, or set another with search_path in the URL"
	case pg.Code == "25006": // read_only_sql_transaction
		how = writable(ctx, pool, c)
	case pg.Code == "28P01", pg.Code == "28000": // invalid_password, invalid_authorization
		how = "check user and password in the database's URL, where / is written %2F, ? %3F, # %23, @ %40, : %3A and % %25"
	case pg.Code == "3D000": // invalid_catalog_name
		how = fmt.Sprintf("make the database: create database %s owner %s", pgx.Identifier{c.Database}.Sanitize(), pgx.Identifier{c.User}.Sanitize())
	case strings.Contains(pg.Message, "startup parameter"): // pgbouncer
		how = "the pooler in front of the database does not pass it on: take it out of the URL, and set it for the user: alter role " + pgx.Identifier{c.User}.Sanitize() + " set ..."
	}
	if how == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, how)
}

// grants is for a user who may not create tables.
func grants(ctx context.Context, pool *sql.DB, c *pgx.ConnConfig) string {
	schema, user := "public", c.User
	// If the answer is missing, these are the usual ones.
	pool.QueryRowContext(ctx, "select coalesce(current_schema(), 'public'), current_user").Scan(&schema, &user) //nolint:errcheck
	schema, user = pgx.Identifier{schema}.Sanitize(), pgx.Identifier{user}.Sanitize()
	return fmt.Sprintf("the user of the database must be able to make tables and own them: as the schema's owner run: grant usage, create on schema %s to %s", schema, user)
}

// writable is for a database that takes no writes.
func writable(ctx context.Context, pool *sql.DB, c *pgx.ConnConfig) string {
	var standby bool
	if err := pool.QueryRowContext(ctx, "select pg_is_in_recovery()").Scan(&standby); err == nil && standby {
		return standbyHow
	}
	return fmt.Sprintf("the database is read-only: run: alter database %s reset default_transaction_read_only, and the same for the role %s",
		pgx.Identifier{c.Database}.Sanitize(), pgx.Identifier{c.User}.Sanitize())
}

const standbyHow = "the server is a standby and takes no writes: name all hosts in the database's URL, with target_session_attrs=read-write"
