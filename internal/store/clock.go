package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Clock is how far this server's clock is behind others. A server that is behind sees
// evidence of others as from the future and refuses it. Negative values are ahead.
type Clock struct {
	// Database is how far it is behind the database server's clock, if that is known.
	Database time.Duration
	Known    bool
	// Log is how far the newest entry of the audit log is in the future, or zero.
	Log time.Duration
}

// ClockBound is the largest difference of clocks without a warning. Evidence may come
// from the future by as much.
const ClockBound = 30 * time.Second

// Behind returns how far the clock is behind, by the better of both comparisons.
func (c Clock) Behind() time.Duration {
	if c.Known && c.Log <= ClockBound {
		return c.Database
	}
	return max(c.Database, c.Log)
}

// Wrong reports how far the clock is behind, and whether that exceeds ClockBound.
func (c Clock) Wrong() (by time.Duration, wrong bool) {
	by = c.Behind()
	return by, by > ClockBound || by < -ClockBound
}

// Says describes the difference for people, and is empty for a correct clock.
func (c Clock) Says() string {
	by, wrong := c.Wrong()
	switch {
	case !wrong:
		return ""
	case by < 0:
		return fmt.Sprintf("This server's clock is %v ahead. Set it: what people show elsewhere lapses too soon here, and codes are refused", (-by).Round(time.Second))
	}
	return fmt.Sprintf("This server's clock is %v behind. Set it: what people show elsewhere counts as stale here, so that everybody is asked again, and codes are refused", by.Round(time.Second))
}

// Clock compares this server's clock with the database server's, if there is one, and
// with the newest entry of the audit log.
func (c *Condition) Clock(ctx context.Context) (Clock, error) {
	var out Clock
	if !c.feed.alone {
		var at int64
		before := c.now()
		if err := c.rows.QueryRow(ctx, "select (extract(epoch from clock_timestamp()) * 1000000)::bigint").Scan(&at); err != nil {
			return out, err
		}
		after := c.now() // a slow answer proves nothing but that it lies between the two
		out.Known = true
		switch there := Time(at); {
		case there.Before(before):
			out.Database = there.Sub(before)
		case there.After(after):
			out.Database = there.Sub(after)
		}
	}
	var newest int64
	err := c.rows.QueryRow(ctx, "select at from audit_entry order by seq desc limit 1").Scan(&newest)
	if errors.Is(err, ErrNotFound) {
		return out, nil
	}
	if ahead := Time(newest).Sub(c.now()); ahead > 0 {
		out.Log = ahead
	}
	return out, err
}
