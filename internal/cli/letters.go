package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"os"

	"countersign/internal/admin/pass"
	"countersign/internal/web/look"
)

// letterCommand makes letters, and writes them into a file to be printed.
type letterCommand struct {
	do[pass.Letter] `embed:""`
	Out             string `placeholder:"FILE" help:"Write the letters into this new HTML file, one a page, and do not print their codes here."`
}

// Run has the server make them. The file is made first, so that nothing is made that could
// be kept nowhere.
func (l *letterCommand) Run(ctx context.Context, conn *connection) error {
	if l.Out == "" {
		return l.do.Run(ctx, conn)
	}
	f, err := os.OpenFile(l.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	made, err := l.write(ctx, conn, f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		os.Remove(l.Out)
		return err
	}
	fmt.Fprintf(os.Stderr, "%d letters are in %s, which only you can read. Print it, and delete it then.\n", made, l.Out)
	return nil
}

func (l *letterCommand) write(ctx context.Context, conn *connection, f *os.File) (int, error) {
	c, err := conn.connect()
	if err != nil {
		return 0, err
	}
	raw, err := c.do(ctx, &l.Command)
	if err != nil {
		return 0, err
	}
	var made pass.Letters
	if err := json.Unmarshal(raw, &made); err != nil {
		return 0, err
	}
	return len(made.Letters), letterPage.Execute(f, made)
}

// letterPage is the file: no script, and nothing from elsewhere.
var letterPage = template.Must(template.New("letters").Funcs(template.FuncMap{"qr": look.QR, "moment": look.Moment}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Letters</title>
<style>
body { font: 12pt/1.5 Georgia, serif; color: #000; background: #fff; max-width: 40rem; margin: 0 auto; padding: 1rem }
article { break-after: page; padding-block: 2rem } article:last-of-type { break-after: auto }
.code { font: bold 14pt/1.6 monospace; letter-spacing: .06em } svg { width: 12rem; height: 12rem }
</style></head><body>{{$where := .Where}}{{range .Letters}}
<article><h1>Hello <bdi>{{or .Display .Account}}</bdi></h1>
<p>An account was made for you. Its name is <strong><bdi>{{.Account}}</bdi></strong>. Set up how you sign in:</p>
<ol><li>Open <strong>{{$where}}</strong> in your browser, or scan the picture.</li>
<li>Type this code, if you are asked for it:<p class="code">{{.Code}}</p></li><li>Follow the page. It takes a few minutes.</li></ol>
<p>{{qr .Link "The address of the invitation, to scan with a phone"}}</p>
<p>The letter is for you alone. It is good until {{moment .Expires}}, or until you have set up how you sign in: destroy it then. If the envelope was open when you got it, tell whoever gave it to you.</p></article>{{end}}
</body></html>
`))
