package main

// code are guards of what Git reads and writes over https.
func code() []mutant {
	return []mutant{
		{Guard: "an access token opens what takes its client's tokens", File: "internal/protocol/forwardauth/programs.go", Rows: "T1213.003",
			Old: `case !slices.Contains(q.at.tokensOf, a.Given.Client):`, New: `case !slices.Contains(q.at.tokensOf, a.Given.Client) && a.Given.Client == "":`},
		{Guard: "an access token ends", File: "internal/oauth/issue.go", Rows: "T1213.003",
			Old: "	if !gs.now().Before(c.until) {\n		return Access{}, over\n	}\n	g, err := standing(ctx, gs, c.id)", New: "	g, err := standing(ctx, gs, c.id)"},
	}
}
