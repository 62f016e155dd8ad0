package store

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
)

// text writes what a change leaves as its entry does.
func text(stamps ...stamp) string { return string(appendStamps(nil, stamps)) }

func TestVersionsAsText(t *testing.T) {
	until := time.Unix(1_767_000_000, 0)
	all := []stamp{{kind: "account", number: 7, version: 13}, {kind: "team", number: 4, version: Gone}, {kind: "session", name: "x7-f_.", until: until}}
	const want = "account/7=13 team/4=gone session/x7-f_.=over:1767000001"
	if got := text(all...); got != want {
		t.Errorf("%q", got)
	}
	got, err := readStamps(want)
	all[2].until = until.Add(time.Second) // whole seconds, and never too early
	if err != nil || !slices.EqualFunc(got, all, func(a, b stamp) bool {
		return a.kind == b.kind && a.number == b.number && a.version == b.version && a.name == b.name && a.until.Equal(b.until)
	}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"account", "account/7", "/7=1", "account/=1", "account/x=1", "account/7=x", "account/7=", "session/x=over:", "session/x=over:y"} {
		if _, err := readStamps(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if got, err := readStamps("  "); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

func FuzzVersions(f *testing.F) {
	f.Add("account/7=13 team/4=gone session/x7f=over:1767000000")
	f.Add("a/1=9223372036854775807")
	f.Fuzz(func(t *testing.T, s string) {
		stamps, err := readStamps(s)
		if err != nil {
			return
		}
		for i := range stamps {
			if stamps[i].name != "" {
				stamps[i].until = stamps[i].until.Add(-time.Second)
			}
		}
		again, err := readStamps(text(stamps...))
		if err != nil || len(again) != len(stamps) {
			t.Errorf("%q became %q: %v", s, text(stamps...), err)
		}
	})
}

// What an entry says of rows is found in it, whatever else it says.
func FuzzVersionsIn(f *testing.F) {
	f.Add("account/7=13", "signin.granted", `","versions":"x`, "versions", `,"versions":"account/1=9"`)
	f.Fuzz(func(t *testing.T, versions, event, name, key, value string) {
		for _, c := range versions {
			if c <= ' ' || c > '~' || strings.ContainsRune(`"\<>&`, c) {
				return // none of these is written
			}
		}
		e := audit.Entry{At: time.Unix(5, 6000), Actor: audit.Actor{Account: 3, Name: name}, Event: event, Outcome: audit.OK, Account: 9, AccountName: name, Action: value,
			Versions: versions, Detail: map[string]string{key: value}}
		body, err := e.Encode()
		if err != nil || len(versions) > audit.MaxVersions {
			return
		}
		d, err := audit.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := audit.VersionsIn(body); got != d.Versions {
			t.Errorf("%q, not %q", got, d.Versions)
		}
		if at, account := audit.ColumnsOf(body); !at.Equal(d.At) || account != d.Account {
			t.Errorf("%v %d, not %v %d", at, account, d.At, d.Account)
		}
	})
}

func TestPages(t *testing.T) {
	var p pages
	if p.get(-1) != 0 || p.get(5) != 0 || p.raise(-1, 3) || p.raise(5, 0) {
		t.Error("there is something")
	}
	for _, c := range []struct {
		number, version int64
		news            bool
		is              int64
	}{{5, 1, true, 1}, {5, 1, false, 1}, {5, 253, true, 253}, {5, 254, true, 254}, {5, 255, true, 255}, {5, 254, false, 255}, {5, 1 << 40, true, 1 << 40},
		{6, Gone, true, Gone}, {6, 7, false, Gone}, {5, Gone, true, Gone}, {pageRows, 300, true, 300}, {pageRows - 1, 2, true, 2}, {1 << 45, 2, true, 2}} {
		if news := p.raise(c.number, c.version); news != c.news || p.get(c.number) != c.is {
			t.Errorf("%d to %d: %v, %d", c.number, c.version, news, p.get(c.number))
		}
	}
	if len(p.large) != 1 {
		t.Errorf("%v", p.large)
	}
}

// shelved is a memory with a folder.
func shelved(t *testing.T, folder string) (*shelf, *memory, audit.Tree) {
	t.Helper()
	s, m := &shelf{folder: folder, key: []byte("k")}, &memory{}
	read, err := s.open(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.close() })
	return s, m, read
}

// What is saved is there again, and what is saved later replaces it.
func TestShelf(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "remembered")
	s, m, read := shelved(t, folder)
	now := time.Now()
	read.Append([]byte("a"))
	m.learn([]stamp{{kind: "account", number: 9, version: 3}, {kind: "account", number: 10_000, version: 1000}, {kind: "credential", number: 1, version: Gone},
		{kind: "policy", number: 0, version: 44}, {kind: "ticket", name: "x", until: now.Add(time.Hour)}, {kind: "ticket", name: "y", until: now}}, now)
	for range 2 {
		if err := s.save(m, &read); err != nil {
			t.Fatal(err)
		}
		m.learn([]stamp{{kind: "account", number: 9, version: 4}}, now)
	}
	m.close()
	_, m, again := shelved(t, folder)
	if again != read {
		t.Error("it was read as far as somewhere else")
	}
	for _, c := range []struct {
		kind   string
		number int64
		is     int64
	}{{"account", 9, 4}, {"account", 10_000, 1000}, {"account", 11, 0}, {"credential", 1, Gone}, {"policy", 0, 44}, {"policy", 1, 0}} {
		if v := m.newest(c.kind, c.number); v != c.is {
			t.Errorf("%s %d is at %d", c.kind, c.number, v)
		}
	}
	if !m.over("ticket", "x") || m.over("ticket", "y") || m.over("session", "x") {
		t.Error("another thing is over")
	}
	m.learn([]stamp{{kind: "policy", number: 0, version: 45}}, now.Add(2*time.Hour)) // an hour on nobody gains by it
	if m.over("ticket", "x") {
		t.Error("it is kept for ever")
	}
	_, other, _ := shelved(t, folder)
	if other.newest("account", 9) != 4 {
		t.Error("it cannot be read twice")
	}
	s = &shelf{folder: folder, key: []byte("another")}
	if _, err := s.read(versionsFile); err == nil {
		t.Error("another key reads it")
	}
}

// A page that cannot be read when it is needed has everything learnt again.
func TestAPageIsLost(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "remembered")
	s, m, read := shelved(t, folder)
	m.learn([]stamp{{kind: "account", number: 9, version: 3}, {kind: "account", number: 9000, version: 3}}, time.Now())
	if err := s.save(m, &read); err != nil {
		t.Fatal(err)
	}
	m.close()
	_, m, _ = shelved(t, folder)
	if m.newest("account", 9) != 3 || m.damaged() {
		t.Error("it is damaged")
	}
	if err := m.rows[0].file.Truncate(pageSlot); err != nil {
		t.Fatal(err)
	}
	if m.newest("account", 9000) != 0 || !m.damaged() || m.damaged() {
		t.Error("it is not damaged once")
	}
	if m.newest("account", 9) != 3 {
		t.Error("what was there is forgotten")
	}
}

// Where the folder cannot be written nothing is lost: the next time has it.
func TestTheFolderCannotBeWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "remembered")
	s, m, read := shelved(t, folder)
	m.learn([]stamp{{kind: "account", number: 9, version: 3}}, time.Now())
	s.folder = filepath.Join(folder, "gone")
	if err := s.save(m, &read); err == nil {
		t.Fatal("saved")
	}
	if err := s.keep([]byte("edge")); err == nil {
		t.Fatal("kept")
	}
	s.folder = folder
	if err := s.save(m, &read); err != nil {
		t.Fatal(err)
	}
	m.close()
	if _, m, _ := shelved(t, folder); m.newest("account", 9) != 3 {
		t.Error("lost")
	}
}

func FuzzRestore(f *testing.F) {
	var m memory
	m.learn([]stamp{{kind: "account", number: 300, version: 300}, {kind: "policy", number: 1, version: 2}}, time.Now())
	b, _ := m.bytes(&audit.Tree{}, [len(numbered)][]draft{})
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) { // only what bears our MAC comes here
		var m memory
		if _, ok := m.restore(b); ok {
			m.newest("account", 300)
		}
	})
}

// Of very many rows that change at once all count as changed lately, for a while.
func TestLately(t *testing.T) {
	var l lately
	now := time.Now()
	l.add(1, now)
	for _, c := range []struct {
		after time.Duration
		has   bool
	}{{0, true}, {readsTake - 1, true}, {readsTake, true}, {2 * readsTake, false}} {
		if l.has(1, now.Add(c.after)) != c.has || l.has(2, now.Add(c.after)) {
			t.Errorf("after %v", c.after)
		}
	}
	l = lately{}
	for i := range uint64(latelyMost) {
		l.add(i, now)
	}
	if !l.has(math.MaxUint64, now) || !l.has(math.MaxUint64, now.Add(readsTake)) || l.has(math.MaxUint64, now.Add(3*readsTake)) {
		t.Error("not all")
	}
}

// Many rows in one change are said by as many entries as it takes, whole.
func TestManyVersionsInOneChange(t *testing.T) {
	tx := Tx{duty: change, now: time.Now(), actor: audit.System("test")}
	if err := tx.Record(audit.Entry{Event: "test.change", Outcome: audit.OK}); err != nil {
		t.Fatal(err)
	}
	for i := range int64(1000) {
		tx.Anchor("credential", i, 1+i)
	}
	if err := tx.encode(); err != nil {
		t.Fatal(err)
	}
	var m memory
	for _, e := range tx.entries {
		stamps, err := readStamps(audit.VersionsIn(e.body))
		if err != nil {
			t.Fatal(err)
		}
		m.learn(stamps, time.Now())
	}
	for i := range int64(1000) {
		if m.newest("credential", i) != 1+i {
			t.Fatalf("%d is at %d", i, m.newest("credential", i))
		}
	}
}

// What cannot stand in an entry ends the change.
func TestNamesOfVersions(t *testing.T) {
	for name, do := range map[string]func(*Tx){
		"a negative number":  func(tx *Tx) { tx.Anchor("team", -1, 1) },
		"a negative version": func(tx *Tx) { tx.Anchor("team", 1, -1) },
		"no kind":            func(tx *Tx) { tx.Anchor("", 1, 1) },
		"a blank":            func(tx *Tx) { tx.End("session", "a b", time.Now()) },
		"an equals sign":     func(tx *Tx) { tx.End("session", "a=b", time.Now()) },
		"no name":            func(tx *Tx) { tx.End("session", "", time.Now()) },
		"too long":           func(tx *Tx) { tx.End("session", strings.Repeat("a", plainMost+1), time.Now()) },
	} {
		if tx := new(Tx); true {
			if do(tx); tx.failed == nil {
				t.Errorf("%s: taken", name)
			}
		}
	}
	tx := new(Tx)
	tx.End("session", strings.Repeat("zZ9-_.", 16), time.Now())
	tx.Anchor("account_alias", 0, 0)
	if tx.failed != nil {
		t.Error(tx.failed)
	}
}
