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
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// Files are how the files that tokens come in go into stock: in parts, which are sent
// first and change nothing, and then all of them at once.
type Files struct {
	stock   *Stock
	tickets *ticket.Tickets
	kinds   Kinds
}

// NewFiles makes Files, of tokens of these kinds.
func NewFiles(stock *Stock, tickets *ticket.Tickets, kinds Kinds) *Files {
	return &Files{stock, tickets, kinds}
}

// Row is one token of a file, as it is sent, and as it is kept for half an hour.
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
	mostParts   = 10_000
	uploadKind  = "token-part"
	uploadLife  = 30 * time.Minute
)

// partSecret is what the ticket of a part is found by.
func partSecret(upload string, part int) (string, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(upload)
	if err != nil || len(raw) != 24 {
		return "", failure.At("upload", failure.New(failure.Invalid, "The upload is named by 24 random bytes in unpadded base64url."))
	}
	if part < 0 || part >= mostParts {
		return "", failure.At("part", failure.New(failure.Invalid, "A file has %d parts at most.", mostParts))
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint32(append([]byte("token-part\x00"), raw...), uint32(part)))
	return base64.RawURLEncoding.EncodeToString(h[:24]), nil
}

// Part is a part of a file. Upload is a secret of the sender's making, 24 random bytes in
// unpadded base64url, by which the parts are found; Number is from 0.
type Part struct {
	Upload string
	Number int
	Rows   []Row
}

// Stage takes a part of a file, sealed and for half an hour, and returns its SHA-256 in
// hexadecimal. What its owner sent, nobody else can import.
func (f *Files) Stage(ctx context.Context, owner assurance.AccountID, p Part) (string, error) {
	secret, err := partSecret(p.Upload, p.Number)
	if err != nil {
		return "", err
	}
	if len(p.Rows) < 1 || len(p.Rows) > RowsPerPart {
		return "", failure.At("rows", failure.New(failure.Invalid, "A part has 1 to %d tokens.", RowsPerPart))
	}
	for _, row := range p.Rows {
		if _, err := f.token(row, ""); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(p.Rows)
	if err != nil {
		return "", err
	}
	_, err = f.tickets.Issue(ctx, ticket.Spec{Kind: uploadKind, Owner: int64(owner), Payload: b, Lifetime: uploadLife, Secret: secret})
	digest := sha256.Sum256(b)
	return hex.EncodeToString(digest[:]), err
}

// token makes a row what is kept in stock.
func (f *Files) token(row Row, batch string) (Token, error) {
	// No complaint quotes what was sent: in a wrong place, any text may be a secret.
	refuse := func(format string, args ...any) error {
		return failure.New(failure.Invalid, "Line %d: %s.", row.Line, fmt.Sprintf(format, args...))
	}
	if !plain(row.Serial, 64) || row.Serial == "" {
		return Token{}, refuse("a serial number has 1 to 64 printable ASCII characters without spaces at its ends")
	}
	if !printable(row.Manufacturer) {
		return Token{}, refuse("a manufacturer has 64 printable characters at most, without spaces at its ends")
	}
	enrolled, err := f.kinds.Import(Seed{Kind: row.Kind, Suite: row.Suite, Algorithm: row.Algorithm, Digits: row.Digits,
		Period: row.Period, Counter: row.Counter, Secret: row.Secret, Public: row.Public, Private: row.Private})
	if err != nil {
		return Token{}, refuse("%v", err)
	}
	return Token{Secret: row.Secret, Serial: row.Serial, Manufacturer: row.Manufacturer, Kind: row.Kind, Detail: row.detail(),
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

// printable reports whether a name can be shown on one line: 64 characters at most, none
// of which is a control or changes the direction of the text, without spaces at its ends.
func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return utf8.RuneCountInString(s) <= 64 && strings.TrimSpace(s) == s
}

// Batch names what was sent. Digest is the SHA-256, in hexadecimal, over the digests of its
// parts in their order, so that what is approved by it is what is imported.
type Batch struct {
	Upload       string
	Parts, Count int
	Digest       string
}

// mostKnown is how many serials a preview names.
const mostKnown = 100

// Known returns those of the serials that exist already: with one of them nothing would be
// imported. Once it has a hundred it asks for no more.
func (f *Files) Known(ctx context.Context, owner assurance.AccountID, b Batch) ([]string, error) {
	out := []string{}
	open := func(secret string) (ticket.Ticket, error) { return f.tickets.Peek(ctx, uploadKind, secret) }
	err := b.each(owner, open, func(rows []Row) error {
		serials := make([]string, len(rows))
		for i, row := range rows {
			serials[i] = row.Serial
		}
		if len(out) >= mostKnown {
			return nil
		}
		known, err := f.stock.Known(ctx, f.stock.db, serials)
		out = append(out, known...)
		return err
	})
	return out, err
}

// ImportTx puts what was sent into stock: all of it, or nothing. It is part of another
// room's change, which records it.
func (f *Files) ImportTx(ctx context.Context, tx *store.Tx, owner assurance.AccountID, b Batch) error {
	open := func(secret string) (ticket.Ticket, error) { return f.tickets.TakeTx(ctx, tx, uploadKind, secret) }
	return b.each(owner, open, func(rows []Row) error {
		tokens := make([]Token, len(rows))
		for i, row := range rows {
			var err error
			if tokens[i], err = f.token(row, b.Digest); err != nil {
				return err
			}
		}
		return f.stock.Add(ctx, tx, tokens)
	})
}

// each reads the parts in their order, and at the end holds them to the digest
// and the count.
func (b Batch) each(owner assurance.AccountID, open func(secret string) (ticket.Ticket, error), visit func([]Row) error) error {
	if b.Parts < 1 || b.Parts > mostParts {
		return failure.At("parts", failure.New(failure.Invalid, "A file has 1 to %d parts.", mostParts))
	}
	sum, count := sha256.New(), 0
	for part := range b.Parts {
		rows, err := b.part(owner, part, open, sum)
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

func (b Batch) part(owner assurance.AccountID, part int, open func(secret string) (ticket.Ticket, error), sum hash.Hash) ([]Row, error) {
	secret, err := partSecret(b.Upload, part)
	if err != nil {
		return nil, err
	}
	t, err := open(secret)
	if failure.ClassOf(err) == failure.Refused || err == nil && t.Owner != int64(owner) {
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
