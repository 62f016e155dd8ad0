package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

// dialect is what differs between the engines in a migration.
type dialect struct {
	words *strings.Replacer
	// lock, if there is one, holds off other servers until the end of its transaction.
	lock string
}

// In SQLite a number once given to a row is never given again (autoincrement),
// as in PostgreSQL: an account must not inherit what belonged to another. Tables
// are strict, so that a column holds what it says.
var liteDialect = dialect{words: strings.NewReplacer(
	"{identity}", "integer primary key autoincrement", "{bytes}", "blob", "bigint", "integer", "\n) {keyed}", "\n) strict, without rowid", "\n)", "\n) strict")}

var pgDialect = dialect{words: strings.NewReplacer(
	"{identity}", "bigint generated always as identity primary key", "{bytes}", "bytea", " {keyed}", ""),
	lock: "select pg_advisory_xact_lock(" + lockKey + ", 1)"}

// lockKey tells apart installations that share a PostgreSQL database by schema.
const lockKey = "hashtext('countersign ' || current_schema())"

// migrate brings the schema up to date, one transaction for each step. It
// refuses a schema more than one step newer than it knows: each release runs on
// the schema before its own and the one after.
func migrate(ctx context.Context, db *sql.DB, d dialect, now time.Time) error {
	steps, err := loadSteps()
	if err != nil {
		return err
	}
	for {
		done, err := migrateOne(ctx, db, d, steps, now)
		if err != nil || done {
			return classify(err)
		}
	}
}

// step is one migration.
type step struct {
	name       string
	statements []string
}

var comment = regexp.MustCompile(`--[^\n]*`)

func loadSteps() ([]step, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []step
	for i, name := range names { // sorted
		n, err := strconv.Atoi(strings.TrimPrefix(name, "migrations/")[:4])
		if err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s is not number %d", name, i+1)
		}
		b, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		s := step{name: name}
		for text := range strings.SplitSeq(comment.ReplaceAllString(string(b), ""), ";") {
			if text = strings.TrimSpace(text); text != "" {
				s.statements = append(s.statements, text)
			}
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// migrateOne takes the next step, if there is one; done says there was none.
func migrateOne(ctx context.Context, db *sql.DB, d dialect, steps []step, now time.Time) (done bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if d.lock != "" {
		if _, err := tx.ExecContext(ctx, d.lock); err != nil {
			return false, err
		}
	}
	if _, err := tx.ExecContext(ctx, "create table if not exists schema_version (version bigint primary key, at bigint not null)"); err != nil {
		return false, err
	}
	var version int
	if err := tx.QueryRowContext(ctx, "select coalesce(max(version), 0) from schema_version").Scan(&version); err != nil {
		return false, err
	}
	switch {
	case version > len(steps)+1:
		return false, fmt.Errorf("the schema has version %d and this release knows %d: run a newer release", version, len(steps))
	case version >= len(steps):
		return true, tx.Commit()
	}
	s := steps[version]
	for _, text := range s.statements {
		if _, err := tx.ExecContext(ctx, d.words.Replace(text)); err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if _, err := tx.ExecContext(ctx, "insert into schema_version (version, at) values ($1, $2)", version+1, Unix(now)); err != nil {
		return false, err
	}
	return false, tx.Commit()
}
