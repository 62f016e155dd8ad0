package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"countersign/internal/drill"
)

// lab compiles and plays drills in a folder of its own.
type lab struct {
	options
	folder string
	out    io.Writer
}

// fall is a row that failed at an application, and the words of the first proof that did.
type fall struct {
	Row         string `json:"row"`
	Application string `json:"application"`
	Why         string `json:"why"`
}

// outcome is what came of a mutant.
type outcome struct {
	mutant
	Fell []fall `json:"fell"`
	// Wrong says how that differs from what should be, or is empty.
	Wrong   string  `json:"wrong,omitempty"`
	Seconds float64 `json:"seconds"`
}

func newLab(o options) (*lab, error) {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return nil, err
	}
	o.root = root
	folder, err := os.MkdirTemp("", "dm") // a short name: sockets are made below it
	if err == nil {
		err = os.Chmod(folder, 0o711) // PostgreSQL's own user passes through it
	}
	l := &lab{options: o, folder: folder, out: os.Stdout}
	if o.json {
		l.out = os.Stderr
	}
	return l, err
}

func (l *lab) close() { os.RemoveAll(l.folder) } //nolint:errcheck // it is in the folder for temporary files

// prove plays the rows with nothing changed. All of them must be played, and hold.
func (l *lab) prove(ctx context.Context) error {
	began := time.Now()
	if err := l.compile(ctx, ""); err != nil {
		return err
	}
	played, fell, err := l.play(ctx, "rows")
	switch {
	case err != nil:
		return fmt.Errorf("with nothing changed: %w", err)
	case len(fell) > 0:
		return fmt.Errorf("with nothing changed, %s fails at %s: %s", fell[0].Row, fell[0].Application, fell[0].Why)
	}
	for _, row := range drill.Drilled() {
		if !slices.Contains(played, row) {
			return fmt.Errorf("with nothing changed, %s is not drilled: run this as root, with what deploy/test-packages.sh installs", row)
		}
	}
	fmt.Fprintf(l.out, "with nothing changed, %d rows hold (%.0f s)\n", len(played), time.Since(began).Seconds())
	return nil
}

// all plays mutants one after another, with a line for each.
func (l *lab) all(ctx context.Context, chosen []mutant) []outcome {
	var all []outcome
	for i, m := range chosen {
		began := time.Now()
		o := l.one(ctx, m)
		o.Seconds = time.Since(began).Seconds()
		if ctx.Err() != nil {
			return all
		}
		all = append(all, o)
		mark, words := "ok", strings.Join(m.rows(), " ")
		if o.Wrong != "" {
			mark, words = "NO", o.Wrong
		}
		fmt.Fprintf(l.out, "%s %2d/%d %4.0f s  %s: %s\n", mark, i+1, len(chosen), o.Seconds, m.Guard, words)
	}
	return all
}

// one plays one mutant.
func (l *lab) one(ctx context.Context, m mutant) outcome {
	o := outcome{mutant: m}
	overlay, err := l.overlay(m)
	if err == nil {
		err = l.compile(ctx, overlay)
	}
	if err == nil {
		mode := "rows"
		if m.Outages {
			mode = "outages"
		}
		if l.named {
			mode += " " + strings.Join(m.rows(), " ")
		}
		_, o.Fell, err = l.play(ctx, mode)
	}
	if o.Wrong = differs(m.rows(), o.Fell); err != nil {
		o.Wrong = err.Error()
	}
	return o
}

// differs says how the rows that fell are others than should, or nothing.
func differs(want []string, fell []fall) string {
	var words []string
	for _, row := range want {
		if !slices.ContainsFunc(fell, func(f fall) bool { return f.Row == row }) {
			words = append(words, row+" does not notice")
		}
	}
	for i, f := range fell {
		again := slices.ContainsFunc(fell[:i], func(b fall) bool { return b.Row == f.Row })
		if !again && !slices.Contains(want, f.Row) {
			words = append(words, fmt.Sprintf("%s fails at %s: %s", f.Row, f.Application, f.Why))
		}
	}
	return strings.Join(words, "; ")
}

// examples are the configurations of proxies, which the test bed reads when it is played.
const examples = "deploy/examples/"

// overlay writes the changed files, and the file that puts them in the place of the originals.
// Changed examples go into a folder of their own.
func (l *lab) overlay(m mutant) (string, error) {
	changed, err := m.apply(l.source)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	if err := os.RemoveAll(l.examples()); err != nil {
		return "", err
	}
	for file, source := range changed {
		if name, ok := strings.CutPrefix(file, examples); ok {
			err := errors.Join(os.MkdirAll(l.examples(), 0o755), os.WriteFile(filepath.Join(l.examples(), name), []byte(source), 0o644))
			if err != nil {
				return "", err
			}
			continue
		}
		instead := filepath.Join(l.folder, fmt.Sprintf("changed%d.go", len(replace)))
		if err := os.WriteFile(instead, []byte(source), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(l.root, file)] = instead
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(l.folder, "overlay.json")
	return list, os.WriteFile(list, b, 0o600)
}

// source reads a file of the module.
func (l *lab) source(file string) (string, error) {
	b, err := os.ReadFile(filepath.Join(l.root, file))
	return string(b), err
}

// examples is where changed ones are.
func (l *lab) examples() string { return filepath.Join(l.folder, "examples") }

func (l *lab) binary() string { return filepath.Join(l.folder, "drill.test") }

func (l *lab) compile(ctx context.Context, overlay string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags", "-s -w", "-overlay", overlay, "-o", l.binary(), "./test/drill")
	cmd.Dir = l.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not compile: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// play plays the rows, and returns those that were played and those that fell. The processes
// that a drill starts end with it, and its files are in the lab's folder.
func (l *lab) play(ctx context.Context, mode string) (played []string, fell []fall, err error) {
	ctx, stop := context.WithTimeout(ctx, l.timeout)
	defer stop()
	cmd := exec.CommandContext(ctx, l.binary(), "-test.run", "^TestRows$", "-test.v", "-test.timeout", "0")
	cmd.Dir = filepath.Join(l.root, "test", "drill")
	cmd.Env = append(os.Environ(), "DRILL_ROWS="+mode, "TMPDIR="+l.folder, "TESTBED_EXAMPLES="+l.examples())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	played, fell = results(out)
	if err != nil {
		if name, keep := filepath.Join(os.TempDir(), "drill-mutant.log"), os.WriteFile; keep(name, out, 0o600) == nil {
			err = fmt.Errorf("the drill broke off (its output is in %s): %w", name, err)
		}
	}
	return played, fell, err
}

// results reads what TestRows prints.
func results(out []byte) (played []string, fell []fall) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, len(out)+1)
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), "\t", 5)
		if len(f) != 5 || f[0] != "drilled" {
			continue
		}
		if !slices.Contains(played, f[1]) {
			played = append(played, f[1])
		}
		if f[3] != string(drill.Passed) {
			fell = append(fell, fall{Row: f[1], Application: f[2], Why: f[4]})
		}
	}
	return played, fell
}
