package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/config"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/testbed"
)

// board is what of a dashboard of Grafana matters here.
type board struct {
	UID    string
	Panels []struct {
		ID         int
		Type       string
		Title      string
		GridPos    struct{ X, Y, W, H int }
		Datasource *struct{ UID string }
		Targets    []struct{ Expr string }
	}
}

func monitoring(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testbed.Root(t), "deploy/monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func dashboard(t *testing.T) board {
	t.Helper()
	var b board
	if err := json.Unmarshal([]byte(monitoring(t, "dashboard.json")), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

var ofOurs = regexp.MustCompile(`countersign_[a-z_]+`)

// The promise: each metric that the dashboard, the alert rules and their tests name is exported
// by a real server, and each that it exports about itself stands in docs/metrics.md.
func TestMonitoringNamesRealMetrics(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{Events: []config.Destination{{Name: "file", Kind: "lines", File: filepath.Join(t.TempDir(), "out")}}}, "http://localhost", nil)
	s := httptest.NewServer(w.Metrics())
	defer s.Close()
	w.Person().Take(http.Get(s.URL + "/metrics"))
	w.Administrator("ada")
	p := w.Person()
	p.Take(http.Get(s.URL + "/metrics"))
	exported := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(p.Page, -1) {
		exported[m[1]] = true
	}
	if len(exported) < 25 || !exported["countersign_audit_entries_total"] {
		t.Fatalf("%d metrics:\n%s", len(exported), p.Page)
	}
	for _, file := range []string{"dashboard.json", "alerts.yml", "alerts-test.yml"} {
		named := ofOurs.FindAllString(monitoring(t, file), -1)
		if len(named) < 10 {
			t.Errorf("%s names %d metrics", file, len(named))
		}
		for _, name := range named {
			if !exported[name] {
				t.Errorf("%s names %s, which no server exports", file, name)
			}
		}
	}
}

// The promise: Prometheus reads the rules, and each alert fires in its test when it should; the
// tests name every alert.
func TestAlertRules(t *testing.T) {
	promtool, dir := testbed.Program(t, "promtool"), filepath.Join(testbed.Root(t), "deploy/monitoring")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts-test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests := monitoring(t, "alerts-test.yml")
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(monitoring(t, "alerts.yml"), -1) {
		if !regexp.MustCompile(`alertname: ` + m[1] + `\n\s+exp_alerts`).MatchString(tests) {
			t.Errorf("no test sees %s fire", m[1])
		}
		if !strings.Contains(tests, "alertname: "+m[1]+"}") {
			t.Errorf("no test sees %s keep still", m[1])
		}
	}
}

// The promise: Prometheus reads each query of the dashboard, and its panels lie beside each other.
func TestDashboard(t *testing.T) {
	promtool, b := testbed.Program(t, "promtool"), dashboard(t)
	rules, ids, grid := "groups:\n- name: dashboard\n  rules:\n", map[int]bool{}, map[[2]int]string{}
	for _, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("the number %d is there twice", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (p.Datasource == nil || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0) {
			t.Errorf("%q asks no data source that can be chosen", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := grid[[2]int{x, y}]; taken || x >= 24 {
					t.Fatalf("%q lies on %q", p.Title, other)
				}
				grid[[2]int{x, y}] = p.Title
			}
		}
		for i, q := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(q.Expr)
			rules += fmt.Sprintf("  - {record: 'panel:%d_%d', expr: '%s'}\n", p.ID, i, strings.ReplaceAll(expr, "'", "''"))
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil || len(ids) < 20 {
		t.Errorf("%d panels: %v\n%s\n%s", len(ids), err, out, rules)
	}
}
