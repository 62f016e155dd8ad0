package server

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"countersign/internal/config"
	"countersign/internal/language"
)

// LanguagesOf reads the languages of a configuration. An error names the file and the line; texts
// that a file lacks are English, and the log says how many.
func LanguagesOf(c config.File, log *slog.Logger) (*language.Shelf, error) {
	var more []*language.Language
	for _, name := range c.Languages {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("languages: %w", err)
		}
		one, err := language.Parse(filepath.Base(name), data)
		if err != nil {
			return nil, fmt.Errorf("languages: %w", err)
		}
		if lacks := one.Lacks(language.German()); len(lacks) > 0 {
			log.Warn("texts of a language are missing and stay English; countersign language check lists them", "language", one.Tag(), "file", name, "missing", len(lacks))
		}
		more = append(more, one)
	}
	shelf, err := language.NewShelf(c.Language, more...)
	if err != nil {
		return nil, fmt.Errorf("language: %w", err)
	}
	return shelf, nil
}
