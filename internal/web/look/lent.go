package look

import "slices"

// lent are the pages of the console that somebody can look at to whom the action was delegated.
var lent = []struct{ action, page string }{
	{"overview.show", "/console"},
	{"account.list", "/console/accounts"},
	{"group.list", "/console/groups"},
	{"token.list", "/console/tokens"},
	{"prompts.show", "/console/prompts"},
	{"recovery.list", "/console/recoveries"},
	{"application.list", "/console/applications"},
	{"coverage.show", "/console/coverage"},
	{"audit.search", "/console/audit"},
}

// Lent are the addresses of the console's pages for somebody to whom these actions were delegated.
func Lent(actions []string) []string {
	var out []string
	for _, one := range lent {
		if slices.Contains(actions, one.action) {
			out = append(out, one.page)
		}
	}
	return out
}
