// Package radius is the RADIUS server: VPN gateways, network equipment and PAM
// hosts ask by Access-Request, and the engine answers.
//
// It owns the datagrams, the shared secrets, the reply cache that tells a
// retransmission from a new request, and what a reply carries. It does not own
// any decision, any password or any code: it hands the engine what it saw and
// plays the Step that comes back. Its neighbours are packet, its codec, signin
// and application. It does not serve accounting, EAP, CHAP or MS-CHAP.
//
// Its one invariant: a request is handed to the engine at most once, however
// often it arrives, and only after the client's secret was proved by a
// Message-Authenticator or an exception that has not expired; and every reply
// begins with a Message-Authenticator.
package radius

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"sync"
	"time"

	"countersign/internal/application"
	"countersign/internal/protocol"
	"countersign/internal/signin"
)

// Engine is what the server asks of the engine. An error from it is a breakdown
// and becomes silence, so that equipment tries its next server.
type Engine interface {
	Begin(ctx context.Context, r signin.Request) (signin.Step, error)
	Answer(ctx context.Context, ticket string, reply signin.Reply) (signin.Step, error)
	Poll(ctx context.Context, ticket string) (signin.Step, error)
	// Names is a Refused failure if a name is not of whom the ticket's attempt is about.
	Names(ctx context.Context, ticket, name string) error
}

// Catalogue lists the applications of this protocol. Changed moves when one of
// them did.
type Catalogue interface {
	ByProtocol(ctx context.Context, protocol string) ([]application.Application, error)
	Changed() uint64
}

// Parts are what a Server is made of.
type Parts struct {
	Engine       Engine
	Applications Catalogue
	// Workers is how many requests are decided at once: 256 unless set. Queue
	// is how many more may stand in line: 1024 unless set. What comes beyond is
	// dropped and counted; the client sends it again.
	Workers, Queue int
	// Waiting is for how many people it waits at once in mode wait: 1024 unless
	// set.
	Waiting int
	// Remember is how many requests of the last 24 seconds are remembered:
	// 1,000,000 unless set, at about 200 bytes each. When it is full, new
	// requests are dropped: none is ever decided twice.
	Remember int
	// Grace is for how long requests in flight may go on when the server stops:
	// 5 seconds unless set.
	Grace time.Duration
	// Now is the clock: time.Now unless set.
	Now func() time.Time
	// Notice is told, at a bounded rate, what was dropped and why; nil for
	// nobody. It is called while requests wait, so it must not block.
	Notice func(Notice)
	// Ears hear when applications ask and how often each cause came; nil for nobody.
	Ears *protocol.Ears
}

// Server answers Access-Requests. It is made by [New].
type Server struct {
	// Stats may be read at any time.
	Stats Stats

	engine           Engine
	cache            *clientCache
	told             *teller
	workers, waiting int
	grace            time.Duration
	now              func() time.Time

	replies *replyCache
	seed    maphash.Seed
	queue   chan *job
	jobs    sync.Pool
	holding sync.WaitGroup
	poll    time.Duration

	// work ends when requests in flight must stop.
	work context.Context
}

// New makes a Server that is not yet serving.
func New(p Parts) (*Server, error) {
	if p.Engine == nil || p.Applications == nil {
		return nil, errors.New("radius: a server needs an engine and applications")
	}
	for _, d := range []struct {
		value *int
		def   int
	}{{&p.Workers, 256}, {&p.Queue, 1024}, {&p.Waiting, 1024}, {&p.Remember, 1_000_000}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if p.Grace <= 0 {
		p.Grace = 5 * time.Second
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	told := &teller{hears: p.Notice, ears: p.Ears}
	return &Server{
		engine: p.Engine, cache: &clientCache{applications: p.Applications, told: told}, told: told, workers: p.Workers, waiting: p.Waiting, grace: p.Grace, now: p.Now,
		replies: newReplyCache(p.Remember), seed: maphash.MakeSeed(), poll: 500 * time.Millisecond,
		queue: make(chan *job, p.Queue), jobs: sync.Pool{New: func() any { return new(job) }},
	}, nil
}

// Listen opens UDP sockets on addresses such as ":1812". Large buffers keep a
// burst until its turn comes.
func Listen(addresses []string) ([]*net.UDPConn, error) {
	var conns []*net.UDPConn
	for _, address := range addresses {
		conn, err := net.ListenPacket("udp", address)
		if err != nil {
			for _, open := range conns {
				open.Close()
			}
			return nil, fmt.Errorf("radius: cannot listen on %s: %w", address, err)
		}
		udp := conn.(*net.UDPConn)
		_ = udp.SetReadBuffer(4 << 20) // as far as the system allows
		conns = append(conns, udp)
	}
	return conns, nil
}

// readers is how many goroutines read one socket: one reads while the other
// looks at what it got.
const readers = 2

// Serve answers on the sockets until ctx ends or a socket breaks, then finishes
// what is in flight, for Grace at most, and closes them. It may be called once.
func (s *Server) Serve(ctx context.Context, conns []*net.UDPConn) error {
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	s.work = work
	broken := make(chan error, readers*len(conns))
	var reading, working sync.WaitGroup
	for i, conn := range conns {
		l, err := newListener(conn, i)
		if err != nil {
			return err
		}
		for range readers {
			reading.Go(func() { broken <- s.receive(l) })
		}
	}
	for range s.workers {
		working.Go(s.labour)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
	}
	for _, conn := range conns {
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // wakes the readers
	}
	reading.Wait()
	close(s.queue)
	s.finish(&working, stop)
	for _, conn := range conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

var errStopping = errors.New("radius: the server is stopping")

// finish waits for what is in flight, and cuts it short after the grace time.
func (s *Server) finish(working *sync.WaitGroup, stop context.CancelCauseFunc) {
	timer := time.AfterFunc(s.grace, func() { stop(errStopping) })
	defer timer.Stop()
	working.Wait()
	s.holding.Wait()
}
