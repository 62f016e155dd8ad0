package virtualauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
)

// newCredential makes a credential source for the options.
func (k *Key) newCredential(o options) (*credential, error) {
	private, err := newPrivate(k.algorithm())
	if err != nil {
		return nil, err
	}
	c := &credential{
		id:        randomBytes(32),
		user:      o.User.ID,
		rpID:      o.RP.ID,
		algorithm: k.algorithm(),
		private:   private,
		resident:  !k.NoResident && o.Selection.ResidentKey != "discouraged",
		be:        k.BackupEligible,
		bs:        k.BackupState,
	}
	if k.Lie.CredentialID != nil {
		c.id = k.Lie.CredentialID
	}
	return c, nil
}

func newPrivate(algorithm Algorithm) (crypto.Signer, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("softkey: no algorithm %d", algorithm)
}

// sign signs as the credential's algorithm does.
func (k *Key) sign(c *credential, message []byte) ([]byte, error) {
	signature, err := signWith(c.private, c.algorithm, message)
	if err == nil && k.Lie.BogusSignature {
		signature = flip(signature)
	}
	return signature, err
}

func signWith(private crypto.Signer, algorithm Algorithm, message []byte) ([]byte, error) {
	switch algorithm {
	case EdDSA:
		return private.Sign(rand.Reader, message, crypto.Hash(0))
	case ES384:
		digest := sha512.Sum384(message)
		return private.Sign(rand.Reader, digest[:], crypto.SHA384)
	}
	digest := sha256.Sum256(message)
	return private.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// cose is the public key as a COSE_Key (section 6.5.1.1).
func (c *credential) cose() ([]byte, error) {
	alg := cborInt(int(c.algorithm))
	switch public := c.private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return nil, err
		}
		curve, half := 1, (len(point)-1)/2
		if c.algorithm == ES384 {
			curve = 2
		}
		return cborMap(cborInt(1), cborInt(2), cborInt(3), alg, cborInt(-1), cborInt(curve),
			cborInt(-2), cborBytes(point[1:1+half]), cborInt(-3), cborBytes(point[1+half:])), nil
	case ed25519.PublicKey:
		return cborMap(cborInt(1), cborInt(1), cborInt(3), alg, cborInt(-1), cborInt(6),
			cborInt(-2), cborBytes(public)), nil
	case *rsa.PublicKey:
		return cborMap(cborInt(1), cborInt(3), cborInt(3), alg, cborInt(-1), cborBytes(public.N.Bytes()),
			cborInt(-2), cborBytes([]byte{1, 0, 1})), nil
	}
	return nil, fmt.Errorf("softkey: no COSE form for %T", c.private.Public())
}
