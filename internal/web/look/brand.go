package look

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"

	"countersign/internal/failure"
)

// Brand is how an organisation's pages for people look: its logo and its colour. The zero
// Brand is our own.
type Brand struct {
	logo, logoDark *picture
	day, night     *accent
}

// picture is a logo as it is served.
type picture struct {
	body          []byte
	kind, ending  string
	Width, Height int
}

const (
	// MostLogo is the greatest file of a logo in bytes.
	MostLogo = 256 << 10
	// mostWide and mostHigh bound its pixels: it is shown 48 high at the most.
	mostWide, mostHigh = 1200, 400
)

// readLogo reads a PNG or a JPEG, and draws it anew: what is served is pixels, and nothing else
// that the file had in it. An SVG can have scripts, and is none of them.
func readLogo(file []byte) (*picture, error) {
	if len(file) > MostLogo {
		return nil, failure.New(failure.Invalid, "The logo has more than %d KiB. Make it smaller.", MostLogo>>10)
	}
	size, format, err := image.DecodeConfig(bytes.NewReader(file))
	if err != nil || format != "png" && format != "jpeg" { // others may be known to the program
		return nil, failure.New(failure.Invalid, "The logo is neither PNG nor JPEG. Save it as one of these; an SVG is not taken, because it can hold scripts.")
	}
	if size.Width < 1 || size.Height < 1 || size.Width > mostWide || size.Height > mostHigh {
		return nil, failure.New(failure.Invalid, "The logo is %d × %d pixels, and %d × %d is the most. Make it smaller.", size.Width, size.Height, mostWide, mostHigh)
	}
	drawn, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, failure.New(failure.Invalid, "The logo is damaged: it begins as a %s, and cannot be drawn.", strings.ToUpper(format))
	}
	var b bytes.Buffer
	p := &picture{kind: "image/png", ending: ".png", Width: size.Width, Height: size.Height}
	if format == "jpeg" {
		p.kind, p.ending = "image/jpeg", ".jpg"
		err = jpeg.Encode(&b, drawn, &jpeg.Options{Quality: 92})
	} else {
		err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, drawn)
	}
	p.body = b.Bytes()
	return p, err
}

// BrandFiles are what a Brand is made of. Each may be empty.
type BrandFiles struct {
	// Logo and LogoDark are files, the second for dark pages.
	Logo, LogoDark []byte
	// Colour is #rrggbb.
	Colour string
}

// NewBrand reads a brand. Where its colour could not be read by everybody, that is changed until
// it can be, and notes say how. An error says what to mend.
func NewBrand(f BrandFiles) (b Brand, notes []string, err error) {
	for _, one := range []struct {
		file []byte
		into **picture
	}{{f.Logo, &b.logo}, {f.LogoDark, &b.logoDark}} {
		if len(one.file) == 0 {
			continue
		}
		if *one.into, err = readLogo(one.file); err != nil {
			return Brand{}, nil, err
		}
	}
	if b.logo == nil && b.logoDark != nil {
		return Brand{}, nil, failure.New(failure.Invalid, "There is a logo for dark pages, and none for the others. Set brand.logo as well.")
	}
	if f.Colour == "" {
		return b, nil, nil
	}
	c, err := readColour(f.Colour)
	if err != nil {
		return Brand{}, nil, err
	}
	day, dark := byDay.accent(c), night.accent(c)
	b.day, b.night = &day, &dark
	for _, one := range []struct {
		light string
		got   colour
	}{{"light", day.colour}, {"dark", dark.colour}} {
		if one.got != c {
			notes = append(notes, fmt.Sprintf("the colour %s cannot be read well enough on %s pages (WCAG 2.2 AA wants a contrast of 4.5 to 1): they have %s", c, one.light, one.got))
		}
	}
	return b, notes, nil
}

// sheet is the style sheet of a colour; empty where there is none.
func (b Brand) sheet() []byte {
	if b.day == nil {
		return nil
	}
	return fmt.Appendf(nil, ":root { %s }\n@media (prefers-color-scheme: dark) { :root { %s } }\n", b.day.properties(), b.night.properties())
}

// branding is what the layout shows of a brand: where its files are served.
type branding struct {
	Sheet          string
	Logo, LogoDark string
	Width, Height  int
	// Called is the logo's text, the organisation's name.
	Called string
}

// wear adds the files of a brand to those that are served.
func (a *assets) wear(b Brand, called string) branding {
	out := branding{Called: called}
	if sheet := b.sheet(); sheet != nil {
		out.Sheet = a.add("brand", ".css", asset{body: sheet, kind: "text/css; charset=utf-8"})
	}
	if p := b.logo; p != nil {
		out.Logo, out.Width, out.Height = a.add("logo", p.ending, asset{body: p.body, kind: p.kind}), p.Width, p.Height
	}
	if p := b.logoDark; p != nil {
		out.LogoDark = a.add("logo-dark", p.ending, asset{body: p.body, kind: p.kind})
	}
	return out
}

// worn is the brand that a page wears: administrators' pages, which are in English alone, have
// colours that mean something, and stay as they are.
func (l *Look) worn(r *http.Request) branding {
	if r.Context().Value(english{}) != nil {
		return branding{}
	}
	return l.brand
}

// add serves a file under its name with a hash of its contents, and returns where.
func (a *assets) add(name, ending string, f asset) string {
	sum := sha256.Sum256(f.body)
	hashed := name + "-" + hex.EncodeToString(sum[:8]) + ending
	a.files[hashed] = f
	return assetRoot + hashed
}
