package site

import (
	"strings"

	"countersign/internal/admin"
)

// manyLines is from when on a document is said to be another, and its lines are not listed.
const manyLines = 4000

func split(s string) []string { return strings.Split(strings.TrimRight(s, "\n"), "\n") }

// lines are those that a document gains and loses, place by place; lines that stay are left
// out.
func lines(before, after string) []string {
	var out []string
	for _, h := range admin.Hunks(split(before), split(after)) {
		if len(h.Gone) > manyLines || len(h.Come) > manyLines {
			return nil
		}
		for _, line := range h.Gone {
			out = append(out, "-"+line)
		}
		for _, line := range h.Come {
			out = append(out, "+"+line)
		}
	}
	return out
}
