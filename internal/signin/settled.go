package signin

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"countersign/internal/store"
)

const settledTopic = "approval/"

// settlements tell whoever waits that their approval was answered, on whatever server
// that was.
type settlements struct {
	mu      sync.Mutex
	waiting map[string][]chan struct{} // by topic
}

func newSettlements(feed *store.Feed) *settlements {
	s := &settlements{waiting: map[string][]chan struct{}{}}
	feed.Subscribe(func(topic string) {
		if strings.HasPrefix(topic, settledTopic) {
			s.tell(topic)
		}
	})
	return s
}

func topicOf(approval int64) string { return settledTopic + strconv.FormatInt(approval, 10) }

// listen returns what is closed when an approval is answered. Call forget, once.
func (s *settlements) listen(topic string) (answered <-chan struct{}, forget func()) {
	c := make(chan struct{})
	s.mu.Lock()
	s.waiting[topic] = append(s.waiting[topic], c)
	s.mu.Unlock()
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		left := s.waiting[topic][:0:0]
		for _, other := range s.waiting[topic] {
			if other != c {
				left = append(left, other)
			}
		}
		if s.waiting[topic] = left; len(left) == 0 {
			delete(s.waiting, topic)
		}
	}
}

func (s *settlements) tell(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.waiting[topic] {
		close(c)
	}
	delete(s.waiting, topic)
}

// Settled waits until what a Step waits for elsewhere was answered, or the context is
// over; it returns at once where nothing is waited for. [Engine.Look] says what came of
// it.
func (e *Engine) Settled(ctx context.Context, ticket string) error {
	at, err := e.attempts.read(ctx, e.db, ticket)
	if err != nil || at.Approval == 0 {
		return err
	}
	c, forget := e.settlements.listen(topicOf(at.Approval))
	defer forget()
	state, err := e.elsewhere.state(ctx, at) // perhaps answered just before
	if err != nil || state != "waiting" {
		return err
	}
	select {
	case <-c:
	case <-ctx.Done():
	}
	return nil
}
