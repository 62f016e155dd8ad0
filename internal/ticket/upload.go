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

// MostParts is how many parts an upload may have.
const MostParts = 10_000

// uploadLife is for how long each part is kept.
const uploadLife = 30 * time.Minute

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
	if part < 0 || part >= MostParts {
		return "", failure.At("part", failure.New(failure.Invalid, "A file has %d parts at most.", MostParts))
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

// NotAsSent says that the digest of what was sent, or how much it is, is another than whoever
// approved it was told.
var NotAsSent = failure.New(failure.Conflict, "What was sent is not what its digest says; nothing was imported. Send the file again.")

// Walk visits the parts in their order, and holds them to the digest at the end. It uses
// nothing up, so that whoever means to do something with each walks through them first.
func (t *Tickets) Walk(ctx context.Context, u Upload, visit func(payload []byte) error) error {
	return u.each(func(secret string) (Ticket, error) { return t.Peek(ctx, u.Kind, secret) }, visit)
}

// TakeAllTx is Walk that uses the parts up, inside a change of another package.
func (t *Tickets) TakeAllTx(ctx context.Context, tx *store.Tx, u Upload, visit func(payload []byte) error) error {
	return u.each(func(secret string) (Ticket, error) { return t.TakeTx(ctx, tx, u.Kind, secret) }, visit)
}

// TakePartTx uses one part up inside a change of another package. Nothing holds it to the
// digest: that is for a Walk before.
func (t *Tickets) TakePartTx(ctx context.Context, tx *store.Tx, u Upload, part int) ([]byte, error) {
	return u.open(part, func(secret string) (Ticket, error) { return t.TakeTx(ctx, tx, u.Kind, secret) })
}

func (u Upload) each(open func(secret string) (Ticket, error), visit func(payload []byte) error) error {
	if u.Parts < 1 || u.Parts > MostParts {
		return failure.At("parts", failure.New(failure.Invalid, "A file has 1 to %d parts.", MostParts))
	}
	var sum Sum
	for part := range u.Parts {
		payload, err := u.open(part, open)
		if err != nil {
			return err
		}
		sum.add(sha256.Sum256(payload))
		if err := visit(payload); err != nil {
			return err
		}
	}
	if sum.Digest() != u.Digest {
		return NotAsSent
	}
	return nil
}

// open opens a part, which its owner sent.
func (u Upload) open(part int, open func(secret string) (Ticket, error)) ([]byte, error) {
	secret, err := u.partSecret(part)
	if err != nil {
		return nil, err
	}
	one, err := open(secret)
	if failure.ClassOf(err) == failure.Refused || err == nil && one.Owner != u.Owner {
		return nil, failure.New(failure.NotFound, "Part %d was not sent, or more than half an hour ago; send the file again.", part)
	}
	return one.Payload, err
}

// Sum adds up the digests of the parts of an upload, in their order. The zero Sum is of none.
type Sum struct{ of []byte }

// Add adds the digest of the next part, in hexadecimal.
func (s *Sum) Add(digest string) error {
	raw, err := hex.DecodeString(digest)
	if err != nil || len(raw) != sha256.Size {
		return failure.New(failure.Invalid, "The digest of a part is a SHA-256 in hexadecimal.")
	}
	s.add([sha256.Size]byte(raw))
	return nil
}

func (s *Sum) add(digest [sha256.Size]byte) { s.of = append(s.of, digest[:]...) }

// Digest is the [Upload.Digest] of these parts.
func (s *Sum) Digest() string {
	sum := sha256.Sum256(s.of)
	return hex.EncodeToString(sum[:])
}
