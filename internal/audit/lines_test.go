package audit

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func export(tb testing.TB, s *sample, leaves []Leaf) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, origin, append(s.checkpoints, s.witness))
	if err != nil {
		tb.Fatal(err)
	}
	for _, l := range leaves {
		if err := w.Write(l); err != nil {
			tb.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestExportVerifiesOffline(t *testing.T) {
	s := newSample(t, 45)
	log, err := ReadLog(bytes.NewReader(export(t, s, s.leaves)))
	if err != nil {
		t.Fatal(err)
	}
	if log.Origin != origin || len(log.Checkpoints) != 5 {
		t.Fatalf("%+v", log)
	}
	r, err := Verify(log.Entries(), Check{Origin: origin, Verifier: s.verifier, Checkpoints: log.Checkpoints, MAC: s.mac})
	if err != nil || !r.OK() || r.Entries != 45 || r.Signed != 45 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A body that somebody spoiled is exported as it is, so that verify can name it.
func TestExportKeepsWhatIsSpoiled(t *testing.T) {
	s := newSample(t, 12)
	s.leaves[3].Body = []byte("\x00not json\n")
	s.leaves[4].Body = nil
	s.leaves[5].Body = append([]byte(" "), s.leaves[5].Body...)
	s.leaves[6].MAC = nil
	log, err := ReadLog(bytes.NewReader(export(t, s, s.leaves)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Verify(log.Entries(), s.check())
	if err != nil || faults(r) != "changed 3-6" {
		t.Errorf("%q, %v", faults(r), err)
	}
}

func TestReadLogRefuses(t *testing.T) {
	s := newSample(t, 12)
	good := string(export(t, s, s.leaves))
	for name, bad := range map[string]string{
		"nothing":             "",
		"no head":             good[strings.Index(good, "\n")+1:],
		"another version":     strings.Replace(good, `"version":1`, `"version":2`, 1),
		"a field more":        strings.Replace(good, `{"seq":3,`, `{"extra":0,"seq":3,`, 1),
		"a line broken":       strings.Replace(good, `{"seq":3,`, `{"seq":3,`+"\n", 1),
		"white space":         strings.Replace(good, `{"seq":3,`, `{"seq":3, `, 1),
		"a checkpoint behind": good + `{"checkpoint":"x"}` + "\n",
		"garbage behind":      good + "garbage",
		"a number twice":      strings.Replace(good, `{"seq":3,`, `{"seq":3,"seq":3,`, 1),
		"raw although sound":  strings.Replace(good, `"entry":{`, `"raw":"","entry":{`, 1),
	} {
		log, err := ReadLog(strings.NewReader(bad))
		if err == nil {
			for _, e := range log.Entries() {
				err = e
			}
		}
		if !errors.Is(err, ErrExport) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	s := newSample(f, 12)
	f.Add(export(f, s, s.leaves))
	s.leaves[2].Body = []byte("spoiled")
	f.Add(export(f, s, s.leaves))
	f.Fuzz(func(t *testing.T, b []byte) {
		log, err := ReadLog(bytes.NewReader(b))
		if err != nil {
			return
		}
		var leaves []Leaf
		for l, err := range log.Entries() {
			if err != nil {
				return
			}
			leaves = append(leaves, l)
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, log.Origin, log.Checkpoints)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leaves {
			if err := w.Write(l); err != nil {
				t.Fatal(err)
			}
		}
		again, err := ReadLog(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		var second []Leaf
		for l, err := range again.Entries() {
			if err != nil {
				t.Fatal(err)
			}
			second = append(second, l)
		}
		if !reflect.DeepEqual(second, leaves) {
			t.Fatalf("%v became %v", leaves, second)
		}
	})
}
