package admin

import (
	"context"
	"errors"
	"slices"
	"testing"

	"countersign/internal/signin"
)

// look and alter are commands of two nouns.
type (
	look  struct{}
	alter struct{ Name string }
	seat  struct{ name string }
	stool struct{}
)

func (*look) Action() string { return "thing.look" }
func (*look) Object() string { return "" }
func (*look) Do(_ context.Context, a *seat, _ signin.Grant) (any, error) {
	return a.name, nil
}

func (*alter) Action() string                                        { return "thing.alter" }
func (c *alter) Object() string                                      { return c.Name }
func (*alter) Do(context.Context, *stool, signin.Grant) (any, error) { return nil, nil }
func (*alter) Preflight(context.Context, *stool) error               { return errUnsound }
func (c *alter) Thing(_ context.Context, _ *stool) (string, error)   { return "of " + c.Name, nil }

var errUnsound = errors.New("that would be refused")

// A description is what was said of the command, and another's is not changed by it.
func TestList(t *testing.T) {
	plain := Changes[alter]("Change it.", "")
	one, two := plain.Telling("thing.altered", "one"), plain.Telling("thing.altered", "two").AlsoHelping()
	more := one.Telling("thing.lost", "more")
	if len(one.Sentences) != 1 || len(more.Sentences) != 2 {
		t.Errorf("%v, and with more %v", one.Sentences, more.Sentences)
	}
	if plain.Sentences != nil || one.Sentences["thing.altered"] != "one" || two.Sentences["thing.altered"] != "two" || one.Helps {
		t.Errorf("%v, %v, %v", plain.Sentences, one.Sentences, two.Sentences)
	}
	all := List{Looks[look]("Look.", ""), two}
	if s, ok := all.Find("thing.look"); !ok || !s.Reads || s.Summary != "Look." {
		t.Errorf("found %+v, %t", s, ok)
	}
	if _, ok := all.Find("thing"); ok {
		t.Error("a part of an action is found")
	}
	if !slices.Equal(all.Actions(), []string{"thing.look", "thing.alter"}) || !slices.Equal(all.Reading(), []string{"thing.look"}) || !slices.Equal(all.Helping(), []string{"thing.alter"}) {
		t.Errorf("%q, %q, %q", all.Actions(), all.Reading(), all.Helping())
	}
	if all.Sentences()["thing.altered"] != "two" {
		t.Errorf("told %v", all.Sentences())
	}
	first, second := all[0].New(), all[0].New()
	if first == nil || second == nil || first.Action() != "thing.look" {
		t.Error("no command is made")
	}
	if a, b := two.New().(*alter), two.New().(*alter); a == b {
		t.Error("two requests share one command")
	}
}

// A command is done at its own desk, with the handles that are there, and at no other.
func TestDesks(t *testing.T) {
	a := New(Parts{Desks: []Desk{At(&stool{}), At(&seat{"window"})}})
	at, ok := a.task(&look{})
	if !ok || at.sound != nil || at.thing != nil {
		t.Fatal("a look is done at no desk, or says something beforehand")
	}
	if got, err := at.do(t.Context(), signin.Grant{}); err != nil || got != "window" {
		t.Errorf("done with %v, %v", got, err)
	}
	if err := a.Preflight(t.Context(), &look{}); err != nil {
		t.Errorf("a look is unsound: %v", err)
	}
	if err := a.Preflight(t.Context(), &alter{}); !errors.Is(err, errUnsound) {
		t.Errorf("said beforehand: %v", err)
	}
	at, _ = a.task(&alter{Name: "ada"})
	if what, err := at.thing(t.Context()); err != nil || what != "of ada" {
		t.Errorf("told %q, %v", what, err)
	}
	if _, ok := New(Parts{Desks: []Desk{At(&stool{})}}).task(&look{}); ok {
		t.Error("a command is done at another's desk")
	}
}

// A command of another room is an error before anything of the grant is read: the zero
// Grant would panic.
func TestAStrangersCommandIsNotDone(t *testing.T) {
	if _, err := New(Parts{}).Do(t.Context(), signin.Grant{}, &look{}); err == nil {
		t.Error("it is done")
	}
}
