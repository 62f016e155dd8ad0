package tokenfile

import (
	"bufio"
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// Cells reads a file of comma-separated values whose first line is a heading, for whoever has
// a table of something else: with the encodings, the separators and the empty rows of
// spreadsheets that the token formats forgive. Each line goes to each with its number; an
// error of it is noted as a problem of the line, and must quote no cell. The memory that it
// takes does not grow with the file.
func Cells(r io.Reader, each func(line int, cells []string) error) (Report, error) {
	x := &reading{}
	in, err := x.decoded(&bounded{r: r, left: maxSize})
	if err != nil {
		return Report{}, err
	}
	err = x.cells(&lines{r: bufio.NewReaderSize(in, maxRecord)}, each)
	var s *stop
	if errors.As(err, &s) {
		x.note(s.problem)
		err = nil
	}
	return x.report, err
}

func (x *reading) cells(l *lines, each func(line int, cells []string) error) error {
	comma := rune(0)
	for {
		text, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		x.at = l.line
		if text = x.tidyRow(text); text == "" {
			continue
		}
		if comma == 0 {
			comma = x.separator(text)
		}
		cells, err := split(text, comma)
		if err == nil {
			err = each(l.line, cells)
		}
		if err != nil {
			x.note(Problem{l.line, err.Error()})
		} else {
			x.report.Tokens++
		}
	}
}

// tidyRow is tidy, which keeps a tab at the beginning: there it is an empty cell.
func (x *reading) tidyRow(text string) string {
	if strings.HasPrefix(text, "\t") && strings.TrimSpace(text) != "" {
		return "\t" + x.tidy(text[1:])
	}
	return x.tidy(text)
}

// separator is what is between the names of a heading.
func (x *reading) separator(heading string) rune {
	best := ','
	for _, other := range ";\t" {
		if strings.Count(heading, string(other)) > strings.Count(heading, string(best)) {
			best = other
		}
	}
	if best != ',' {
		x.forgive("another character than usual is between the cells")
	}
	return best
}

func split(text string, comma rune) ([]string, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord, r.Comma = -1, comma
	cells, err := r.Read()
	if err != nil {
		return nil, errors.New("the line is not comma-separated values: a quote is not closed, or stands within a cell")
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	return cells, nil
}
