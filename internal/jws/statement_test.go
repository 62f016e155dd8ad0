package jws

import (
	"testing"
	"time"
)

// What somebody signs ends within ten minutes and has begun, give or take half a minute, and was
// not made to be good for longer.
func TestWhenAStatementIsGood(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for name, c := range map[string]struct {
		s    Statement
		want bool
	}{
		"for a minute":                   {Statement{Expires: in(time.Minute)}, true},
		"over within the skew":           {Statement{Expires: in(-29 * time.Second)}, true},
		"over":                           {Statement{Expires: in(-30 * time.Second)}, false},
		"for ten minutes":                {Statement{Expires: in(10 * time.Minute)}, true},
		"for longer":                     {Statement{Expires: in(10*time.Minute + 30*time.Second)}, false},
		"begins within the skew":         {Statement{Expires: in(time.Minute), Before: in(30 * time.Second)}, true},
		"begins later":                   {Statement{Expires: in(time.Minute), Before: in(31 * time.Second)}, false},
		"made within the skew":           {Statement{Expires: in(time.Minute), Issued: in(30 * time.Second)}, true},
		"made later":                     {Statement{Expires: in(time.Minute), Issued: in(31 * time.Second)}, false},
		"made for ten minutes":           {Statement{Expires: in(-20 * time.Second), Issued: in(-10*time.Minute - 20*time.Second)}, true},
		"made long ago, for an hour":     {Statement{Expires: in(time.Minute), Issued: in(-time.Hour)}, false},
		"made long ago, and within skew": {Statement{Expires: in(time.Minute), Issued: in(-10*time.Minute - 29*time.Second)}, true},
		"made a moment longer ago":       {Statement{Expires: in(time.Minute), Issued: in(-10*time.Minute - 30*time.Second)}, false},
	} {
		if got := c.s.Current(now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for text, want := range map[string]bool{`{"iss":"wiki","aud":"x","exp":2000000000}`: true, `{"iss":"wiki","aud":"x"}`: false, `{"iss":"wiki","aud":"x","exp":null}`: false, `{"iss":"wiki","exp":2000000000}`: false} {
		if _, ok := Parse([]byte(text)); ok != want {
			t.Errorf("%s: %v", text, ok)
		}
	}
}
