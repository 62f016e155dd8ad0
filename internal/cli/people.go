package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"countersign/internal/accountfile"
	"countersign/internal/admin"
	"countersign/internal/admin/account"
	"countersign/internal/admin/group"
	"countersign/internal/admin/pass"
	words "countersign/internal/text"
	"countersign/internal/ticket"
)

// accountImport makes accounts from a file on this machine: without --commit it says what it
// would do.
type accountImport struct {
	File         string `arg:"" type:"existingfile" help:"The file: comma-separated values with a heading such as name,display,mail,groups."`
	Commit       bool   `help:"Make the accounts. Without it nothing is changed."`
	Change       bool   `help:"Also add accounts that exist to the groups of their line; otherwise they are left as they are."`
	CreateGroups bool   `help:"Make groups that lines name and that do not exist, each with an approval of its own."`
	Invite       bool   `help:"Invite by mail those who were made and have an address, 500 by one approval."`
}

// Run judges the whole file, sends it, and says what would become of it, or what became.
func (i *accountImport) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	if err := i.judge(); err != nil {
		return err
	}
	out, batches, err := i.preview(ctx, c)
	if err != nil {
		return err
	}
	if len(out.MissingGroups) > 0 && i.Commit && i.CreateGroups {
		if err := i.makeGroups(ctx, c, out.MissingGroups); err != nil {
			return err
		}
		if out, batches, err = i.preview(ctx, c); err != nil {
			return err
		}
	}
	if !i.Commit || len(out.Faults) > 0 {
		return i.tell(c, out)
	}
	for _, batch := range batches {
		if err := i.commit(ctx, c, batch); err != nil {
			return err
		}
	}
	return nil
}

// read reads the file from its beginning, with a bar on the way.
func (i *accountImport) read(what string, each func(accountfile.Row) error) (accountfile.Report, error) {
	return throughBar(i.File, what, func(r io.Reader) (accountfile.Report, error) { return accountfile.Read(r, each) })
}

// judge complains of all that is wrong with the file by itself.
func (i *accountImport) judge() error {
	report, err := i.read("Reading", func(accountfile.Row) error { return nil })
	if err != nil {
		return err
	}
	return usable(report, i.File)
}

// sending is a file of accounts on its way: in batches, each of which is one approval.
type sending struct {
	parts
	blank account.Batch
	batch account.Batch
	done  []account.Batch
	rows  []account.Row
	size  int // of the rows, about, in bytes
}

// accountPreview is import without --commit.
type accountPreview struct {
	File string `arg:"" type:"existingfile" help:"The file."`
}

func (p *accountPreview) Run(ctx context.Context, conn *connection) error {
	return (&accountImport{File: p.File}).Run(ctx, conn)
}

// accountStage sends a file and prints what account.import is to be asked with, for programs.
type accountStage struct {
	File string `arg:"" type:"existingfile" help:"The file."`
}

func (s *accountStage) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	i := &accountImport{File: s.File}
	if err := i.judge(); err != nil {
		return err
	}
	batches, err := i.upload(ctx, c)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(batches)
	if err != nil {
		return err
	}
	return c.print(os.Stdout, raw)
}

// upload sends the file.
func (i *accountImport) upload(ctx context.Context, c *client) ([]account.Batch, error) {
	s := &sending{parts: parts{ctx: ctx, client: c}, blank: account.Batch{File: filepath.Base(i.File), Change: i.Change}}
	s.begin()
	report, err := i.read("Sending", s.add)
	if err == nil && !report.OK() {
		err = fmt.Errorf("%s changed while it was read; nothing was imported", i.File)
	}
	if err == nil {
		err = s.end()
	}
	return s.done, err
}

// preview sends the file, and asks what importing it would do.
func (i *accountImport) preview(ctx context.Context, c *client) (account.Outcome, []account.Batch, error) {
	var all account.Outcome
	batches, err := i.upload(ctx, c)
	if err != nil {
		return all, nil, err
	}
	for _, batch := range batches {
		raw, err := c.do(ctx, &account.Preview{Batch: batch})
		if err != nil {
			return all, nil, err
		}
		var out account.Outcome
		if err := json.Unmarshal(raw, &out); err != nil {
			return all, nil, err
		}
		all.Add(out)
	}
	return all, batches, nil
}

func (s *sending) begin() {
	s.batch, s.sum = s.blank, ticket.Sum{}
	s.batch.Upload = ticket.NewSecret()
}

// end finishes a batch.
func (s *sending) end() error {
	if len(s.rows) > 0 {
		if err := s.send(); err != nil {
			return err
		}
	}
	if s.batch.Count > 0 {
		s.batch.Digest = s.sum.Digest()
		s.done = append(s.done, s.batch)
	}
	s.begin()
	return nil
}

func (s *sending) add(r accountfile.Row) error {
	s.rows = append(s.rows, account.Row(r))
	s.size += 120 + len(r.Name) + len(r.Display) + len(r.Mail)
	for _, g := range r.Groups {
		s.size += len(g) + 4
	}
	switch {
	case s.batch.Count+len(s.rows) == account.MostRows:
		return s.end()
	case len(s.rows) == account.RowsPerPart || s.size >= partSize:
		return s.send()
	}
	return nil
}

func (s *sending) send() error {
	if err := s.stage(&account.Stage{Upload: s.batch.Upload, Part: s.batch.Parts, Rows: s.rows}); err != nil {
		return err
	}
	s.batch.Parts++
	s.batch.Count += len(s.rows)
	s.rows, s.size = s.rows[:0], 0
	return nil
}

// tell prints what would be done.
func (i *accountImport) tell(c *client, out account.Outcome) error {
	if c.JSON {
		raw, err := json.Marshal(out)
		if err != nil {
			return err
		}
		if err := c.print(os.Stdout, raw); err != nil {
			return err
		}
	} else {
		i.lines(out)
	}
	for _, f := range out.Faults {
		fmt.Fprintf(os.Stderr, "line %d: %s\n", f.Line, f.Text)
	}
	if out.More > 0 {
		fmt.Fprintf(os.Stderr, "and %d more\n", out.More)
	}
	for _, g := range out.MissingGroups {
		fmt.Fprintf(os.Stderr, "there is no group %s; make it, or say --create-groups\n", words.Name(g))
	}
	if len(out.Faults) > 0 {
		return errors.New("with these lines nothing would be imported")
	}
	fmt.Fprintln(os.Stderr, "Nothing was changed; say --commit to import them.")
	return nil
}

func (i *accountImport) lines(out account.Outcome) {
	fmt.Printf("%8s  %-8s  %-24s  %s\n", "LINE", "WHAT", "ACCOUNT", "WHY")
	for _, l := range out.Lines {
		fmt.Printf("%8d  %-8s  %-24s  %s\n", l.Line, l.What, words.Name(l.Name), l.Why)
	}
	if n := out.Made + out.Changed + out.Left - len(out.Lines); n > 0 {
		fmt.Printf("and %d more\n", n)
	}
	for _, o := range out.Owed {
		fmt.Printf("%s is to be in %s, which is privileged: that is approved by itself after the import.\n", words.Name(o.Account), words.Name(o.Group))
	}
	fmt.Printf("%d would be made, %d changed, %d left.\n", out.Made, out.Changed, out.Left)
}

func (i *accountImport) makeGroups(ctx context.Context, c *client, names []string) error {
	for _, name := range names {
		if _, err := c.do(ctx, &group.Create{Name: name}); err != nil {
			return err
		}
	}
	return nil
}

// commit makes the accounts, and then what takes approvals of its own.
func (i *accountImport) commit(ctx context.Context, c *client, batch account.Batch) error {
	raw, err := c.do(ctx, &account.Import{Batch: batch})
	if err != nil {
		return err
	}
	var out account.Outcome
	if err := json.Unmarshal(raw, &out); err != nil {
		return err
	}
	if err := c.print(os.Stdout, raw); err != nil {
		return err
	}
	for _, o := range out.Owed {
		if _, err := c.do(ctx, &group.MemberAdd{Group: o.Group, Account: o.Account}); err != nil {
			return fmt.Errorf("%s is not in %s yet: %w", words.Name(o.Account), words.Name(o.Group), err)
		}
	}
	for n := 0; i.Invite && n < len(out.Invitable); n += admin.MostSeveral {
		some := out.Invitable[n:min(n+admin.MostSeveral, len(out.Invitable))]
		if _, err := c.do(ctx, &pass.Invite{Whom: pass.Whom{Account: some[0], Also: some[1:]}, Note: "imported from " + batch.File}); err != nil {
			return fmt.Errorf("the accounts are there, and %d are not invited yet: %w", len(out.Invitable)-n, err)
		}
	}
	return nil
}
