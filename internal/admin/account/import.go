package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"countersign/internal/admin"
	"countersign/internal/admin/guard"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/text"
	"countersign/internal/ticket"
)

// RowsPerPart is how many accounts a part of a file has at most: they are made all or none.
const RowsPerPart = 200

// MostRows is how many accounts one import makes: what a request has time for. More are several
// imports.
const MostRows = 5000

const uploadKind = "account-part"

// Row is one account of a file, as it is sent.
type Row struct {
	// Line is where in the file it stands.
	Line    int      `json:"line,omitempty"`
	Name    string   `json:"name"`
	Display string   `json:"display,omitempty"`
	Mail    string   `json:"mail,omitempty"`
	Ends    string   `json:"ends,omitempty"`
	Groups  []string `json:"groups,omitempty"`
}

// importDesk is where a file of accounts is taken.
type importDesk struct {
	admin.Book
	guard.Guard
	db      *store.DB
	people  *directory.Accounts
	groups  *directory.Groups
	again   again
	tickets *ticket.Tickets
	shown
}

// Stage sends a part of a file, sealed and for half an hour. It changes nothing: what was sent
// comes to be by account.import alone.
type Stage struct {
	// Upload is a secret of the sender's making; the parts are found by it.
	Upload string `json:"upload" required:"" help:"24 random bytes in unpadded base64url, the same for each part."`
	Part   int    `json:"part" help:"The number of the part, from 0."`
	Rows   []Row  `json:"rows" required:"" help:"The accounts, as JSON: 1 to 200."`
}

// Staged is a part that was taken. Digest is its SHA-256.
type Staged struct {
	Part   int    `json:"part"`
	Digest string `json:"digest"`
}

func (c *Stage) Action() string { return "account.stage" }
func (c *Stage) Object() string { return fmt.Sprintf("part %d of a file of accounts", c.Part) }

func (c *Stage) Do(ctx context.Context, a *importDesk, g signin.Grant) (any, error) {
	if len(c.Rows) < 1 || len(c.Rows) > RowsPerPart {
		return nil, failure.At("rows", failure.New(failure.Invalid, "A part has 1 to %d accounts.", RowsPerPart))
	}
	b, err := json.Marshal(c.Rows)
	if err != nil {
		return nil, err
	}
	digest, err := a.tickets.Stage(ctx, ticket.Upload{Kind: uploadKind, Owner: int64(g.Account()), Secret: c.Upload}, c.Part, b)
	return Staged{c.Part, digest}, err
}

// Batch names what was sent. The digest is over the digests of its parts, in their order, so
// that what is approved by it is what is imported.
type Batch struct {
	Upload string `json:"upload" required:"" help:"As the parts were sent with."`
	Parts  int    `json:"parts" required:"" help:"How many there are."`
	Count  int    `json:"count" required:"" help:"How many accounts they hold."`
	Digest string `json:"digest" required:"" help:"SHA-256 over the parts' digests."`
	File   string `json:"file,omitempty" help:"The file's name, for the log."`
	Change bool   `json:"change,omitempty" help:"Also add accounts that exist to the groups of their line; otherwise they are left as they are."`
}

func (b *Batch) text() string {
	what := fmt.Sprintf("%d accounts from %s, SHA-256 %s", b.Count, text.Quote(b.File), text.Name(b.Digest))
	if b.Change {
		what += ", those that exist are added to groups"
	}
	return what
}

func (b *Batch) upload(g signin.Grant) ticket.Upload {
	return ticket.Upload{Kind: uploadKind, Owner: int64(g.Account()), Secret: b.Upload, Parts: b.Parts, Digest: b.Digest}
}

// Fault is what is wrong with a line: one sentence, which quotes no cell.
type Fault struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

// Planned is what one line comes to: made, changed or left, and why.
type Planned struct {
	Line int    `json:"line"`
	Name string `json:"name"`
	What string `json:"what"`
	Why  string `json:"why,omitempty"`
}

// Owed is a privileged group that a line names. Nobody is put into it by a file: it takes
// group member add, with its own approval.
type Owed struct {
	Account string `json:"account"`
	Group   string `json:"group"`
}

// Outcome is what an import comes to, or came to.
type Outcome struct {
	Made    int `json:"made"`
	Changed int `json:"changed"`
	Left    int `json:"left"`
	// Faults are the first hundred lines with which nothing is imported; More is how many
	// there are beside them.
	Faults []Fault `json:"faults"`
	More   int     `json:"more,omitempty"`
	// MissingGroups are groups that lines name and that do not exist.
	MissingGroups []string `json:"missing_groups"`
	// Owed are the privileged groups that people are still to be added to.
	Owed []Owed `json:"owed"`
	// Lines are what the first five hundred lines come to, in a preview.
	Lines []Planned `json:"lines,omitempty"`
	// Invitable are the accounts that were made and have a mail address.
	Invitable []string `json:"invitable,omitempty"`
}

// Add adds what another import comes to.
func (o *Outcome) Add(p Outcome) {
	o.Made, o.Changed, o.Left, o.More = o.Made+p.Made, o.Changed+p.Changed, o.Left+p.Left, o.More+p.More
	o.Faults, o.Owed, o.Invitable = append(o.Faults, p.Faults...), append(o.Owed, p.Owed...), append(o.Invitable, p.Invitable...)
	for _, g := range p.MissingGroups {
		if !slices.Contains(o.MissingGroups, g) {
			o.MissingGroups = append(o.MissingGroups, g)
		}
	}
	if n := mostPlanned - len(o.Lines); n > 0 {
		o.Lines = append(o.Lines, p.Lines[:min(n, len(p.Lines))]...)
	}
}

const (
	mostFaults  = 100
	mostPlanned = 500
)

func (o *Outcome) fault(line int, sentence string) {
	if len(o.Faults) == mostFaults {
		o.More++
		return
	}
	o.Faults = append(o.Faults, Fault{line, sentence})
}

func (o *Outcome) plan(p Planned) {
	switch p.What {
	case made:
		o.Made++
	case changed:
		o.Changed++
	default:
		o.Left++
	}
	if len(o.Lines) < mostPlanned {
		o.Lines = append(o.Lines, p)
	}
}

// What becomes of a line.
const made, changed, left = "made", "changed", "left"

// Preview says what importing would do.
type Preview struct {
	Batch `embed:""`
}

func (c *Preview) Action() string { return "account.preview" }
func (c *Preview) Object() string { return c.text() }

func (c *Preview) Do(ctx context.Context, a *importDesk, g signin.Grant) (any, error) {
	out, err := a.judge(ctx, g, &c.Batch)
	return out, err
}

func emptyOutcome() *Outcome {
	return &Outcome{Faults: []Fault{}, MissingGroups: []string{}, Owed: []Owed{}}
}

// judge says what importing would do, and changes nothing.
func (a *importDesk) judge(ctx context.Context, g signin.Grant, b *Batch) (*Outcome, error) {
	out, count := emptyOutcome(), 0
	if b.Count > MostRows {
		return out, failure.At("count", failure.New(failure.Invalid, "One import makes %d accounts at most; split the file.", MostRows))
	}
	r := a.newReading(g, out)
	err := a.tickets.Walk(ctx, b.upload(g), func(payload []byte) error {
		var rows []Row
		if err := json.Unmarshal(payload, &rows); err != nil {
			return err
		}
		count += len(rows)
		for _, row := range rows {
			p, _, err := r.judge(ctx, a.db, row, b.Change)
			var wrong *lineFault
			if errors.As(err, &wrong) {
				out.fault(row.Line, wrong.sentence)
				continue
			}
			if err != nil {
				return err
			}
			out.plan(p)
		}
		return nil
	})
	if err == nil && count != b.Count {
		err = failure.At("count", failure.New(failure.Conflict, "There are %d accounts in what was sent, and not %d.", count, b.Count))
	}
	slices.Sort(out.MissingGroups)
	return out, err
}

// Import makes the accounts of what was sent. Nothing is made where a line has a fault. The
// parts are made one after the other, each all or none: after a breakdown the same file is
// sent again, and goes on where it stopped, because what exists is left.
type Import struct {
	Batch `embed:""`
}

func (c *Import) Action() string { return "account.import" }
func (c *Import) Object() string { return c.text() }

func (c *Import) Do(ctx context.Context, a *importDesk, g signin.Grant) (any, error) {
	before, err := a.judge(ctx, g, &c.Batch)
	if err != nil {
		return nil, err
	}
	if len(before.Faults) > 0 {
		f := before.Faults[0]
		return nil, failure.New(failure.Conflict, "Nothing was imported. Line %d: %s%s", f.Line, f.Text, orMore(len(before.Faults)-1+before.More))
	}
	ctx = context.WithoutCancel(ctx) // who is gone in the middle finds it done
	out := emptyOutcome()
	for part := range c.Parts {
		if err := a.part(ctx, g, &c.Batch, part, out); err != nil {
			return nil, stopped(part, c.Parts, out.Made, err)
		}
	}
	out.Lines = nil
	return *out, nil
}

// stopped says how far an import came before an error, which says of itself that nothing was
// changed.
func stopped(part, parts, made int, err error) error {
	class := failure.ClassOf(err)
	if part == 0 {
		return err
	}
	why := failure.Public(err)
	if class == failure.Internal {
		class, why = failure.Unavailable, "Something went wrong on our side."
	}
	return failure.Wrap(class, err, fmt.Sprintf("The import stopped after %d of %d parts, with %d accounts made. %s Send the file again: it goes on there.", part, parts, made, why))
}

func orMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" And %d more lines; account preview lists them.", n)
}

// part makes the accounts of one part, with an entry for each and one for all.
func (a *importDesk) part(ctx context.Context, g signin.Grant, b *Batch, part int, out *Outcome) error {
	now := *out
	err := a.db.Change(ctx, g.Actor(), func(tx *store.Tx) error {
		now = *out
		now.Owed, now.Invitable = slices.Clone(out.Owed), slices.Clone(out.Invitable)
		payload, err := a.tickets.TakePartTx(ctx, tx, b.upload(g), part)
		if err != nil {
			return err
		}
		var rows []Row
		if err := json.Unmarshal(payload, &rows); err != nil {
			return err
		}
		r := a.newReading(g, &now)
		for _, row := range rows {
			if err := a.row(ctx, tx, r, b, row); err != nil {
				return err
			}
		}
		return tx.Record(admin.Entry(g, "account.imported", audit.OK, map[string]string{"part": fmt.Sprintf("%d of %d", part+1, b.Parts), "count": strconv.Itoa(len(rows)), "digest": b.Digest}))
	})
	if err == nil {
		*out = now
	}
	return err
}

// row makes one account, or adds it to its groups.
func (a *importDesk) row(ctx context.Context, tx *store.Tx, r *reading, b *Batch, row Row) error {
	p, it, err := r.judge(ctx, tx, row, b.Change)
	var wrong *lineFault
	if errors.As(err, &wrong) {
		return failure.New(failure.Conflict, "Line %d: %s", row.Line, wrong.sentence)
	}
	if err != nil {
		return err
	}
	r.out.plan(p)
	if p.What == left {
		return nil
	}
	d, event := it.account, "account.changed-by-import"
	if p.What == made {
		event = "account.created"
		if d, err = a.people.Create(ctx, tx, it.fresh); err != nil {
			return failure.New(failure.ClassOf(err), "Line %d: %s", row.Line, failure.Public(err))
		}
		if d.Mail != "" {
			r.out.Invitable = append(r.out.Invitable, d.Name)
		}
	}
	for _, group := range it.joins {
		if err := a.groups.AddMember(ctx, tx, group, d); err != nil {
			return err
		}
	}
	en := admin.Entry(r.grant, event, audit.OK, map[string]string{"line": strconv.Itoa(row.Line), "groups": admin.Listed(names(it.joins))})
	en.Account, en.AccountName = int64(d.ID), d.Name
	return tx.Record(en)
}

func names(groups []directory.Group) []string {
	out := make([]string, len(groups))
	for i, group := range groups {
		out[i] = group.Name
	}
	return out
}
