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
		{Guard: "what was shown is only good while it is fresh", File: "internal/assurance/requirement.go", Rows: "T1098 T1098.005",
			Old: `age >= -skew && age <= limit && !e.lapsed(now)`, New: `age >= -skew && !e.lapsed(now)`},
		{Guard: "a pass ends after its hour", File: "internal/authenticator/accesspass/accesspass.go", Rows: "T1098.005",
			Old: `if !now.Before(end) {`, New: `if end = now.Add(1 << 40); end.IsZero() {`},
		{Guard: "a pass is good once", File: "internal/authenticator/accesspass/accesspass.go", Rows: "T1098.005",
			Old: `Once: "pass", Exhausted: true, Until: end`, New: `Once: now.String(), Until: end`},
		{Guard: "nobody issues a pass for themselves", File: "internal/admin/guard/giving.go", Rows: "T1098.005",
			Old: `case issuer.ID == to.ID:`, New: `case issuer.ID == to.ID && to.ID < 0:`},
		{Guard: "owners are told of a new authenticator", File: "internal/enrollment/enrollment.go", Rows: "T1098.005",
			Old: `	return c, e.tell(ctx, tx, account, language.Say("A new way to sign in was added to your account"),`,
			New: "	if c.ID != 0 {\n		return c, nil\n	}\n	return c, e.tell(ctx, tx, account, language.Say(\"A new way to sign in was added to your account\"),"},
		{Guard: "the help desk administers only what it may", File: decisions, Rows: "T1136",
			Old: `m.account.Helps() && slices.Contains(m.helping, m.Action)`, New: `m.account.Helps() && (slices.Contains(m.helping, m.Action) || true)`},
		{Guard: "a generator's code can be phished", File: "internal/authenticator/otp/finding.go", Rows: "T1098 T1213 T1621",
			Old: `			f.Traits = kept.Traits()`, New: `			f.Traits = kept.Traits() | assurance.PhishingResistant`},
		{Guard: "the alarm about a row that bears no right MAC", File: "internal/directory/believe.go", Rows: "T1136",
			Old: "	k.report(table, strconv.FormatInt(id, 10), store.Altered, of)\n", New: "	_ = strconv.Itoa\n"},
		{Guard: "a passkey answers and is made for this server's pages alone", File: "internal/authenticator/passkey/reply.go", Rows: "T1098.005 T1213 T1539",
			Old: `case !slices.Contains(origins, d.Origin):`, New: `case !slices.Contains(origins, d.Origin) && d.Origin == "":`},
		{Guard: "an older file of a host's codes raises an alarm", File: "internal/hostcodes/reconcile.go", Rows: "T1078.003",
			Old: `case u.counter+1 < l.Next:`, New: `case u.counter+1 < l.Next && l.Next < 0:`},
	}
}
