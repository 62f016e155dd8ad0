package server

import (
	"log/slog"
	"testing"

	"countersign/internal/config"
)

// Push services turn to whom the configuration names.
func TestWhomPushServicesTurnTo(t *testing.T) {
	file := config.Default()
	file.Push.Subject = "mailto:admin@example.org"
	s, err := SettingsOf(file, slog.New(slog.DiscardHandler))
	if err != nil || subjectOf(s) != "mailto:admin@example.org" || file.Check() != nil {
		t.Errorf("%q, %v, %v", subjectOf(s), err, file.Check())
	}
	if s.PushSubject = ""; subjectOf(s) != "http://localhost:8080" {
		t.Errorf("without one: %q", subjectOf(s))
	}
}
