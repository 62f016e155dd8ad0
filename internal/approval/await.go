package approval

import (
	"strconv"
	"strings"
	"sync"

	"countersign/internal/store"
)

const settledTopic = "approval/"

// Settlements tell whoever waits that their approval was answered, on whatever server
// that was.
type Settlements struct {
	mu      sync.Mutex
	waiting map[string][]chan struct{} // by topic
}

func newSettlements(feed *store.Feed) *Settlements {
	s := &Settlements{waiting: map[string][]chan struct{}{}}
	feed.Subscribe(func(topic string) {
		if strings.HasPrefix(topic, settledTopic) {
			s.tell(topic)
		}
	})
	return s
}

func topicOf(approval int64) string { return settledTopic + strconv.FormatInt(approval, 10) }

// Listen returns what is closed when a request is answered. Call forget, once.
func (s *Settlements) Listen(id int64) (answered <-chan struct{}, forget func()) {
	c, topic := make(chan struct{}), topicOf(id)
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

func (s *Settlements) tell(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.waiting[topic] {
		close(c)
	}
	delete(s.waiting, topic)
}
