package server

import (
	"context"
	"log/slog"
	"net/http"

	"countersign/internal/config"
)

// LocalHandler is what the socket of this machine serves for an installation that something
// else serves, under a configuration that is read anew when it is told to.
func (in *Installation) LocalHandler(reread func() (config.File, error), log *slog.Logger) (http.Handler, error) {
	file, err := reread()
	if err != nil {
		return nil, err
	}
	d := newDaemon(file)
	d.in, d.log, d.reread = in, log, reread
	return d.local(), nil
}

// MailFails has the mail server take nothing.
func (in *Installation) MailFails(ctx context.Context, why error) error {
	return in.carriers.mail.came(ctx, 0, why)
}

// ListenLocal is listenLocal, for tests.
var ListenLocal = listenLocal
