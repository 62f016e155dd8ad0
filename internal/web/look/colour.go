package look

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"countersign/internal/failure"
)

// colour is one of sRGB, each part from 0 to 255.
type colour struct{ r, g, b float64 }

var colourForm = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// readColour reads #rrggbb and nothing else: it becomes a part of a style sheet.
func readColour(s string) (colour, error) {
	if !colourForm.MatchString(s) {
		return colour{}, failure.New(failure.Invalid, "The colour %q is none: write it as #rrggbb, such as #0c5948.", s)
	}
	n, err := strconv.ParseUint(s[1:], 16, 32)
	return colour{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}, err
}

// String writes a colour as a style sheet has it.
func (c colour) String() string {
	part := func(f float64) int { return int(math.Round(min(255, max(0, f)))) }
	return fmt.Sprintf("#%02x%02x%02x", part(c.r), part(c.g), part(c.b))
}

// mix is a colour with so much of another, from 0 to 1, in whole parts, as it is written.
func (c colour) mix(other colour, much float64) colour {
	part := func(a, b float64) float64 { return math.Round(a + (b-a)*much) }
	return colour{part(c.r, other.r), part(c.g, other.g), part(c.b, other.b)}
}

// luminance is the relative luminance of WCAG 2.2.
func (c colour) luminance() float64 {
	linear := func(part float64) float64 {
		if part /= 255; part <= 0.04045 {
			return part / 12.92
		}
		return math.Pow((part+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.r) + 0.7152*linear(c.g) + 0.0722*linear(c.b)
}

// contrast is the contrast ratio of WCAG 2.2, from 1 to 21.
func (c colour) contrast(other colour) float64 {
	a, b := c.luminance(), other.luminance()
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// enough is the least contrast of text that AA wants (WCAG 2.2, 1.4.3).
const enough = 4.5

// light are the colours of a page by day or by night, as the style sheet has them, that an accent
// stands on, and the ends that it is mixed with.
type light struct {
	grounds  []colour // on which text of the accent stands
	ground   colour   // that the wash is mixed from
	toward   colour   // that text on it is mixed towards until it can be read
	on       colour   // the text on the accent
	wash     float64  // how much of the accent the wash has
	deepened float64  // how much further a pressed accent goes
}

var (
	byDay = light{grounds: []colour{rgb(0xf6f4ee), rgb(0xfffdf8), rgb(0xefece3)}, ground: rgb(0xfffdf8), toward: rgb(0x000000), on: rgb(0xfffdf8), wash: .1, deepened: .25}
	night = light{grounds: []colour{rgb(0x101614), rgb(0x18211e), rgb(0x111916)}, ground: rgb(0x18211e), toward: rgb(0xffffff), on: rgb(0x0a110f), wash: .12, deepened: .3}
)

func rgb(n int) colour { return colour{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)} }

// accent is a colour made for a light: as text, under text, and as a wash under either.
type accent struct{ colour, deep, on, wash colour }

// accent makes one of a colour, which it changes no more than it must.
func (l light) accent(c colour) accent {
	for step := 0; ; step++ {
		a := accent{colour: c.mix(l.toward, float64(step)/100), on: l.on}
		a.deep = a.colour.mix(l.toward, l.deepened)
		a.wash = l.ground.mix(c, l.wash)
		if a.reads(l) || step == 100 {
			return a
		}
	}
}

// reads reports whether everything that stands on or under an accent can be read.
func (a accent) reads(l light) bool {
	for _, ground := range append(l.grounds[:len(l.grounds):len(l.grounds)], a.wash) {
		if a.colour.contrast(ground) < enough || a.deep.contrast(ground) < enough {
			return false
		}
	}
	return a.on.contrast(a.colour) >= enough && a.on.contrast(a.deep) >= enough
}

// properties are the custom properties of the style sheet that an accent replaces.
func (a accent) properties() string {
	return fmt.Sprintf("--green: %s; --green-deep: %s; --on-green: %s; --wash: %s;", a.colour, a.deep, a.on, a.wash)
}
