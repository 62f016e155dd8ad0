package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"countersign/internal/admin"
	"countersign/internal/ticket"
	"countersign/internal/tokenfile"
	"countersign/internal/web/api"
)

// throughBar reads a file from its beginning, with a bar on the way.
func throughBar(path, what string, read func(io.Reader) (tokenfile.Report, error)) (tokenfile.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return tokenfile.Report{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return tokenfile.Report{}, err
	}
	b := &bar{r: f, what: what, size: info.Size(), seen: term.IsTerminal(int(os.Stderr.Fd()))}
	defer b.clear()
	return read(b)
}

// usable says what was forgiven in a file, and all that is wrong with it.
func usable(report tokenfile.Report, file string) error {
	for _, f := range report.Forgiven {
		fmt.Fprintln(os.Stderr, "forgiven:", f)
	}
	if report.OK() {
		return nil
	}
	for _, p := range report.Problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if report.More > 0 {
		fmt.Fprintf(os.Stderr, "and %d more\n", report.More)
	}
	return fmt.Errorf("%s cannot be used; nothing was imported", file)
}

// parts are those of a file on its way, and what their digests come to.
type parts struct {
	ctx    context.Context
	client *client
	sum    ticket.Sum
}

// partSize is when a part is sent, in bytes: well under the 64 KiB that it may
// have.
const partSize = 48 << 10

// stage sends the next part.
func (p *parts) stage(part admin.Command) error {
	var staged struct {
		Digest string `json:"digest"`
	}
	if _, err := p.client.call(p.ctx, "POST", api.Root+"commands/"+part.Action(), part, &staged); err != nil {
		return err
	}
	return p.sum.Add(staged.Digest)
}

// bar reads, and draws how far it is where somebody looks.
type bar struct {
	r     io.Reader
	what  string
	size  int64
	done  int64
	seen  bool
	drawn int // in percent, and one more
}

func (b *bar) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.done += int64(n)
	if b.seen && b.size > 0 {
		if percent := int(b.done * 100 / b.size); percent >= b.drawn {
			b.drawn = percent + 1
			fmt.Fprintf(os.Stderr, "\r%s [%-40s] %3d %%", b.what, strings.Repeat("#", min(percent, 100)*40/100), min(percent, 100))
		}
	}
	return n, err
}

// clear takes the bar away.
func (b *bar) clear() {
	if b.drawn > 0 {
		fmt.Fprintf(os.Stderr, "\r%60s\r", "")
	}
}
