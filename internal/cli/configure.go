package cli

import (
	"fmt"
	"log/slog"
	"os"

	"countersign/internal/config"
	"countersign/internal/server"
)

type configCommand struct {
	Check   configCheck   `cmd:"" help:"Say whether a configuration file can be used."`
	Print   configPrint   `cmd:"" help:"Print the configuration with every default filled in, and without its secrets."`
	Example configExample `cmd:"" help:"Print a configuration file in which every setting is explained."`
}

type configCheck struct {
	File string `arg:"" help:"The configuration file."`
}

// Run goes as far as a start would without touching the data folder, and prints what the
// server would warn of.
func (c *configCheck) Run() error {
	file, err := config.Read(c.File)
	if err != nil {
		return err
	}
	err = server.Check(file, warnings())
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	fmt.Printf("%s is good: pages at %s for %s\n", c.File, file.Listen, file.PublicURL)
	return nil
}

// warnings is a log on standard error for what a person reads who waits for it.
func warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

type configPrint struct {
	File string `arg:"" optional:"" help:"The configuration file; the defaults when left out."`
}

func (c *configPrint) Run() error {
	file := config.Default()
	if c.File != "" {
		var err error
		if file, err = config.Read(c.File); err != nil {
			return err
		}
	}
	return file.WithoutSecrets().Print(os.Stdout)
}

type configExample struct{}

// Run prints what a new file can begin with.
func (configExample) Run() error { return config.WriteExample(os.Stdout) }
