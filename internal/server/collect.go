package server

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// CollectLater lets twice as much garbage gather as Go does by itself: what is
// alive in a server is a few megabytes, and collecting it often cost a tenth of
// the sign-ins a second. GOGC in the environment stands.
func CollectLater() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

const (
	// fewAllocations is how many bytes a second a server takes from its memory that has
	// nothing to do but to look at its rows.
	fewAllocations = 16 << 20
	// quietAfter is after how many such seconds garbage is collected early: load comes in waves.
	quietAfter = 5
	// gathered is how much garbage gathers at least under load. Of the time of a process whose
	// live memory is 10 MB, collecting at three times of that took a seventh, and took it from
	// the database as well where that runs beside it: Go collects on cores that it takes for idle.
	gathered = 48 << 20
)

// CollectByLoad, until ctx ends, collects garbage early while little of it is made: what looks at rows in
// the background would let it gather to three times of what is alive, for nothing. Under
// load it is collected later again. GOGC in the environment stands.
func CollectByLoad(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	taken := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer debug.SetGCPercent(200)
	set, quiet := 0, 0
	for before := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(taken)
		now := taken[0].Value.Uint64()
		if quiet++; now-before >= fewAllocations {
			quiet = 0
		}
		before = now
		if to := percentFor(quiet, taken[1].Value.Uint64()); to != set {
			set = to
			debug.SetGCPercent(to)
		}
	}
}

// percentFor is how much garbage may gather, in percent of what is alive, in a process that has taken little from
// its memory for so many seconds. Its steps are of a hundred, because each setting of it stops the process for a moment.
func percentFor(quiet int, alive uint64) int {
	if quiet >= quietAfter {
		return 30
	}
	return int(min(max(2, gathered/max(alive, 1)), 10)) * 100
}
