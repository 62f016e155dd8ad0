package demo

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"countersign/internal/admin/coverage"
	"countersign/internal/admin/pass"
	"countersign/internal/admin/setup"
	"countersign/internal/attack"
	"countersign/internal/directory"
	"countersign/internal/incident"
	"countersign/internal/policy"
	"countersign/internal/server"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// The programs and addresses of the history. The addresses are for documentation (RFC 5737).
const (
	office = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	atHome = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15"
)

var (
	officeAddress   = netip.MustParseAddr("192.0.2.10")
	homeAddress     = netip.MustParseAddr("198.51.100.23")
	attackerAddress = netip.MustParseAddr("203.0.113.66")
)

const (
	day     = 24 * time.Hour
	history = 14 * day
	// siteName is the application of the three pages, and payrollAction and machinesAction
	// what two of them need.
	siteName       = "intranet"
	payrollAction  = "intranet.payroll"
	machinesAction = "intranet.machines"
)

// invited are the people that come after the first administrator, and in which groups they
// are from the start.
var invited = []struct {
	name, display, role, password string
	groups                        []string
	kinds                         []string
}{
	{"grace", "Grace Hopper", "works in finance", "nanoseconds of copper wire", []string{"finance"}, []string{"password", "totp"}},
	{"linus", "Linus Pauling", "works in the laboratory", "the nature of the bond", []string{"laboratory"}, []string{"password", "totp"}},
	{"katherine", "Katherine Johnson", "", "", []string{"finance"}, []string{"passkey"}},
	{"edsger", "Edsger Dijkstra", "", "", []string{"operations"}, []string{"passkey"}},
	{"margaret", "Margaret Hamilton", "", "", []string{"operations"}, []string{"passkey"}},
	{"alan", "Alan Turing", "", "an old imitation game", []string{"laboratory"}, []string{"passkey", "password", "totp"}},
	{"barbara", "Barbara Liskov", "", "", []string{"laboratory"}, nil}, // has not come yet
}

// more are the rules of the demonstration, beside those of a new installation.
const more = `
  # The rules of the demonstration.
  - name: payroll is for finance
    when: action == "intranet.payroll" && !("finance" in account.groups)
    deny: payroll is for finance

  - name: the machine room needs a passkey
    when: action == "intranet.machines"
    require: phishing-resistant
`

// secretOf reads the key from what an authenticator app is shown.
func secretOf(data json.RawMessage) ([]byte, error) {
	var shown struct {
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(data, &shown); err != nil {
		return nil, err
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(shown.Secret)
}

// invent makes an installation in an empty folder, with a history that ends now.
func invent(ctx context.Context, o Options) (scenario, error) {
	made := scenario{Radius: rand.Text()}
	l, err := listenNear("127.0.0.1:8081")
	if err != nil {
		return made, err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	made.Site = "localhost:" + port
	if err := l.Close(); err != nil {
		return made, err
	}
	quiet := slog.New(slog.DiscardHandler)
	s, err := server.SettingsOf(o.File, quiet)
	if err != nil {
		return made, err
	}
	p := &play{clock: &clock{}, origin: s.PublicURL.String(), cast: map[string]*actor{}}
	p.set(time.Now().Add(-history))
	s.Now, s.Log, s.Demo = p.now, quiet, true
	if p.in, err = server.Assemble(ctx, s); err != nil {
		return made, err
	}
	err = p.happens(ctx, &made)
	return made, errors.Join(err, p.in.DB.Close())
}

// happens is the whole history, the earliest first.
func (p *play) happens(ctx context.Context, made *scenario) error {
	began := p.now()
	for _, part := range []struct {
		after time.Duration
		what  string
		do    func(ctx context.Context, made *scenario) error
	}{
		{0, "the first administrator", p.begins},
		{20 * time.Minute, "groups, applications and rules", p.sets},
		{2 * time.Hour, "the people", p.invites},
		{day, "ordinary days", func(ctx context.Context, _ *scenario) error { return p.works(ctx, began, 1, 9) }},
		{9*day + 2*time.Hour, "the attack", p.attacked},
		{9*day + 8*time.Hour, "the report", p.reports},
		{10 * day, "the drill", p.drilled},
		{11 * day, "ordinary days again", func(ctx context.Context, _ *scenario) error { return p.works(ctx, began, 11, 14) }},
	} {
		if at := began.Add(part.after); at.After(p.now()) {
			p.set(at)
		}
		if err := part.do(ctx, made); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
	}
	for _, name := range []string{"ada", "grace", "linus"} {
		made.Shown = append(made.Shown, p.cast[name].player)
	}
	if p.now().After(time.Now()) {
		return errors.New("the history reaches beyond now")
	}
	return nil
}

// begins is the first administrator, who follows the set-up link and has no passkey.
func (p *play) begins(ctx context.Context, _ *scenario) error {
	code, err := p.in.Setup.Link(ctx)
	if err != nil {
		return err
	}
	issued, err := p.in.Setup.Administrator(ctx, setup.Newcomer{Code: code, Name: "ada", Display: "Ada Lovelace", Codes: true})
	if err != nil {
		return err
	}
	ada := &actor{player: player{Name: "ada", Display: "Ada Lovelace", Role: "administers this", Password: "the analytical engine"}, from: officeAddress, pass: issued.Code}
	p.cast["ada"] = ada
	if err := p.arrives(ctx, ada, "password", "totp"); err != nil {
		return err
	}
	return p.signsIn(ctx, "ada", office)
}

// sets makes groups, applications and rules, as ada.
func (p *play) sets(ctx context.Context, made *scenario) error {
	for name, display := range map[string]string{"finance": "Finance", "laboratory": "Laboratory", "operations": "Operations"} {
		if _, err := p.does(ctx, "ada", "group.create", map[string]any{"name": name, "display": display}); err != nil {
			return err
		}
	}
	for _, app := range []map[string]any{
		{"name": siteName, "title": "The intranet", "kind": "wiki", "tier": "standard", "protocol": "forward-auth",
			"settings": map[string]any{"hosts": []string{made.Site}, "rules": []any{map[string]any{"path": "/payroll", "action": payrollAction}, map[string]any{"path": "/machines", "action": machinesAction}}}},
		{"name": "vpn", "title": "The VPN", "kind": "vpn", "tier": "standard", "protocol": "radius",
			"settings": map[string]any{"mode": "challenge", "clients": []any{map[string]any{"name": "loopback", "networks": []string{"127.0.0.0/8"}, "secret": made.Radius}}}},
	} {
		if _, err := p.does(ctx, "ada", "application.set", app); err != nil {
			return err
		}
	}
	latest, err := p.in.Rules.Latest(ctx, p.in.DB)
	if err != nil {
		return err
	}
	body := strings.Replace(string(policy.DefaultForCodes()), "\n# Expectations", more+"\n# Expectations", 1)
	_, err = p.does(ctx, "ada", "policy.change", map[string]any{"body": body, "base": latest.Version})
	return err
}

// invites has everybody come with a pass, a few minutes apart, and one of them not.
func (p *play) invites(ctx context.Context, _ *scenario) error {
	for _, who := range invited {
		if _, err := p.does(ctx, "ada", "account.create", map[string]any{"name": who.name, "display": who.display, "groups": who.groups}); err != nil {
			return err
		}
		answer, err := p.does(ctx, "ada", "pass.issue", map[string]any{"account": who.name, "note": "met at the desk"})
		if err != nil {
			return err
		}
		issued, ok := answer.(pass.Pass)
		if !ok {
			return fmt.Errorf("pass.issue answers %T", answer)
		}
		a := &actor{player: player{Name: who.name, Display: who.display, Role: who.role, Password: who.password}, from: officeAddress, pass: issued.Code}
		p.cast[who.name] = a
		p.later(4 * time.Minute)
		if who.kinds == nil {
			continue
		}
		if err := p.arrives(ctx, a, who.kinds...); err != nil {
			return err
		}
	}
	_, err := p.does(ctx, "ada", "group.member.add", map[string]any{"group": directory.Administrators, "account": "margaret"})
	return err
}

// works is what people do from one day of the history to another.
func (p *play) works(ctx context.Context, began time.Time, from, to int) error {
	for n := from; n < to; n++ {
		morning := began.Add(time.Duration(n) * day)
		if morning.After(p.now()) {
			p.set(morning)
		}
		if err := p.aDay(ctx, n); err != nil {
			return fmt.Errorf("day %d: %w", n, err)
		}
		if err := p.sweeps(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sweeps ends the sign-ins that nobody went on with, as a server does all the time.
func (p *play) sweeps(ctx context.Context) error {
	p.later(20 * time.Minute)
	_, err := p.in.Engine.Sweep(ctx)
	return err
}

func (p *play) aDay(ctx context.Context, n int) error {
	for i, name := range []string{"katherine", "edsger", "margaret", "alan"} {
		if (n+i)%4 == 0 {
			continue // a day off
		}
		p.later(time.Duration(7+3*i) * time.Minute)
		if p.cast[name].from = officeAddress; (n+i)%5 == 0 {
			p.cast[name].from = homeAddress
		}
		if err := p.visits(ctx, name, siteName, "forward-auth", "/"); err != nil {
			return err
		}
		if n%3 == 1 && i == 1 {
			if err := p.signsIn(ctx, name, atHome); err != nil {
				return err
			}
		}
	}
	p.later(40 * time.Minute)
	switch n % 4 {
	case 0:
		return p.visits(ctx, "grace", siteName, "forward-auth", "/payroll/")
	case 1:
		return p.visits(ctx, "linus", siteName, "forward-auth", "/")
	case 2:
		return p.errs(ctx, "grace", p.cast["grace"].Password, "000000", homeAddress) // a typing error
	}
	return p.visits(ctx, "grace", "vpn", "radius", "")
}

// guessed are names that somebody from outside tries one password on.
var guessed = strings.Fields("admin root test guest info sales office backup support service print scan ada grace linus alan barbara edsger katherine margaret mail")

// attacked is a spray of one password on many names, in the night, and a password of a
// person that leaked elsewhere.
func (p *play) attacked(ctx context.Context, _ *scenario) error {
	for _, name := range guessed {
		p.later(20 * time.Second)
		if err := p.errs(ctx, name, "Summer2026!", "", attackerAddress); err != nil {
			return err
		}
	}
	p.later(time.Minute)
	if err := p.errs(ctx, "alan", p.cast["alan"].Password, "123456", attackerAddress); err != nil {
		return err
	}
	return errors.Join(p.sweeps(ctx), p.in.SignIn.Strangers.SumUp(ctx))
}

// reports is alan in the morning, who finds in his history that somebody else knew his
// password, reports it, and sets a new one with his passkey.
func (p *play) reports(ctx context.Context, _ *scenario) error {
	alan := p.cast["alan"]
	account, err := p.in.Accounts.Find(ctx, p.in.DB, alan.Name)
	if err != nil {
		return err
	}
	entries, err := p.in.DB.AuditLog().Entries(ctx, store.Filter{Account: int64(account.ID), Text: attackerAddress.String(), Newest: true, Limit: 1})
	if err != nil || len(entries) == 0 {
		return errors.Join(err, errors.New("the attack is not in the log"))
	}
	if err := p.signsIn(ctx, alan.Name, office); err != nil {
		return err
	}
	g, err := p.grant(ctx, alan, signin.Request{Application: signin.Self, Action: incident.Report, Object: strconv.FormatInt(entries[0].Seq, 10)})
	if err != nil {
		return err
	}
	if _, err := p.in.Incidents.Report(ctx, g, entries[0].Seq); err != nil {
		return err
	}
	alan.Password = "a new imitation game"
	if err := p.signsIn(ctx, alan.Name, office); err != nil {
		return err
	}
	return p.setsUp(ctx, alan, "password")
}

// drilledRows are the attacks of the report.
var drilledRows = []struct{ row, told string }{
	{"T1110.001", "200 passwords were guessed, and none was tried after the delays began"},
	{"T1110.003", "one password on 50 names raised an alarm"},
	{"T1110.004", "right passwords without the second factor let nobody in"},
	{"T1078", "a leaked password alone let nobody in"},
	{"T1133", "the site was not reached past its proxy"},
	{"T1621", "nobody can be tired into pressing yes: the number has to be typed"},
}

// drilled is a drill that ada began and whose report she handed in.
func (p *play) drilled(ctx context.Context, _ *scenario) error {
	answer, err := p.does(ctx, "ada", "drill.begin", map[string]any{"note": "the yearly one (invented, for the demonstration)"})
	if err != nil {
		return err
	}
	targets, ok := answer.(coverage.Targets)
	if !ok {
		return fmt.Errorf("drill.begin answers %T", answer)
	}
	r := attack.DrillReport{Began: p.now().Add(-9 * time.Minute), Ended: p.now(), By: "an invented drill, for the demonstration"}
	for _, t := range targets.Applications {
		if t.Name == "vpn" {
			continue
		}
		r.Applications = append(r.Applications, attack.Attacked{Name: t.Name, Depends: t.Depends})
		for i, d := range drilledRows {
			tries := []attack.DrillTry{}
			for _, door := range t.Doors {
				tries = append(tries, attack.DrillTry{Door: door, Sent: "invented", Answer: "refused"})
			}
			r.Results = append(r.Results, attack.DrillResult{Row: d.row, Application: t.Name, Time: r.Began.Add(time.Duration(i+1) * time.Minute),
				Blocked: attack.Held, Audited: attack.Held, Honest: attack.Held, Control: attack.Held, Closed: attack.Held, Detail: d.told + " (invented)", Tries: tries})
		}
	}
	signed, err := coverage.SignDrill(p.in.Keys, r)
	if err != nil {
		return err
	}
	_, err = p.does(ctx, "ada", "drill.record", map[string]any{"report": signed})
	return err
}

// listenNear listens at an address, or at any free port where that is taken.
func listenNear(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		host, _, _ := net.SplitHostPort(address)
		return net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	return l, nil
}
