package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	logs "countersign/internal/admin/audit"
	"countersign/internal/audit"
	words "countersign/internal/text"
)

type auditTail struct {
	Account string `help:"Only about this account."`
	Event   string `help:"Only this event."`
}

// Run asks for what is new each second, and prints a line for each entry.
func (t *auditTail) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	if c.NoWait {
		return errors.New("audit tail waits for what is written; for what is there already, use countersign audit search")
	}
	last := int64(-1)
	for {
		page, err := t.page(ctx, c)
		if err != nil {
			return err
		}
		for i := len(page.Entries) - 1; i >= 0; i-- {
			if e := page.Entries[i]; last >= 0 && e.Seq > last {
				if err := t.line(conn, e); err != nil {
					return err
				}
			}
		}
		if len(page.Entries) > 0 {
			last = max(last, page.Entries[0].Seq)
		}
		last = max(last, 0)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pace):
		}
	}
}

func (t *auditTail) page(ctx context.Context, c *client) (logs.Page, error) {
	var page logs.Page
	raw, err := c.do(ctx, &logs.Search{Account: t.Account, Event: t.Event, Limit: 200})
	if err != nil {
		return page, err
	}
	return page, json.Unmarshal(raw, &page)
}

func (t *auditTail) line(conn *connection, e audit.Entry) error {
	if conn.JSON {
		return json.NewEncoder(os.Stdout).Encode(e)
	}
	why := e.Reason
	for _, more := range []string{e.Detail["mend"], e.Detail["answer"], e.Detail["detail"]} {
		if more != "" {
			why = strings.TrimPrefix(why+": "+more, ": ")
			break
		}
	}
	_, err := fmt.Printf("%s  %-24s %-8s %s: %s %s %s %s\n", clock(e.At), words.Seen(e.Event), words.Seen(e.Outcome), words.Seen(e.Actor.Name), words.Seen(e.AccountName), words.Seen(e.Application), words.Seen(e.Source), words.Seen(why))
	return err
}
