package forwardauth

import (
	"net/http"
	"sync"
	"time"
)

// complaint is a reason why a proxy is not answered that whoever runs it can
// mend, as a sentence for the log.
type complaint string

const (
	noAddress complaint = "a listed proxy does not say where its visitors are, so nobody is let in through it and its pages know nobody's place; let it set X-Forwarded-For to the address of whoever connects to it"
	notListed complaint = "a check was asked for from an address that is not among the trusted proxies, and refused; list it in trusted_proxies if it is your proxy"
)

// again is how long the same complaint is kept back.
const again = time.Minute

// complaints are when each was last told.
type complaints struct {
	mu   sync.Mutex
	last map[complaint]time.Time
}

// due reports whether a complaint is to be told, and then counts it as told.
func (c *complaints) due(why complaint, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, told := c.last[why]; told && now.Sub(last).Abs() < again {
		return false
	}
	if c.last == nil {
		c.last = map[complaint]time.Time{}
	}
	c.last[why] = now
	return true
}

// complain tells the log, once a minute for each reason.
func (d *Guard) complain(r *http.Request, why complaint) {
	if d.log == nil || !d.complaints.due(why, d.now()) {
		return
	}
	d.log.Warn(string(why), "proxy", peer(r), "asked", r.URL.Path)
}
