package throttle

import (
	"fmt"
	"time"
)

// Limits are the numbers that bound guessing, and what else waits or ends by itself in a
// sign-in. The zero value of each field takes the default; [Limits.Check] refuses what passes
// its ceiling.
type Limits struct {
	// NextCode is after how many wrong codes in a row two consecutive ones are
	// demanded. Default 3, ceiling 10.
	NextCode int
	// Delay is after how many wrong answers in a row each further one must wait,
	// 30 seconds and then twice as long each time, an hour at most. Default 5,
	// ceiling 10.
	Delay int
	// Disable is after how many wrong answers in a row an authenticator is closed
	// to where they came from: strangers, addresses from which its owner was let in,
	// browsers in which they were, those who have shown another factor, equipment that
	// tells no addresses. Default 20, ceiling 20, which is 100 of all five (SP 800-63B-4
	// section 3.2.2).
	Disable int
	// PerAccount is how many wrong answers an account may have in an hour, over
	// all its authenticators, from each of those. Default 30, ceiling 100.
	PerAccount int
	// PerSource is how many wrong answers may come from one address in ten minutes
	// (IPv6: one /64, four times as many from one /56 and sixteen times from one /48;
	// ten times as many from those who are no strangers there). Default 100, ceiling
	// 10000.
	PerSource int
	// PerInstallation is how many wrong answers there may be altogether in ten
	// minutes before strangers wait from the first wrong answer on. It refuses
	// nobody. Default 2000, ceiling 100000.
	PerInstallation int
	// Tries is how many answers one attempt may give. Default 8, ceiling 20.
	Tries int
	// Attempt is how long a person may take over one attempt. Default 10
	// minutes, ceiling 15.
	Attempt time.Duration
	// Dormant is after how long without use an account is frozen. Default 30
	// days, ceiling 365.
	Dormant time.Duration
	// Quarantine is for how long a new authenticator cannot approve privileged
	// actions. Default 24 hours, ceiling 30 days; negative means none.
	Quarantine time.Duration
	// Unanswered is how many of an account's requests to approve a sign-in elsewhere
	// may be left unanswered in an hour before no more are offered; other ways stay
	// open. One waits at a time (docs/decisions/0005). Default 10, and never more.
	Unanswered int
	// PushSoon is how many pushes may be left unanswered in ten minutes, and
	// PushDaily how many in 24 hours, before nothing is pushed any more: a push is a
	// courtesy, and the number is found without one. Defaults 3 and 10, and never
	// more.
	PushSoon, PushDaily int
}

type bound[T int | time.Duration] struct {
	name         string
	value        *T
	def, ceiling T
}

func (l *Limits) counts() []bound[int] {
	return []bound[int]{
		{"next_code", &l.NextCode, 3, 10}, {"delay", &l.Delay, 5, 10}, {"disable", &l.Disable, 20, 20},
		{"per_account", &l.PerAccount, 30, 100}, {"per_source", &l.PerSource, 100, 10_000},
		{"per_installation", &l.PerInstallation, 2000, 100_000}, {"tries", &l.Tries, 8, 20},
		{"unanswered", &l.Unanswered, 10, 10}, {"push_soon", &l.PushSoon, 3, 3}, {"push_daily", &l.PushDaily, 10, 10},
	}
}

func (l *Limits) spans() []bound[time.Duration] {
	return []bound[time.Duration]{
		{"attempt", &l.Attempt, 10 * time.Minute, 15 * time.Minute},
		{"dormant", &l.Dormant, 30 * day, 365 * day},
		{"quarantine", &l.Quarantine, day, 30 * day},
	}
}

// Check fills in the defaults and refuses what passes a ceiling.
func (l Limits) Check() (Limits, error) {
	for _, b := range l.counts() {
		if *b.value == 0 {
			*b.value = b.def
		}
		if *b.value < 1 || *b.value > b.ceiling {
			return l, fmt.Errorf("limits.%s is %d; it may be 1 to %d", b.name, *b.value, b.ceiling)
		}
	}
	for _, b := range l.spans() {
		if *b.value == 0 {
			*b.value = b.def
		}
		if *b.value > b.ceiling {
			return l, fmt.Errorf("limits.%s is %s; it may be %s at most", b.name, *b.value, b.ceiling)
		}
	}
	if l.Attempt < 0 || l.Dormant < 0 {
		return l, fmt.Errorf("limits.attempt and limits.dormant must be positive")
	}
	l.Quarantine = max(l.Quarantine, 0)
	return l, nil
}
