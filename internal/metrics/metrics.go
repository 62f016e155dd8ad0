// Package metrics serves metrics in the text format of Prometheus (exposition
// format 0.0.4).
//
// It reads the numbers when it is scraped, so that metrics add no cost to requests.
// It gathers those of the store and of the audit log itself; main supplies the
// others. Invariant: no label ever holds text from a user.
package metrics

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a metric.
type Kind string

// The kinds. A Counter only rises while the process lives.
const (
	Counter Kind = "counter"
	Gauge   Kind = "gauge"
)

// Sample is one value. Labels are pairs of name and value, never text from a user.
type Sample struct {
	Name, Help string
	Kind       Kind
	Labels     []string
	Value      float64
}

// Source gathers samples. On an error its samples are left out, and the sample
// countersign_scrape_errors counts it.
type Source func(ctx context.Context) ([]Sample, error)

// Handler serves the samples of the sources.
func Handler(sources ...Source) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var all []Sample
		failed := 0.0
		for _, s := range sources {
			samples, err := s(r.Context())
			if err != nil {
				failed++
				continue
			}
			all = append(all, samples...)
		}
		all = append(all, Sample{Name: "countersign_scrape_errors", Help: "Sources that could not be read this time.", Kind: Gauge, Value: failed})
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		Write(w, all) //nolint:errcheck // the client went away
	})
}

// Write writes samples, grouped by name.
func Write(w io.Writer, samples []Sample) error {
	slices.SortStableFunc(samples, func(a, b Sample) int { return cmp.Compare(a.Name, b.Name) })
	out := bufio.NewWriter(w)
	last := ""
	for _, s := range samples {
		if s.Name != last {
			fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", s.Name, escape(s.Help), s.Name, s.Kind)
			last = s.Name
		}
		out.WriteString(s.Name)
		for i := 0; i+1 < len(s.Labels); i += 2 {
			sep := ","
			if i == 0 {
				sep = "{"
			}
			fmt.Fprintf(out, `%s%s="%s"`, sep, s.Labels[i], strings.ReplaceAll(escape(s.Labels[i+1]), `"`, `\"`))
		}
		if len(s.Labels) > 0 {
			out.WriteByte('}')
		}
		out.WriteString(" " + strconv.FormatFloat(s.Value, 'g', -1, 64) + "\n")
	}
	return out.Flush()
}

func escape(s string) string { return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(s) }
