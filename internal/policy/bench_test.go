package policy

import (
	"fmt"
	"strings"
	"testing"
)

// fifty is a document of 50 rules of the kind that people write.
func fifty(b *testing.B) *Policy {
	var doc strings.Builder
	doc.WriteString(testNetworks + "rules:\n  - {name: everybody, require: two-factors}\n")
	kinds := []string{
		`account.privileged && application.tier == "control-plane"`,
		`"contractors" in account.groups && !(source in networks.office)`,
		`application.kind == "vpn" && (now.hour < 7 || now.hour >= 20)`,
		`path.startsWith("/admin/") && method in ["POST", "PUT", "DELETE"]`,
		`action in ["policy.change", "account.create"] && source in networks.lab`,
		`account.dormant || account.suspended`,
		`protocol == "radius" && "oncall" in account.groups`,
	}
	for i := range 49 {
		fmt.Fprintf(&doc, "  - {name: r%d, when: %s, require: phishing-resistant, within: 15m}\n", i, quoted(kinds[i%len(kinds)]))
	}
	return compile(b, doc.String())
}

func BenchmarkDecide50(b *testing.B) {
	p, f := fifty(b), plainFacts()
	b.ReportAllocs()
	for b.Loop() {
		p.decide(f)
	}
}

func BenchmarkKey50(b *testing.B) {
	p, f := fifty(b), plainFacts()
	b.ReportAllocs()
	for b.Loop() {
		p.Key(f)
	}
}

func BenchmarkCompileDefault(b *testing.B) {
	document, known := Default(), standard()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(document, known); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWeakest50(b *testing.B) {
	p := fifty(b)
	c := Class{Facts: plainFacts(), Free: FreeSource | FreeTime | FreeProtocol | FreeRequest}
	b.ReportAllocs()
	for b.Loop() {
		p.Weakest(c)
	}
}
