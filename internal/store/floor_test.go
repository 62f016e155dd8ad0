package store

import "testing"

// Whoever numbers looks above what was numbered a while ago, and from time to time everywhere: an entry
// whose transaction took its number early and was committed late is found as well.
func TestWhereNumberingLooks(t *testing.T) {
	var f floor
	const each = 10 // entries that are numbered at each tick
	var everywhere int
	for tick := 1; tick <= 3*floorless; tick++ {
		at := f.tick()
		switch {
		case at == 0:
			if tick > 2*floorEvery {
				everywhere++
			}
		case at > f.numbered-floorEvery*each:
			t.Fatalf("at tick %d it looks only above %d, and %d was numbered just now", tick, at, f.numbered)
		case at < f.numbered-2*(floorEvery+1)*each:
			t.Fatalf("at tick %d it looks above %d still, where %d is numbered", tick, at, f.numbered)
		}
		f.saw(int64(tick * each))
		f.saw(0) // a tick at which nothing waited
	}
	if everywhere != 3 {
		t.Errorf("in %d ticks it looked everywhere %d times, not 3", 3*floorless, everywhere)
	}
}
