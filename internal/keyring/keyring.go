package keyring

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
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

// SealName names what is sealed, by its last 16 octets: what is written anew is sealed anew
// and has another name, so that it can be said of the former one that it is over.
func SealName(sealed []byte) string {
	return base64.RawURLEncoding.EncodeToString(sealed[max(0, len(sealed)-16):])
}

// Seal encrypts and authenticates a value for one place. It panics for a purpose
// that is not in [Purposes], and for a place without table or column.
func (k *Keyring) Seal(p Purpose, place AAD, plaintext []byte) []byte {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.b = place.append(s.b[:0])
	return k.newest(p).seal(s.b, plaintext)
}

// Open decrypts a value that was sealed for this place. For any other it returns
// [ErrSealed], or the store's error if it had to read keys and failed.
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

// OpenCurrent is Open for values that must not outlive their key: for a value of an
// older generation it returns [ErrSealed].
func (k *Keyring) OpenCurrent(p Purpose, place AAD, sealed []byte) ([]byte, error) {
	plain, err := k.Open(p, place, sealed) // reads a newer generation than is known here
	if err == nil && binary.BigEndian.Uint32(sealed[1:5]) != k.newest(p).generation {
		return nil, ErrSealed
	}
	return plain, err
}

// MAC returns the message authentication code of fields, 36 bytes. It panics for a
// purpose that is not in [Purposes].
func (k *Keyring) MAC(p Purpose, f *Fields) []byte {
	return k.newest(p).appendMAC(make([]byte, 0, macSize), f)
}

// MACs returns the MAC of fields under each generation, the newest first, to find a
// value that was stored before a key was rotated.
func (k *Keyring) MACs(p Purpose, f *Fields) [][]byte {
	k.newest(p)
	var out [][]byte
	for _, d := range slices.Backward((*k.ring.Load())[p]) {
		out = append(out, d.appendMAC(make([]byte, 0, macSize), f))
	}
	return out
}

// VerifyMAC reports, in constant time, whether MAC returned mac for the same fields,
// under any generation.
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

// find returns a generation's key. It reads a new one of another server from the
// database.
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

// nextAfter is the shortest interval between two readings of the keys because of values
// of the next generation.
const nextAfter = 20 * time.Millisecond

// topic is announced when keys change.
const topic = "keyring"

// reload reads the keys again, at most once within the interval, so that values with
// forged generations cause no flood of queries. If a known key is missing, the keys in
// memory stay.
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
		k.db.Log().Error("the keys cannot be read again; those in memory stay in use", "error", err)
		return
	}
	k.ring.Store(&r)
}

// AuditKeys returns the keys of the audit log, to verify it.
func (k *Keyring) AuditKeys() store.AuditKeys { return k.log.keys }

// LogKey returns the public key of the audit log's checkpoints as a C2SP verifier
// key, with which anybody can verify a checkpoint.
func (k *Keyring) LogKey() string { return k.log.public }

// Origin returns the name of the audit log in its checkpoints.
func (k *Keyring) Origin() string { return k.log.keys.Origin }

// scratch is room for an AAD.
type scratch struct{ b []byte }

var scratches = sync.Pool{New: func() any { return &scratch{b: make([]byte, 0, 192)} }}
