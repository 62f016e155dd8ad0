package forwardauth

import (
	"net/http"
	"strings"
	"testing"
)

// named is a cookie that was sent exactly once, as net/http reads it.
func named(lines []string, name string) (string, bool) {
	r := &http.Request{Header: http.Header{"Cookie": lines}}
	if c := r.CookiesNamed(name); len(c) == 1 {
		return c[0].Value, true
	}
	return "", false
}

// cookieLines are lines of cookies, and whether quickCookie says what it found.
var cookieLines = map[string]bool{
	"countersign-app=aB3-_": true, "a=b; countersign-app=x": true, "countersign-app=x; a=b": true, "countersign-app=": true, `a="x; countersign-app=x`: true, "; countersign-app=x": true, "a; countersign-app=x;": true,
	"countersign-app=x; countersign-app=y": false, "countersign-app=x; countersign-app-way=y": false, "countersign-app-way=y": false, "xcountersign-app=y": false, "a=b;countersign-app=x": false,
	"a=countersign-app=x": false, `countersign-app="x"`: false, "countersign-app=x ": false, "countersign-app = x": false, "countersign-app": false, "countersign-app=\x00": false, "": false, "countersign-app=é": false,
	"a=b\t; countersign-app=x": true, " countersign-app=x": false, strings.Repeat("a=b; ", 410) + "countersign-app=x": false,
}

// What is found quickly is what net/http finds.
func TestQuickCookie(t *testing.T) {
	for line, quick := range cookieLines {
		value, ok := quickCookie([]string{line}, "countersign-app")
		if ok != quick {
			t.Errorf("%q is quick: %t", line, ok)
		}
		if want, one := named([]string{line}, "countersign-app"); ok && (!one || value != want) {
			t.Errorf("%q: found %q, and net/http %q, %t", line, value, want, one)
		}
	}
	for _, lines := range [][]string{nil, {"countersign-app=x", "countersign-app=y"}, {"countersign-app=x", "a=b"}} {
		if value, ok := quickCookie(lines, "countersign-app"); ok {
			t.Errorf("%q: found %q", lines, value)
		}
	}
}

func FuzzQuickCookie(f *testing.F) {
	for line := range cookieLines {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, name := range []string{cookie("http"), cookie("https"), "a"} {
			value, ok := quickCookie([]string{line}, name)
			if want, one := named([]string{line}, name); ok && (!one || value != want) {
				t.Fatalf("%q: found %q, and net/http %q, %t", line, value, want, one)
			}
		}
	})
}
