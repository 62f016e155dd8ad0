package jws

import (
	"encoding/json"
	"slices"
	"time"
)

// Most is how long one can be, in bytes, before anything of it is read.
const Most = 8 << 10

// Statement is what somebody signed, as far as everybody's is alike (RFC 7519 section 4.1). What
// it does not say is empty or zero.
type Statement struct {
	Issuer   string
	Subject  string
	Audience []string
	// One says that the audience stood as one string, and not in a list.
	One     bool
	ID      string
	Expires time.Time
	Before  time.Time
	Issued  time.Time
	// All are all of its claims.
	All map[string]any
}

// farthest is how far in the future what a client signs may end, and Skew how far somebody else's
// clock may stand apart from ours.
const (
	farthest = 10 * time.Minute
	Skew     = 30 * time.Second
)

// Parse reads the claims that every statement has, of bytes that were verified before. One without
// an end (exp), with a moment that is none, or with a name of more than 256 bytes (jti) is refused.
func Parse(plain []byte) (Statement, bool) {
	var wire struct {
		Iss string          `json:"iss"`
		Sub string          `json:"sub"`
		Aud json.RawMessage `json:"aud"`
		Jti string          `json:"jti"`
		Exp *float64        `json:"exp"`
		Nbf *float64        `json:"nbf"`
		Iat *float64        `json:"iat"`
	}
	s := Statement{All: map[string]any{}}
	if json.Unmarshal(plain, &wire) != nil || json.Unmarshal(plain, &s.All) != nil || wire.Exp == nil {
		return Statement{}, false
	}
	s.Issuer, s.Subject, s.ID = wire.Iss, wire.Sub, wire.Jti
	var one string
	switch {
	case json.Unmarshal(wire.Aud, &one) == nil:
		s.Audience, s.One = []string{one}, true
	case json.Unmarshal(wire.Aud, &s.Audience) != nil:
		return Statement{}, false
	}
	var ok [3]bool
	s.Expires, ok[0] = Seconds(wire.Exp)
	s.Before, ok[1] = Seconds(wire.Nbf)
	s.Issued, ok[2] = Seconds(wire.Iat)
	return s, ok == [3]bool{true, true, true} && len(s.ID) <= 256
}

// Seconds is a NumericDate (RFC 7519 section 2); nil is the zero time. What is no moment of this
// age is refused.
func Seconds(n *float64) (time.Time, bool) {
	switch {
	case n == nil:
		return time.Time{}, true
	case !(*n >= 1 && *n < 1e11):
		return time.Time{}, false
	}
	return time.Unix(int64(*n), 0), true
}

// Current reports whether a statement is good now: it ends within ten minutes, and has begun.
func (s Statement) Current(now time.Time) bool {
	return now.Before(s.Expires.Add(Skew)) && s.Expires.Before(now.Add(farthest+Skew)) && !s.Before.After(now.Add(Skew)) && !s.Issued.After(now.Add(Skew)) &&
		(s.Issued.IsZero() || now.Sub(s.Issued) < farthest+Skew || s.Expires.Sub(s.Issued) <= farthest)
}

// IsFor reports whether a statement is for one of our names and for nobody else.
func (s Statement) IsFor(names ...string) bool {
	return len(s.Audience) == 1 && slices.Contains(names, s.Audience[0])
}
