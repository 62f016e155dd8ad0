package message

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"io"
)

// inflate reads a message of the Redirect binding, and no more of it than a message may have,
// so that a few octets cannot become many.
func inflate(b []byte) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(b))
	out, err := io.ReadAll(io.LimitReader(r, Longest+1))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || len(out) == 0 {
		return nil, malformed("The message is not deflated as the Redirect binding has it.")
	}
	if len(out) > Longest {
		return nil, malformed("The message is longer than %d octets.", Longest)
	}
	if err != nil {
		return nil, malformed("The deflated message is cut off.")
	}
	return out, nil
}

// deflate is a message as the Redirect binding carries it, in base64.
func deflate(message []byte) (string, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(message); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
