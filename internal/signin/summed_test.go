package signin

import (
	"fmt"
	"slices"
	"testing"

	"countersign/internal/audit"
)

// summed are the sums that were written, by a line that says what they name.
func summed(t *testing.T, s *Strangers) map[string]string {
	t.Helper()
	before := len(entriesOf(t, s.db, "signin.refused"))
	if err := s.SumUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := entriesOf(t, s.db, "signin.refused")
	out := map[string]string{}
	for _, en := range all[:len(all)-before] { // the newest are first
		named := fmt.Sprintf("%s %s %d %q", en.Reason, en.Source, en.Account, en.AccountName)
		keys := []string{}
		for k := range en.Detail {
			if k != "count" && k != "first" && k != "last" {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			named += " " + k + "=" + en.Detail[k]
		}
		if out[named] != "" {
			t.Errorf("two sums of %s", named)
		}
		out[named] = en.Detail["count"]
	}
	return out
}

func (r sumsWanted) are(t *testing.T, got map[string]string) {
	t.Helper()
	for named, count := range r {
		if got[named] != count {
			t.Errorf("%s: counted %q, want %s", named, got[named], count)
		}
	}
	for named := range got {
		if r[named] == "" {
			t.Errorf("a sum of %s", named)
		}
	}
}

type sumsWanted map[string]string

// A sum names what it can be told by: the neighbourhood, or the partner where that is not
// known, and the authenticator. It names accounts, and never what was typed for a name
// that nobody has.
func TestWhatASumNames(t *testing.T) {
	s, _, _ := countingStrangers(t)
	refused := func(source, partner, kind string, account int64, name string) {
		en := audit.Entry{Event: "signin.refused", Reason: "wrong", Source: source, Account: account, AccountName: name, Detail: map[string]string{"object": "of no matter"}}
		if partner != "" {
			en.Detail["partner"] = partner
		}
		if kind != "" {
			en.Detail["authenticator"] = kind
		}
		s.Count(en)
	}
	refused("192.0.2.7", "nas-1", "", 0, "ada")
	refused("192.0.2.7", "nas-2", "", 0, "a password, typed into the field")
	refused("", "nas-1", "", 0, "")
	refused("", "nas-2", "", 0, "")
	refused("", "nas-2", "totp", 0, "")
	refused("", "", "", 0, "")
	refused("192.0.2.7", "", "totp", 7, "ada")
	refused("192.0.2.7", "", "totp", 7, "ada")
	refused("192.0.2.7", "", "password", 7, "ada")
	refused("somewhere", "", "", 0, "")
	sumsWanted{
		`wrong 192.0.2.7 0 ""`:                           "2",
		`wrong  0 "" partner=nas-1`:                      "1",
		`wrong  0 "" partner=nas-2`:                      "1",
		`wrong  0 "" authenticator=totp partner=nas-2`:   "1",
		`wrong  0 "" sources=several or unknown`:         "1",
		`wrong 192.0.2.7 7 "ada" authenticator=totp`:     "2",
		`wrong 192.0.2.7 7 "ada" authenticator=password`: "1",
		`wrong somewhere 0 ""`:                           "1",
	}.are(t, summed(t, s))
}

// Of more neighbourhoods and accounts than there is room for, those that have a sum keep
// it, and the others are counted together.
func TestSumsThatFindNoRoom(t *testing.T) {
	s, _, _ := countingStrangers(t)
	refused := func(n int, account int64) {
		s.Count(audit.Entry{Event: "signin.refused", Reason: "wrong", Source: fmt.Sprintf("192.0.2.%d", n), Account: account, AccountName: "somebody", Detail: map[string]string{"authenticator": "totp", "partner": "nas"}})
	}
	want := sumsWanted{}
	for n := range sumsOfSources {
		refused(n, 0)
		want[fmt.Sprintf(`wrong 192.0.2.%d 0 "" authenticator=totp`, n)] = "1"
	}
	for range 3 {
		refused(200, 0)
		refused(201, 0)
	}
	refused(5, 0)
	want[`wrong  0 "" sources=several or unknown`] = "6"
	want[`wrong 192.0.2.5 0 "" authenticator=totp`] = "2"
	for account := int64(1); len(want) < sumsOfAll; account++ {
		refused(202, account)
		want[fmt.Sprintf(`wrong  %d "somebody" sources=several or unknown`, account)] = "1"
	}
	refused(202, 3)
	want[`wrong  3 "somebody" sources=several or unknown`] = "2"
	refused(202, 1000)
	refused(203, 1001)
	want[`wrong  0 "" sources=several or unknown`] = "8"
	want.are(t, summed(t, s))
}

// Strangers have so many entries of their own for names that nobody has, and more for
// those of people, which the others do not take from them.
func TestWhoHasEntriesOfTheirOwn(t *testing.T) {
	s, _, now := countingStrangers(t)
	told := func(account int64) (n int) {
		for i := range 400 {
			if s.tells(audit.Entry{Account: account, Source: fmt.Sprintf("192.0.2.%d", i%250), Detail: map[string]string{"partner": fmt.Sprint(i)}}) {
				n++
			}
		}
		return n
	}
	if n := told(0); n != toldOfNobody {
		t.Errorf("%d entries for names that nobody has", n)
	}
	if n := told(7); n != toldOfPeople {
		t.Errorf("%d entries for names of people", n)
	}
	*now = now.Add(sumEvery)
	if n := told(7); n != toldOfPeople {
		t.Errorf("%d a minute later", n)
	}
	*now = now.Add(sumEvery)
	for i := range toldOfSource + 1 { // without an address, by whoever brings them
		for _, partner := range []string{"nas-1", "nas-2"} {
			if got := s.tells(audit.Entry{Account: 7, Detail: map[string]string{"partner": partner}}); got != (i < toldOfSource) {
				t.Errorf("entry %d of %s: %t", i, partner, got)
			}
		}
	}
}
