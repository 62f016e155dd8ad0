// Package accountfile reads the tables of people that accounts are made from.
//
// It owns the columns and what a line may say; the encodings and separators are tokenfile's.
// It knows no account: whether one exists is for the commands of accounts to say. Its
// neighbours are the command line and the console, which open the file. Its one invariant: a
// report quotes no cell, because where columns are shifted any of them may be a password.
package accountfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"countersign/internal/tokenfile"
)

// Row is one account as a line describes it.
type Row struct {
	// Line is where in the file it stands, from 1.
	Line    int      `json:"line"`
	Name    string   `json:"name"`
	Display string   `json:"display,omitempty"`
	Mail    string   `json:"mail,omitempty"`
	Ends    string   `json:"ends,omitempty"`
	Groups  []string `json:"groups,omitempty"`
}

// Report is what reading came to; with a problem nothing of the file may be used.
type Report = tokenfile.Report

// columns are what headings call them.
var columns = map[string]string{
	"name": "name", "user": "name", "username": "name", "user name": "name", "login": "name", "account": "name",
	"display": "display", "display name": "display", "displayname": "display", "full name": "display",
	"mail": "mail", "email": "mail", "e-mail": "mail", "mail address": "mail", "email address": "mail",
	"groups": "groups", "group": "groups", "ends": "ends", "end": "ends",
}

// mostGroups is how many groups a line may name.
const mostGroups = 32

// Read reads a whole file. Each row that can be read goes to each, which may keep it only if
// the Report is OK in the end. An error of each ends the reading.
func Read(r io.Reader, each func(Row) error) (Report, error) {
	var at map[string]int
	var broke error
	report, err := tokenfile.Cells(r, func(line int, cells []string) error {
		if broke != nil {
			return nil
		}
		if at == nil {
			var err error
			at, err = heading(cells)
			return err
		}
		if len(at) == 0 { // what a line says is not known without its heading
			return nil
		}
		row, err := read(line, cells, at)
		if err == nil {
			broke = each(row)
		}
		return err
	})
	report.Tokens-- // the heading
	if err == nil && report.OK() && report.Tokens < 1 {
		report.Problems = append(report.Problems, tokenfile.Problem{Text: "there is no account in the file"})
	}
	return report, errors.Join(err, broke)
}

// heading says in which cell each column is.
func heading(cells []string) (map[string]int, error) {
	at := map[string]int{}
	for i, c := range cells {
		what, known := columns[strings.ToLower(c)]
		switch {
		case !known:
			return map[string]int{}, fmt.Errorf("column %d of the heading is none of name, display, mail, groups, ends", i+1)
		case at[what] != 0:
			return map[string]int{}, fmt.Errorf("the heading has two columns for %s", what)
		}
		at[what] = i + 1
	}
	if at["name"] == 0 {
		return map[string]int{}, errors.New("the first line must be a heading with a column name, such as name,display,mail,groups")
	}
	return at, nil
}

func read(line int, cells []string, at map[string]int) (Row, error) {
	if len(cells) > slices.Max(append([]int{}, valuesOf(at)...)) {
		return Row{}, errors.New("the line has more cells than the heading")
	}
	of := func(what string) string {
		if i := at[what]; i > 0 && i <= len(cells) {
			return cells[i-1]
		}
		return ""
	}
	row := Row{Line: line, Name: of("name"), Display: of("display"), Mail: of("mail"), Ends: of("ends"),
		Groups: strings.FieldsFunc(of("groups"), func(r rune) bool { return strings.ContainsRune(" ,;|", r) })}
	switch {
	case row.Name == "":
		return row, errors.New("the name is missing")
	case formula(row.Name) || formula(row.Display) || formula(row.Mail):
		return row, errors.New("a cell begins with =, +, - or @, as a formula does; a spreadsheet would run it when it reads what is exported")
	case len(row.Groups) > mostGroups:
		return row, fmt.Errorf("a line may name %d groups", mostGroups)
	}
	slices.Sort(row.Groups)
	row.Groups = slices.Compact(row.Groups)
	return row, nil
}

func valuesOf(at map[string]int) []int {
	var out []int
	for _, i := range at {
		out = append(out, i)
	}
	return out
}

// formula reports whether a spreadsheet would take a cell for one.
func formula(cell string) bool { return cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) }
