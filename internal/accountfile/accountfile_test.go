package accountfile

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func all(t *testing.T, r io.Reader) (string, Report) {
	t.Helper()
	var out []string
	report, err := Read(r, func(row Row) error {
		out = append(out, fmt.Sprintf("%d %s|%s|%s|%s|%s", row.Line, row.Name, row.Display, row.Mail, row.Ends, strings.Join(row.Groups, "+")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n"), report
}

// What spreadsheets do to a table is forgiven.
func TestSpreadsheets(t *testing.T) {
	const plain = "name,display,mail,groups\r\nzoe,Zoë Müller,zoe@example.org,staff vpn\r\n\r\n,,,\r\nyves,,,\r\n"
	const want = "2 zoe|Zoë Müller|zoe@example.org||staff+vpn\n5 yves||||"
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(plain)
	if err != nil {
		t.Fatal(err)
	}
	latin, err := charmap.Windows1252.NewEncoder().String(plain)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"UTF-8": plain, "a byte order mark": "\ufeff" + plain, "UTF-16": wide, "Windows-1252": latin,
		"semicolons": strings.ReplaceAll(plain, ",", ";"), "tabs": strings.ReplaceAll(plain, ",", "\t"),
		"commas in a cell": "User;Display Name;E-Mail;Group\nzoe;Zoë Müller;zoe@example.org;vpn,staff\n\n;;;\nyves;;;\n",
		"quotes":           "\"name\",\"display\",\"mail\",\"groups\"\n\"zoe\",\"Zoë Müller\",\"zoe@example.org\",\"staff, vpn, vpn\"\n\n,,,\n\"yves\"\n",
	} {
		if got, report := all(t, strings.NewReader(text)); got != want || !report.OK() {
			t.Errorf("%s: %q, %v", what, got, report.Problems)
		}
	}
}

// Each fault is told by its line in one sentence, which quotes nothing.
func TestFaults(t *testing.T) {
	const secret = "hunter2hunter2"
	for text, want := range map[string]string{
		"":                                     "there is no account in the file",
		"name\n":                               "there is no account in the file",
		"display,mail\n" + secret:              "line 1: the first line must be a heading with a column name",
		"name," + secret + "\nx,y":             "line 1: column 2 of the heading is none of",
		"name,user\nx,y":                       "line 1: the heading has two columns for name",
		"name,mail\n,a@example.org":            "line 2: the name is missing",
		"name\nx," + secret:                    "line 2: the line has more cells than the heading",
		"name,display\nx,=HYPERLINK(" + secret: "line 2: a cell begins with =",
		"name,display\nx,@SUM(1)":              "line 2: a cell begins with =",
		"name\n+" + secret:                     "line 2: a cell begins with =",
		"name,display\nx,\"" + secret:          "line 2: the line is not comma-separated values",
		"name,groups\nx," + groups(33):         "line 2: a line may name 32 groups",
		"name\n" + strings.Repeat("x", 70_000): "line 2: the line is longer than",
	} {
		_, report := all(t, strings.NewReader(text))
		said := fmt.Sprint(report.Problems)
		if !strings.Contains(said, want) || strings.Contains(said, secret) {
			t.Errorf("%.40q: %s, want %s", text, said, want)
		}
	}
}

func groups(n int) string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint("g", i))
	}
	return strings.Join(out, " ")
}

// A reader's own error is no fault of the file.
func TestReaderBreaks(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Read(strings.NewReader("name\nx\n"), func(Row) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// table is a file of many lines that is never there as a whole.
type table struct{ line, of, at int }

func (f *table) Read(p []byte) (int, error) {
	text := fmt.Sprintf("person%06d,Person Number %d,person%06d@example.org,staff\n", f.line, f.line, f.line)
	if f.line == 0 {
		text = "name,display,mail,groups\n"
	}
	if f.line > f.of {
		return 0, io.EOF
	}
	n := copy(p, text[f.at:])
	if f.at += n; f.at == len(text) {
		f.line, f.at = f.line+1, 0
	}
	return n, nil
}

// The promise: 100,000 lines take no more memory than a few.
func TestFlatMemory(t *testing.T) {
	most := uint64(0)
	n := 0
	_, err := Read(&table{of: 100_000}, func(Row) error {
		if n++; n%10_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
		return nil
	})
	if err != nil || n != 100_000 || most > 16<<20 {
		t.Errorf("%d rows, %d bytes, %v", n, most, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("name,mail\nx,y@example.org\n")
	f.Add("\ufeffname;groups\r\nx;a b\r\n;;\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := Read(strings.NewReader(text), func(r Row) error {
			if r.Name == "" || r.Line < 2 {
				t.Errorf("%+v", r)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
