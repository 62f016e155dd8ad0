package virtualauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// attestationObject makes the statement that Key.Attestation says, or none when
// none was asked for.
func (k *Key) attestationObject(c *credential, client []byte, asked string) ([]byte, error) {
	public, err := c.cose()
	if err != nil {
		return nil, err
	}
	model := k.AAGUID
	if k.Lie.ClaimedAAGUID != nil {
		model = *k.Lie.ClaimedAAGUID
	}
	const attested = 0x40
	auth := append(k.authData(c, attested), model[:]...)
	auth = binary.BigEndian.AppendUint16(auth, uint16(len(c.id)))
	auth = append(append(auth, c.id...), public...)
	kind := k.Attestation
	if (asked == "" || asked == "none") && !k.Lie.Disobey {
		kind = None
	}
	hash := sha256.Sum256(client)
	format, statement, err := k.statement(kind, c, append(bytes.Clone(auth), hash[:]...))
	if err != nil {
		return nil, err
	}
	return cborMap(cborText("fmt"), cborText(format), cborText("attStmt"), statement,
		cborText("authData"), cborBytes(auth)), nil
}

// statement signs the message in a packed statement (section 8.2).
func (k *Key) statement(kind Attestation, c *credential, message []byte) (format string, statement []byte, err error) {
	switch kind {
	case None:
		return "none", cborMap(), nil
	case PackedSelf:
		signature, err := k.sign(c, message)
		return "packed", cborMap(cborText("alg"), cborInt(int(c.algorithm)), cborText("sig"), cborBytes(signature)), err
	case PackedX5C:
		if k.CA == nil {
			return "", nil, errors.New("softkey: packed-x5c needs a CA")
		}
		certificate, private, err := k.CA.certify(k.AAGUID)
		if err != nil {
			return "", nil, err
		}
		signature, err := signWith(private, ES256, message)
		if k.Lie.BogusSignature {
			signature = flip(signature)
		}
		return "packed", cborMap(cborText("alg"), cborInt(int(ES256)), cborText("sig"), cborBytes(signature),
			cborText("x5c"), cborArray(cborBytes(certificate))), err
	}
	return "", nil, errors.New("softkey: unknown attestation " + string(kind))
}
