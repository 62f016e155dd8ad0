package radius

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"countersign/internal/protocol/radius/packet"
	"countersign/internal/signin"
)

// job is one request on its way to its reply.
type job struct {
	listener *listener
	client   *client
	from     netip.AddrPort
	via      []byte
	key      key
	received time.Time
	octets   []byte // the request's own copy
	reply    []byte // room for the reply

	request packet.Packet
	content content
	partner string
}

// draft begins the reply.
func (j *job) draft(code packet.Code) packet.Draft {
	return packet.Start(j.reply, code, j.request.Identifier())
}

// finish copies Proxy-State and signs the reply.
func (j *job) finish(d *packet.Draft, count *atomic.Uint64) ([]byte, error) {
	d.AddAll(j.request, packet.ProxyState)
	reply, err := d.Reply(j.client.secret, j.request.Authenticator())
	if err != nil {
		return nil, err
	}
	j.reply = reply
	count.Add(1)
	return reply, nil
}

var errTwice = errors.New("radius: an attribute that may be there once is there twice")

// labour is one worker's life.
func (s *Server) labour() {
	for j := range s.queue {
		s.Stats.Queued.Add(-1)
		s.serve(j)
	}
}

// serve decides one request, and waits elsewhere when that takes a person.
func (s *Server) serve(j *job) {
	now := s.now()
	left := j.client.hold(j.received).Sub(now)
	if left <= 0 {
		s.replies.forget(j.key)
		s.drop(&s.Stats.Late, s.about(j, "late"), now)
		s.jobs.Put(j)
		return
	}
	step, waits, err := s.decide(j.client.deadline(s.work, now.Add(left), left), j)
	if err == nil && waits {
		s.wait(j, step, left)
		return
	}
	s.conclude(j, step, err)
}

// wait holds a request while the person acts elsewhere, if there is room.
func (s *Server) wait(j *job, step signin.Step, left time.Duration) {
	if s.Stats.Waiting.Add(1) > int64(s.waiting) {
		s.Stats.Waiting.Add(-1)
		s.drop(&s.Stats.Overloaded, s.about(j, "overloaded"), s.now())
		s.remember(j, nil)
		return
	}
	s.holding.Go(func() {
		defer s.Stats.Waiting.Add(-1)
		step, err := s.look(j, step, left)
		s.conclude(j, step, err)
	})
}

// look asks the engine again and again until it is no longer waiting, or the
// client will not wait longer: then the step is still Wait.
func (s *Server) look(j *job, step signin.Step, left time.Duration) (signin.Step, error) {
	ctx, cancel := context.WithTimeout(s.work, left)
	defer cancel()
	ticker := time.NewTicker(s.poll)
	defer ticker.Stop()
	for {
		select {
		case <-s.work.Done():
			return signin.Step{}, context.Cause(s.work)
		case <-ctx.Done():
			return step, nil
		case <-ticker.C:
		}
		next, err := s.guarded(func() (signin.Step, error) { return s.engine.Poll(ctx, step.Ticket) })
		switch {
		case err != nil && ctx.Err() != nil && s.work.Err() == nil:
			return step, nil // the time was over while it looked
		case err != nil || next.State != signin.Wait:
			return next, err
		}
		step = next
	}
}

// decide hands the request to the engine. It reports whether the step is to be
// waited for here.
func (s *Server) decide(ctx context.Context, j *job) (step signin.Step, waits bool, err error) {
	step, err = s.guarded(func() (signin.Step, error) {
		letter, step, err := s.ask(ctx, j)
		// A challenge is shown before it is waited for.
		waits = step.State == signin.Wait && (j.client.mode == Wait || letter == stateWait)
		return step, err
	})
	return step, waits, err
}

// guarded turns a panic into an error, so that one request's trouble stays its
// own: the reply is silence.
func (s *Server) guarded(f func() (signin.Step, error)) (step signin.Step, err error) {
	defer func() {
		if r := recover(); r != nil {
			step, err = signin.Step{}, fmt.Errorf("radius: panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// conclude replies, or stays silent after a breakdown, and remembers which.
func (s *Server) conclude(j *job, step signin.Step, err error) {
	var reply []byte
	if err == nil {
		step, err = s.guarded(func() (signin.Step, error) {
			var err error
			reply, err = s.render(j, step)
			return step, err
		})
	}
	if err != nil {
		reply = nil
		s.blame(j, step, err)
	}
	s.remember(j, reply)
}

// blame counts silence as the client's fault or as ours.
func (s *Server) blame(j *job, step signin.Step, err error) {
	n, counter := s.about(j, "breakdown"), &s.Stats.Silent
	if errors.Is(err, errTwice) || errors.Is(err, packet.ErrPassword) {
		n.Reason, counter = "malformed", &s.Stats.Malformed
	}
	if errors.Is(err, packet.ErrPassword) {
		n.Reason = "malformed-password"
	}
	n.Err, n.Attempt = err, step.Attempt
	s.drop(counter, n, s.now())
}

// remember keeps the reply for retransmissions, and only then sends it: a copy
// that arrives in between must find it.
func (s *Server) remember(j *job, reply []byte) {
	s.replies.end(j.key, reply, s.now())
	if len(reply) > 0 {
		s.send(j.listener, reply, j.from, j.via)
	}
	s.jobs.Put(j)
}

func (s *Server) about(j *job, reason string) Notice {
	return Notice{Reason: reason, From: j.from, Client: j.client.name, Application: j.client.application}
}
