package config

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

// durations calls f with every length of time of a configuration, and its name.
func durations(v reflect.Value, name string, f func(name string, v reflect.Value)) {
	if v.Type() == reflect.TypeFor[Duration]() {
		f(name, v)
		return
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			durations(v.Field(i), name+"."+v.Type().Field(i).Name, f)
		}
	}
}

// The promise: what is printed can be read again and says the same, for every setting
// that is a length of time, whatever it is set to.
func TestPrintedIsRead(t *testing.T) {
	n := 0
	for _, d := range []time.Duration{time.Second, 10 * time.Second, 90 * time.Second, time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, 61 * time.Minute, time.Hour,
		time.Hour + 10*time.Second, time.Hour + 10*time.Minute, 10 * time.Hour, 20 * time.Hour, 100 * time.Hour, 24 * time.Hour, 30 * day, 1500 * time.Millisecond, 10 * time.Millisecond, -1} {
		c := Default()
		durations(reflect.ValueOf(&c).Elem(), "", func(_ string, v reflect.Value) { n++; v.Set(reflect.ValueOf(Duration(d))) })
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b.Bytes())
		if err != nil && strings.Contains(err.Error(), "length of time") {
			t.Errorf("%v: %v\n%s", d, err, b.String())
		}
		durations(reflect.ValueOf(&again).Elem(), "", func(name string, v reflect.Value) {
			if got := time.Duration(v.Interface().(Duration)); got != d {
				t.Errorf("%s: %v was printed as %q and is read as %v", name, d, Duration(d), got)
			}
		})
	}
	if n < 8*19 {
		t.Errorf("only %d settings were tried", n)
	}
	// The defaults, whole.
	var first, second bytes.Buffer
	if err := Default().Print(&first); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(first.Bytes())
	if err == nil {
		err = again.Print(&second)
	}
	if err != nil || first.String() != second.String() {
		t.Errorf("the defaults, printed and read, are others: %v\n%s", err, second.String())
	}
}
