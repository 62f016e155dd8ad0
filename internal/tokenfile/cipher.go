package tokenfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strconv"
	"strings"
)

// ciphers are the lengths of the keys of XML Encryption's AES in CBC mode.
var ciphers = map[string]int{
	"http://www.w3.org/2001/04/xmlenc#aes128-cbc": 16,
	"http://www.w3.org/2001/04/xmlenc#aes192-cbc": 24,
	"http://www.w3.org/2001/04/xmlenc#aes256-cbc": 32,
}

// macs are the MACs of RFC 6030 section 6.1.1 and their successors.
var macs = map[string]func() hash.Hash{
	"http://www.w3.org/2000/09/xmldsig#hmac-sha1":        sha1.New,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256": sha256.New,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha512": sha512.New,
}

// maxIterations bounds the work that a file can ask for.
const maxIterations = 10_000_000

// opener opens what is encrypted in a container. The zero opener is that of a
// file without encryption.
type opener struct {
	key    []byte
	mac    func() hash.Hash
	macKey []byte
}

func (o *opener) encrypted() bool { return o.key != nil }

// newOpener finds the key (RFC 6030 section 6) and opens the MAC's with it.
func (c *container) newOpener() (*opener, error) {
	o := &opener{}
	if c.encrypt == nil && c.mac == nil {
		return o, nil
	}
	var err error
	switch {
	case c.child(c.encrypt, "DerivedKey") != nil:
		o.key, err = c.derive(c.child(c.encrypt, "DerivedKey", "KeyDerivationMethod"))
	case c.child(c.encrypt, "X509Data") != nil:
		return nil, fatal(0, "the file is encrypted for a certificate, which cannot be read; ask for one with a key or a password")
	case c.encrypt == nil:
		return nil, fatal(0, "the file has a MAC and does not say of which key")
	case len(c.Key) != 16 && len(c.Key) != 24 && len(c.Key) != 32:
		return nil, fatal(0, "the file is encrypted with a key that was agreed on beforehand: give it, 16, 24 or 32 bytes")
	default:
		o.key = c.Key
	}
	if err != nil {
		return nil, err
	}
	return o, c.macOf(o)
}

// derive makes the key of a password (RFC 6030 section 6.2).
func (c *container) derive(method *node) ([]byte, error) {
	if !strings.HasSuffix(c.attribute(method, "Algorithm"), "#pbkdf2") {
		return nil, fatal(0, "the file's key is derived in a way that cannot be read, only PBKDF2 can")
	}
	if len(c.Password) == 0 {
		return nil, fatal(0, "the file is encrypted with a password: give it")
	}
	p := c.child(method, "PBKDF2-params")
	salt, err := decode(c.child(p, "Salt", "Specified").value())
	if err != nil || len(salt) == 0 || len(salt) > 1024 {
		return nil, fatal(0, "the file's key derivation has no salt")
	}
	rounds, err := strconv.ParseUint(c.child(p, "IterationCount").value(), 10, 31)
	if err != nil || rounds < 1 || rounds > maxIterations {
		return nil, fatal(0, "the file's key derivation must have 1 to %d iterations", maxIterations)
	}
	length := c.child(p, "KeyLength").value()
	size := map[string]int{"": 16, "16": 16, "24": 24, "32": 32}[length]
	if size == 0 {
		return nil, fatal(0, "the file's derived key must have 16, 24 or 32 bytes")
	}
	digest, err := c.prf(c.child(p, "PRF"))
	if err != nil {
		return nil, err
	}
	return pbkdf2.Key(digest, string(c.Password), salt, int(rounds), size)
}

// prf is the hash of the derivation. RFC 8018 appendix A.2 makes it HMAC-SHA1 where
// nothing is said. Some makers write the name as the element's text and not as its
// attribute.
func (c *container) prf(n *node) (func() hash.Hash, error) {
	name := c.attribute(n, "Algorithm")
	if name == "" && n.value() != "" {
		name = n.value()
		c.forgive("the hash of the key's derivation is a text and not an attribute")
	}
	switch a := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name)); {
	case a == "", strings.HasSuffix(a, "hmacsha1"):
		return sha1.New, nil
	case strings.HasSuffix(a, "hmacsha256"):
		return sha256.New, nil
	case strings.HasSuffix(a, "hmacsha512"):
		return sha512.New, nil
	default:
		return nil, fatal(0, "the file's key derivation uses a hash that is not known; only HMAC with SHA-1, SHA-256 or SHA-512")
	}
}

// macOf finds the MAC and its key. CBC by itself keeps nobody from changing what
// is encrypted, so a file without one is not read.
func (c *container) macOf(o *opener) error {
	if c.mac == nil {
		return fatal(0, "the file is encrypted and has no MAC, so that anybody may have changed it; such files are refused")
	}
	if o.mac = macs[c.attribute(c.mac, "Algorithm")]; o.mac == nil {
		return fatal(0, "the file's MAC is not known; only HMAC with SHA-1, SHA-256 or SHA-512")
	}
	sealed := c.child(c.mac, "MACKey")
	if sealed == nil {
		o.macKey = o.key // RFC 6030 section 6.1.1
		return nil
	}
	_, plain, err := c.cbc(o.key, sealed, 0)
	o.macKey = plain
	if err == nil && len(plain) == 0 {
		err = wrongKey(0)
	}
	return err
}

func wrongKey(line int) error {
	return fatal(line, "the key or the password is not the file's, or the file was changed; nothing of it is used")
}

// open checks the MAC of an element with an EncryptedValue and opens it.
func (o *opener) open(c *container, n *node, line int) ([]byte, error) {
	sealed := c.child(n, "EncryptedValue")
	if sealed == nil {
		return nil, fatal(line, "a value is neither plain nor encrypted")
	}
	if !o.encrypted() {
		return nil, fatal(line, "a value is encrypted and the file does not say with which key")
	}
	want, err := decode(c.child(n, "ValueMAC").value())
	if err != nil || len(want) == 0 {
		return nil, fatal(line, "a value is encrypted and has no MAC, so that anybody may have changed it; such files are refused")
	}
	raw, plain, err := c.cbc(o.key, sealed, line)
	if raw != nil {
		m := hmac.New(o.mac, o.macKey)
		m.Write(raw)
		if !hmac.Equal(m.Sum(nil), want) {
			return nil, wrongKey(line)
		}
	}
	return plain, err
}

// cbc decrypts an element of XML Encryption: the IV, then the blocks, the last
// byte saying how many were added. It returns also what the MAC is of.
func (c *container) cbc(key []byte, n *node, line int) (raw, plain []byte, err error) {
	method := c.attribute(c.child(n, "EncryptionMethod"), "Algorithm")
	size, known := ciphers[method]
	switch {
	case !known:
		return nil, nil, fatal(line, "a value is encrypted in a way that cannot be read, only AES in CBC mode can")
	case size != len(key):
		return nil, nil, fatal(line, "the key must have %d bytes for this file, not %d", size, len(key))
	}
	raw, err = decode(c.child(n, "CipherData", "CipherValue").value())
	if err != nil || len(raw) < 2*aes.BlockSize || len(raw)%aes.BlockSize != 0 {
		return nil, nil, fatal(line, "an encrypted value has not the length of one")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, err
	}
	plain = make([]byte, len(raw)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, raw[:aes.BlockSize]).CryptBlocks(plain, raw[aes.BlockSize:])
	added := int(plain[len(plain)-1])
	if added < 1 || added > aes.BlockSize {
		return raw, nil, wrongKey(line)
	}
	return raw, plain[:len(plain)-added], nil
}
