package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lab runs one room's tests with one condition inverted.
type lab struct {
	options
	folder, room string
	tests        []test
}

// test is one of the room's, what it takes, and which conditions it reaches.
type test struct {
	name    string
	took    time.Duration
	reaches map[int]bool
}

// fate is what became of a mutant: which test noticed it, or none.
type fate struct {
	condition
	by      string
	reached bool
}

func (l *lab) binary() string { return filepath.Join(l.folder, "room.test") }

func (l *lab) compile(ctx context.Context, overlay string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", overlay, "-o", l.binary(), "./internal/"+l.room)
	cmd.Dir = l.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the instrumented tests do not compile: %w\n%s", err, out)
	}
	return nil
}

// run runs some of the tests; passed says that all did.
func (l *lab) run(ctx context.Context, pattern string, environment ...string) (passed bool, out []byte) {
	ctx, stop := context.WithTimeout(ctx, l.timeout)
	defer stop()
	args := []string{"-test.run", pattern, "-test.failfast", "-test.count=1"}
	if l.skip != "" {
		args = append(args, "-test.skip", l.skip)
	}
	cmd := exec.CommandContext(ctx, l.binary(), args...)
	cmd.Dir = filepath.Join(l.root, "internal", l.room)
	cmd.Env = append(os.Environ(), environment...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return err == nil, out
}

// observe runs each test by itself with nothing inverted.
func (l *lab) observe(ctx context.Context) error {
	args := []string{"-test.list", ".", "-test.skip", l.skip}
	cmd := exec.CommandContext(ctx, l.binary(), args...)
	cmd.Dir = filepath.Join(l.root, "internal", l.room)
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(out)) {
		if !strings.HasPrefix(name, "Test") {
			continue
		}
		trace := filepath.Join(l.folder, "trace."+name)
		began := time.Now()
		passed, out := l.run(ctx, "^"+name+"$", "MUTANT_TRACE="+trace)
		if err := ctx.Err(); err != nil {
			return err
		}
		if !passed {
			return fmt.Errorf("%s fails with nothing inverted:\n%s", name, bytes.TrimSpace(out))
		}
		t := test{name: name, took: time.Since(began), reaches: map[int]bool{}}
		lines, err := os.ReadFile(trace)
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for _, line := range strings.Fields(string(lines)) {
			n, err := strconv.Atoi(line)
			if err != nil {
				return err
			}
			t.reaches[n] = true
		}
		l.tests = append(l.tests, t)
	}
	slices.SortStableFunc(l.tests, func(a, b test) int { return int(a.took - b.took) })
	return nil
}

// all runs every mutant, some at once.
func (l *lab) all(ctx context.Context, conditions []condition) []fate {
	out := make([]fate, len(conditions))
	turn := make(chan int)
	var work sync.WaitGroup
	for range l.atOnce {
		work.Go(func() {
			for i := range turn {
				out[i] = l.one(ctx, conditions[i])
				if l.verbose {
					fmt.Printf("%s:%d: %s: noticed by %q\n", out[i].file, out[i].line, out[i].name(), out[i].by)
				}
			}
		})
	}
	for i := range conditions {
		if ctx.Err() == nil {
			turn <- i
		}
	}
	close(turn)
	work.Wait()
	return out
}

// one gives a mutant to the tests that reach it, until one notices.
func (l *lab) one(ctx context.Context, c condition) fate {
	f := fate{condition: c}
	for _, t := range l.tests {
		if !t.reaches[c.number] {
			continue
		}
		f.reached = true
		if passed, _ := l.run(ctx, "^"+t.name+"$", "MUTANT="+strconv.Itoa(c.number)); !passed {
			f.by = t.name
			return f
		}
	}
	return f
}
