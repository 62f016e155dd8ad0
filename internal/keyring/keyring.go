package keyring

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"countersign/internal/store"
)

// Keyring holds a database's keys in memory. It is safe for concurrent use.
type Keyring struct {
	db   *store.DB
	ring atomic.Pointer[ring]
	log  auditLog

	mu     sync.Mutex // held while keys are read or changed
	root   Root
	opened time.Time
	loaded time.Time
}

// ring is all keys at one moment; it is replaced, never changed.
type ring map[Purpose][]*dataKey // ascending by generation

// newest returns the key that seals.
func (r ring) newest(p Purpose) *dataKey {
	keys := r[p]
	if len(keys) == 0 {
		return nil
	}
	return keys[len(keys)-1]
}

func (r ring) find(p Purpose, generation uint32) *dataKey {
	for _, d := range slices.Backward(r[p]) {
		if d.generation == generation {
			return d
		}
	}
	return nil
}

// Seal encrypts and authenticates a value that will live in one place. It
// panics for a purpose that is not in [Purposes], and for a place without table
// or column.
func (k *Keyring) Seal(p Purpose, place AAD, plaintext []byte) []byte {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = place.append(s.b[:0])
	return k.newest(p).seal(s.b, plaintext)
}

// Open returns what was sealed for this place. Anything else is [ErrSealed],
// unless keys had to be read and could not be.
func (k *Keyring) Open(p Purpose, place AAD, sealed []byte) ([]byte, error) {
	if len(sealed) < sealMin || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	d := k.find(p, binary.BigEndian.Uint32(sealed[1:5]))
	if d == nil {
		return nil, ErrSealed
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = place.append(s.b[:0])
	return d.open(s.b, sealed)
}

// OpenCurrent is Open for what must not outlive its key: a value that was sealed
// under an older generation is [ErrSealed], whoever sealed it.
func (k *Keyring) OpenCurrent(p Purpose, place AAD, sealed []byte) ([]byte, error) {
	plain, err := k.Open(p, place, sealed) // reads a newer generation than is known here
	if err == nil && binary.BigEndian.Uint32(sealed[1:5]) != k.newest(p).generation {
		return nil, ErrSealed
	}
	return plain, err
}

// MAC authenticates fields, 36 bytes. It panics for a purpose that is not in
// [Purposes].
func (k *Keyring) MAC(p Purpose, f *Fields) []byte {
	return k.newest(p).appendMAC(make([]byte, 0, macSize), f)
}

// MACs returns what MAC made of fields under each generation that there is, the newest
// first: to look for a value that was kept before a key was replaced.
func (k *Keyring) MACs(p Purpose, f *Fields) [][]byte {
	k.newest(p)
	var out [][]byte
	for _, d := range slices.Backward((*k.ring.Load())[p]) {
		out = append(out, d.appendMAC(make([]byte, 0, macSize), f))
	}
	return out
}

// VerifyMAC reports, in constant time, whether mac is one that MAC made of the
// same fields.
func (k *Keyring) VerifyMAC(p Purpose, f *Fields, mac []byte) bool {
	if len(mac) != macSize {
		return false
	}
	d := k.find(p, binary.BigEndian.Uint32(mac[:4]))
	return d != nil && d.verifyMAC(f, mac)
}

func (k *Keyring) newest(p Purpose) *dataKey {
	d := k.ring.Load().newest(p)
	if d == nil || p == auditMAC || p == auditSign {
		panic(fmt.Sprintf("keyring: no purpose %q; add it to Purposes", p))
	}
	return d
}

// find returns a generation's key. One that another server has just made is read
// from the database.
func (k *Keyring) find(p Purpose, generation uint32) *dataKey {
	if !p.known() {
		panic(fmt.Sprintf("keyring: no purpose %q; add it to Purposes", p))
	}
	r := *k.ring.Load()
	if d := r.find(p, generation); d != nil {
		return d
	}
	if generation == r.newest(p).generation+1 {
		k.reload(nextAfter) // keys may be rotated one after the other
	} else {
		k.reload(time.Second)
	}
	return k.ring.Load().find(p, generation)
}

// nextAfter is how often keys are read because of values of the generation that would be
// the next.
const nextAfter = 20 * time.Millisecond

// topic is announced when keys were changed.
const topic = "keyring"

// reload reads the keys again, unless that was done within the interval: values
// with made-up generations must not become a flood of queries. Where a key is missing
// that is known here, all stay as they are.
func (k *Keyring) reload(atMost time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if since := time.Since(k.loaded); since < atMost && atMost > nextAfter {
		return
	} else if since < atMost {
		time.Sleep(atMost - since)
	}
	k.loaded = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r, err := k.loadWhole(ctx, k.db, k.known())
	if err != nil {
		k.report(err)
		slog.Error("the keys were changed on another server and cannot be read here", "error", err)
		return
	}
	k.ring.Store(&r)
}

// AuditKeys returns the keys of the audit log, to verify it.
func (k *Keyring) AuditKeys() store.AuditKeys { return k.log.keys }

// LogKey returns the public key of the audit log's checkpoints, as a C2SP
// verifier key: what somebody needs to check a checkpoint without us.
func (k *Keyring) LogKey() string { return k.log.public }

// Origin names the audit log in its checkpoints.
func (k *Keyring) Origin() string { return k.log.keys.Origin }

// scratch is room for an AAD.
type scratch struct{ b []byte }

var scratches = sync.Pool{New: func() any { return &scratch{b: make([]byte, 0, 192)} }}
