package application

import (
	"context"
	"slices"
	"sync"
	"time"

	"countersign/internal/admin"
	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// Test tests an application: whether it is guarded, and whether it reaches us.
type Test struct {
	Name string `json:"name" arg:"" help:"The application."`
}

// Tested is what application.test answers.
type Tested struct {
	// Works says that nothing was found wrong.
	Works    bool               `json:"works"`
	Findings []protocol.Finding `json:"findings"`
}

func (c *Test) Action() string { return "application.test" }
func (c *Test) Object() string { return "" }

// testDesk is where applications are tested, one at a time: a test asks others in the name of
// this server.
type testDesk struct {
	admin.Book
	applications *application.Catalogue
	protocols    protocol.List
	ears         *protocol.Ears
	place        protocol.Place
	one          sync.Mutex
}

// longest is how long one test may take.
const longest = 40 * time.Second

func (c *Test) Do(ctx context.Context, a *testDesk, g signin.Grant) (any, error) {
	app, err := a.applications.Get(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	d, _ := a.protocols.Named(app.Protocol)
	if d.Test == nil {
		return nil, failure.New(failure.Invalid, "There is nothing to test for the protocol %q.", app.Protocol)
	}
	if !a.one.TryLock() {
		return nil, failure.New(failure.Conflict, "Another test is running. Try again when it is done.")
	}
	defer a.one.Unlock()
	if err := a.Change(ctx, g, "application.tested", map[string]string{"application": app.Name}, nil, func(*store.Tx) error { return nil }); err != nil {
		return nil, err
	}
	ctx, done := context.WithTimeout(ctx, longest)
	defer done()
	out := Tested{Findings: d.Test(ctx, protocol.Trial{Application: app, Place: a.place, Ears: a.ears, Now: time.Now()})}
	out.Works = len(out.Findings) > 0 && !slices.ContainsFunc(out.Findings, func(f protocol.Finding) bool { return !f.Works })
	return out, nil
}
