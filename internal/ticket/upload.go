package ticket

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// Bounds of an upload: how many parts it may have, and for how long each is kept.
const (
	mostParts  = 10_000
	uploadLife = 30 * time.Minute
)

// Upload is a file that was sent in parts, each of them a ticket. What its owner sent, nobody
// else can use.
type Upload struct {
	Kind  string
	Owner int64
	// Secret is of the sender's making, 24 random bytes in unpadded base64url: the parts are
	// found by it.
	Secret string
	Parts  int
	// Digest is the SHA-256, in hexadecimal, over the digests of the parts in their order.
	Digest string
}

// partSecret is what the ticket of a part is found by.
func (u Upload) partSecret(part int) (string, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(u.Secret)
	if err != nil || len(raw) != secretSize {
		return "", failure.At("upload", failure.New(failure.Invalid, "The upload is named by 24 random bytes in unpadded base64url."))
	}
	if part < 0 || part >= mostParts {
		return "", failure.At("part", failure.New(failure.Invalid, "A file has %d parts at most.", mostParts))
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte(u.Kind+"\x00"), raw...), uint32(part)))
	return base64.RawURLEncoding.EncodeToString(h[:secretSize]), nil
}

// Stage takes a part, sealed and for half an hour, and returns its SHA-256 in hexadecimal.
func (t *Tickets) Stage(ctx context.Context, u Upload, part int, payload []byte) (string, error) {
	secret, err := u.partSecret(part)
	if err != nil {
		return "", err
	}
	_, err = t.Issue(ctx, Spec{Kind: u.Kind, Owner: u.Owner, Payload: payload, Lifetime: uploadLife, Secret: secret})
	digest := sha256.Sum256(payload)
	return hex.EncodeToString(digest[:]), err
}

// Walk visits the parts in their order, and holds them to the digest at the end. It uses
// nothing up, so that whoever means to do something with each walks through them first.
func (t *Tickets) Walk(ctx context.Context, u Upload, visit func(part int, payload []byte) error) error {
	if u.Parts < 1 || u.Parts > mostParts {
		return failure.At("parts", failure.New(failure.Invalid, "A file has 1 to %d parts.", mostParts))
	}
	sum := sha256.New()
	for part := range u.Parts {
		secret, err := u.partSecret(part)
		if err != nil {
			return err
		}
		one, err := t.Peek(ctx, u.Kind, secret)
		if err = u.owned(one, part, err); err != nil {
			return err
		}
		digest := sha256.Sum256(one.Payload)
		sum.Write(digest[:])
		if err := visit(part, one.Payload); err != nil {
			return err
		}
	}
	if hex.EncodeToString(sum.Sum(nil)) != u.Digest {
		return failure.New(failure.Conflict, "What was sent is not what its digest says; nothing was imported. Send the file again.")
	}
	return nil
}

func (u Upload) owned(one Ticket, part int, err error) error {
	if failure.ClassOf(err) == failure.Refused || err == nil && one.Owner != u.Owner {
		return failure.New(failure.NotFound, "Part %d was not sent, or more than half an hour ago; send the file again.", part)
	}
	return err
}

// TakePartTx uses a part up inside a change of another package.
func (t *Tickets) TakePartTx(ctx context.Context, tx *store.Tx, u Upload, part int) ([]byte, error) {
	secret, err := u.partSecret(part)
	if err != nil {
		return nil, err
	}
	one, err := t.TakeTx(ctx, tx, u.Kind, secret)
	return one.Payload, u.owned(one, part, err)
}
