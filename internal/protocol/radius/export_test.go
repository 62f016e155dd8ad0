package radius

import "time"

// PollEvery makes the server look this often while it waits.
func (s *Server) PollEvery(d time.Duration) { s.poll = d }

// ParseSettings lets the tests see what CheckSettings saw.
var ParseSettings = parseSettings
