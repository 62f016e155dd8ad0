package console

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"countersign/internal/accountfile"
	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/failure"
	"countersign/internal/ticket"
	"countersign/internal/web/look"
)

const importPath = "/console/import"

// mostFile is the greatest file of accounts that the page takes.
const mostFile = 4 << 20

// importPages take a file of accounts: it is read and sent, what it would do is shown, and
// then it is approved.
type importPages struct {
	desk     *desk
	accounts *accountPages
}

func (p *importPages) routes() []look.Route {
	return append([]look.Route{
		p.desk.page(importPath, "account.stage", func(v *visit) error { return p.blank(v, "", nil) }),
		{Pattern: "POST " + importPath, Demand: look.Action("account.stage"), Limit: mostFile, File: true, Handler: p.desk.serve(p.preview)},
	}, p.desk.routes(change{path: importPath + "/do", action: "account.import",
		page:  func(*visit) string { return importPath },
		again: func(v *visit, f *form) error { return p.blank(v, f.problem(), nil) },
		read:  func(_ *visit, f *form) admin.Command { return &account.Import{Batch: batchOf(f)} },
		done: func(v *visit, _ *form, answer any) error {
			return v.show(sheet{template: "imported", title: "Imported", here: accountsPath, data: importedView{answer.(account.Outcome)}})
		}})...)
}

func batchOf(f *form) account.Batch {
	number := func(name string) int { n, _ := strconv.Atoi(f.text(name)); return n } // 0 is refused
	return account.Batch{Upload: f.text("upload"), Parts: number("parts"), Count: number("count"), Digest: f.text("digest"), File: f.text("file"), Change: f.text("change") == "yes"}
}

type importView struct {
	Problems []string
	Forgiven []string
	Batch    *account.Batch
	Outcome  account.Outcome
}

// Ready reports whether what was sent can be imported.
func (i importView) Ready() bool { return i.Batch != nil && len(i.Outcome.Faults) == 0 }

// Rest is how many lines are not shown.
func (i importView) Rest() int {
	return i.Outcome.Made + i.Outcome.Changed + i.Outcome.Left - len(i.Outcome.Lines)
}

type importedView struct{ account.Outcome }

// Some are those who can be invited by one approval.
func (i importedView) Some() []string { return i.Invitable[:min(len(i.Invitable), admin.MostSeveral)] }

// Path is the address of an account's page.
func (importedView) Path(name string) string { return under(accountsPath, name) }

func (p *importPages) blank(v *visit, problem string, report *accountfile.Report) error {
	if _, err := v.admit(&account.Stage{}); err != nil {
		return err
	}
	view := importView{}
	if report != nil {
		for _, one := range report.Problems {
			view.Problems = append(view.Problems, one.String())
		}
		if report.More > 0 {
			view.Problems = append(view.Problems, fmt.Sprintf("and %d more", report.More))
		}
	}
	return v.show(sheet{template: "import", title: "Import accounts", here: accountsPath, problem: problem, data: view})
}

// errTooMany stops the reading of a file that has more accounts than one import makes.
var errTooMany = errors.New("too many accounts")

// preview reads a file that was sent, keeps its parts, and shows what importing it would do.
func (p *importPages) preview(v *visit) error {
	v.back = importPath
	if _, err := v.admit(&account.Stage{}); err != nil {
		return err
	}
	file, header, err := v.r.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return p.blank(v, "Choose a file.", nil)
	}
	if err != nil {
		return failure.Wrap(failure.Invalid, err, "The file could not be read.")
	}
	defer file.Close()
	var rows []account.Row
	report, err := accountfile.Read(file, func(r accountfile.Row) error {
		if len(rows) == account.MostRows {
			return errTooMany
		}
		rows = append(rows, account.Row(r))
		return nil
	})
	switch {
	case errors.Is(err, errTooMany):
		return p.blank(v, fmt.Sprintf("The file has more than %d accounts. Split it, or use the command line: countersign account import.", account.MostRows), nil)
	case err != nil:
		return err
	case !report.OK():
		return p.blank(v, "The file cannot be used; nothing was imported.", &report)
	}
	batch, err := stage(v, rows)
	if err != nil {
		return err
	}
	batch.File, batch.Change = path.Base(strings.ReplaceAll(header.Filename, "\\", "/")), v.r.PostForm.Get("change") == "yes"
	out, err := read[*account.Outcome](v, &account.Preview{Batch: batch})
	if err != nil {
		return err
	}
	view := importView{Batch: &batch, Outcome: *out}
	for _, f := range report.Forgiven {
		view.Forgiven = append(view.Forgiven, f.String())
	}
	return v.show(sheet{template: "import", title: "Import accounts", here: accountsPath, data: view})
}

// stage keeps the rows in parts.
func stage(v *visit, rows []account.Row) (account.Batch, error) {
	b, sum := account.Batch{Upload: ticket.NewSecret(), Count: len(rows)}, ticket.Sum{}
	for len(rows) > 0 {
		n := min(len(rows), account.RowsPerPart)
		staged, err := read[account.Staged](v, &account.Stage{Upload: b.Upload, Part: b.Parts, Rows: rows[:n]})
		if err != nil {
			return b, err
		}
		if err := sum.Add(staged.Digest); err != nil {
			return b, err
		}
		b.Parts, rows = b.Parts+1, rows[n:]
	}
	b.Digest = sum.Digest()
	return b, nil
}
