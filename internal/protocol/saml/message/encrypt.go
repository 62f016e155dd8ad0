package message

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // of OAEP alone, see below
	"crypto/x509"
	"encoding/base64"

	"github.com/beevik/etree"

	"countersign/internal/failure"
)

// The algorithms of encryption are the two of XML Encryption 1.1 that everybody must have
// (sections 5.2.4 and 5.5.2): AES-GCM with 128 bits, and RSA-OAEP, in which SHA-1 is no
// weakness, because nobody gains by a collision there.
const (
	aesGCM  = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
	aesKey  = 16
	oaep    = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
	sha1URI = "http://www.w3.org/2000/09/xmldsig#sha1"
)

// encrypted is an assertion that only the holder of the certificate's key can read (SAML
// core, section 2.3.4).
func encrypted(assertion *etree.Element, to *x509.Certificate) (*etree.Element, error) {
	public, ok := to.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, failure.New(failure.Invalid, "The certificate to encrypt to holds no RSA key.")
	}
	plain, err := write(assertion)
	if err != nil {
		return nil, err
	}
	key := make([]byte, aesKey)
	rand.Read(key)
	carried, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, public, key, nil)
	if err != nil {
		return nil, err
	}
	sealed, err := sealGCM(key, plain)
	if err != nil {
		return nil, err
	}
	out := element("saml", "EncryptedAssertion", "saml")
	data := add(out, "xenc", "EncryptedData")
	data.CreateAttr("xmlns:xenc", nsEncrypted)
	data.CreateAttr("Type", nsEncrypted+"Element")
	add(data, "xenc", "EncryptionMethod").CreateAttr("Algorithm", aesGCM)
	info := add(data, "ds", "KeyInfo")
	info.CreateAttr("xmlns:ds", nsSignature)
	addKey(info, carried)
	addText(add(data, "xenc", "CipherData"), "xenc", "CipherValue", base64.StdEncoding.EncodeToString(sealed))
	return out, nil
}

func addKey(info *etree.Element, carried []byte) {
	key := add(info, "xenc", "EncryptedKey")
	method := add(key, "xenc", "EncryptionMethod")
	method.CreateAttr("Algorithm", oaep)
	add(method, "ds", "DigestMethod").CreateAttr("Algorithm", sha1URI)
	addText(add(key, "xenc", "CipherData"), "xenc", "CipherValue", base64.StdEncoding.EncodeToString(carried))
}

// sealGCM is the nonce of 96 bits, the ciphertext and the tag of 128 bits, in this order.
func sealGCM(key, plain []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce)
	return gcm.Seal(nonce, nonce, plain, nil), nil
}
