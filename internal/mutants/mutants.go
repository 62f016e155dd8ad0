// Mutants inverts the conditions of a room one by one, and asks whether the room's
// own tests notice.
//
//	go run ./internal/mutants [flags] ROOM...
//
// It compiles a room's tests once, with every condition in its sources wrapped (in
// copies that go test -overlay puts in their place; nothing in the tree is
// touched), and lets the environment say which one is inverted. Of each test it
// notes which conditions it reaches, so that a mutant is given only to the tests
// that could notice it, the quickest first. It prints who survived and the share
// that was noticed, and fails under nine of ten, where a survivor has no reason in
// the file accepted, or where a line there is about no condition any more.
//
// It owns nothing of the server and is in no program.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	root     string
	accepted string
	atOnce   int
	files    *regexp.Regexp // only mutants of these files
	skip     string         // tests that are not run
	timeout  time.Duration
	verbose  bool
}

func main() {
	var o options
	files := flag.String("files", "", "only conditions in files whose name matches this")
	flag.StringVar(&o.accepted, "accepted", "internal/mutants/accepted", "survivors that have a reason")
	flag.StringVar(&o.skip, "skip", "", "tests that are not run, as for go test -skip")
	flag.IntVar(&o.atOnce, "p", max(1, runtime.NumCPU()), "mutants at once")
	flag.DurationVar(&o.timeout, "timeout", time.Minute, "for one test of one mutant; longer is noticed")
	flag.BoolVar(&o.verbose, "v", false, "print who noticed each")
	flag.Parse()
	o.root = "."
	o.files = regexp.MustCompile(*files)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

// enough is which share of the conditions a room's tests are to notice.
const enough = 0.9

var anything = regexp.MustCompile("")

func run(ctx context.Context, o options, rooms []string) error {
	if len(rooms) == 0 {
		return fmt.Errorf("name a room: signin, session, ticket")
	}
	reasons, err := readReasons(filepath.Join(o.root, o.accepted))
	if err != nil {
		return err
	}
	var poor []string
	for _, room := range rooms {
		good, err := examine(ctx, o, room, reasons)
		if err != nil {
			return fmt.Errorf("%s: %w", room, err)
		}
		if !good {
			poor = append(poor, room)
		}
	}
	if len(poor) > 0 {
		return fmt.Errorf("too much goes unnoticed, or without a reason, in %s", strings.Join(poor, ", "))
	}
	return nil
}

// examine takes one room's conditions out in turn.
func examine(ctx context.Context, o options, room string, reasons map[string]string) (bool, error) {
	folder, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(folder)
	p, err := instrument(o.root, room, folder)
	if err != nil {
		return false, err
	}
	if gone := stale(room, p.conditions, reasons); len(gone) > 0 {
		return false, fmt.Errorf("there is no condition any more that these lines of %s are about:\n%s", o.accepted, strings.Join(gone, "\n"))
	}
	l := &lab{options: o, folder: folder, room: room}
	if err := l.compile(ctx, p.overlay); err != nil {
		return false, err
	}
	if err := l.observe(ctx); err != nil {
		return false, err
	}
	var chosen []condition
	for _, c := range p.conditions {
		if o.files.MatchString(filepath.Base(c.file)) {
			chosen = append(chosen, c)
		}
	}
	fates := l.all(ctx, chosen)
	if err := ctx.Err(); err != nil {
		return false, err
	}
	return report(room, fates, reasons), nil
}

// stale are the reasons of a room that name none of its conditions: one that was changed,
// or taken out, or whose ordinal is another now.
func stale(room string, conditions []condition, reasons map[string]string) []string {
	there := map[string]bool{}
	for _, c := range conditions {
		there[c.key()] = true
	}
	var gone []string
	for key := range reasons {
		file, _, _ := strings.Cut(key, ": ")
		if path.Dir(file) == "internal/"+room && !there[key] {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	return gone
}

// report prints who survived and says whether that is good enough.
func report(room string, fates []fate, reasons map[string]string) bool {
	noticed, unexplained := 0, 0
	for _, f := range fates {
		if f.by != "" {
			noticed++
			continue
		}
		why := reasons[f.key()]
		if why == "" {
			unexplained++
			why = "NO REASON"
		}
		reached := ""
		if !f.reached {
			reached = " (no test gets there)"
		}
		fmt.Printf("%s:%d: %s%s: %s\n", f.file, f.line, f.name(), reached, why)
	}
	share := 1.0
	if len(fates) > 0 {
		share = float64(noticed) / float64(len(fates))
	}
	fmt.Printf("%s: %d of %d conditions noticed, %.1f %%; %d survivors without a reason\n", room, noticed, len(fates), 100*share, unexplained)
	return share >= enough && unexplained == 0
}

// readReasons reads lines "file: function: condition -- reason", where the condition
// is followed by " #2" if it is the second of its function that reads so.
func readReasons(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, why, ok := strings.Cut(line, " -- ")
		if !ok || strings.TrimSpace(why) == "" {
			return nil, fmt.Errorf("%s: a line without a reason: %s", name, line)
		}
		out[key] = why
	}
	return out, lines.Err()
}
