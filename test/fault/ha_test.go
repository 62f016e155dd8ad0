//go:build ha

package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/rootkey"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// sites are three servers on a cluster, and people whose codes alone are asked for.
type sites struct {
	*several
	cluster *patroni
	load    []*visitor
	metrics []string // addresses

	killed atomic.Int64 // when the primary was, in nanoseconds
	back   [3]atomic.Int64
	over   chan struct{}
}

// visitor is a person who types one code until it is answered, and then the next.
type visitor struct {
	*customer
	accepted []string
	unknown  int
}

func newSites(t *testing.T, how replication, people int) *sites {
	t.Helper()
	s := &sites{cluster: newPatroni(t, how)}
	s.cluster.make(s.cluster.settled())
	s.several = &several{t: t, dsn: s.cluster.url(), secret: servertest.DrillSecret}
	w := servertest.NewWorldOn(t, s.dsn)
	for i := range people {
		name := fmt.Sprintf("visitor-%d", i)
		s.load = append(s.load, &visitor{customer: &customer{name: name, Token: servertest.EnrollToken(w.Welcomed(name)), seen: map[string]bool{}}})
	}
	s.plant(w)
	root, err := rootkey.Find(w.Folder)
	if err != nil {
		t.Fatal(err)
	}
	s.root = "COUNTERSIGN_ROOT_KEY=" + root.Text()
	w.Stop()
	for range s.back {
		n := &node{program: newProgram(t, t.TempDir(), s.dsn, s.root)}
		metrics := freePort(t, "tcp")
		s.metrics = append(s.metrics, metrics)
		n.args = append(n.args, "--config", patience(t, metrics))
		n.rise()
		s.nodes = append(s.nodes, n)
	}
	return s
}

// patience is a configuration that takes more wrong answers than usual: a code that is typed
// again because no answer came is one, if it was accepted.
func patience(t *testing.T, metrics string) string {
	file := filepath.Join(t.TempDir(), "countersign.yaml")
	text := "limits: {next_code: 10, delay: 10, per_account: 100, per_source: 10000}\nmetrics: " + metrics + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// heard is how many codes a server knows to be accepted, by whichever server: it counts what it
// reads of the log.
func (s *sites) heard(server int) (n int) {
	r, err := http.Get("http://" + s.metrics[server] + "/metrics")
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "countersign_audit_entries_total{") && strings.Contains(line, `"signin.granted"`) {
			count, _ := strconv.Atoi(strings.Fields(line[strings.LastIndexByte(line, '}')+1:])[0])
			n += count
		}
	}
	return n
}

// plant makes an application that asks for nothing but a code.
func (s *sites) plant(w *servertest.World) {
	s.t.Helper()
	settings, _ := json.Marshal(map[string]any{"mode": "code-only", "clients": []any{map[string]any{"name": "load", "networks": []string{"127.0.0.0/8"}, "secret": s.secret}}})
	err := w.DB.Change(s.t.Context(), audit.System("ha"), func(tx *store.Tx) error {
		_, err := w.Catalogue.Set(s.t.Context(), tx, application.Application{Name: "vpn", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Vouches: application.VouchesPassword, Settings: settings})
		if err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "ha.application", Outcome: audit.OK})
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// judge has one server judge a code, and notes when it accepts again after a kill.
func (s *sites) judge(server int, name, code string) servertest.Outcome {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	began := time.Now().UnixNano()
	answer, _, err := servertest.Gateway{Address: s.nodes[server].radius, Secret: s.secret}.Ask(ctx, name, code, nil)
	switch {
	case err != nil:
		return servertest.Unknown
	case answer != packet.AccessAccept:
		return servertest.Refused
	}
	if killed := s.killed.Load(); killed > 0 && began > killed {
		s.back[server].CompareAndSwap(0, time.Now().UnixNano())
	}
	return servertest.Accepted
}

// visits types codes until it is over. A few after the start and after each kill go to all
// servers at once, because an account has a budget of wrong answers. The others go to one, and
// to the next if no answer comes, while the one before may still have it in hand.
func (s *sites) visits(v *visitor, first int) {
	raced, epoch := 0, int64(0)
	for n := first; ; n++ {
		select {
		case <-s.over:
			return
		default:
		}
		h := history{began: time.Now()}
		code, answered, race := v.fresh(), atomic.Bool{}, false
		for at := n; !answered.Load(); at++ {
			if now := s.killed.Load(); now != epoch {
				raced, epoch = 0, now
			}
			race = race || raced < 2 && at == n
			var all sync.WaitGroup
			for i := range s.nodes {
				if i != at%len(s.nodes) && !(race && at == n) {
					continue
				}
				all.Go(func() {
					h.do(func() (any, bool) {
						o := s.judge(i, v.name, code)
						answered.Store(answered.Load() || o != servertest.Unknown)
						return o, o != servertest.Unknown
					})
				})
			}
			all.Wait()
			if !answered.Load() {
				time.Sleep(50 * time.Millisecond) // a gateway waits before it asks again
			}
		}
		if race {
			raced++
		}
		if !s.book(v, code, &h) {
			return
		}
	}
}

// book judges what became of one code.
func (s *sites) book(v *visitor, code string, h *history) bool {
	if !porcupine.CheckOperations(goodOnce, h.ops) {
		s.t.Errorf("%s: no order of events explains what became of a code: %v", v.name, outputs(h.ops))
		return false
	}
	saw := outputs(h.ops)
	if slices.Contains(saw, any(servertest.Accepted)) {
		v.accepted = append(v.accepted, code)
	} else {
		v.unknown++ // it was accepted, and the answer was lost
	}
	return true
}

// commits writes rows as any client of the cluster would, by the same URL, and returns when the
// first one is written: what the cluster itself takes.
func (s *sites) commits(since time.Time) time.Duration {
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := func() error {
			conn, err := pgx.Connect(ctx, s.dsn)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			_, err = conn.Exec(ctx, "create table if not exists bystander (n int); insert into bystander values (1)")
			return err
		}()
		cancel()
		if err == nil {
			return time.Since(since)
		}
	}
	s.t.Fatal("the cluster takes no commit")
	return 0
}

// lose kills the primary under load and waits until every server accepts again.
func (s *sites) lose() {
	s.t.Helper()
	primary := s.cluster.settled()
	for i := range s.back {
		s.back[i].Store(0)
	}
	began := time.Now()
	s.killed.Store(began.UnixNano())
	s.cluster.kill(primary)
	cluster := s.commits(began)
	var slowest time.Duration
	for i := range s.back {
		for until := time.Now().Add(time.Minute); s.back[i].Load() == 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				s.t.Errorf("server %d accepts nothing for a minute", i+1)
				return
			}
		}
		slowest = max(slowest, time.Unix(0, s.back[i].Load()).Sub(began))
	}
	s.t.Logf("primary %s killed: another client commits after %.1f s, the last of three servers accepts after %.1f s", primary.name, cluster.Seconds(), slowest.Seconds())
	if slowest > cluster+2*time.Second {
		s.t.Errorf("the servers are back %s after the cluster", slowest-cluster)
	}
	s.cluster.start(primary)
}

// The promise: with PostgreSQL in synchronous replication under Patroni, the primary killed
// under load, three servers go on within two seconds of the cluster itself; no code is accepted
// twice, and nothing that was answered is lost.
func TestPrimaryKilledUnderLoad(t *testing.T) {
	s := newSites(t, synchronous, 12)
	s.over = make(chan struct{})
	var all sync.WaitGroup
	for i, v := range s.load {
		all.Go(func() { s.visits(v, i) })
	}
	for range 2 {
		time.Sleep(3 * time.Second) // load before the kill; nothing is judged by it
		s.lose()
	}
	s.cluster.settled()
	close(s.over)
	all.Wait()
	s.settle()
}

// settle sets what people saw against the log and against the codes that are spent.
func (s *sites) settle() {
	s.t.Helper()
	total, unknown := 0, 0
	for _, v := range s.load {
		if len(v.accepted) == 0 {
			s.t.Errorf("%s was never accepted", v.name)
			continue
		}
		total, unknown = total+len(v.accepted), unknown+v.unknown
		for i := range s.nodes {
			if o := s.judge(i, v.name, v.accepted[len(v.accepted)-1]); o != servertest.Refused {
				s.t.Errorf("%s: a code that was accepted is now %v at server %d", v.name, o, i+1)
			}
		}
	}
	s.t.Logf("%d codes accepted, %d accepted without an answer", total, unknown)
	for _, n := range s.nodes {
		n.fall()
	}
	s.t.Setenv("COUNTERSIGN_ROOT_KEY", s.root[len("COUNTERSIGN_ROOT_KEY="):])
	w := servertest.NewWorldOn(s.t, s.dsn)
	report, err := w.DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		s.t.Errorf("the log does not verify: %v, %v", report.Faults, err)
	}
	for _, v := range s.load {
		account, err := w.Accounts.Find(context.Background(), w.DB, v.name)
		if err != nil {
			s.t.Fatal(err)
		}
		entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Account: int64(account.ID), Event: "signin.granted", Limit: 100_000})
		if err != nil {
			s.t.Fatal(err)
		}
		if s.t.Failed() {
			(&killing{t: s.t}).confess(w, v.customer, int64(account.ID))
		}
		if granted, saw := len(entries)-1, len(v.accepted); granted < saw || granted > saw+v.unknown { // one was the welcome
			s.t.Errorf("%s saw %d accepted, and %d times no answer; the log has %d", v.name, saw, v.unknown, granted)
		}
	}
}

// The promise: without synchronous replication a standby may be promoted that lacks what was
// answered last. The servers remember it, and stop: nothing that was accepted is accepted again.
func TestAsynchronousFailoverIsNoticed(t *testing.T) {
	s := newSites(t, asynchronous, 3)
	accepts := func(v *visitor) {
		t.Helper()
		code := v.fresh()
		if o := s.judge(0, v.name, code); o != servertest.Accepted {
			t.Fatalf("%s: a right code is %v", v.name, o)
		}
		v.accepted = append(v.accepted, code)
	}
	for i := range s.nodes {
		s.heard(i) // counts from here on
	}
	for _, v := range s.load {
		accepts(v)
	}
	primary := s.cluster.settled()
	s.cluster.cutOff(primary)
	for _, v := range s.load {
		accepts(v) // which no standby hears of
	}
	// What is lost before the other servers heard of it can be accepted again: docs/scale.md.
	for i := range s.nodes {
		for until := time.Now().Add(time.Minute); s.heard(i) < 2*len(s.load); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("server %d has heard of %d accepted codes", i+1, s.heard(i))
			}
		}
	}
	// What is counted by the metrics is remembered by the watch of the log, which reads it each
	// second and shows no state of its own.
	time.Sleep(4 * time.Second)
	began := time.Now()
	s.cluster.kill(primary)
	t.Logf("another client commits after %.1f s", s.commits(began).Seconds())
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); {
		for _, v := range s.load {
			for i := range s.nodes {
				if o := s.judge(i, v.name, v.accepted[1]); o == servertest.Accepted {
					t.Fatalf("%s: a code is accepted twice, at server %d", v.name, i+1)
				}
			}
		}
	}
	for i, n := range s.nodes {
		if o := s.judge(i, s.load[0].name, s.load[0].fresh()); o == servertest.Accepted {
			t.Errorf("server %d goes on without what it answered", i+1)
		}
		n.fall()
	}
}
