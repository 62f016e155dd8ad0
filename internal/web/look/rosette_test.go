package look

import (
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"testing"
)

var (
	curve  = regexp.MustCompile(`<path d="([^"]*)"/>`)
	begun  = regexp.MustCompile(`^M[-\d. ]+q(.*)z$`)
	number = regexp.MustCompile(`-?(\d+\.\d+|\d+|\.\d+)`)
)

// The curves behind a page are closed: each ends where it began, so that none ends loose in the
// middle of a wide page.
func TestCurvesAreClosed(t *testing.T) {
	svg, err := fs.ReadFile(assetFiles, "assets/rosette.svg")
	if err != nil {
		t.Fatal(err)
	}
	all := curve.FindAllStringSubmatch(string(svg), -1)
	if len(all) == 0 {
		t.Fatal("there is no curve")
	}
	for i, m := range all {
		steps := begun.FindStringSubmatch(m[1])
		if steps == nil {
			t.Errorf("curve %d is not closed, or has others than relative steps", i)
			continue
		}
		var x, y float64
		numbers := number.FindAllString(steps[1], -1)
		if len(numbers)%4 != 0 {
			t.Errorf("curve %d has %d numbers", i, len(numbers))
		}
		for k := 3; k < len(numbers); k += 4 { // of two points each the second is where the step ends
			dx, _ := strconv.ParseFloat(numbers[k-1], 64)
			dy, _ := strconv.ParseFloat(numbers[k], 64)
			x, y = x+dx, y+dy
		}
		if math.Abs(x) > .01 || math.Abs(y) > .01 {
			t.Errorf("curve %d ends %.2f, %.2f from where it began", i, x, y)
		}
	}
}
