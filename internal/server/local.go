package server

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"countersign/internal/failure"
	"countersign/internal/web/look"
)

// SocketName is the local socket in the data folder. Only the server's own user
// and root reach it.
const SocketName = "countersign.sock"

// listenLocal opens the socket. One that a killed server left behind is
// replaced; one that somebody serves is not.
func listenLocal(folder string) (net.Listener, error) {
	path := filepath.Join(folder, SocketName)
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, errors.New("another server runs on this data folder")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return ownOnly{l}, nil
}

// ownOnly accepts connections of our own user and of root.
type ownOnly struct{ net.Listener }

func (o ownOnly) Accept() (net.Conn, error) {
	for {
		c, err := o.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, known := peer(c); known && (uid == 0 || uid == os.Getuid()) {
			return c, nil
		}
		c.Close()
	}
}

// local is what the socket serves beside the API: what belongs to whoever runs
// this machine. None of it is a grant, and none of it does a command.
func (d *daemon) local() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", d.in.API.Handler())
	mux.HandleFunc("POST /local/reload", answer(func(context.Context, *http.Request) (any, error) {
		now, restart, err := d.reload()
		if err != nil {
			return nil, failure.New(failure.Invalid, "%s", err)
		}
		return Reloaded{now, restart}, nil
	}))
	mux.HandleFunc("GET /local/ready", answer(func(ctx context.Context, _ *http.Request) (any, error) {
		if err := d.in.DB.Condition().Health(ctx); err != nil {
			return nil, failure.Wrap(failure.Unavailable, err, "The server is not ready: "+err.Error())
		}
		return struct{}{}, nil
	}))
	mux.HandleFunc("POST /local/setup-link", answer(func(ctx context.Context, _ *http.Request) (any, error) {
		code, err := d.in.Setup.Link(ctx)
		if err == nil && code == "" {
			err = failure.New(failure.Conflict, "There is an administrator already; ask them for an account.")
		}
		return Link{d.in.publicURL.JoinPath("setup").String() + "?code=" + code}, err
	}))
	mux.HandleFunc("POST /local/recover", answer(func(ctx context.Context, r *http.Request) (any, error) {
		var in LocalRecovery
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 4096)).Decode(&in); err != nil {
			return nil, failure.New(failure.Invalid, "Name the administrator and say why.")
		}
		setting := d.file.Load().LocalRecovery
		if !setting.Open(time.Now()) {
			return nil, failure.Refuse("local-recovery", "local_recovery is not set in the configuration, or it has ended; set it, and reload.")
		}
		return d.in.byMachine.Recover(ctx, in.Account, in.Reason, in.Forgotten)
	}))
	return mux
}

// Reloaded says which settings a reload took, and which wait for a restart.
type Reloaded struct {
	Changed      []string `json:"changed"`
	NeedsRestart []string `json:"needs_restart"`
}

// Link is one that lets in, once.
type Link struct {
	Link string `json:"link"`
}

// LocalRecovery asks for a pass for an administrator, on the machine of the server.
type LocalRecovery struct {
	Account string `json:"account"`
	Reason  string `json:"reason"`
	// Forgotten revokes the password too.
	Forgotten bool `json:"forgotten,omitempty"`
}

func answer(h func(context.Context, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		out, err := h(r.Context(), r)
		if err != nil {
			w.WriteHeader(look.Status(err))
			out = map[string]string{"detail": failure.Public(err)}
		}
		json.NewEncoder(w).Encode(out) //nolint:errcheck // the client went away
	}
}
