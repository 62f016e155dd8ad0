package token

import (
	"context"
	"fmt"

	"countersign/internal/admin"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	tokens "countersign/internal/token"
)

// fileDesk is where the files that tokens come in go into stock.
type fileDesk struct {
	admin.Book
	files *tokens.Files
}

// Row is one token of a file, as it is sent.
type Row = tokens.Row

// RowsPerPart is how many rows a part of a file has at most.
const RowsPerPart = tokens.RowsPerPart

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

func (c *Stage) Do(ctx context.Context, a *fileDesk, g signin.Grant) (any, error) {
	digest, err := a.files.Stage(ctx, g.Account(), tokens.Part{Upload: c.Upload, Number: c.Part, Rows: c.Rows})
	if err != nil {
		return nil, err
	}
	return Staged{c.Part, digest}, nil
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

func (b *Batch) text() string { return b.Said() + ", SHA-256 " + text.Name(b.Digest) }

// Said is the text without the digest.
func (b *Batch) Said() string { return fmt.Sprintf("%d tokens from %s", b.Count, text.Quote(b.File)) }

// Tell leaves out what only machines compare: by what the parts are found, and their digest.
func (c *Import) Tell(_ context.Context, _ *fileDesk, s *admin.Sheet) error {
	s.Rows("upload")
	s.Rows("digest")
	return nil
}

func (b *Batch) sent() tokens.Batch {
	return tokens.Batch{Upload: b.Upload, Parts: b.Parts, Count: b.Count, Digest: b.Digest}
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

func (c *Preview) Do(ctx context.Context, a *fileDesk, g signin.Grant) (any, error) {
	known, err := a.files.Known(ctx, g.Account(), c.sent())
	return Previewed{Count: c.Count, Known: known}, err
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

func (c *Import) Do(ctx context.Context, a *fileDesk, g signin.Grant) (any, error) {
	detail := map[string]string{"count": fmt.Sprint(c.Count), "digest": c.Digest}
	err := a.Change(ctx, g, "token.imported", detail, nil, func(tx *store.Tx) error {
		return a.files.ImportTx(ctx, tx, g.Account(), c.sent())
	})
	return Imported{c.Count, c.Digest}, err
}
