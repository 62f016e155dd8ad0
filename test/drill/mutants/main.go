// Mutants takes one guard at a time out of the server's sources, and asks whether exactly
// the rows that depend on it fail a drill.
//
//	go run ./test/drill/mutants [flags]
//
// It owns the table of guards: what each is, how it is taken out, and the rows that are to
// fail. For each it compiles the tests of test/drill with the changed file in the place of
// the original (go test -overlay; nothing in the tree is touched), has TestRows attack the
// test bed, and compares. Before the first it does so with nothing changed, where no row may
// fail. It owns no attack: those are the package drill's. It is in no program. Invariant: a
// guard whose absence no row notices makes it fail, and so does a row that fails for
// another reason than its guards.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags, and the folder of the module.
type options struct {
	root, only, from         string
	write, json, play, prove bool
	named                    bool
	timeout                  time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.root, "root", ".", "the folder of the module")
	flag.StringVar(&o.only, "only", "", "only mutants whose guard, file or rows contain this")
	flag.StringVar(&o.from, "from", "", "with -write: take what came of each from files that -json wrote, such as 'runs/*.json', and play nothing")
	flag.BoolVar(&o.write, "write", false, "write the table in docs/drill.md; what is not run keeps its line")
	flag.BoolVar(&o.json, "json", false, "print what came of each as JSON, and progress to standard error")
	flag.BoolVar(&o.prove, "prove", true, "first play the rows with nothing changed")
	flag.BoolVar(&o.play, "play", true, "play mutants; without, -write keeps what the table says of each")
	flag.BoolVar(&o.named, "named", false, "play only the rows that each mutant names: whether they fail, and not whether others do")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Minute, "for one mutant")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill-mutants:", err)
		os.Exit(1)
	}
}

// errDiffers is what is wrong where a drill ran, and other rows failed than should.
var errDiffers = errors.New("rows that should fail did not, or others did")

// run plays all chosen mutants. It returns an error if one could not be played, or any
// differs.
func run(ctx context.Context, o options) error {
	if o.from != "" {
		outcomes, err := read(o.from)
		if err != nil {
			return err
		}
		return errors.Join(writeTable(o.root, outcomes), verdict(outcomes))
	}
	if o.named && o.write {
		return errors.New("-named does not say whether other rows fail, so it writes no table; leave -write out")
	}
	if !o.play {
		return writeTable(o.root, nil)
	}
	chosen := choose(mutants(), o.only)
	if len(chosen) == 0 {
		return fmt.Errorf("no mutant's guard, file or rows contain %q", o.only)
	}
	l, err := newLab(o)
	if err != nil {
		return err
	}
	defer l.close()
	if o.prove {
		if err := l.prove(ctx); err != nil {
			return err
		}
	}
	outcomes := l.all(ctx, chosen)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if o.json {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(outcomes); err != nil {
			return err
		}
	}
	if o.write {
		if err := writeTable(o.root, outcomes); err != nil {
			return err
		}
	}
	return verdict(outcomes)
}

// read returns the outcomes that files hold, of which each is of one mutant or of several:
// they can be played in parts. Whether one differs is asked anew, of the table as it is.
func read(pattern string) ([]outcome, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	all := mutants()
	var outcomes []outcome
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var found []outcome
		if err := json.Unmarshal(b, &found); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, o := range found {
			if i := slices.IndexFunc(all, func(m mutant) bool { return m.Guard == o.Guard }); i >= 0 {
				o.Wrong = differs(all[i].rows(), o.Fell)
				outcomes = append(outcomes, o)
			}
		}
	}
	return outcomes, nil
}

// choose returns the mutants that contain a word.
func choose(all []mutant, word string) []mutant {
	var chosen []mutant
	for _, m := range all {
		if strings.Contains(strings.ToLower(m.Guard+" "+m.File+" "+m.Rows), strings.ToLower(word)) {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

func verdict(all []outcome) error {
	wrong := 0
	for _, o := range all {
		if o.Wrong != "" {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d guards: %w", wrong, len(all), errDiffers)
	}
	return nil
}
