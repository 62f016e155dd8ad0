package cli

import (
	"fmt"
	"io"
	"strings"

	"countersign/internal/prompt"
	words "countersign/internal/text"
)

// sayReading prints what is to be approved: what it does, and each thing that is set with
// what it is until then. A server of before says the exact text alone.
func sayReading(w io.Writer, exact string, r *prompt.Reading) {
	fmt.Fprint(w, "This needs your approval:\n\n")
	if r == nil {
		fmt.Fprintf(w, "  %s\n\n", words.Seen(exact))
		return
	}
	fmt.Fprintf(w, "  %s\n", words.Seen(r.Title))
	if r.Text != "" {
		fmt.Fprintf(w, "  %s\n", words.Seen(r.Text))
	}
	compares := r.Compares()
	for _, f := range r.Fields {
		name := words.Seen(f.Name)
		switch {
		case compares && f.Before == f.After:
			sayValue(w, name+" stays:", f.After)
		case f.Before != "":
			sayValue(w, name+" now:", f.Before)
			sayValue(w, name+" afterwards:", orNothing(f.After))
		default:
			sayValue(w, name+":", f.After)
		}
	}
	fmt.Fprintln(w)
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// sayValue prints one value; one of several lines stands below its name.
func sayValue(w io.Writer, name, value string) {
	lines := strings.Split(words.Lines(value), "\n")
	if len(lines) == 1 {
		fmt.Fprintf(w, "    %s %s\n", name, lines[0])
		return
	}
	fmt.Fprintf(w, "    %s\n", name)
	for _, l := range lines {
		fmt.Fprintf(w, "      | %s\n", l)
	}
}
