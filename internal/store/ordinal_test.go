package store

import "testing"

// TestOrdinal: only a statement that has its parameters in order, each once, is
// rewritten, and nothing within a text is taken for one.
func TestOrdinal(t *testing.T) {
	for in, want := range map[string]string{
		"select 1":                                              "select 1",
		"insert into a values ($1,$2), ($3, $4)":                "insert into a values (?,?), (?, ?)",
		"update a set b = $2 where id = $1":                     "update a set b = $2 where id = $1",
		"select a from b where c = $1 or d = $1":                "select a from b where c = $1 or d = $1",
		"select a from b where c = '$1' and d = $1":             "select a from b where c = '$1' and d = $1",
		"select a from b where c = $1 and d <> '?' limit $2":    "select a from b where c = $1 and d <> '?' limit $2",
		"select a from b where c = $":                           "select a from b where c = $",
		"insert into a values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)": "insert into a values (?,?,?,?,?,?,?,?,?,?)",
	} {
		if got := ordinal(in); got != want {
			t.Errorf("%s\n became %s\n wanted %s", in, got, want)
		}
	}
}
