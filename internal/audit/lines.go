package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
)

// An exported log is lines of JSON: a head, the checkpoints, and the entries in
// their order. It holds everything that Verify needs except the keys.
//
//	{"log":"ORIGIN","version":1}
//	{"checkpoint":"SIGNED NOTE"}
//	{"seq":0,"mac":"BASE64","entry":{...}}
//	{"seq":1,"mac":"BASE64","raw":"BASE64"}
//
// An entry whose body is not in canonical form, because it was changed, is
// exported raw.

const exportVersion = 1

// maxLine is the length in bytes of the longest line that is read.
const maxLine = 4*maxCheckpoint + 2*MaxBody

type headLine struct {
	Log     string `json:"log"`
	Version int    `json:"version"`
}

type checkpointLine struct {
	Checkpoint string `json:"checkpoint"`
}

type entryLine struct {
	Seq   int64           `json:"seq"`
	MAC   []byte          `json:"mac"`
	Entry json.RawMessage `json:"entry,omitempty"`
	Raw   []byte          `json:"raw,omitempty"`
}

// Writer writes an exported log, one Write call for each line: give it a buffered writer.
type Writer struct {
	w io.Writer
}

// NewWriter begins an export with the log's origin and its signed checkpoints.
func NewWriter(w io.Writer, origin string, checkpoints []string) (*Writer, error) {
	x := &Writer{w: w}
	if err := x.line(headLine{Log: origin, Version: exportVersion}); err != nil {
		return nil, err
	}
	for _, c := range checkpoints {
		if err := x.line(checkpointLine{Checkpoint: c}); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// Write writes an entry.
func (x *Writer) Write(l Leaf) error {
	line, err := formLine(l)
	if err != nil {
		return err
	}
	_, err = x.w.Write(line)
	return err
}

func (x *Writer) line(v any) error {
	line, err := marshalLine(v)
	if err != nil {
		return err
	}
	_, err = x.w.Write(line)
	return err
}

// formLine writes an entry's line, in the one form that it has.
func formLine(l Leaf) ([]byte, error) {
	line := entryLine{Seq: l.Seq, MAC: l.MAC}
	if line.MAC == nil {
		line.MAC = []byte{}
	}
	if _, err := Decode(l.Body); err == nil {
		line.Entry = l.Body
	} else {
		line.Raw = l.Body
	}
	return marshalLine(line)
}

func marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // an entry stays byte for byte what it is
	err := enc.Encode(v)
	return b.Bytes(), err
}

// Log reads an exported log.
type Log struct {
	// Origin is the origin in the export. The verifier must compare it with the expected one.
	Origin      string
	Checkpoints []string

	lines *bufio.Scanner
	n     int    // lines read
	first []byte // the first line that is not a checkpoint's
}

// ErrExport is returned for a line that no export has.
var ErrExport = errors.New("audit: not an exported log")

// ReadLog reads the head and the checkpoints of an export.
func ReadLog(r io.Reader) (*Log, error) {
	l := &Log{lines: bufio.NewScanner(r)}
	l.lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	line, ok := l.next()
	if !ok {
		return nil, l.failed("it is empty")
	}
	var head headLine
	if err := strict(line, &head); err != nil || head.Version != exportVersion {
		return nil, l.failed("its first line is not that of version 1")
	}
	l.Origin = head.Log
	for {
		line, ok := l.next()
		if !ok {
			return l, l.lines.Err()
		}
		var c checkpointLine
		if strict(line, &c) != nil {
			l.first = bytes.Clone(line)
			return l, nil
		}
		l.Checkpoints = append(l.Checkpoints, c.Checkpoint)
	}
}

// Entries iterates over the entries, once. It ends with an error that names the line
// if one is malformed.
func (l *Log) Entries() iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		line, ok := l.first, l.first != nil
		for l.first = nil; ok; line, ok = l.next() {
			leaf, err := l.parse(line)
			if !yield(leaf, err) || err != nil {
				return
			}
		}
		if err := l.lines.Err(); err != nil {
			yield(Leaf{}, err)
		}
	}
}

func (l *Log) parse(line []byte) (Leaf, error) {
	var e entryLine
	if err := strict(line, &e); err != nil {
		return Leaf{}, l.failed("not an entry")
	}
	leaf := Leaf{Seq: e.Seq, MAC: e.MAC, Body: e.Raw}
	if e.Entry != nil {
		leaf.Body = e.Entry
	}
	again, err := formLine(leaf)
	if err != nil || !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), line) {
		return Leaf{}, l.failed("an entry in another form than exports have")
	}
	return leaf, nil
}

func (l *Log) next() ([]byte, bool) {
	if !l.lines.Scan() {
		return nil, false
	}
	l.n++
	return l.lines.Bytes(), true
}

func (l *Log) failed(why string) error {
	return fmt.Errorf("%w: line %d: %s", ErrExport, l.n, why)
}

// strict reads one JSON value with no field that is not known.
func strict(line []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return ErrExport
	}
	return nil
}
