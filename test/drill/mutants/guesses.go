package main

const (
	budgets = "internal/throttle/budget.go"
	grants  = "internal/signin/grant.go"
	answers = "internal/signin/answer.go"
)

// guesses are guards against guessing.
func guesses() []mutant {
	return []mutant{
		{Guard: "guess budgets", File: budgets, Rows: "T1110 T1110.001 T1110.003",
			Old: "		case s.count >= limit:\n			return s.reason\n		case now.Before(s.retry):\n			return \"delayed\"\n",
			New: "		case s.count < 0 && now.Before(s.retry):\n			return s.reason\n"},
		{Guard: "wrong answers make the next one wait", File: budgets, Rows: "T1110 T1110.001",
			Old: `case now.Before(s.retry):`, New: `case now.Before(s.retry) && s.count < 0:`},
		{Guard: "a generator with too many wrong codes is closed", File: budgets, Rows: "T1110.001",
			Old: `limit: g.limits.Disable, reason: "closed"`, New: `limit: 1 << 30, reason: "closed"`},
		{Guard: "an address may guess only so often", File: budgets, Rows: "T1110.003",
			Old: `sourceSubjects(w.Source, g.limits.PerSource)`, New: `sourceSubjects(w.Source, 1<<30)`},
		{Guard: "after wrong codes two in a row are demanded", File: "internal/authenticator/hotp/check.go", Rows: "T1110.001",
			Old: `case failures >= o.NextCode:`, New: `case failures >= 1000:`},
		{Guard: "a sign-in takes only so many answers", File: "internal/signin/engine.go", Rows: "T1110.001 T1110.004",
			Old: `at.Tries > e.limits.Tries {`, New: `at.Tries > 1000 {`,
			Also: []edit{{"internal/signin/advance.go", `at.Tries >= y.limits.Tries {`, `at.Tries > 1000 {`}}},
		{Guard: "a code is good once", File: "internal/authenticator/hotp/check.go", Rows: "T1040 T1110 T1133",
			Old: `at, ok := s.find(answer, s.Next, o.Window)`, New: `at, ok := s.find(answer, s.Next-min(s.Next, 3), o.Window)`,
			Also: []edit{{answers, `		case !fresh:`, `		case !fresh && q.account.ID < 0:`}}},
		{Guard: "the alarm that a factor is missing", File: grants, Rows: "T1078 T1110.001 T1110.002 T1110.004",
			Old: "	en.Detail[\"shown\"] = shown(at.Evidence)\n	tx.Record(en)\n", New: "	en.Detail[\"shown\"] = shown(at.Evidence)\n"},
		{Guard: "the alarm about a spray", File: answers, Rows: "T1110.003",
			Old: `if err := x.throttle.Sprayed(ctx, tx, from); err != nil {`, New: `if err := error(nil); err != nil {`},
		{Guard: "pages do not say whether somebody has a name", File: "internal/signin/advance.go", Rows: "T1110.003",
			Old: `step.Again, step.Public = true, bland`, New: `step.Again, step.Public = true, bland+map[bool]string{true: " Nobody has this name."}[account.ID == 0]`},
		{Guard: "owners are told that somebody has their password", File: grants, Rows: "T1110.004",
			Old: `return n.owners.tell(ctx, tx, account, noticeFactorMissing(at, n.now()))`, New: `return nil`},
		{Guard: "the policy asks for two factors", File: "internal/policy/default.yaml",
			Rows: "T1040 T1078 T1078.003 T1098.005 T1110 T1110.001 T1110.002 T1110.003 T1110.004 T1133 T1213 T1213.003 T1539 T1621 T1114 T1114.002",
			Old:  "action != \"account.recover\" && action != \"app-password\" && !(account.new && action == \"authenticator.enroll\")\n    require: two-factors\n",
			New:  "action != \"account.recover\" && action != \"app-password\" && !(account.new && action == \"authenticator.enroll\")\n    require: one-factor\n"},
		{Guard: "the alarm about leaked pairs", File: grants, Rows: "T1110.004",
			Old: `if err := n.throttle.Stuffed(ctx, tx, at.sighting(), account.ID); err != nil {`, New: `if err := error(nil); err != nil {`},
	}
}
