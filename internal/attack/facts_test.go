package attack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The tactics of each technique, read from a published copy of ATT&CK v17 (April
// 2025): mitre_tactics_techniques.ts of elastic/kibana, which is made from
// MITRE's STIX bundle. Sub-techniques have those of their technique. v19 splits
// defense-evasion in two; see docs/coverage.md.
var tacticsOf = map[string]string{
	"T1021": "lateral-movement", "T1040": "credential-access discovery", "T1072": "execution lateral-movement",
	"T1078": "defense-evasion initial-access persistence privilege-escalation", "T1098": "persistence privilege-escalation",
	"T1110": "credential-access", "T1114": "collection", "T1133": "initial-access persistence", "T1136": "persistence",
	"T1199": "initial-access", "T1213": "collection", "T1485": "impact", "T1530": "collection", "T1539": "credential-access",
	"T1556": "credential-access defense-evasion persistence", "T1599": "defense-evasion", "T1601": "defense-evasion",
	"T1621": "credential-access", "T1669": "initial-access",
}

func TestTacticsAreATTACKs(t *testing.T) {
	for _, r := range Rows() {
		got := slices.Sorted(slices.Values(r.Tactics))
		if want := tacticsOf[r.Parent()]; strings.Join(got, " ") != want {
			t.Errorf("%s: %v, not %s", r.ID, got, want)
		}
	}
}

// object is one table of layers/spec/v4.5/layerformat.md: its properties, with
// the JSON type of each; a leading * marks what is required.
type object map[string]string

var layerSpec = map[string]object{
	"layer": {"versions": "version", "name": "*string", "description": "string", "domain": "*string", "customDataURL": "string", "filters": "filter",
		"sorting": "number", "layout": "layout", "hideDisabled": "bool", "techniques": "[technique", "gradient": "gradient", "legendItems": "[legendItem",
		"showTacticRowBackground": "bool", "tacticRowBackground": "string", "selectTechniquesAcrossTactics": "bool", "selectSubtechniquesWithParent": "bool",
		"selectVisibleTechniques": "bool", "metadata": "[fact", "links": "[link"},
	"version": {"attack": "string", "navigator": "*string", "layer": "*string"},
	"filter":  {"platforms": "[string"},
	"technique": {"techniqueID": "*string", "tactic": "string", "comment": "string", "enabled": "bool", "score": "number", "color": "string",
		"metadata": "[fact", "links": "[link", "showSubtechniques": "bool"},
	"gradient":   {"colors": "*[string", "minValue": "*number", "maxValue": "*number"},
	"legendItem": {"label": "*string", "color": "*string"},
	"fact":       {"name": "*string", "value": "*string"},
	"link":       {"label": "*string", "url": "*string"},
	"layout": {"layout": "string", "showID": "bool", "showName": "bool", "showAggregateScores": "bool", "countUnscored": "bool",
		"aggregateFunction": "string", "expandedSubtechniques": "string"},
}

// amiss says what of v is not of the type.
func amiss(v any, typ, at string) []string {
	typ = strings.TrimPrefix(typ, "*")
	if each, ok := strings.CutPrefix(typ, "["); ok {
		list, isList := v.([]any)
		if !isList {
			return []string{at + " is no array"}
		}
		var out []string
		for i, x := range list {
			out = append(out, amiss(x, each, fmt.Sprintf("%s[%d]", at, i))...)
		}
		return out
	}
	ok := false
	switch typ {
	case "string":
		_, ok = v.(string)
	case "number":
		_, ok = v.(float64)
	case "bool":
		_, ok = v.(bool)
	default:
		return amissObject(v, layerSpec[typ], at)
	}
	if !ok {
		return []string{at + " is no " + typ}
	}
	return nil
}

func amissObject(v any, spec object, at string) []string {
	m, ok := v.(map[string]any)
	if !ok {
		return []string{at + " is no object"}
	}
	var out []string
	for name, typ := range spec {
		if _, there := m[name]; !there && strings.HasPrefix(typ, "*") {
			out = append(out, at+" lacks "+name)
		}
	}
	for name, inner := range m {
		typ, known := spec[name]
		if !known {
			out = append(out, at+" has "+name+", which the format does not have")
			continue
		}
		out = append(out, amiss(inner, typ, at+"."+name)...)
	}
	return out
}

// Every property of the layer is one that the published format has, of its type,
// and none that it requires is left out.
func TestLayerKeepsToTheFormat(t *testing.T) {
	for name, in := range map[string]Input{"mixed": mixed(), "sound": sound(), "nothing": {}} {
		b, err := NewReport(in).Layer()
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		for _, problem := range amiss(v, "layer", "layer") {
			t.Errorf("%s: %s", name, problem)
		}
		l := v.(map[string]any)
		for key, allowed := range map[string][]string{"layout": {"side", "flat", "mini"}, "aggregateFunction": {"average", "min", "max", "sum"}, "expandedSubtechniques": {"none", "all", "annotated"}} {
			if got := l["layout"].(map[string]any)[key].(string); !slices.Contains(allowed, got) {
				t.Errorf("layout.%s is %q", key, got)
			}
		}
		if s := l["sorting"].(float64); s < 0 || s > 3 {
			t.Errorf("sorting is %v", s)
		}
	}
	if len(amiss(map[string]any{"name": 1.0, "colour": "x"}, "layer", "layer")) != 3 {
		t.Error("the check finds nothing")
	}
}
