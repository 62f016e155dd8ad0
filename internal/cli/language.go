package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"countersign/internal/language"
)

type languageCommand struct {
	New   languageNew   `cmd:"" help:"Print a file of a language in which every text is to be filled in."`
	Check languageCheck `cmd:"" help:"Say whether a file of a language can be used, and which texts it lacks."`
}

type languageNew struct {
	Language string `arg:"" help:"The language's tag, such as fr or pt-BR."`
	From     string `help:"A file whose texts are taken over, to add those that are new."`
}

// Run prints the file, so that it can be sent to one.
func (c *languageNew) Run() error {
	var have *language.Language
	if c.From != "" {
		var err error
		if have, err = readLanguage(c.From); err != nil {
			return err
		}
	}
	return language.Blank(os.Stdout, c.Language, have)
}

type languageCheck struct {
	File string `arg:"" help:"The file."`
}

// Run reads the file as a start of the server does, and lists what stays English.
func (c *languageCheck) Run() error {
	l, err := readLanguage(c.File)
	if err != nil {
		return err
	}
	lacks := l.Lacks(language.German())
	all, _ := language.German().Keys()
	for _, text := range lacks {
		fmt.Printf("missing: %q\n", text)
	}
	fmt.Printf("%s is good: %s (%s), with %d of %d texts; the others stay English\n", c.File, l.Name(), l.Tag(), len(all)-len(lacks), len(all))
	return nil
}

func readLanguage(file string) (*language.Language, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return language.Parse(filepath.Base(file), data)
}
