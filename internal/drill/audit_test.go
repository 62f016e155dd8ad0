package drill_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/drill"
)

// search is the command as a server has it: an entry's number is its place from the end.
func (o *office) search(in map[string]any, out any) error {
	var found []map[string]any
	next := 0
	for i, e := range o.log {
		number, when := len(o.log)-i, e["time"].(string)
		before, bounded := in["before"].(int64)
		since, _ := in["since"].(string)
		switch {
		case in["account"] != nil && in["account"] != e["account_name"], in["event"] != nil && in["event"] != e["event"],
			in["outcome"] != nil && in["outcome"] != e["outcome"], bounded && int64(number) >= before, when < since[:min(len(since), 19)]:
			continue
		}
		if found = append(found, e); len(found) == in["limit"] {
			next = number
			break
		}
	}
	b, err := json.Marshal(map[string]any{"entries": found, "next": next})
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// write writes an entry, a second after the one before.
func (o *office) write(event, outcome, account, source string) map[string]any {
	e := map[string]any{"seq": len(o.log), "event": event, "outcome": outcome, "reason": "wrong", "application": o.at, "account_name": account, "source": source,
		"time": time.Date(2026, 12, 1, 9, 0, len(o.log), 5000, time.UTC).Format(time.RFC3339Nano)}
	o.log = append([]map[string]any{e}, o.log...)
	return e
}

// Audited is an entry about this attack: about an account that it attacked, from where it
// came, while it lasted. What the log says of anybody else does not count.
func TestAuditedIsAboutThisAttack(t *testing.T) {
	here, elsewhere := "192.0.2.66", "198.51.100.7"
	refused := func(account, source string) func(*office, string) {
		return func(o *office, canary string) {
			o.write("signin.refused", "refused", strings.ReplaceAll(account, "CANARY", canary), source)
		}
	}
	offline := func(login string) func(*office, string) {
		return func(o *office, canary string) {
			o.write("signin.refused", "refused", canary, "")
			for _, event := range []string{"offline.used", "alarm.offline"} {
				o.write(event, "ok", "", "")["detail"] = map[string]string{"login": strings.ReplaceAll(login, "CANARY", canary)}
			}
		}
	}
	for what, c := range map[string]struct {
		row    string
		attack func(o *office, canary string)
		want   drill.State
	}{
		"nothing":                             {"T1098.005", func(*office, string) {}, drill.Failed},
		"the canary":                          {"T1098.005", refused("CANARY", elsewhere), drill.Passed},
		"a stranger's wrong password":         {"T1098.005", refused("bob", elsewhere), drill.Failed},
		"the same from the attacker's place":  {"T1098.005", refused("bob", here), drill.Failed},
		"the administrator's own step-up":     {"T1098.005", refused("operator", ""), drill.Failed},
		"nobody by name":                      {"T1098.005", refused("", here), drill.Failed},
		"what the canary was allowed":         {"T1098.005", func(o *office, canary string) { o.write("signin.granted", "ok", canary, here) }, drill.Failed},
		"a default account, from elsewhere":   {"T1078.001", refused("admin", elsewhere), drill.Failed},
		"a default account, from nowhere":     {"T1078.001", refused("admin", ""), drill.Failed},
		"a default account, by the attacker":  {"T1078.001", refused("admin", here), drill.Passed},
		"a default account, by who enrolled":  {"T1078.001", refused("admin", "203.0.113.5"), drill.Passed},
		"a stranger from there meanwhile":     {"T1078.001", refused("bob", here), drill.Failed},
		"a default account in another attack": {"T1098.005", refused("admin", here), drill.Failed},
		"another event of the canary":         {"T1213", refused("CANARY", here), drill.Failed},
		"the event of somebody else":          {"T1213", func(o *office, _ string) { o.write("answer.refused", "refused", "bob", here) }, drill.Failed},
		"the event of the canary":             {"T1213", func(o *office, canary string) { o.write("answer.refused", "refused", canary, here) }, drill.Passed},
		"what a host kept of the canary":      {"T1078.003", offline("CANARY"), drill.Passed},
		"what a host kept of somebody else":   {"T1078.003", offline("bob"), drill.Failed},
		"behind a flood of refusals": {"T1098.005", func(o *office, canary string) {
			refused("CANARY", here)(o, canary)
			for i := range 1200 {
				o.write("signin.refused", "refused", fmt.Sprint("bob", i), elsewhere)
			}
		}, drill.Passed},
	} {
		app := map[string]string{"T1098.005": "countersign", "T1078.001": "countersign", "T1213": "wiki", "T1078.003": "login"}[c.row]
		o := &office{at: app}
		stage := drill.Stage{Components: hollow(func(string) {}), From: netip.MustParseAddr(here)}
		stage.Components[0].Enroll = func(_ context.Context, p *drill.Play, c *drill.Canary) error {
			if p.Admin == drill.Administrator(o) {
				o.write("signin.granted", "ok", c.Name, "203.0.113.5")
				o.write("signin.refused", "refused", c.Name, "") // before the attack, which is no attack
			}
			return nil
		}
		for _, comp := range stage.Components {
			for m, of := range comp.Moves {
				comp.Moves[m] = func(ctx context.Context, p *drill.Play, canary *drill.Canary) ([]drill.Try, error) {
					if !p.Unguarded && !p.Down {
						c.attack(o, canary.Name)
					}
					return of(ctx, p, canary)
				}
			}
		}
		results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: o, Bed: yard{stage: stage}, Rows: []string{c.row}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			want := c.want
			if r.Application != app {
				want = drill.Failed // what is told of one application is told of no other
			}
			if got := r.Audited; got.State != want || (got.State == drill.Passed) != (len(r.Entries) > 0) {
				t.Errorf("%s, %s at %s: %s, %s, %v", what, c.row, r.Application, got.State, got.Detail, r.Entries)
			}
		}
	}
}

// Every canary of an attack counts, the first and those that come to it.
func TestAuditedOfAnyCanary(t *testing.T) {
	o := &office{at: "vpn"}
	stage := drill.Stage{Components: hollow(func(string) {})}
	for _, comp := range stage.Components {
		if comp.Moves[drill.Replay] != nil {
			comp.Moves[drill.Replay] = func(_ context.Context, p *drill.Play, victim *drill.Canary) ([]drill.Try, error) {
				if victim == p.Canary {
					t.Error("the canary itself is listened to")
				}
				o.write("answer.refused", "refused", victim.Name, "")
				o.write("answer.refused", "refused", p.Canary.Name, "")
				return []drill.Try{{Name: "again"}}, nil
			}
		}
	}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: o, Rows: []string{"T1040"}})
	if err != nil || len(results) != 4 {
		t.Fatal(results, err)
	}
	for _, r := range results {
		if a := r.Audited; (a.State == drill.Passed) != (r.Application == "vpn") || a.State == drill.Passed && (a.Detail != "8 entries: wrong" || len(r.Entries) != 8) {
			t.Errorf("%+v", r)
		}
	}
}
