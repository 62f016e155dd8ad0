package admin

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/coverage"
	policies "countersign/internal/admin/policy"
	"countersign/internal/application"
	"countersign/internal/assurance"
	"countersign/internal/attack"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// crowd makes accounts of a few kinds: in one of 20 groups, with a password and
// perhaps a code or a key.
func (o *office) crowd(n int) {
	o.T.Helper()
	var groups []directory.Group
	o.change(func(ctx context.Context, tx *store.Tx) error {
		for i := range 20 {
			g, err := o.Groups.Create(ctx, tx, fmt.Sprintf("team-%02d", i), "", false)
			if err != nil {
				return err
			}
			groups = append(groups, g)
		}
		return nil
	})
	for from := 0; from < n; from += 500 {
		o.change(func(ctx context.Context, tx *store.Tx) error {
			for i := from; i < min(from+500, n); i++ {
				d, err := o.Accounts.Create(ctx, tx, directory.NewAccount{Name: fmt.Sprintf("person-%06d", i)})
				if err != nil {
					return err
				}
				if err := o.Groups.AddMember(ctx, tx, groups[i%20], d); err != nil {
					return err
				}
				held := []directory.Credential{{Kind: "password", Traits: assurance.Known}}
				switch i % 3 {
				case 0:
					held = append(held, directory.Credential{Kind: "totp", Traits: assurance.Held})
				case 1:
					held = append(held, directory.Credential{Kind: "passkey", Traits: assurance.Held | assurance.PhishingResistant | assurance.UserVerified})
				}
				for _, c := range held {
					c.Account, c.State = d.ID, []byte("{}")
					if _, err := o.Credentials.Add(ctx, tx, c); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
}

// Ten thousand accounts are as many classes as a thousand are, and each is
// counted once. COVERAGE_ACCOUNTS makes it measure.
func TestCoverageOfACrowd(t *testing.T) {
	n := 1000
	if s := os.Getenv("COVERAGE_ACCOUNTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	o := newOffice(t)
	o.crowd(n)
	o.policy(string(policy.Default()) + "\n")
	began := time.Now()
	d := do1[attack.Data](o, &coverage.Show{})
	took := time.Since(began)
	if len(d.Accounts) != 1 || d.Accounts[0].Count != n/3 || len(d.Accounts[0].Names) != min(n/3, 1000) {
		t.Errorf("%d people with only a password are told as %+v", n/3, len(d.Accounts))
	}
	o.policy(plain)
	told := fmt.Sprintf("(%d) gets away", n) // all but the administrator, as one
	if s := o.row("T1539"); !slices.ContainsFunc(s.Gaps, func(g attack.Gap) bool { return g.Application == "wiki" && strings.Contains(g.Sentence, told) }) {
		t.Errorf("nothing says %q: %+v", told, s.Gaps)
	}
	began = time.Now()
	diff := do1[policies.Difference](o, &policies.Diff{Body: plain + "  - {name: seven, when: '\"team-07\" in account.groups', deny: seven}\n"})
	sum := 0
	for _, c := range diff.Changes {
		if c.Effect == "keeps out" && c.Application == "vpn" {
			sum += c.Count
		}
	}
	if sum != n/20 {
		t.Errorf("%d of team-07 are kept out of the VPN, not %d", sum, n/20)
	}
	t.Logf("%d accounts: coverage in %v, diff in %v", n, took, time.Since(began))
}

// The promise: the bound on a comparison is for documents that nobody writes. An ordinary
// one with office hours and a rule for two teams, in an office with twenty applications, is compared with itself
// by another clock.
func TestOfficeHoursByAnotherClock(t *testing.T) {
	o := newOffice(t)
	o.crowd(200)
	for i := range 20 {
		servertest.PlantApplication(o.World, application.Application{Name: fmt.Sprintf("site-%d", i), Kind: "web", Tier: application.Standard, Protocol: "forward-auth"},
			map[string]any{"hosts": []string{fmt.Sprintf("site-%d.test", i)}})
	}
	body, _, _ := strings.Cut(string(policy.Default()), "\n# Expectations")
	body += `
  - name: at night
    when: '!account.privileged && (now.hour < 7 || now.hour >= 19 || now.weekday == "saturday" || now.weekday == "sunday")'
    within: 1h
    require: two-factors
  - name: two teams
    when: '"team-07" in account.groups || "team-08" in account.groups'
    within: 2h
    require: two-factors
`
	o.policy(body)
	d := do1[policies.Difference](o, &policies.Diff{Body: strings.Replace(body, "timezone: UTC", "timezone: Europe/Berlin", 1)})
	if len(d.Changes) == 0 || !d.Exact {
		t.Errorf("it differs in %d, exactly %t", len(d.Changes), d.Exact)
	}
}
