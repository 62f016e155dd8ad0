package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// MaxMessage is the size of the largest message in bytes: one record of 4096 bytes minus
// header, padding delimiter and tag, which every push service must accept (RFC
// 8030 section 7.2, RFC 8291 section 4).
const MaxMessage = recordSize - headerSize - 1 - tagSize

const (
	recordSize = 4096
	saltSize   = 16
	pointSize  = 65
	headerSize = saltSize + 4 + 1 + pointSize
	tagSize    = 16
	secretSize = 16
)

// Recipient is a browser's half of the encryption: an uncompressed P-256 point
// of 65 bytes and a shared secret of 16.
type Recipient struct {
	Public []byte
	Secret []byte
}

// Check returns an error for invalid keys.
func (r Recipient) Check() error {
	if len(r.Secret) != secretSize {
		return errors.New("webpush: the authentication secret is not 16 bytes")
	}
	if _, err := ecdh.P256().NewPublicKey(r.Public); err != nil || len(r.Public) != pointSize {
		return errors.New("webpush: the public key is not an uncompressed point of P-256")
	}
	return nil
}

// Encrypt encrypts a message for one recipient, with a fresh key and salt.
func Encrypt(to Recipient, message []byte) ([]byte, error) {
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return seal(to, message, ours, salt)
}

// seal is RFC 8291 section 3.4 and RFC 8188 section 2 with one record.
func seal(to Recipient, message []byte, ours *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	if len(message) > MaxMessage {
		return nil, errors.New("webpush: the message is too long")
	}
	if err := to.Check(); err != nil {
		return nil, err
	}
	theirs, err := ecdh.P256().NewPublicKey(to.Public)
	if err != nil {
		return nil, err
	}
	shared, err := ours.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	us := ours.PublicKey().Bytes()
	aead, nonce, err := derive(shared, to.Secret, salt, to.Public, us)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, headerSize+len(message)+1+tagSize)
	out = append(out, salt...)
	out = binary.BigEndian.AppendUint32(out, recordSize)
	out = append(out, byte(len(us)))
	out = append(out, us...)
	plain := append(append([]byte(nil), message...), 2) // 2 ends the last record
	return aead.Seal(out, nonce, plain, nil), nil
}

// derive makes the record's key and nonce.
func derive(shared, secret, salt, theirs, ours []byte) (cipher.AEAD, []byte, error) {
	info := "WebPush: info\x00" + string(theirs) + string(ours)
	ikm, err := hkdf.Key(sha256.New, shared, secret, info, 32)
	if err != nil {
		return nil, nil, err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	return aead, nonce, err
}
