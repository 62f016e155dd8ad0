package look

import (
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// ratio is the contrast of two colours as a style sheet has them, by the formula of WCAG 2.2.
func ratio(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(s string) float64 {
		var out float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(s[1+2*i:3+2*i], 16, 8)
			if err != nil || len(s) != 7 || s[0] != '#' {
				t.Fatalf("%q is no colour", s)
			}
			v := float64(n) / 255
			if v <= 0.04045 {
				out += weight * v / 12.92
				continue
			}
			out += weight * math.Pow((v+0.055)/1.055, 2.4)
		}
		return out
	}
	la, lb := luminance(a), luminance(b)
	return (math.Max(la, lb) + .05) / (math.Min(la, lb) + .05)
}

var property = regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`)

// properties are the colours of a piece of a style sheet.
func properties(sheet string) map[string]string {
	out := map[string]string{}
	for _, m := range property.FindAllStringSubmatch(sheet, -1) {
		out[m[1]] = m[2]
	}
	return out
}

// lights are the colours of our own style sheet, by day and by night.
func lights(t *testing.T) [2]map[string]string {
	t.Helper()
	css, err := fs.ReadFile(assetFiles, "assets/countersign.css")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(css), "*, *::before")
	day, night, found := strings.Cut(head, "@media (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("the style sheet has no dark colours")
	}
	return [2]map[string]string{properties(day), properties(night)}
}

// The promise: whatever colour an organisation has, text of it can be read on every ground of a
// page, and text on it, by day and by night, as WCAG 2.2 AA wants: 4.5 to 1.
func TestEveryColourCanBeRead(t *testing.T) {
	ours := lights(t)
	few := 0
	for r := 0; r < 256; r += 17 {
		for g := 0; g < 256; g += 17 {
			for b := 0; b < 256; b += 17 {
				name := fmt.Sprintf("#%02x%02x%02x", r, g, b)
				brand, notes, err := NewBrand(BrandFiles{Colour: strings.ToUpper(name)})
				if err != nil {
					t.Fatal(err)
				}
				if len(notes) == 0 {
					few++
				}
				day, night, _ := strings.Cut(string(brand.sheet()), "@media (prefers-color-scheme: dark)")
				for i, got := range []map[string]string{properties(day), properties(night)} {
					for _, text := range []string{"green", "green-deep"} {
						for _, ground := range []string{ours[i]["paper"], ours[i]["card"], ours[i]["well"], got["wash"]} {
							if c := ratio(t, got[text], ground); c < 4.5 {
								t.Errorf("%s: %s %s on %s has %.2f", name, text, got[text], ground, c)
							}
						}
						if c := ratio(t, got["on-green"], got[text]); c < 4.5 {
							t.Errorf("%s: text on %s has %.2f", name, text, c)
						}
					}
					if c := ratio(t, ours[i]["ink"], got["wash"]); c < 4.5 {
						t.Errorf("%s: ink on the wash has %.2f", name, c)
					}
					if c := ratio(t, ours[i]["soft"], got["wash"]); c < 4.5 {
						t.Errorf("%s: soft text on the wash has %.2f", name, c)
					}
				}
			}
		}
	}
	if few == 4096 {
		t.Error("no colour was changed")
	}
}

// The grounds that accents are made for are those of the style sheet.
func TestGroundsAreThoseOfTheStyleSheet(t *testing.T) {
	ours := lights(t)
	for i, l := range []light{byDay, night} {
		for k, name := range []string{"paper", "card", "well"} {
			want := ours[i][name]
			if want == "" {
				want = ours[0][name]
			}
			if got := l.grounds[k].String(); got != want {
				t.Errorf("%s is %s in the style sheet, and %s here", name, want, got)
			}
		}
	}
}

// A colour that can be read stays as it is; what cannot is told, in both lights.
func TestWhatIsSaidOfAColour(t *testing.T) {
	for colour, want := range map[string]struct{ day, night string }{
		"#0c5948": {"#0c5948", ""},
		"#7fd8bd": {"", "#7fd8bd"},
		"#003366": {"#003366", ""},
	} {
		b, notes, err := NewBrand(BrandFiles{Colour: colour})
		if err != nil {
			t.Fatal(err)
		}
		if want.day != "" && b.day.colour.String() != want.day || want.night != "" && b.night.colour.String() != want.night {
			t.Errorf("%s becomes %s and %s", colour, b.day.colour, b.night.colour)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], colour) || !strings.Contains(notes[0], "4.5 to 1") {
			t.Errorf("%s: said is %q", colour, notes)
		}
	}
}

// What is no colour is refused, and nothing of it comes into a style sheet.
func TestHostileColours(t *testing.T) {
	for _, s := range []string{"red", "#fff", "#0c59480", "0c5948", "#0c594g", "#0c5948;}body{display:none", "#0c5948\n", " #0c5948", "rgb(0,0,0)", "url(x)", "#０c5948", "\x00#0c594", "#0c5948/*"} {
		if b, _, err := NewBrand(BrandFiles{Colour: s}); err == nil || b.sheet() != nil {
			t.Errorf("%q is taken", s)
		}
	}
}
