package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"countersign/internal/keyring"
	"countersign/internal/rootkey"
)

type keysCommand struct {
	Show       keysShow       `cmd:"" help:"List the keys by number and age. No key is shown."`
	RotateRoot keysRotateRoot `cmd:"" help:"Put a new root key in the place of the old one. Restart the servers afterwards."`
	RotateData keysRotateData `cmd:"" help:"Make a new data key; what older ones sealed still opens."`
}

type keysShow struct {
	place
}

// shownKeys is what may be told of an installation's keys.
type shownKeys struct {
	Root     string        `json:"root_key_from"`
	LogKey   string        `json:"audit_log_key"` // public
	DataKeys []keyring.Key `json:"data_keys"`
}

func (c *keysShow) Run(ctx context.Context, conn *connection) error {
	p, err := c.settle()
	if err != nil {
		return err
	}
	db, keys, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	root, err := rootkey.Find(p.Data)
	if err != nil {
		return err
	}
	shown := shownKeys{Root: root.From, LogKey: keys.LogKey()}
	if shown.DataKeys, err = keys.List(ctx); err != nil {
		return err
	}
	if conn.JSON {
		return json.NewEncoder(os.Stdout).Encode(shown)
	}
	fmt.Printf("root key       %s\naudit log key  %s\n\n", shown.Root, shown.LogKey)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tPURPOSE\tGENERATION\tMADE\tAGE\tSEALS")
	for _, k := range shown.DataKeys {
		seals := "yes"
		if !k.Retired.IsZero() {
			seals = "until " + moment(k.Retired)
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%d days\t%s\n", k.ID, k.Purpose, k.Generation, moment(k.Created), int(time.Since(k.Created).Hours()/24), seals)
	}
	return w.Flush()
}

type keysRotateData struct {
	place
	Purpose []string `arg:"" optional:"" help:"What the keys are for, such as credential; every purpose when left out."`
}

func (c *keysRotateData) Run(ctx context.Context) error {
	db, keys, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	purposes := keyring.Purposes()
	if len(c.Purpose) > 0 {
		purposes = nil
		for _, p := range c.Purpose {
			purposes = append(purposes, keyring.Purpose(p))
		}
	}
	for _, p := range purposes {
		if err := keys.RotateDataKey(ctx, operator(), p); err != nil {
			return err
		}
		fmt.Printf("%s has a new key\n", p)
	}
	return nil
}

type keysRotateRoot struct {
	place
	To string `help:"Where the new key is written: needed where the root key is not in the data folder. A file that an earlier try left there is used." type:"path"`
}

func (c *keysRotateRoot) Run(ctx context.Context) error {
	p, err := c.settle()
	if err != nil {
		return err
	}
	db, keys, err := p.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	root, err := rootkey.Find(p.Data) // after open, which may have finished an earlier rotation
	if err != nil {
		return err
	}
	r := rotation{keys: keys, path: root.Path, next: c.To}
	switch {
	case root.Path == "" && c.To == "":
		return fmt.Errorf("the root key comes from %s, so say with --to FILE where the new one is written; then put it where the old one was", root.From)
	case root.Path != "" && c.To != "":
		return errors.New("--to is for a root key that is kept outside of the data folder; this one is replaced where it is")
	case root.Path != "":
		r.next = filepath.Join(p.Data, rootkey.NextFile)
	}
	if err := r.run(ctx); err != nil {
		return err
	}
	if root.Path == "" {
		fmt.Printf("The new root key is in %s, and the database opens with it alone. Put it where %s takes it from, then restart every server.\n", r.next, root.From)
		return nil
	}
	fmt.Printf("The root key in %s is new. Restart every server, and keep a copy apart from the database. Backups made before hold, or need, the old one.\n", root.Path)
	return nil
}

// rotation changes the root key in three steps. At whatever point it is cut off,
// a key that opens the database is on disk: the new one is written before the
// database takes it, and the old one is replaced after. A start in between
// finishes it (see openKeys), and so does another rotation.
type rotation struct {
	keys *keyring.Keyring
	path string // the old key's file, or empty where it is kept elsewhere
	next string // the new one's, until it takes the old one's place

	fresh keyring.Root
}

func (r *rotation) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{r.write, r.use, r.replace} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// write puts the new key on disk, or reads the one that a try before wrote.
func (r *rotation) write(context.Context) (err error) {
	r.fresh, err = rootkey.Read(r.next)
	if errors.Is(err, fs.ErrNotExist) {
		r.fresh, err = rootkey.Make(r.next)
	}
	return err
}

// use wraps the data keys with it, in one transaction.
func (r *rotation) use(ctx context.Context) error {
	return r.keys.RotateRoot(ctx, operator(), r.fresh)
}

// replace removes the old key, where it is a file of ours.
func (r *rotation) replace(context.Context) error {
	if r.path == "" {
		return nil
	}
	return rootkey.Replace(r.next, r.path)
}
