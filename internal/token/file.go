package token

import (
	"context"
	"encoding/json"
	"fmt"
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

// RowsPerPart is how many rows a part of a file has at most. A part is kept as a ticket, so
// that its JSON must stay under 64 KiB beside that.
const RowsPerPart = 300

const uploadKind = "token-part"

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
	return f.tickets.Stage(ctx, ticket.Upload{Kind: uploadKind, Owner: int64(owner), Secret: p.Upload}, p.Number, b)
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
	count := 0
	err := f.tickets.Walk(ctx, b.upload(owner), counted(&count, func(rows []Row) error {
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
	}))
	return out, b.holds(count, err)
}

// ImportTx puts what was sent into stock: all of it, or nothing. It is part of another
// room's change, which records it.
func (f *Files) ImportTx(ctx context.Context, tx *store.Tx, owner assurance.AccountID, b Batch) error {
	count := 0
	err := f.tickets.TakeAllTx(ctx, tx, b.upload(owner), counted(&count, func(rows []Row) error {
		tokens := make([]Token, len(rows))
		for i, row := range rows {
			var err error
			if tokens[i], err = f.token(row, b.Digest); err != nil {
				return err
			}
		}
		return f.stock.Add(ctx, tx, tokens)
	}))
	return b.holds(count, err)
}

func (b Batch) upload(owner assurance.AccountID) ticket.Upload {
	return ticket.Upload{Kind: uploadKind, Owner: int64(owner), Secret: b.Upload, Parts: b.Parts, Digest: b.Digest}
}

// counted reads the rows of a part, and counts them.
func counted(n *int, visit func([]Row) error) func(payload []byte) error {
	return func(payload []byte) error {
		var rows []Row
		if err := json.Unmarshal(payload, &rows); err != nil {
			return err
		}
		*n += len(rows)
		return visit(rows)
	}
}

// holds holds what was read to the count.
func (b Batch) holds(count int, err error) error {
	if err == nil && count != b.Count {
		return ticket.NotAsSent
	}
	return err
}
