package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progress is a bar on a terminal, and nothing anywhere else.
type progress struct {
	out  io.Writer // nil where nobody looks
	last time.Time
}

func newProgress(f *os.File) *progress {
	if !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	return &progress{out: f}
}

// say shows what is being done, where there is no telling how far it is.
func (p *progress) say(what string) {
	if p.out != nil {
		fmt.Fprintf(p.out, "\r\x1b[K%s ...", what)
	}
}

// clear takes the bar away.
func (p *progress) clear() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

const barWidth = 30

// show draws the bar ten times a second at most.
func (p *progress) show(what string, done, all int64) {
	now := time.Now()
	if p.out == nil || all <= 0 || now.Sub(p.last) < 100*time.Millisecond && done < all {
		return
	}
	p.last = now
	done = min(done, all)
	full := int(barWidth * done / all)
	fmt.Fprintf(p.out, "\r\x1b[K%-12s [%s%s] %3d %%", what, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*done/all)
}

// reading counts what is read, and ends with ctx.
func (p *progress) reading(ctx context.Context, what string, r io.Reader, all int64) io.Reader {
	return &counted{ctx: ctx, r: r, bar: p, what: what, all: all}
}

type counted struct {
	ctx       context.Context
	r         io.Reader
	bar       *progress
	what      string
	done, all int64
}

func (c *counted) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.done += int64(n)
	c.bar.show(c.what, c.done, c.all)
	return n, err
}
