package notify

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// queued are the notices that this server queued and that were not sent yet.
type queued struct {
	mu   sync.Mutex
	rows map[int64]row
}

// manyQueued is how many are remembered; of those beyond it is only seen that they are not
// sent.
const manyQueued = 2000

func (q *queued) add(r row) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.rows == nil {
		q.rows = map[int64]row{}
	}
	if len(q.rows) < manyQueued {
		q.rows[r.ID] = r
	}
}

func (q *queued) forget(id int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.rows, id)
}

func (q *queued) list() []row {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := make([]row, 0, len(q.rows))
	for _, r := range q.rows {
		out = append(out, r)
	}
	return out
}

// bytes writes the numbers of what is remembered, and whose they are. What they say is left
// in the database.
func (q *queued) bytes() []byte {
	var b bytes.Buffer
	for _, r := range q.list() {
		fmt.Fprintln(&b, r.ID, r.Account)
	}
	return b.Bytes()
}

// restore reads what bytes wrote.
func (q *queued) restore(b []byte) error {
	for line := range strings.Lines(string(b)) {
		var r row
		if _, err := fmt.Sscanln(line, &r.ID, &r.Account); err != nil {
			return fmt.Errorf("notify: what this server remembers of notices: %w", err)
		}
		q.add(r)
	}
	return nil
}
