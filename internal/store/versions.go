package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Gone is the version of a row that was removed for good: any row under its number is
// older.
const Gone int64 = 1<<63 - 1

// stamp is what a change leaves of one row: its newest version, or that it is over, and
// until when somebody could gain by putting it back.
type stamp struct {
	kind    string
	number  int64
	version int64
	name    string    // of what is over, instead of number and version
	until   time.Time // after that nobody gains by it
}

// Anchor records the version of a row, by kind and number, after this change, in memory
// and in the audit entry of the change. From then on a row of a lower version was put
// back: see [View.Older]. The version of a removed row is [Gone].
func (tx *Tx) Anchor(kind string, number, version int64) {
	if number < 0 || version < 0 || !plain(kind) {
		tx.fail(fmt.Errorf("store: the version %d of %q %d", version, kind, number))
		return
	}
	tx.wide = tx.wide || kind == "account" && number != tx.about
	tx.stamps = append(tx.stamps, stamp{kind: kind, number: number, version: version})
}

// End records that the object of this name is over: a session that was ended, a ticket
// that was used. The name consists of letters, digits and - _ . only. The record may be
// dropped after until, when the object is expired anyway.
func (tx *Tx) End(kind, name string, until time.Time) {
	if !plain(kind) || !plain(name) {
		tx.fail(fmt.Errorf("store: the end of %q %q", kind, name))
		return
	}
	tx.stamps = append(tx.stamps, stamp{kind: kind, name: name, until: until})
}

// plain reports whether a word can be written to an entry without quoting.
func plain(word string) bool {
	for i := range len(word) {
		c := word[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return word != "" && len(word) <= plainMost
}

// plainMost limits the length of a kind and of a name.
const plainMost = 100

// NumberOf returns a number for a name, for [Tx.Anchor]. It is never negative.
func NumberOf(name string) int64 {
	h := sha256.Sum256([]byte(name))
	return int64(binary.BigEndian.Uint64(h[:]) >> 1)
}

// Older reports whether a row that was read at a version is older than the newest
// committed one, and must be ignored. Usually it was put back from an older copy. If the
// row was changed or removed within the last minutes it may also have been read just
// before that; so Older reads its committed version again: again selects it by its number,
// as $1. If that is the newest, [View.Report] does not report the row, and a transaction
// whose snapshot may be older runs again.
func (v View) Older(ctx context.Context, kind string, number, version int64, again string) bool {
	newest, lately := v.memory.since(kind, number)
	if version >= newest {
		return false
	}
	if !lately {
		return true
	}
	var now int64
	if err := v.rows.QueryRow(ctx, again, number).Scan(&now); err != nil || now >= newest {
		v.Doubt(kind, number)
	}
	return true
}

// Overtaken reports whether the newest version of a row is at most some minutes old, so
// that an older one may have been read correctly before.
func (v View) Overtaken(kind string, number int64) bool {
	_, lately := v.memory.since(kind, number)
	return lately
}

// Doubt marks a row that was read in an older version than the committed one, perhaps
// before that was committed. A transaction whose snapshot may be older runs once more, so
// that switching a row back and forth gains an attacker nothing.
func (v View) Doubt(kind string, number int64) { v.doubts.add(kind, number) }

// doubts are rows that were older than known when first read, and correct when read again.
type doubts struct {
	count atomic.Int64
	mu    sync.Mutex
	last  [16]doubt
}

type doubt struct {
	kind   string
	number int64
	at     time.Time
}

// doubtFor is how long a doubt keeps a row from being reported.
const doubtFor = time.Second

func (d *doubts) add(kind string, number int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.count.Add(1)
	d.last[n%int64(len(d.last))] = doubt{kind, number, time.Now()}
}

// about reports whether there is a doubt about a finding.
func (d *doubts) about(f Finding) bool {
	if f.Wrong != Older || d.count.Load() == 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, doubt := range d.last {
		if doubt.kind == f.Table && time.Since(doubt.at) < doubtFor && (number(doubt.number) == f.Row || doubt.number == NumberOf(f.Row)) {
			return true
		}
	}
	return false
}

// Newest is [View.Newest].
func (db *DB) Newest(kind string, number int64) int64 { return db.memory.newest(kind, number) }

// Over is [View.Over].
func (db *DB) Over(kind, name string) bool { return db.memory.over(kind, name) }

// appendStamps writes what a change leaves in the form of its entry:
// "account/7=13 team/4=gone session/x7f=over:1767000000".
func appendStamps(b []byte, stamps []stamp) []byte {
	for i, s := range stamps {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(append(b, s.kind...), '/')
		switch {
		case s.name != "":
			b = append(append(b, s.name...), "=over:"...)
			b = strconv.AppendInt(b, s.until.Unix()+1, 10)
		case s.version >= Gone:
			b = append(strconv.AppendInt(b, s.number, 10), "=gone"...)
		default:
			b = append(strconv.AppendInt(b, s.number, 10), '=')
			b = strconv.AppendInt(b, s.version, 10)
		}
	}
	return b
}

// readStamps reads what appendStamps writes.
func readStamps(text string) ([]stamp, error) {
	var out []stamp
	for word := range strings.FieldsSeq(text) {
		s, err := readStamp(word)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func readStamp(word string) (s stamp, err error) {
	kind, rest, ok := strings.Cut(word, "/")
	key, value, is := strings.Cut(rest, "=")
	if !ok || !is || kind == "" || key == "" {
		return s, fmt.Errorf("store: %q is not a version", word)
	}
	if until, over := strings.CutPrefix(value, "over:"); over {
		at, err := strconv.ParseInt(until, 10, 64)
		return stamp{kind: kind, name: key, until: time.Unix(at, 0)}, err
	}
	s.kind = kind
	if s.number, err = strconv.ParseInt(key, 10, 64); err != nil {
		return s, err
	}
	if value == "gone" {
		s.version = Gone
		return s, nil
	}
	s.version, err = strconv.ParseInt(value, 10, 64)
	return s, err
}
