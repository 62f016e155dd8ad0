package events

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"

	"countersign/internal/audit"
	"countersign/internal/failure"
)

// StandardOutput is the File of [Lines] that stands for it.
const StandardOutput = "-"

// Lines appends entries to a file, one line of JSON each. The file is opened for each batch,
// so that whoever renames it gets a new one, and is on disk before the batch counts as taken.
type Lines struct {
	// File is its path, or StandardOutput.
	File  string
	Trace Trace
	// Out is written for StandardOutput; nil is the process's own.
	Out io.Writer
}

// Close does nothing: no file is kept open.
func (l *Lines) Close() {}

// Take writes entries.
func (l *Lines) Take(_ context.Context, entries []audit.Entry) (int, error) {
	var b bytes.Buffer
	for _, e := range entries {
		if err := appendLine(&b, number(e)); err != nil {
			return 0, err
		}
	}
	if l.File == StandardOutput {
		out := l.Out
		if out == nil {
			out = os.Stdout
		}
		_, err := out.Write(b.Bytes())
		return 0, err
	}
	if err := l.append(b.Bytes()); err != nil {
		return 0, failure.Wrap(failure.Unavailable, err, "The file "+l.File+" cannot be written: "+err.Error()+". Check the folder's rights and the space on the disk.")
	}
	l.Trace.say("wrote %d bytes to %s", b.Len(), l.File)
	return 0, nil
}

func (l *Lines) append(text []byte) error {
	f, err := os.OpenFile(l.File, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if torn(f) {
		text = append([]byte{'\n'}, text...)
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

// torn reports whether a file ends within a line, because its writer was stopped there.
func torn(f *os.File) bool {
	at, err := f.Seek(-1, io.SeekEnd)
	if err != nil {
		return false // it is empty, or no file that can be read back
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], at)
	return err == nil && last[0] != '\n'
}

func appendLine(b *bytes.Buffer, v any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false) // an entry stays byte for byte what it is
	return e.Encode(v)
}
