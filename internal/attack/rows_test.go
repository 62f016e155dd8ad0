package attack

import (
	"bufio"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var footnote = regexp.MustCompile(`([.)]) ?\d+( |$)`)

// The founding document's table, line by line: every row is here, under its
// name and with its words, and no other row claims to be from there.
func TestFoundingRows(t *testing.T) {
	f, err := os.Open("testdata/founding.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := map[string]bool{}
	for s := bufio.NewScanner(f); s.Scan(); {
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(s.Text()), "|"), " | ")
		if len(cells) != 4 || strings.HasPrefix(s.Text(), "#") {
			continue
		}
		id, name, use := cells[1], cells[2], strings.TrimSpace(footnote.ReplaceAllString(strings.TrimSpace(cells[3]), "$1$2"))
		if use == "-" {
			use = ""
		}
		want[id] = true
		r, ok := ByID(id)
		if !ok || !r.Founding || r.Name != name || r.Use != use {
			t.Errorf("%s %q %q: have %v %+v", id, name, use, ok, r)
		}
	}
	if len(want) != 43 {
		t.Fatalf("the founding document has %d rows here, not 43", len(want))
	}
	var added []string
	for _, r := range Rows() {
		if r.Founding && !want[r.ID] {
			t.Errorf("%s is not a founding row", r.ID)
		}
		if !r.Founding {
			added = append(added, r.ID)
		}
	}
	if !slices.Equal(added, []string{"T1078.001", "T1078.003", "T1098.006", "T1485", "T1669"}) {
		t.Errorf("added since: %v", added)
	}
}

func TestRowsAreWhole(t *testing.T) {
	known := []string{"*", Self, "web", "wiki", "vpn", "network-device", "ssh", "rdp", "mail", "webmail", "code",
		"cloud-console", "cloud-storage", "directory", "deployment", "wifi", "kubernetes"}
	all := Rows()
	if len(all) != 48 {
		t.Fatalf("%d rows", len(all))
	}
	if !slices.IsSortedFunc(all, func(a, b Row) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("not sorted, so that ByID cannot find")
	}
	form := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	for _, r := range all {
		if !form.MatchString(r.ID) || r.Component == "" || !strings.HasSuffix(r.Duty, ".") || len(r.Tactics) == 0 || len(r.Ties) == 0 {
			t.Errorf("%s: %+v", r.ID, r)
		}
		for _, tactic := range r.Tactics {
			if !slices.ContainsFunc(Tactics(), func(c Tactic) bool { return c.Word == tactic }) {
				t.Errorf("%s: tactic %q", r.ID, tactic)
			}
		}
		for _, tie := range r.Ties {
			if tie.Demand == Nothing || tie.Demand == Denied || len(tie.Kinds) == 0 {
				t.Errorf("%s: tie %+v", r.ID, tie)
			}
			for _, k := range tie.Kinds {
				if !slices.Contains(known, k) {
					t.Errorf("%s: kind %q", r.ID, k)
				}
			}
		}
	}
	all[0].Ties[0].Kinds[0] = "changed"
	if Rows()[0].Ties[0].Kinds[0] == "changed" {
		t.Error("what Rows returns is not the caller's own")
	}
	if _, ok := ByID("T0000"); ok {
		t.Error("found a row that is not there")
	}
}

func TestStrengthWords(t *testing.T) {
	for s := Nothing; s <= Denied; s++ {
		var back Strength
		if b, _ := s.MarshalText(); back.UnmarshalText(b) != nil || back != s {
			t.Errorf("%v became %v", s, back)
		}
	}
	if new(Strength).UnmarshalText([]byte("strong")) == nil || Strength(99).String() != "nothing" {
		t.Error("an unknown strength is something")
	}
}
