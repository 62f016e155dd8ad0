package fault

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"countersign/internal/audit"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/rootkey"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// history is what concurrent clients did and saw, for porcupine to judge whether
// one thing after the other could have looked like that.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

// do notes one operation. What nobody saw the end of may end at any time.
func (h *history) do(run func() (output any, ended bool)) {
	call := time.Since(h.began)
	output, ended := run()
	back := time.Since(h.began)
	if !ended {
		back = 1 << 62
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{Call: int64(call), Output: output, Return: int64(back)})
}

// goodOnce says what a code may do: it is accepted once, and refused only after
// that. An answer that never came may have been either.
var goodOnce = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{false} },
	Step: func(spent, _, output any) []any {
		switch was := spent.(bool); {
		case output == servertest.Unknown:
			return []any{was, true}
		case output == servertest.Accepted && !was:
			return []any{true}
		case output == servertest.Refused && was:
			return []any{true}
		}
		return nil
	},
}).ToModel()

// The judge is worth nothing if it agrees to everything.
func TestGoodOnceRefuses(t *testing.T) {
	for _, twice := range [][]any{{servertest.Accepted, servertest.Accepted}, {servertest.Refused, servertest.Accepted}, {servertest.Unknown, servertest.Accepted, servertest.Accepted}} {
		h := history{began: time.Now()}
		for _, o := range twice {
			h.do(func() (any, bool) { return o, o != servertest.Unknown })
		}
		if porcupine.CheckOperations(goodOnce, h.ops) {
			t.Errorf("%v is linearizable", twice)
		}
	}
}

// node is one server of several, killed and started again while clients ask.
type node struct {
	*program
	mu   sync.Mutex
	life context.Context // until the next kill
	end  context.CancelFunc
}

func (n *node) rise() {
	n.start()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.life, n.end = context.WithCancel(context.Background())
}

func (n *node) fall() {
	n.kill()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.end()
}

// asking bounds a request by the server's life.
func (n *node) asking() (context.Context, context.CancelFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return context.WithTimeout(n.life, 30*time.Second)
}

// several is a number of servers on one PostgreSQL, and people with tokens.
type several struct {
	t         *testing.T
	dsn, root string
	nodes     []*node
	people    []*customer
	secret    string
}

func newSeveral(t *testing.T, servers, people int) *several {
	t.Helper()
	s := &several{t: t, dsn: storetest.StartPostgres(t).DSN}
	w := servertest.NewWorldOn(t, s.dsn)
	for i := range people {
		name := fmt.Sprintf("customer-%d", i)
		s.people = append(s.people, &customer{name: name, Token: servertest.EnrollToken(w.Welcomed(name)), codes: map[string]int{}})
	}
	s.secret = w.Equipment().Secret
	root, err := rootkey.Find(w.Folder)
	if err != nil {
		t.Fatal(err)
	}
	s.root = "COUNTERSIGN_ROOT_KEY=" + root.Text()
	w.Stop()
	for range servers {
		n := &node{program: newProgram(t, t.TempDir(), s.dsn, s.root)}
		n.rise()
		s.nodes = append(s.nodes, n)
	}
	return s
}

// race types each of a person's next codes at every server at once.
func (s *several) race(c *customer, codes int, asked func()) {
	for range codes {
		h := history{began: time.Now()}
		code := sync.OnceValue(c.Press)
		var all sync.WaitGroup
		for _, n := range s.nodes {
			all.Go(func() {
				ctx, stop := n.asking()
				defer stop()
				g := servertest.Gateway{Address: n.radius, Secret: s.secret, Asked: asked}
				challenge, state, err := g.Ask(ctx, c.name, servertest.Passphrase, nil)
				if err != nil || challenge != packet.AccessChallenge {
					return // no code was typed
				}
				h.do(func() (any, bool) {
					o := g.Answer(ctx, c.name, code(), state)
					return o, o != servertest.Unknown
				})
			})
		}
		all.Wait()
		if !porcupine.CheckOperations(goodOnce, h.ops) {
			s.t.Errorf("%s: no order of events explains what its clients saw: %v", c.name, outputs(h.ops))
		}
		for _, op := range h.ops {
			c.note("", op.Output.(servertest.Outcome))
		}
	}
}

func outputs(ops []porcupine.Operation) (out []any) {
	for _, op := range ops {
		out = append(out, op.Output)
	}
	return out
}

// The promise: with several servers on one PostgreSQL, one of them killed at any
// moment, a code is accepted once, and a refused one had been.
func TestSingleUseOnSeveralServers(t *testing.T) {
	newSeveral(t, 3, 4).run(8, 4)
}

func (s *several) run(codes, kills int) {
	seed := uint64(time.Now().UnixNano())
	s.t.Logf("seed %d", seed)
	random := mathrand.New(mathrand.NewPCG(seed, 0))
	var asked atomic.Int64
	over := make(chan struct{})
	var clients, reaper sync.WaitGroup
	for _, c := range s.people {
		clients.Go(func() { s.race(c, codes, func() { asked.Add(1) }) })
	}
	each := int64(len(s.people)*codes*len(s.nodes)) / int64(kills)
	reaper.Go(func() {
		for next := each / 2; ; next += 1 + random.Int64N(2*each) {
			for asked.Load() < next {
				select {
				case <-over:
					return
				case <-time.After(time.Millisecond):
				}
			}
			n := s.nodes[random.IntN(len(s.nodes))]
			n.fall()
			n.rise()
		}
	})
	clients.Wait()
	close(over)
	reaper.Wait()
	accepts := 0
	for _, c := range s.people {
		accepts += c.accepts
	}
	s.t.Logf("%d codes accepted, %d requests", accepts, asked.Load())
	if accepts == 0 {
		s.t.Error("nobody got in")
	}
	s.t.Setenv("COUNTERSIGN_ROOT_KEY", s.root[len("COUNTERSIGN_ROOT_KEY="):])
	report, err := servertest.NewWorldOn(s.t, s.dsn).DB.AuditLog().Verify(context.Background())
	if err != nil || !report.OK() {
		s.t.Errorf("the log does not verify: %v, %v", report, err)
	}
}

// fiveGuesses says what a budget may do: five wrong answers in a row are
// compared, and the next must wait. An answer that came so late that the wait may
// have been over proves nothing.
var fiveGuesses = porcupine.Model{
	Init: func() any { return 0 },
	Step: func(state, _, output any) (bool, any) {
		switch n := state.(int); output {
		case "wrong":
			return n < 5, n + 1
		case "delayed":
			return n >= 5, n
		default: // late
			return true, n
		}
	},
}

// The promise: guesses at one password on three servers at once draw on one
// budget, in one order.
func TestGuessesOnSeveralServers(t *testing.T) {
	servers := threeWorlds(t)
	ada := servers[0].EnrollCodes("ada")
	for _, w := range servers {
		w.Skew.Store(servers[0].Skew.Load())
	}
	if err := servers[0].PlantApplications(t.Context(), "wiki.test", "a-secret-of-the-equipment"); err != nil {
		t.Fatal(err)
	}
	for _, w := range servers {
		w.Until("the application is known", func() bool {
			_, err := w.Catalogue.Get(t.Context(), "vpn")
			return err == nil
		})
	}
	h := history{began: time.Now()}
	var all sync.WaitGroup
	for i := range 12 {
		engine := servers[i%3].Engine
		all.Go(func() {
			h.do(func() (any, bool) {
				s, err := engine.Begin(context.Background(), servertest.Line("ada", fmt.Sprint("guess ", i), ""))
				if err != nil || s.State != signin.Denied {
					t.Errorf("a guess: %v, %v", s.State, err)
				}
				if time.Since(h.began) > 25*time.Second {
					return "late", true
				}
				return s.Reason, true
			})
		})
	}
	all.Wait()
	if !porcupine.CheckOperations(fiveGuesses, h.ops) {
		t.Errorf("no order of events explains %v", outputs(h.ops))
	}
	for _, w := range servers {
		w.Later(10 * time.Minute)
	}
	if s := servers[1].Begin(servertest.Line("ada", servertest.Passphrase, ada.Code())); s.State != signin.Granted {
		t.Errorf("after the wait: %s", s.Reason)
	}
}

// threeWorlds are three servers on one PostgreSQL in this process.
func threeWorlds(t *testing.T) []*servertest.World {
	t.Helper()
	dsn := storetest.StartPostgres(t).DSN
	first := servertest.NewWorldOn(t, dsn)
	root, err := rootkey.Find(first.Folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("COUNTERSIGN_ROOT_KEY", root.Text())
	return []*servertest.World{first, servertest.NewWorldOn(t, dsn), servertest.NewWorldOn(t, dsn)}
}

// The promise: a session that one server ended is refused by every other from one
// second after, by whatever it remembers: a check that begins later is refused.
func TestRevocationReachesEveryServer(t *testing.T) {
	servers := threeWorlds(t)
	ada := servers[0].EnrollCodes("ada")
	for _, w := range servers {
		w.Skew.Store(servers[0].Skew.Load())
	}
	ctx := t.Context()
	secret := servers[0].SignedIn(ada)
	var held signin.Held
	for _, w := range servers {
		var err error
		if held, err = w.Sessions.Active(ctx, secret); err != nil {
			t.Fatal(err)
		}
	}
	if err := servers[1].Endings.End(ctx, audit.System("test"), held.Account, held.Number, "stolen"); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	for i, w := range servers {
		for n := 0; ; n++ {
			began := time.Now()
			if _, err := w.Sessions.Active(ctx, secret); err != nil {
				break
			}
			if began.Sub(ended) > time.Second {
				t.Errorf("server %d believed the session in a check that began %v after its end", i, began.Sub(ended))
				break
			}
		}
	}
	entries, err := servers[2].DB.AuditLog().Entries(ctx, store.Filter{Event: "session.ended"})
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries of the end: %v", len(entries), err)
	}
}
