package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"countersign/internal/admin"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/ticket"
)

// stockDesk is where the files that tokens come in go into stock.
type stockDesk struct {
	admin.Book
	db      store.Reader
	stock   *directory.Tokens
	tickets *ticket.Tickets
	tokens  enrollment.TokenKinds
}

// Row is one token of a file, as it is sent.
type Row struct {
	// Line is where in the file it began.
	Line         int       `json:"line,omitempty"`
	Serial       string    `json:"serial"`
	Manufacturer string    `json:"manufacturer,omitempty"`
	Kind         string    `json:"kind"`
	Suite        string    `json:"suite,omitempty"` // of ocra
	Algorithm    string    `json:"algorithm"`
	Digits       int       `json:"digits"`
	Period       int       `json:"period,omitempty"`
	Counter      uint64    `json:"counter,omitempty"`
	Secret       []byte    `json:"secret"`
	Public       string    `json:"public,omitempty"`  // of yubico-otp, in modhex
	Private      []byte    `json:"private,omitempty"` // of yubico-otp
	Issued       time.Time `json:"issued,omitzero"`
}

// Bounds of an upload. A part is kept as a ticket, so that its JSON must stay
// under 64 KiB beside its number of rows.
const (
	RowsPerPart = 300
	tokenParts  = 10_000
	uploadKind  = "token-part"
	uploadLife  = 30 * time.Minute
)

// Stage sends a part of a file, sealed and for half an hour. It changes
// nothing: what was sent comes to be by token.import alone.
type Stage struct {
	// Upload is a secret of the sender's making; the parts are found by it.
	Upload string `json:"upload" required:"" help:"24 random bytes in unpadded base64url, the same for each part."`
	Part   int    `json:"part" help:"The number of the part, from 0."`
	Rows   []Row  `json:"rows" required:"" help:"The tokens, as JSON: 1 to 300."`
}

// Staged is a part that was taken. Digest is its SHA-256.
type Staged struct {
	Part   int    `json:"part"`
	Digest string `json:"digest"`
}

func (c *Stage) Action() string { return "token.stage" }
func (c *Stage) Object() string { return fmt.Sprintf("part %d of a token file", c.Part) }

// partSecret is what the ticket of a part is found by.
func partSecret(upload string, part int) (string, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(upload)
	if err != nil || len(raw) != 24 {
		return "", failure.At("upload", failure.New(failure.Invalid, "The upload is named by 24 random bytes in unpadded base64url."))
	}
	if part < 0 || part >= tokenParts {
		return "", failure.At("part", failure.New(failure.Invalid, "A file has %d parts at most.", tokenParts))
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte("token-part\x00"), raw...), uint32(part)))
	return base64.RawURLEncoding.EncodeToString(h[:24]), nil
}

func (c *Stage) Do(ctx context.Context, a *stockDesk, g signin.Grant) (any, error) {
	secret, err := partSecret(c.Upload, c.Part)
	if err != nil {
		return nil, err
	}
	if len(c.Rows) < 1 || len(c.Rows) > RowsPerPart {
		return nil, failure.At("rows", failure.New(failure.Invalid, "A part has 1 to %d tokens.", RowsPerPart))
	}
	for _, row := range c.Rows {
		if _, err := a.token(row, ""); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(c.Rows)
	if err != nil {
		return nil, err
	}
	_, err = a.tickets.Issue(ctx, ticket.Spec{Kind: uploadKind, Owner: int64(g.Account()), Payload: b, Lifetime: uploadLife, Secret: secret})
	digest := sha256.Sum256(b)
	return Staged{c.Part, hex.EncodeToString(digest[:])}, err
}

// token makes a row what is kept in stock.
func (a *stockDesk) token(row Row, batch string) (directory.Token, error) {
	refuse := func(format string, args ...any) error {
		return failure.New(failure.Invalid, "Line %d, token %.64q: %s.", row.Line, row.Serial, fmt.Sprintf(format, args...))
	}
	if !plain(row.Serial, 64) || row.Serial == "" {
		return directory.Token{}, refuse("a serial number has 1 to 64 printable ASCII characters without spaces at its ends")
	}
	if !plain(row.Manufacturer, 64) {
		return directory.Token{}, refuse("a manufacturer has 64 printable ASCII characters at most")
	}
	enrolled, err := a.tokens.Import(enrollment.Seed{Kind: row.Kind, Suite: row.Suite, Algorithm: row.Algorithm, Digits: row.Digits,
		Period: row.Period, Counter: row.Counter, Secret: row.Secret, Public: row.Public, Private: row.Private})
	if err != nil {
		return directory.Token{}, refuse("%v", err)
	}
	return directory.Token{Secret: row.Secret, Serial: row.Serial, Manufacturer: row.Manufacturer, Kind: row.Kind, Detail: row.detail(),
		Issued: row.Issued, Seed: enrolled.State, Batch: batch}, nil
}

// detail tells tokens of one kind apart, for people.
func (r Row) detail() string {
	switch {
	case r.Public != "":
		return "public id " + r.Public
	case r.Suite != "":
		return r.Suite
	case r.Period > 0:
		return fmt.Sprintf("%s, %d digits, %d seconds", r.Algorithm, r.Digits, r.Period)
	}
	return fmt.Sprintf("%s, %d digits", r.Algorithm, r.Digits)
}

// plain reports whether a text is printable ASCII without spaces at its ends.
func plain(s string, most int) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= most && (s == "" || s[0] != ' ' && s[len(s)-1] != ' ')
}

// Batch names what was sent. The digest is over the digests of its parts, in
// their order, so that what is approved by it is what is imported.
type Batch struct {
	Upload string `json:"upload" required:"" help:"As the parts were sent with."`
	Parts  int    `json:"parts" required:"" help:"How many there are."`
	Count  int    `json:"count" required:"" help:"How many tokens they hold."`
	Digest string `json:"digest" required:"" help:"SHA-256 over the parts' digests."`
	File   string `json:"file,omitempty" help:"The file's name, for the log."`
}

func (b *Batch) text() string {
	return fmt.Sprintf("%d tokens from %s, SHA-256 %s", b.Count, text.Quote(b.File), text.Name(b.Digest))
}

// Preview says what importing would do.
type Preview struct {
	Batch `embed:""`
}

// Previewed is what would happen. Known are serials that exist already: with
// one of them nothing is imported.
type Previewed struct {
	Count int      `json:"count"`
	Known []string `json:"known"`
}

func (c *Preview) Action() string { return "token.preview" }
func (c *Preview) Object() string { return c.text() }

// mostKnown is how many serials a preview names.
const mostKnown = 100

func (c *Preview) Do(ctx context.Context, a *stockDesk, g signin.Grant) (any, error) {
	out := Previewed{Count: c.Count, Known: []string{}}
	err := c.each(g, func(secret string) (ticket.Ticket, error) { return a.tickets.Peek(ctx, uploadKind, secret) }, func(rows []Row) error {
		serials := make([]string, len(rows))
		for i, row := range rows {
			serials[i] = row.Serial
		}
		if len(out.Known) >= mostKnown {
			return nil
		}
		known, err := a.stock.Known(ctx, a.db, serials)
		out.Known = append(out.Known, known...)
		return err
	})
	return out, err
}

// each reads the parts in their order, and at the end holds them to the digest
// and the count.
func (b *Batch) each(g signin.Grant, open func(secret string) (ticket.Ticket, error), visit func([]Row) error) error {
	if b.Parts < 1 || b.Parts > tokenParts {
		return failure.At("parts", failure.New(failure.Invalid, "A file has 1 to %d parts.", tokenParts))
	}
	sum, count := sha256.New(), 0
	for part := range b.Parts {
		rows, err := b.part(g, part, open, sum)
		if err != nil {
			return err
		}
		count += len(rows)
		if err := visit(rows); err != nil {
			return err
		}
	}
	if count != b.Count || hex.EncodeToString(sum.Sum(nil)) != b.Digest {
		return failure.New(failure.Conflict, "What was sent is not what its digest says; nothing was imported. Send the file again.")
	}
	return nil
}

func (b *Batch) part(g signin.Grant, part int, open func(secret string) (ticket.Ticket, error), sum hash.Hash) ([]Row, error) {
	secret, err := partSecret(b.Upload, part)
	if err != nil {
		return nil, err
	}
	t, err := open(secret)
	if failure.ClassOf(err) == failure.Refused || err == nil && t.Owner != int64(g.Account()) {
		return nil, failure.New(failure.NotFound, "Part %d was not sent, or more than half an hour ago; send the file again.", part)
	}
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(t.Payload)
	sum.Write(digest[:])
	var rows []Row
	return rows, json.Unmarshal(t.Payload, &rows)
}

// Import puts what was sent into stock: all of it, or nothing.
type Import struct {
	Batch `embed:""`
}

// Imported says how many tokens are new in stock.
type Imported struct {
	Imported int    `json:"imported"`
	Digest   string `json:"digest"`
}

func (c *Import) Action() string { return "token.import" }
func (c *Import) Object() string { return c.text() }

func (c *Import) Do(ctx context.Context, a *stockDesk, g signin.Grant) (any, error) {
	detail := map[string]string{"count": fmt.Sprint(c.Count), "digest": c.Digest}
	err := a.Change(ctx, g, "token.imported", detail, nil, func(tx *store.Tx) error {
		return c.each(g, func(secret string) (ticket.Ticket, error) { return a.tickets.TakeIn(ctx, tx, uploadKind, secret) }, func(rows []Row) error {
			tokens := make([]directory.Token, len(rows))
			for i, row := range rows {
				var err error
				if tokens[i], err = a.token(row, c.Digest); err != nil {
					return err
				}
			}
			return a.stock.Add(ctx, tx, tokens)
		})
	})
	return Imported{c.Count, c.Digest}, err
}
