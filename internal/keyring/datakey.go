package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"sync"
	"sync/atomic"
)

// A sealed value is
//
//	version (1 byte, 1) | generation (4) | epoch (8) | nonce (12) | ciphertext | tag (16)
//
// The generation names the data key, and the epoch one of its sealing keys: a
// random number that each server draws when it starts and again after 2^28 values.
// AES-GCM with random nonces is safe for 2^32 values a key (NIST SP 800-38D
// section 8.3). Ten thousand sign-ins a second would pass that within days;
// with epochs no key comes near it.
const (
	sealVersion  = 1
	epochSize    = 8
	headSize     = 1 + 4 + epochSize
	sealMin      = headSize + 12 + 16
	epochSeals   = 1 << 28
	epochsCached = 256 // sealing keys of other epochs that are cached
)

// A MAC is generation (4 bytes) | HMAC-SHA256 (32).
const macSize = 4 + sha256.Size

// dataKey is one generation of a purpose's key.
type dataKey struct {
	generation uint32
	key        [keySize]byte

	mac   sync.Pool // of *macState
	epoch atomic.Pointer[epoch]

	mu    sync.RWMutex
	cache map[[epochSize]byte]cipher.AEAD // of epochs that values were opened from
}

// epoch is the sealing key in use.
type epoch struct {
	id   [epochSize]byte
	aead cipher.AEAD
	left atomic.Int64
}

// macState is a keyed hash and room for what it is fed and what it gives.
type macState struct {
	hash hash.Hash
	in   []byte
	out  [macSize]byte
}

func newDataKey(generation uint32, key [keySize]byte) *dataKey {
	d := &dataKey{generation: generation, key: key, cache: map[[epochSize]byte]cipher.AEAD{}}
	secret := derive(key[:], nil, "countersign data key: mac v1")
	d.mac.New = func() any { return &macState{hash: hmac.New(sha256.New, secret)} }
	return d
}

// aead returns the sealing key of an epoch.
func (d *dataKey) aead(id [epochSize]byte) (cipher.AEAD, error) {
	return newAEAD(derive(d.key[:], id[:], "countersign data key: seal v1"))
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// current returns the epoch to seal one more value in.
func (d *dataKey) current() *epoch {
	e := d.epoch.Load()
	if e != nil && e.left.Add(-1) >= 0 {
		return e
	}
	fresh := &epoch{}
	rand.Read(fresh.id[:])
	aead, err := d.aead(fresh.id)
	if err != nil {
		panic("keyring: " + err.Error()) // only for a key of another length
	}
	fresh.aead = aead
	fresh.left.Store(epochSeals - 1)
	d.epoch.CompareAndSwap(e, fresh) // the loser of the race uses its own epoch once
	return fresh
}

func (d *dataKey) seal(aad, plaintext []byte) []byte {
	e := d.current()
	out := make([]byte, 0, sealMin+len(plaintext))
	out = append(out, sealVersion)
	out = binary.BigEndian.AppendUint32(out, d.generation)
	out = append(out, e.id[:]...)
	return e.aead.Seal(out, nil, plaintext, aad)
}

func (d *dataKey) open(aad, sealed []byte) ([]byte, error) {
	id := [epochSize]byte(sealed[5:headSize])
	aead, known := d.cached(id)
	if !known {
		var err error
		if aead, err = d.aead(id); err != nil {
			return nil, err
		}
	}
	plaintext, err := aead.Open(nil, nil, sealed[headSize:], aad)
	if err != nil {
		return nil, ErrSealed
	}
	if !known {
		d.keep(id, aead)
	}
	return plaintext, nil
}

func (d *dataKey) cached(id [epochSize]byte) (cipher.AEAD, bool) {
	if e := d.epoch.Load(); e != nil && e.id == id {
		return e.aead, true
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	aead, ok := d.cache[id]
	return aead, ok
}

// keep caches the key of an epoch in which a value was sealed.
func (d *dataKey) keep(id [epochSize]byte, aead cipher.AEAD) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.cache) >= epochsCached {
		clear(d.cache)
	}
	d.cache[id] = aead
}

// sum computes the MAC of fields into the state's out.
func (d *dataKey) sum(s *macState, f *Fields) []byte {
	s.in = append(s.in[:0], f.b...)
	s.hash.Reset()
	s.hash.Write(s.in)
	out := binary.BigEndian.AppendUint32(s.out[:0], d.generation)
	return s.hash.Sum(out)
}

func (d *dataKey) appendMAC(dst []byte, f *Fields) []byte {
	s := d.mac.Get().(*macState)
	defer d.mac.Put(s)
	return append(dst, d.sum(s, f)...)
}

func (d *dataKey) verifyMAC(f *Fields, mac []byte) bool {
	s := d.mac.Get().(*macState)
	defer d.mac.Put(s)
	return hmac.Equal(d.sum(s, f), mac)
}

// ErrSealed is returned for a sealed value that does not open: it was changed, moved
// to another row or account, or sealed with other keys. The caller refuses the row
// and raises an alarm.
var ErrSealed = errors.New("keyring: a sealed value does not open: it was changed, moved to another place, or sealed with keys that are not this database's")
