package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/text"
)

// AuditText is what the server adds to a command before anybody reads it, so that the text
// that is approved, and that the audit log keeps, says of what kind something is. What a
// client sends of it is overwritten.
type AuditText struct {
	// Who is the kind of the account that the command names: person or service.
	Who string `json:"account_kind,omitempty" kong:"-"`
	// What describes the thing that it names by a number.
	What string `json:"thing,omitempty" kong:"-"`
}

// auditText is where a command keeps it.
func (t *AuditText) auditText() *AuditText { return t }

type (
	// aboutAccount is a Command that names an account.
	aboutAccount interface{ About() *string }
	// receiver is a Command that must know when it came.
	receiver interface{ Receive(now time.Time) }
	// audited is a Command with an [AuditText].
	audited interface{ auditText() *AuditText }
)

// Prepare makes a command that just came, by whatever way, what is approved and done:
// names as the directory writes them, with what kind of account each is, and the
// moment by this server's clock. It refuses nothing: of what does not exist it says
// nothing, because nobody knows yet who asks.
func (a *Admin) Prepare(ctx context.Context, c Command) error {
	if r, ok := c.(receiver); ok {
		r.Receive(a.now())
	}
	t, ok := c.(audited)
	if !ok {
		return nil
	}
	*t.auditText() = AuditText{}
	if n, ok := c.(aboutAccount); ok {
		d, err := a.people.Find(ctx, a.db, *n.About())
		if class := failure.ClassOf(err); err != nil && class != failure.NotFound {
			return err
		}
		if err == nil {
			*n.About(), t.auditText().Who = d.Name, d.Kind
		}
	}
	if n, ok := a.task(c); ok && n.thing != nil {
		what, err := n.thing(ctx)
		if failure.ClassOf(err) == failure.NotFound {
			return nil
		}
		t.auditText().What = what
		return err
	}
	return nil
}

// ReceivedAt is for a command that comes with each answer of one conversation: it came
// when that began.
func (a *Admin) ReceivedAt(c Command, began time.Time) {
	if r, ok := c.(receiver); ok {
		r.Receive(began)
	}
}

// Of names an account by its kind.
func (t *AuditText) Of(name string) string {
	who := t.Who
	if who == "" {
		who = "account"
	}
	return who + " " + text.Name(name)
}

// WithReason adds the reason or note that a command ends with.
func WithReason(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + text.OneLine(why)
}

// Span writes a length of time as people say it: "1 hour", "1 hour 30 minutes". Anything
// below a second is left out.
func Span(d time.Duration) string {
	var out []string
	for _, u := range []struct {
		name string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		n := d / u.of
		d -= n * u.of
		switch {
		case n == 1:
			out = append(out, "1 "+u.name)
		case n > 1:
			out = append(out, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	if len(out) == 0 {
		return "no time"
	}
	return strings.Join(out, " ")
}

// Called adds what people call something.
func Called(what, display string) string {
	if display == "" {
		return what
	}
	return what + ", called " + text.Quote(display)
}

// Listed writes names one after the other.
func Listed(all []string) string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = text.Name(one)
	}
	return strings.Join(out, " ")
}
