package testbed

import (
	"context"
	"sync"

	"github.com/chromedp/chromedp"
)

// console gathers what the page said: errors of scripts, and what the content
// security policy refused.
type console struct {
	mu    sync.Mutex
	lines []string
}

func listen(ctx context.Context) *console {
	c := &console{}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			c.mu.Lock()
			c.lines = append(c.lines, m.String())
			c.mu.Unlock()
		}
	}()
	return c
}

// Console is what the page wrote to its console since the start: a clean page
// writes nothing.
func (b *Browser) Console() []string {
	b.console.mu.Lock()
	defer b.console.mu.Unlock()
	return append([]string(nil), b.console.lines...)
}
