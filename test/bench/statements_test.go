package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"countersign/internal/store/storetest"
)

// tracking are the settings with which PostgreSQL counts statements, if that was asked for. It
// makes them a little dearer.
func tracking() []string {
	if os.Getenv("BENCHSTATEMENTS") != "1" {
		return nil
	}
	return []string{"shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track=top", "pg_stat_statements.track_planning=on", "track_wal_io_timing=on"}
}

// forgetStatements begins the count of statements anew.
func forgetStatements(b *testing.B, dsn string) {
	b.Helper()
	if tracking() == nil {
		return
	}
	db := storetest.File(b, dsn)
	for _, s := range []string{"create extension if not exists pg_stat_statements", "select pg_stat_statements_reset()", "select pg_stat_reset_shared('wal')"} {
		if _, err := db.Exec(s); err != nil {
			b.Fatal(err)
		}
	}
}

// printStatements prints what each statement cost, for one piece of work.
func printStatements(b *testing.B, s *storetest.Server) {
	b.Helper()
	if tracking() == nil {
		return
	}
	rows, err := storetest.File(b, s.DSN).Query(`select calls, rows, total_exec_time, total_plan_time, wal_bytes::bigint, query from pg_stat_statements order by total_exec_time + total_plan_time desc limit 25`)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	n := float64(b.N)
	var all float64
	var out strings.Builder
	for rows.Next() {
		var calls, affected, wal int64
		var exec, plan float64
		var query string
		if err := rows.Scan(&calls, &affected, &exec, &plan, &wal, &query); err != nil {
			b.Fatal(err)
		}
		all += exec + plan
		fmt.Fprintf(&out, "%8.3f %8.3f %8.2f us %8.2f us %6.0f B  %.110s\n", float64(calls)/n, float64(affected)/n, exec*1000/n, plan*1000/n, float64(wal)/n, strings.Join(strings.Fields(query), " "))
	}
	fmt.Printf("for each of %d: calls, rows, execution, planning, log; together %.1f us\n%s", b.N, all*1000/n, out.String())
}
