package look

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"countersign/internal/failure"
)

// drawn is a picture as a file of PNG.
func drawn(t *testing.T, wide, high int) []byte {
	t.Helper()
	p := image.NewNRGBA(image.Rect(0, 0, wide, high))
	p.Set(0, 0, color.NRGBA{12, 89, 72, 255})
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const hostile = `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(document.domain)</script></svg>`

// chunk is a chunk of PNG (PNG specification, section 5.3).
func chunk(kind, data string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

// The promise: of a logo its pixels are served, and nothing else that its file had in it.
func TestALogoIsDrawnAnew(t *testing.T) {
	plain := drawn(t, 40, 20)
	var j bytes.Buffer
	if err := jpeg.Encode(&j, image.NewGray(image.Rect(0, 0, 40, 20)), nil); err != nil {
		t.Fatal(err)
	}
	comment := append([]byte{0xff, 0xfe, byte((len(hostile) + 2) >> 8), byte(len(hostile) + 2)}, hostile...)
	for name, file := range map[string][]byte{
		"a PNG":            plain,
		"a page behind it": append(bytes.Clone(plain), hostile...),
		"a page inside":    append(append(bytes.Clone(plain[:33]), chunk("tEXt", "Comment\x00"+hostile)...), plain[33:]...),
		"a JPEG":           append(append(bytes.Clone(j.Bytes()[:2]), comment...), j.Bytes()[2:]...),
	} {
		p, err := readLogo(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if bytes.Contains(p.body, []byte("script")) || p.Width != 40 || p.Height != 20 {
			t.Errorf("%s: more than pixels, or others", name)
		}
		if _, format, err := image.Decode(bytes.NewReader(p.body)); err != nil || p.kind != "image/"+format {
			t.Errorf("%s is served as %s and is %s: %v", name, p.kind, format, err)
		}
	}
}

// What is no logo is refused with how to mend it, before it is drawn.
func TestWhatIsNoLogo(t *testing.T) {
	var g bytes.Buffer
	if err := gif.Encode(&g, image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black}), nil); err != nil {
		t.Fatal(err)
	}
	huge := drawn(t, 4, 4)
	huge = append(append(bytes.Clone(huge[:8]), chunk("IHDR", "\x00\x00\xff\xff\x00\x00\xff\xff\x08\x06\x00\x00\x00")...), huge[33:]...)
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"an SVG":        {[]byte(hostile), "an SVG is not taken"},
		"an SVG in XML": {[]byte(`<?xml version="1.0"?>` + hostile), "an SVG is not taken"},
		"a page":        {[]byte("<!doctype html>" + hostile), "neither PNG nor JPEG"},
		"a GIF":         {append(g.Bytes(), hostile...), "neither PNG nor JPEG"},
		"a WebP":        {[]byte("RIFF\x1a\x00\x00\x00WEBPVP8L"), "neither PNG nor JPEG"},
		"a bomb":        {huge, "65535 × 65535 pixels"},
		"too wide":      {drawn(t, mostWide+1, 1), "pixels"},
		"too high":      {drawn(t, 1, mostHigh+1), "pixels"},
		"cut off":       {drawn(t, 400, 200)[:60], "is damaged"},
		"too long":      {append(drawn(t, 4, 4), make([]byte, MostLogo)...), "256 KiB"},
	} {
		b, _, err := NewBrand(BrandFiles{Logo: c.file})
		if err == nil || b.logo != nil || !strings.Contains(failure.Public(err), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := NewBrand(BrandFiles{Logo: drawn(t, mostWide, mostHigh)}); err != nil {
		t.Error(err)
	}
	if _, _, err := NewBrand(BrandFiles{LogoDark: drawn(t, 4, 4)}); err == nil {
		t.Error("a logo for dark pages alone is taken")
	}
}
