package bench

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/prompt"
	"countersign/internal/rootkey"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"

	"github.com/jackc/pgx/v5"
)

// BenchmarkServers has one, two and three servers on one PostgreSQL, each with 64 sign-ins in
// flight, by right codes and by wrong ones. What a sign-in costs these servers and what it costs
// PostgreSQL say how far servers on machines of their own go: until PostgreSQL is busy.
//
//	go test ./test/bench -run '^$' -bench Servers -benchtime 6000x
func BenchmarkServers(b *testing.B) {
	for _, kind := range []string{"right", "wrong"} {
		for _, n := range []int{1, 2, 3} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) { serversOnOne(b, n, kind == "right") })
		}
	}
}

func serversOnOne(b *testing.B, n int, right bool) {
	postgres := storetest.StartDurablePostgres(b)
	all := []*servertest.World{servertest.NewWorldOn(b, postgres.DSN)}
	root, err := rootkey.Find(all[0].Folder)
	if err != nil {
		b.Fatal(err)
	}
	b.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
	for len(all) < n {
		all = append(all, servertest.NewWorldOn(b, postgres.DSN))
	}
	holders := spread(populate(b, all[0], 2000, 2000), n*inFlight)
	for i, w := range all {
		hears(b, w, holders[i])
	}
	retries := func() (sum int64) {
		for _, w := range all {
			sum += int64(w.DB.Condition().Stats().Retries)
		}
		return sum
	}
	waiting, stop := watchWaits(b, postgres.DSN)
	before, spent, there := retries(), cpuTime(), postgres.CPU(b)
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var clients sync.WaitGroup
	for i, h := range holders {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				if err := attempt(all[i%n], h, right); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime()-spent)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(postgres.CPU(b)-there)/float64(b.N), "postgres-cpu-ns/op")
	b.ReportMetric(float64(retries()-before)/float64(b.N), "retries/op")
	stop()
	b.ReportMetric(waiting(), "waiting-for-locks")
}

// hears waits until a server has heard of the application.
func hears(b *testing.B, w *servertest.World, h *holder) {
	b.Helper()
	for end := time.Now().Add(10 * time.Second); attempt(w, h, true) != nil; {
		if time.Now().After(end) {
			b.Fatal("a server does not hear of the application")
		}
	}
}

// attempt signs in, or tries to with a code that is wrong.
func attempt(w *servertest.World, h *holder, right bool) error {
	code := "000000"
	if right {
		code = h.code()
	}
	s, err := w.Engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: h.name, Protocol: "radius", Medium: prompt.Single,
		CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: code}}, Partner: "load"})
	if err == nil && right != (s.State == signin.Granted) {
		err = fmt.Errorf("%v %s", s.State, s.Reason)
	}
	return err
}

// watchWaits looks every few milliseconds how many of PostgreSQL's processes wait for a lock of
// each other, and returns how many do on average.
func watchWaits(b *testing.B, dsn string) (average func() float64, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		b.Fatal(err)
	}
	var looks, waiting int64
	what := map[string]int{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			rows, err := conn.Query(ctx, "select wait_event_type, wait_event, left(query, 60) from pg_stat_activity where wait_event_type = 'Lock'")
			if err != nil {
				return
			}
			for rows.Next() {
				var kind, event, query string
				rows.Scan(&kind, &event, &query)
				what[event+" "+strings.Join(strings.Fields(query), " ")]++
				waiting++
			}
			rows.Close()
			looks++
			time.Sleep(5 * time.Millisecond)
		}
	}()
	stop = func() {
		cancel()
		<-done
		conn.Close(context.Background())
		for event, n := range what {
			b.Logf("%4d of %d looks: %s", n, looks, event)
		}
	}
	return func() float64 { return float64(waiting) / float64(max(looks, 1)) }, stop
}
