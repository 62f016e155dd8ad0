package tokenfile

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// mark is the byte order mark, which some editors put in front of UTF-8.
const mark = "\ufeff"

// decoded returns the file in UTF-8 without its byte order mark: UTF-16 is known by its
// mark, or by the zero beside its first character.
func (x *reading) decoded(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	head, _ := b.Peek(3) // an error comes back from the next reading
	if string(head) == mark {
		_, err := b.Discard(len(mark))
		return b, err
	}
	if len(head) < 2 {
		return b, nil
	}
	order := unicode.LittleEndian
	switch first, second := head[0], head[1]; {
	case first == 0xff && second == 0xfe, first != 0 && second == 0:
	case first == 0xfe && second == 0xff, first == 0 && second != 0:
		order = unicode.BigEndian
	default:
		return b, nil
	}
	x.wide = true
	x.forgive("the file is in UTF-16")
	return unicode.UTF16(order, unicode.UseBOM).NewDecoder().Reader(b), nil
}

// charset decodes XML that names its encoding, other than UTF-8.
func (x *reading) charset(name string, in io.Reader) (io.Reader, error) {
	switch name = strings.ToLower(name); {
	case x.wide && (name == "utf-16" || name == "utf-16le" || name == "utf-16be"):
		return in, nil
	case !x.wide && (name == "windows-1252" || name == "iso-8859-1" || name == "latin1"):
		x.forgive("the file is in Windows-1252")
		return charmap.Windows1252.NewDecoder().Reader(in), nil
	}
	return nil, fatal(1, "the file is in an encoding that is not read, or not in the one that it names; save it in UTF-8")
}

// tidy returns a line in UTF-8 without what surrounds it; a row of empty cells is empty.
func (x *reading) tidy(text string) string {
	if !utf8.ValidString(text) {
		if s, err := charmap.Windows1252.NewDecoder().String(text); err == nil {
			x.forgive("the line was read as Windows-1252")
			text = s
		}
	}
	if rest, ok := strings.CutPrefix(text, mark); ok {
		x.forgive("a second file begins here")
		text = rest
	}
	text = strings.TrimSpace(text)
	if text != "" && strings.Trim(text, ",;\"\t ") == "" {
		x.forgive("the row is empty")
		return ""
	}
	return text
}
