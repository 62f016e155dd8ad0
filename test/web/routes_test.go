package web

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/web/api"
	"countersign/internal/web/look"
)

const routesFile = "testdata/routes.txt"

// Every page and every request of the API says what it demands. None disappears,
// demands another thing, or is open to everybody, unless somebody wrote it down:
//
//	UPDATE=1 go test ./test/web -run TestRoutes
func TestRoutesSayWhatTheyDemand(t *testing.T) {
	w := servertest.NewWorld(t)
	var lines []string
	for _, r := range w.Routes {
		if !generated(r.Pattern) {
			lines = append(lines, r.Pattern+"\t"+r.Demand.String())
		}
		if r.Demand.String() == "" || r.Demand.String() == "action " {
			t.Errorf("%s does not say what it demands", r.Pattern)
		}
	}
	for _, r := range w.API.Requests() {
		if !generated(r.Pattern) {
			lines = append(lines, r.Pattern+"\t"+r.Demand.String())
		}
		if r.Demand.String() == "" {
			t.Errorf("%s does not say what it demands", r.Pattern)
		}
	}
	for _, r := range w.SCIM.Requests() {
		demand := look.Public().String()
		if len(r.Actions) > 0 {
			demand = "key for " + strings.Join(r.Actions, ", ")
		}
		lines = append(lines, r.Pattern+"\t"+demand)
	}
	for _, r := range w.SignalServer.Requests() {
		demand := look.Public().String()
		if len(r.Actions) > 0 {
			demand = "key for " + strings.Join(r.Actions, ", ")
		} else if r.Secret {
			demand = "secret of a source"
		}
		lines = append(lines, r.Pattern+"\t"+demand)
	}
	for _, s := range nouns.Commands() {
		if !slices.ContainsFunc(w.API.Requests(), func(r api.Route) bool {
			return r.Pattern == "POST "+api.Root+"commands/"+s.Action && r.Demand == look.Action(s.Action)
		}) || !slices.ContainsFunc(w.Routes, func(r look.Route) bool {
			return r.Pattern == "POST /console/commands/"+s.Action && r.Demand == look.Action(s.Action)
		}) {
			t.Errorf("%s has no route that demands it", s.Action)
		}
	}
	slices.Sort(lines)
	text := strings.Join(lines, "\n") + "\n"
	if os.Getenv("UPDATE") == "1" {
		if err := os.MkdirAll(filepath.Dir(routesFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(routesFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(routesFile)
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Split(strings.TrimSpace(string(file)), "\n")
	for _, l := range known {
		if !slices.Contains(lines, l) {
			t.Errorf("no longer so: %s", l)
		}
	}
	for _, l := range lines {
		switch public := strings.HasSuffix(l, "\t"+look.Public().String()); {
		case slices.Contains(known, l):
		case public:
			t.Errorf("open to everybody, and not in %s: %s", routesFile, l)
		default:
			t.Logf("new, and not in %s yet: %s", routesFile, l)
		}
	}
}

// generated are the routes that are made from admin's own list of commands.
func generated(pattern string) bool {
	return strings.Contains(pattern, " /console/commands/") || strings.Contains(pattern, " "+api.Root+"commands/")
}

// everything is a form that every form of the console can be read from.
var everything = []string{"name", "newcomer", "display", "x", "kind", "wiki", "reason", "because", "note", "because", "lifetime", "3600", "days", "5", "networks", "10.0.0.0/8",
	"actions", "account.list", "number", "1", "id", "1", "group", "administrators", "account", "ada", "protocol", "forward-auth", "hosts", "evil.example.org", "base", "{}",
	"body", "rules: [{name: all, require: one-factor}]", "row", "T1669", "until", "2099-01-01", "input", `{"name":"newcomer"}`}

// The promise: who is no administrator gets nothing from any address of the
// console, neither a page nor a change, whether signed in or not.
func TestConsoleIsForAdministrators(t *testing.T) {
	w := servertest.NewWorld(t)
	w.Administrator("root")
	if err := w.PlantApplications(context.Background(), "wiki.example.org", "kX9-Lq27-vTzp-40aM"); err != nil {
		t.Fatal(err)
	}
	secret := w.EnrollCodes("ada").Secret
	ada, stranger := w.Person(), w.Person()
	ada.Comes("ada", secret)
	ada.Get("/account")
	ada.Sees("Where you are signed in")
	before := changes(w)
	tried := 0
	for _, r := range w.Routes {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if !strings.HasPrefix(path, "/console") {
			continue
		}
		for _, name := range []string{"root", "wiki", "administrators"} {
			at := strings.ReplaceAll(path, "{name}", name)
			tried++
			for who, p := range map[string]*servertest.Person{"a stranger": stranger, "ada": ada} {
				p.Client.CheckRedirect = func(r *http.Request, via []*http.Request) error { return nil }
				if method == http.MethodGet {
					p.Get(at)
				} else {
					p.Get(map[string]string{"a stranger": "/sign-in", "ada": "/account"}[who])
					p.Post(at, everything...)
				}
				signIn := strings.Contains(p.Page, "<h1>Sign in</h1>") || strings.Contains(p.Page, "<h1>Approve</h1>")
				if p.Status == http.StatusOK && (who == "ada" || !signIn) {
					t.Errorf("%s got %s %s", who, method, at)
				}
				for _, word := range []string{"The wiki", "wiki.example.org", "kX9-Lq27", "All commands", "Administrators"} {
					if strings.Contains(p.Page, word) {
						t.Errorf("%s reads %q at %s %s", who, word, method, at)
					}
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d addresses were tried", tried)
	}
	if after := changes(w); !slices.Equal(before, after) {
		t.Errorf("something was changed: %v, then %v", before, after)
	}
}

// changes are the administrative entries of the log.
func changes(w *servertest.World) []string {
	w.T.Helper()
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Limit: 10_000})
	if err != nil {
		w.T.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		for _, area := range []string{"account.", "group.", "application.", "policy.", "pass.", "key.", "coverage.", "credential.", "drill.", "audit.exported"} {
			if strings.HasPrefix(e.Event, area) && e.Outcome == audit.OK {
				out = append(out, e.Event)
			}
		}
	}
	return out
}
