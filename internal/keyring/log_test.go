package keyring

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"countersign/internal/store"
)

// Keys that cannot be read again are told to the log of the installation, with its level
// and its form.
func TestWhatCannotBeReadAgainIsInTheLog(t *testing.T) {
	var out bytes.Buffer
	db, err := store.Open(t.Context(), store.Options{DSN: string(database(t)), Log: slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(t.Context(), db, NewRoot())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	k.reload(0)
	if line := out.String(); !strings.Contains(line, `"level":"ERROR"`) || !strings.Contains(line, "the keys cannot be read again") {
		t.Errorf("the log has %q", line)
	}
}
