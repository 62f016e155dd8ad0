package cli

import (
	"context"
	"errors"
	"os"

	"countersign/internal/config"
	"countersign/internal/demo"
	"countersign/internal/server"
)

// serveCommand's flags stand before the file's settings; one that is left out
// leaves the file's.
type serveCommand struct {
	Config       string   `env:"COUNTERSIGN_CONFIG" help:"Configuration file; see: countersign config example"`
	Listen       string   `env:"COUNTERSIGN_LISTEN" help:"Address of the pages (127.0.0.1:8080)."`
	PublicURL    string   `name:"public-url" env:"COUNTERSIGN_PUBLIC_URL" help:"How browsers reach the pages (http://localhost and the port of --listen). It decides the origin and the passkeys' relying party."`
	Data         string   `env:"COUNTERSIGN_DATA" help:"Folder of the database and the root key (countersign-data)."`
	Database     string   `env:"COUNTERSIGN_DATABASE" help:"A postgres:// URL; SQLite in the data folder when empty."`
	Radius       []string `name:"radius" help:"Addresses to serve RADIUS on, such as 127.0.0.1:1812."`
	TrustedProxy []string `name:"trusted-proxy" help:"Networks whose forwarded headers are believed, such as 127.0.0.0/8."`
	Demo         bool     `help:"Show what there is, with invented people and two weeks of invented history, on this machine only. A temporary folder, unless --data names one."`
}

// file reads the configuration and lays the flags over it.
func (c *serveCommand) file() (config.File, error) {
	return config.ReadWith(c.Config, func(file *config.File) {
		for _, o := range []struct {
			flag    string
			setting *string
		}{{c.Listen, &file.Listen}, {c.PublicURL, &file.PublicURL}, {c.Data, &file.Data}, {c.Database, &file.Database}} {
			if o.flag != "" {
				*o.setting = o.flag
			}
		}
		if len(c.Radius) > 0 {
			file.Radius.Listen = c.Radius
		}
		if len(c.TrustedProxy) > 0 {
			file.TrustedProxies = c.TrustedProxy
		}
	})
}

// Run serves until it is told to stop.
func (c *serveCommand) Run(ctx context.Context) error {
	if c.Demo {
		return c.demonstrate(ctx)
	}
	return server.Serve(ctx, server.Run{Reread: c.file, Version: version})
}

// demonstrate serves a demonstration. It refuses one that would work on somebody's
// installation: invented people, and passwords on the screen.
func (c *serveCommand) demonstrate(ctx context.Context) error {
	file, err := c.file()
	if err != nil {
		return err
	}
	switch {
	case file.Database != "":
		return errors.New("a demonstration has a database of its own, and another one is set: unset COUNTERSIGN_DATABASE and leave --database and database: in the configuration out")
	case c.Config != "" || os.Getenv("COUNTERSIGN_ROOT_KEY") != "":
		return errors.New("a demonstration takes nothing from an installation: leave --config out and unset COUNTERSIGN_CONFIG and COUNTERSIGN_ROOT_KEY")
	}
	return demo.Serve(ctx, demo.Options{Folder: c.Data, File: file, Version: version})
}
