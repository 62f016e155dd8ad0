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

// fewAllocations is how many bytes a second a server takes from its memory that has
// nothing to do but to look at its rows.
const fewAllocations = 16 << 20

// collectSooner collects garbage early while little of it is made: what looks at rows in
// the background would let it gather to three times of what is alive, for nothing. Under
// load it is collected later again. GOGC in the environment stands.
func collectSooner(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	taken := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer debug.SetGCPercent(200)
	sooner := false
	for before := uint64(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(taken)
		now := taken[0].Value.Uint64()
		if few := now-before < fewAllocations; few != sooner {
			sooner = few
			debug.SetGCPercent(map[bool]int{true: 30, false: 200}[few])
		}
		before = now
	}
}
