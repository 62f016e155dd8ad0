package store

import "time"

// Unix writes a moment for a column: microseconds since 1970. The zero time,
// "never", is 0.
func Unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time reads what [Unix] writes, in UTC; 0 is the zero time.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
