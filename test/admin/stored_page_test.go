package admin

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// described is a table's row on the page for auditors.
func (s stored) described(table string) string {
	var harmless []string
	for _, c := range slices.Sorted(maps.Keys(s.harmless)) {
		harmless = append(harmless, fmt.Sprintf("`%s`: %s", c, s.harmless[c]))
	}
	var rows []string
	for _, w := range []struct{ what, why string }{{"removed", s.removed}, {"copied", s.copied}, {"moved", s.moved}, {"put back", s.putBack}, {"removed while the server is stopped", s.asleep}} {
		if w.why != "" {
			rows = append(rows, w.what+": "+w.why)
		}
	}
	bound := "nothing"
	if s.covered != "" {
		bound = "`" + strings.Join(strings.Fields(s.covered), "` `") + "`"
	}
	or := func(all []string) string {
		if len(all) == 0 {
			return "nothing"
		}
		return strings.Join(all, "; ")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |", table, bound, or(harmless), or(rows))
}

// The page for auditors says of every table what the tests above show.
func TestThreatDatabasePage(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-database.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"| table | bound | harmless to change | harmless to a row |", "| --- | --- | --- | --- |"}
	for _, table := range slices.Sorted(maps.Keys(database)) {
		lines = append(lines, database[table].described(table))
	}
	want := strings.Join(lines, "\n") + "\n"
	if !strings.HasSuffix(string(page), want) {
		t.Errorf("the page must end with:\n%s", want)
	}
}
