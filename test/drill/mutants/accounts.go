package main

const decisions = "internal/signin/decide.go"

// accounts are guards of accounts and of what is done to them.
func accounts() []mutant {
	return []mutant{
		{Guard: "a suspended account gets nothing", File: decisions, Rows: "T1098.005",
			Old: `case a.State != directory.Active:`, New: `case a.State != directory.Active && a.ID < 0:`},
		{Guard: "a dormant account gets nothing", File: decisions, Rows: "T1098.005 T1556.006",
			Old: `case a.Idle(now) > s.limits.Dormant:`, New: `case a.Idle(now) > s.limits.Dormant && a.ID < 0:`},
		{Guard: "only administrators administer", File: decisions, Rows: "T1136",
			Old: `!administers(m.Action) || m.delegated`, New: `!administers(m.Action) || m.account.ID != 0 || m.delegated`},
		{Guard: "what changes something is proved again", File: "internal/assurance/requirement.go", Rows: "T1098 T1098.005",
			Old: "func (r Requirement) Within(d time.Duration) Requirement {\n", New: "func (r Requirement) Within(d time.Duration) Requirement {\n	d = 365 * 24 * time.Hour\n"},
		{Guard: "a pass ends after its hour", File: "internal/authenticator/accesspass/accesspass.go", Rows: "T1098.005",
			Old: `if !now.Before(end) {`, New: `if !now.Before(end) && end.IsZero() {`},
		{Guard: "a passkey answers for this page alone", File: "internal/authenticator/passkey/reply.go", Rows: "T1098.005 T1539",
			Old: `case !slices.Contains(origins, d.Origin):`, New: `case !slices.Contains(origins, d.Origin) && d.Origin == "":`},
		{Guard: "an older file of a host's codes raises an alarm", File: "internal/hostcodes/reconcile.go", Rows: "T1078.003",
			Old: `case u.counter+1 < l.Next:`, New: `case u.counter+1 < l.Next && l.Next < 0:`},
	}
}
