package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/admin/nouns"
	"countersign/internal/attack"
	"countersign/internal/drill"
	"countersign/internal/drill/web"
	"countersign/internal/drill/wire"
	"countersign/internal/failure"
)

type drillCommand struct {
	Run     drillRun                  `cmd:"" default:"withargs" help:"Attack this installation with canary accounts, row by row, and show what was refused. Run it on the server's machine: the report is signed with its key."`
	Record  do[coverage.DrillRecord]  `cmd:""`
	List    do[coverage.DrillList]    `cmd:""`
	Show    drillShow                 `cmd:""`
	Results do[coverage.DrillResults] `cmd:""`
}

// drillRun drills a deployment.
type drillRun struct {
	place
	Page         string   `placeholder:"URL" help:"A page behind forward-auth, to be attacked."`
	Radius       string   `placeholder:"HOST:PORT" help:"The RADIUS server, to be attacked."`
	RadiusSecret string   `name:"radius-secret-file" type:"existingfile" help:"File with the secret that a RADIUS client at this address shares."`
	From         string   `placeholder:"ADDRESS" help:"Another address of this machine for the attacker, so that honest people at the usual one lose no guesses."`
	Row          []string `help:"Only this row, such as T1110.003; give it again for more."`
	Out          string   `placeholder:"FILE" help:"Write the signed report to a file."`
	NoRecord     bool     `name:"no-record" help:"Do not hand in the report: the rows do not count as proven."`
}

// Run drills, prints, signs, and hands in.
func (d *drillRun) Run(ctx context.Context, conn *connection) error {
	c, err := conn.connect()
	if err != nil {
		return err
	}
	plan, err := d.plan(ctx, c)
	if err != nil {
		return err
	}
	report := attack.DrillReport{Began: time.Now().UTC(), By: "countersign " + version}
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
	if len(report.Results) == 0 {
		return errors.New("no row could be drilled; name a --page or --radius to be attacked")
	}
	if err := d.handIn(ctx, c, report); err != nil {
		return err
	}
	for _, r := range results {
		if r.Skipped == "" && !r.Passed() {
			return errors.New("at least one row does not hold")
		}
	}
	return nil
}

func (d *drillRun) plan(ctx context.Context, c *client) (drill.Plan, error) {
	p, secret := drill.Plan{Admin: c, Rows: d.Row}, ""
	if (d.Radius == "") != (d.RadiusSecret == "") {
		return p, errors.New("--radius and --radius-secret-file come together")
	}
	if d.RadiusSecret != "" {
		b, err := os.ReadFile(d.RadiusSecret)
		if err != nil {
			return p, err
		}
		secret = strings.TrimRight(string(b), "\r\n")
	}
	if d.From != "" {
		from, err := netip.ParseAddr(d.From)
		if err != nil {
			return p, fmt.Errorf("--from %q is not an address", d.From)
		}
		p.Stage.From = from
	}
	var document struct {
		Servers []struct{ URL string }
	}
	if _, err := c.call(ctx, "GET", "/api/v1/openapi.json", nil, &document); err != nil {
		return p, err
	}
	if len(document.Servers) != 1 {
		return p, errors.New("the server does not say what its address is")
	}
	p.Stage.Components = d.components(web.Server(document.Servers[0].URL), secret)
	return p, nil
}

// components are those that were named, and Countersign's own.
func (d *drillRun) components(server web.Server, secret string) []drill.Component {
	all := []drill.Component{server.Portal()}
	if d.Page != "" {
		all = append(all, server.Page(web.Site{Application: "wiki", URL: d.Page}))
	}
	if d.Radius != "" {
		all = append(all, wire.Radius{Application: "vpn", Address: d.Radius, Secret: secret, Owners: server}.Component())
	}
	return append(all, server.Administration())
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
func (d *drillRun) handIn(ctx context.Context, c *client, report attack.DrillReport) error {
	p, err := d.settle()
	if err != nil {
		return err
	}
	db, keys, err := p.open(ctx)
	if err != nil {
		return fmt.Errorf("the report cannot be signed: %w", err)
	}
	defer db.Close()
	signed, err := report.Sign(keys.AuditKeys().Signer)
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
