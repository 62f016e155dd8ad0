package audit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is the state of a tree at one size: the text of a C2SP tlog-checkpoint
// (https://c2sp.org/tlog-checkpoint) without extension lines.
type Checkpoint struct {
	// Origin names the log; it is a non-empty line.
	Origin string
	Size   int64
	Root   tlog.Hash
}

// Checkpoint returns the present state of the tree, under the log's origin.
func (t *Tree) Checkpoint(origin string) Checkpoint {
	return Checkpoint{Origin: origin, Size: t.size, Root: t.Root()}
}

// Text returns the body of the note: origin, size and root, one line each.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// Sign returns the checkpoint as a signed note.
func (c Checkpoint) Sign(s note.Signer) (string, error) {
	if _, err := ParseCheckpoint(c.Text()); err != nil {
		return "", err
	}
	b, err := note.Sign(&note.Note{Text: c.Text()}, s)
	if err != nil {
		return "", fmt.Errorf("audit: signing a checkpoint: %w", err)
	}
	return string(b), nil
}

// maxCheckpoint is the size in bytes of the largest signed note that is read.
const maxCheckpoint = 64 << 10

var errCheckpoint = errors.New("audit: malformed checkpoint")

// ParseCheckpoint reads the body of a note, unsigned. Lines after the third are
// extensions and are ignored, as the specification demands.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" || len(text) > maxCheckpoint {
		return Checkpoint{}, errCheckpoint
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || lines[1] != strconv.FormatInt(size, 10) {
		return Checkpoint{}, errCheckpoint
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, errCheckpoint
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: tlog.Hash(root)}
	if c.Root.String() != lines[2] { // the decoder overlooks carriage returns
		return Checkpoint{}, errCheckpoint
	}
	return c, nil
}

// OpenCheckpoint verifies the signature of a note and parses it. It refuses a
// checkpoint of another origin: a valid one of another log proves nothing about
// this one.
func OpenCheckpoint(signed, origin string, v note.Verifier) (Checkpoint, error) {
	if len(signed) > maxCheckpoint {
		return Checkpoint{}, errCheckpoint
	}
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != origin {
		return Checkpoint{}, fmt.Errorf("audit: checkpoint of another log, %q", c.Origin)
	}
	return c, nil
}
