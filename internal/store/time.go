package store

import "time"

// Unix encodes a time for a column: microseconds since 1970. The zero time,
// "never", is 0.
func Unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time decodes the result of [Unix], in UTC; 0 is the zero time.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Bit encodes a boolean for a column: 1 or 0.
func Bit(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
