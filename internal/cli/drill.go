package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/admin/nouns"
	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/drill"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/store"
)

type drillCommand struct {
	Run     drillRun                 `cmd:"" default:"withargs" help:"Attack this installation with canary accounts, row by row, and show what was refused. Run it on the server's machine: the report is signed with its key."`
	Begin   do[coverage.DrillBegin]  `cmd:""`
	Record  do[coverage.DrillRecord] `cmd:""`
	List    do[coverage.DrillList]   `cmd:""`
	Show    drillShow                `cmd:""`
	Results drillResults             `cmd:""`
}

// drillRun drills a deployment.
type drillRun struct {
	place
	Page     []string `placeholder:"URL" help:"A page that is guarded, where the root of its host is not, or the host stands for many; give it again for more."`
	Resolve  []string `placeholder:"HOST=ADDRESS:PORT" help:"Where to connect to for a host whose name does not resolve here; give it again for more."`
	Backend  []string `placeholder:"HOST=URL" help:"Where the application behind a host's proxy listens, to be asked directly; give it again for more."`
	Radius   string   `placeholder:"HOST:PORT" help:"The RADIUS server; that of the configuration when left out."`
	From     string   `placeholder:"ADDRESS" help:"Another address of this machine for the attacker, so that honest people at the usual one lose no guesses."`
	Row      []string `help:"Only this row, such as T1110.003; give it again for more."`
	Out      string   `placeholder:"FILE" help:"Write the signed report to a file."`
	NoRecord bool     `name:"no-record" help:"Do not hand in the report: the rows do not count as proven."`
}

// Run finds the doors, checks that they can be attacked, drills, prints, signs, and hands in.
func (d *drillRun) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	here, err := d.stand(ctx)
	if err != nil {
		return err
	}
	defer here.db.Close()
	var found coverage.Targets
	if err := c.Do(ctx, "drill.begin", map[string]string{}, &found); err != nil {
		return err
	}
	if found.Log != here.keys.AuditKeys().Origin {
		return fmt.Errorf("the folder and database named here are of another installation than %s; name its folder with --data, or its configuration with --config", found.URL)
	}
	report := attack.DrillReport{Began: time.Now().UTC(), By: "countersign " + version}
	plan, err := d.plan(ctx, here, found, &report)
	if err != nil {
		return err
	}
	admin := &counting{client: c}
	plan.Admin = admin
	bar, done := newProgress(os.Stderr), int64(0)
	plan.Tell = func([]drill.Result) { done++; bar.show("drilling", done, int64(len(attack.Rows()))) }
	results, err := drill.Run(ctx, plan)
	bar.clear()
	if err != nil {
		return err
	}
	report.Ended = time.Now().UTC().Add(time.Second)
	report.Results = drill.Report(results)
	if err := d.show(conn, results); err != nil {
		return err
	}
	d.leave(report)
	fmt.Fprintf(os.Stderr, "The drill took %s and %d administrative commands.\n", time.Since(report.Began).Round(time.Second), admin.commands.Load())
	if len(report.Results) == 0 {
		return errors.New("no row could be drilled")
	}
	if err := d.handIn(ctx, c, here.keys, report); err != nil {
		return err
	}
	for _, r := range results {
		if r.Skipped == "" && r.Application != "" && !r.Passed() {
			return errors.New("at least one row does not hold")
		}
	}
	return nil
}

// counting counts the commands of a drill.
type counting struct {
	*client
	commands atomic.Int64
}

func (c *counting) Do(ctx context.Context, action string, in, out any) error {
	c.commands.Add(1)
	return c.client.Do(ctx, action, in, out)
}

// stood is what a drill reads beside the server: the settings of applications, which hold
// the secrets of equipment, and the key that signs its report.
type stood struct {
	db           *store.DB
	keys         *keyring.Keyring
	applications *application.Catalogue
}

// stand opens the installation on this machine.
func (d *drillRun) stand(ctx context.Context) (stood, error) {
	p, err := d.settle()
	if err != nil {
		return stood{}, err
	}
	db, keys, err := p.open(ctx)
	if err != nil {
		return stood{}, fmt.Errorf("a drill runs on the server's machine, which signs its report: %w", err)
	}
	all, err := application.Open(ctx, db, keys)
	if err != nil {
		return stood{}, errors.Join(err, db.Close())
	}
	return stood{db, keys, all}, nil
}

// plan puts what was found on a stage, and into the report what it depends on and what
// cannot be attacked.
func (d *drillRun) plan(ctx context.Context, here stood, found coverage.Targets, report *attack.DrillReport) (drill.Plan, error) {
	p := drill.Plan{Rows: d.Row}
	if d.From != "" {
		from, err := netip.ParseAddr(d.From)
		if err != nil {
			return p, fmt.Errorf("--from %q is not an address", d.From)
		}
		p.Stage.From = from
	}
	p.Stage.Ends = "10m"
	doors, err := d.doors(ctx, here, found)
	if err != nil {
		return p, err
	}
	p.Stage.Components = doors.components
	for _, t := range found.Applications {
		if t.Group != "" && !slices.Contains(p.Stage.Groups, t.Group) {
			p.Stage.Groups = append(p.Stage.Groups, t.Group)
		}
		a := attack.Attacked{Name: t.Name, Depends: t.Depends, Left: doors.left[t.Name]}
		report.Applications = append(report.Applications, a)
	}
	return p, nil
}

// leave prints the doors that were not attacked.
func (d *drillRun) leave(report attack.DrillReport) {
	for _, a := range report.Applications {
		for _, l := range a.Left {
			fmt.Fprintf(os.Stderr, "Not attacked: %s of %s: %s.\n", l.Door, a.Name, l.Why)
		}
	}
}

// Do does a command for the drill, and has it approved where it must be. What does not
// exist is an error of that class.
func (c *client) Do(ctx context.Context, action string, in, out any) error {
	s, ok := nouns.Commands().Find(action)
	if !ok {
		return errors.New("there is no command " + action)
	}
	cmd := s.New()
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, cmd); err != nil {
		return err
	}
	answer, err := c.do(ctx, cmd)
	var p *problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return failure.New(failure.NotFound, "%s", p.Detail)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// handIn signs the report, keeps it where it was asked for, and records it.
func (d *drillRun) handIn(ctx context.Context, c *client, keys *keyring.Keyring, report attack.DrillReport) error {
	signed, err := coverage.SignDrill(keys, report)
	if err != nil {
		return err
	}
	if d.Out != "" {
		if err := os.WriteFile(d.Out, []byte(signed), 0o644); err != nil {
			return err
		}
	}
	if d.NoRecord {
		return nil
	}
	_, err = c.do(ctx, &coverage.DrillRecord{Report: signed})
	if err == nil {
		fmt.Fprintln(os.Stderr, "The report is handed in; see: countersign coverage")
	}
	return err
}

func (d *drillRun) show(conn *connection, results []drill.Result) error {
	if conn.JSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(results)
	}
	return drill.Table(os.Stdout, results)
}
