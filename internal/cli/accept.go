package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"countersign/internal/server"
	"countersign/internal/store"
	words "countersign/internal/text"
)

// auditAccept is for an audit log that is not as the servers left it.
type auditAccept struct {
	place
	Because string `required:"" placeholder:"TEXT" help:"What happened, for whoever reads the log later."`
}

// mostBecause is as much as an entry holds.
const mostBecause = 500

// Run shows what is wrong, and has the log go on from what is known.
func (c *auditAccept) Run(ctx context.Context, conn *connection) error {
	if c.Because == "" || len(c.Because) > mostBecause {
		return fmt.Errorf("say what happened in --because, in at most %d characters", mostBecause)
	}
	if err := c.stopped(); err != nil {
		return err
	}
	db, _, err := c.openBroken(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	wrong := db.Condition().Halted()
	done, err := db.Accept(ctx, operator(), c.Because)
	if errors.Is(err, store.ErrNothingWrong) {
		return errors.New("nothing is wrong with the audit log; nothing was changed")
	}
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := c.forget(); err != nil {
		return err
	}
	if conn.JSON {
		return json.NewEncoder(os.Stdout).Encode(done)
	}
	printAccepted(os.Stdout, done, wrong)
	return nil
}

func printAccepted(w io.Writer, done store.Accepted, wrong error) {
	if wrong != nil {
		fmt.Fprintln(w, words.Seen(wrong.Error()))
	}
	for _, f := range done.Faults {
		fmt.Fprintln(w, f)
	}
	fmt.Fprintf(w, "\nremembered here  %v\nin the database  %v\nit goes on from  %v\n\n", done.Known, done.Stored, done.Next)
	if done.Strays > 0 {
		fmt.Fprintf(w, "%d rows behind the end were removed: they were never ours.\n", done.Strays)
	}
	fmt.Fprintln(w, "This is in the log now, with your reason. What is missing stays missing: countersign audit verify goes on saying so.\nChanges that only missing entries told of are not remembered any more: look through the administrators, their authenticators and the policy.")
}

// stopped refuses while a server runs on the data folder.
func (p place) stopped() error {
	p, err := p.settle()
	if err != nil {
		return err
	}
	if conn, err := net.Dial("unix", filepath.Join(p.Data, server.SocketName)); err == nil {
		conn.Close()
		return errors.New("a server runs on this data folder: stop it first, and every other server of this installation")
	}
	return nil
}

// forget removes what the server remembers: it learns anew from the log when it starts.
func (p place) forget() error {
	p, err := p.settle()
	if err != nil {
		return err
	}
	return store.Forget(filepath.Join(p.Data, server.RememberedFolder))
}
