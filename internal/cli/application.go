package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"countersign/internal/admin/application"
	words "countersign/internal/text"
)

// applicationSnippet prints files as they are, so that one can be written where it goes.
type applicationSnippet struct {
	Command application.Snippet `embed:""`
}

// Run prints the files; of several, each after a line that says where it goes.
func (c *applicationSnippet) Run(ctx context.Context, conn *connection) error {
	cl, err := conn.connect()
	if err != nil {
		return err
	}
	raw, err := cl.do(ctx, &c.Command)
	if err != nil || conn.JSON {
		if err == nil {
			err = cl.print(os.Stdout, raw)
		}
		return err
	}
	var shown application.Snippets
	if err := json.Unmarshal(raw, &shown); err != nil {
		return err
	}
	for i, f := range shown.Files {
		if len(shown.Files) == 1 {
			fmt.Fprintf(os.Stderr, "For %s; docs/%s says more.\n", words.Seen(f.Path), words.Seen(shown.Document))
		} else if i > 0 {
			fmt.Println()
		}
		if len(shown.Files) > 1 {
			fmt.Printf("==> %s <==\n", words.Seen(f.Path))
		}
		for i, part := range strings.Split(f.Text, "\t") { // which configurations have, and which hide nothing
			if i > 0 {
				fmt.Print("\t")
			}
			fmt.Print(words.Lines(part))
		}
	}
	return nil
}
