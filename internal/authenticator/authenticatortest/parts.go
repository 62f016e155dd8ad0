package authenticatortest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

func description(t *testing.T, s Subject) {
	how := s.New(t)
	d := how.Describe()
	if d.Kind == "" || d.Title == "" || d.Noun == "" || d.Document == "" || d.Mark == "" || d.Traits == 0 || d.Media == 0 {
		t.Errorf("the description lacks something: %+v", d)
	}
	if typed := prompt.Line | prompt.Single; d.Media&typed != 0 && d.Traits.Has(assurance.PhishingResistant) {
		t.Error("what can be typed does not resist phishing")
	}
	desk := s.open(t, how, ada, bothGuards)
	memo, answer := desk.ask(t, s.after(1))
	desk.answer(t, memo, answer, s.after(1))
	if again := how.Describe(); !reflect.DeepEqual(d, again) {
		t.Errorf("the description changed from %+v to %+v", d, again)
	}
}

func question(t *testing.T, s Subject) {
	how := s.New(t)
	desk := s.open(t, how, ada, bothGuards)
	c := desk.read()
	q, _, err := how.Ask([]authenticator.Credential{c}, s.after(1))
	if err != nil {
		t.Fatal(err)
	}
	decoy, _, err := how.Ask(nil, s.after(1))
	if err != nil {
		t.Fatalf("asking nobody: %v", err)
	}
	if q.Authenticator != how.Describe().Kind || q.Label == "" || q.Kind == "" {
		t.Errorf("the question lacks something: kind %q, label %q, authenticator %q", q.Kind, q.Label, q.Authenticator)
	}
	if q.Kind == prompt.PublicKey {
		return
	}
	visit := q.Kind == prompt.Certificate || q.Kind == prompt.Upstream
	if visit && len(q.Data) == len(decoy.Data) {
		q.Data, decoy.Data = nil, nil // a challenge, drawn anew each time
	}
	if q.Kind != prompt.OutOfBand && len(q.Number) == len(decoy.Number) {
		q.Number, decoy.Number = "", "" // a challenge, drawn anew each time
	}
	if !reflect.DeepEqual(q, decoy) {
		t.Error("the question tells a name that has a credential from one that has none")
	}
	c.Failures = max(s.NextCode, 3)
	failed, _, err := how.Ask([]authenticator.Credential{c}, s.after(1))
	if q.Number == "" {
		failed.Number = ""
	}
	if visit {
		failed.Data = nil
	}
	if err != nil || !reflect.DeepEqual(q, failed) {
		t.Error("the question tells whether a credential has had failures")
	}
	if q.Data != nil {
		t.Error("a question for a sign-in carries data")
	}
}

func rightAnswers(t *testing.T, s Subject) {
	desk := s.open(t, s.New(t), ada, bothGuards)
	once := map[string]bool{}
	n := s.uses(5)
	for i := 1; i <= n; i++ {
		now := s.after(i)
		memo, answer := desk.ask(t, now)
		r := desk.answer(t, memo, answer, now)
		if !r.OK {
			t.Fatalf("right answer %d was refused as %q", i, r.Reason)
		}
		if s.Reusable != (r.Once == "") {
			t.Fatalf("once-key %q, and reusable is %t", r.Once, s.Reusable)
		}
		if r.Once != "" && once[r.Once] {
			t.Fatalf("the once-key %q served two different answers", r.Once)
		}
		once[r.Once] = true
		if last := i == s.Uses; last != r.Exhausted {
			t.Fatalf("exhausted is %t after %d of %d uses", r.Exhausted, i, s.Uses)
		}
	}
}

func twice(t *testing.T, s Subject, g guard) {
	if g == stateAlone && s.Unmoved {
		return // its memo and its once-key are what is promised
	}
	desk := s.open(t, s.New(t), ada, g)
	now := s.after(1)
	memo, answer := desk.ask(t, now)
	kept := desk.read()
	if r := desk.answer(t, memo, answer, now); !r.OK {
		t.Fatalf("the right answer was refused as %q", r.Reason)
	}
	if g == onceAlone { // as if another node had written an older state over the new one
		desk.credential = kept
	}
	if r := desk.answer(t, memo, answer, now); r.OK != s.Reusable || r.Partial {
		t.Fatalf("the same answer again: ok is %t, partial is %t", r.OK, r.Partial)
	}
}

// atOnce lets 64 read the same state, check the same answer in parallel, and
// settle one after the other: the worst race there can be.
func atOnce(t *testing.T, s Subject, g guard) {
	if g == stateAlone && s.Unmoved {
		return
	}
	const crowd = 64
	desk := s.open(t, s.New(t), ada, g)
	now := s.after(1)
	memo, answer := desk.ask(t, now)
	credentials := []authenticator.Credential{desk.read()}
	results := make([]authenticator.Result, crowd)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = check(t, desk.how, credentials, memo, answer, now) })
	}
	all.Wait()
	granted := 0
	for _, r := range results {
		if desk.settle(r, 0).OK {
			granted++
		}
	}
	want := 1
	if s.Reusable {
		want = crowd
	}
	if granted != want {
		t.Fatalf("%d of %d were granted, want %d", granted, crowd, want)
	}
}

func inARow(t *testing.T, s Subject) {
	if s.NextCode == 0 {
		return
	}
	for _, g := range []guard{bothGuards, onceAlone, stateAlone} {
		desk := s.open(t, s.New(t), ada, g)
		desk.credential.Failures = s.NextCode
		memo, first := desk.ask(t, s.after(1))
		if r := desk.answer(t, memo, first, s.after(1)); !r.Partial || r.Once == "" || r.Next == nil {
			t.Fatalf("guard %d: the first of two: partial is %t, reason %q", g, r.Partial, r.Reason)
		}
		if r := desk.answer(t, memo, first, s.after(1)); r.OK || r.Partial {
			t.Fatalf("guard %d: the first one again served as the second or as a first", g)
		}
		memo, second := desk.ask(t, s.after(2))
		if r := desk.answer(t, memo, second, s.after(2)); !r.OK {
			t.Fatalf("guard %d: the second of two was refused as %q", g, r.Reason)
		}
		if r := desk.answer(t, memo, second, s.after(2)); r.OK || r.Partial {
			t.Fatalf("guard %d: the second one was taken twice", g)
		}
	}
}

func nearMiss(t *testing.T, s Subject) {
	desk := s.open(t, s.New(t), ada, bothGuards)
	memo, answer := desk.ask(t, s.after(1))
	for i, wrong := range s.Wrong(t, answer) {
		if r := desk.answer(t, memo, wrong, s.after(1)); r.OK || r.Partial {
			t.Errorf("near miss %d was accepted", i)
		}
	}
	if r := desk.answer(t, memo, answer, s.after(1)); !r.OK {
		t.Errorf("after the near misses the right answer was refused as %q", r.Reason)
	}
}

func stale(t *testing.T, s Subject) {
	if s.Stale == 0 {
		return
	}
	desk := s.open(t, s.New(t), ada, bothGuards)
	now := s.after(1)
	memo, answer := desk.ask(t, now)
	if r := desk.answer(t, memo, answer, now.Add(s.Stale)); r.OK || r.Partial {
		t.Errorf("accepted %s later", s.Stale)
	}
	if r := desk.answer(t, memo, answer, now.Add(-s.Stale)); r.OK || r.Partial {
		t.Errorf("accepted with the clock set back by %s", s.Stale)
	}
	if r := desk.answer(t, memo, answer, now); !r.OK {
		t.Errorf("refused in time as %q", r.Reason)
	}
}

func anothers(t *testing.T, s Subject) {
	how := s.New(t)
	hers, other := s.open(t, how, ada, bothGuards), s.open(t, how, eve, bothGuards)
	now := s.after(1)
	memo, answer := hers.ask(t, now)
	otherMemo, otherAnswer := other.ask(t, now)
	refused := func(what string, d *desk, memo authenticator.Memo, answer prompt.Answer) {
		t.Helper()
		if r := d.answer(t, memo, answer, now); r.OK || r.Partial {
			t.Errorf("accepted: %s", what)
		}
	}
	refused("another account's answer", hers, memo, otherAnswer)
	refused("another account's answer with its memo", hers, otherMemo, otherAnswer)
	refused("one's own answer for another account", other, otherMemo, answer)
	refused("one's own answer and memo for another account", other, memo, answer)
	if memo != nil {
		refused("one's own answer with another account's memo", hers, otherMemo, answer)
		refused("one's own answer without its memo", hers, nil, answer)
	}
	if r := hers.answer(t, memo, answer, now); !r.OK {
		t.Errorf("then one's own was refused as %q", r.Reason)
	}
	if r := other.answer(t, otherMemo, otherAnswer, now); !r.OK {
		t.Errorf("then the other one's own was refused as %q", r.Reason)
	}
}

func noCredentials(t *testing.T, s Subject) {
	how := s.New(t)
	desk := s.open(t, how, ada, bothGuards)
	now := s.after(1)
	_, decoyMemo, err := how.Ask(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	memo, answer := desk.ask(t, now)
	for _, m := range []authenticator.Memo{memo, decoyMemo, nil} {
		for _, none := range [][]authenticator.Credential{nil, {}} {
			if r := check(t, how, none, m, answer, now); r.OK || r.Partial {
				t.Error("accepted for nobody")
			}
		}
	}
}

func hostileAnswers(t *testing.T, s Subject) {
	how := s.New(t)
	desk := s.open(t, how, ada, bothGuards)
	memo, right := desk.ask(t, s.after(1))
	for name, answer := range hostile(how.Describe().Kind) {
		r := desk.answer(t, memo, answer, s.after(1))
		nobody := check(t, how, nil, memo, answer, s.after(1))
		if r.OK || r.Partial || nobody.OK || nobody.Partial {
			t.Errorf("%s was accepted", name)
		}
		if text := fmt.Sprintf("%v %+v", answer, answer); len(answer.Text) > 2 && text != fmt.Sprintf("%[1]v %[1]v", answer) {
			t.Errorf("%s shows in a formatted answer", name)
		}
	}
	if r := desk.answer(t, memo, right, s.after(1)); !r.OK {
		t.Errorf("after the hostile answers the right one was refused as %q", r.Reason)
	}
}

func hostileMemos(t *testing.T, s Subject) {
	desk := s.open(t, s.New(t), ada, bothGuards)
	memo, answer := desk.ask(t, s.after(1))
	if memo == nil {
		return // a memo that was not asked for is not looked at
	}
	for name, m := range hostileMemo() {
		if r := desk.answer(t, m, answer, s.after(1)); r.OK || r.Partial {
			t.Errorf("accepted with a memo that is %s", name)
		}
	}
}

// brokenState hands in rows that no release wrote. Either a breakdown or a
// refusal will do; a yes or a panic will not.
func brokenState(t *testing.T, s Subject) {
	how := s.New(t)
	desk := s.open(t, how, ada, bothGuards)
	memo, answer := desk.ask(t, s.after(1))
	good := desk.read()
	states := [][]byte{nil, {}, []byte("null"), []byte("{}"), []byte("[]"), []byte(`{"v":0}`), []byte(`{"v":1}`), []byte(`{"v":99}`), {0}, {0xff, 0xfe}}
	for cut := 1; cut < len(good.State); cut += 1 + len(good.State)/50 {
		states = append(states, good.State[:cut])
	}
	for _, state := range states {
		c := clone(good)
		c.State = slices.Clone(state)
		if r, err := tryCheck(t, how, []authenticator.Credential{c}, memo, answer, s.after(1)); err == nil && (r.OK || r.Partial) {
			t.Errorf("accepted over a broken state of %d bytes", len(state))
		}
		// Asking may break down as well, but not panic.
		_, _, _ = how.Ask([]authenticator.Credential{c}, s.after(1))
	}
}

func enrollment(t *testing.T, s Subject) {
	how := s.New(t)
	enroller, ok := how.(authenticator.Enroller)
	if !ok {
		return
	}
	offer, memo, err := enroller.Offer(ada, s.Start)
	if err != nil {
		t.Fatal(err)
	}
	if offer.Authenticator != how.Describe().Kind || offer.Label == "" {
		t.Errorf("the offer lacks something: label %q, authenticator %q", offer.Label, offer.Authenticator)
	}
	refused := func(what string, p authenticator.Person, memo authenticator.Memo, answer prompt.Answer) {
		t.Helper()
		_, err := enroller.Accept(t.Context(), p, memo, answer, s.Start)
		var r *authenticator.Refused
		switch {
		case err == nil:
			t.Errorf("enrolled with %s", what)
		case !errors.As(err, &r):
			t.Errorf("%s is a breakdown: %v", what, err)
		case r.Reason == "" || r.Public == "":
			t.Errorf("%s is refused without a reason or a sentence", what)
		}
		if err != nil {
			silent(t, "a refusal", fmt.Sprintf("%v %+v", err, err), answer)
		}
	}
	for name, answer := range hostile(how.Describe().Kind) {
		refused(name, ada, memo, answer)
	}
	right := s.Confirm(t, offer, s.Start)
	if memo != nil {
		refused("another person's offer", eve, memo, right)
		for name, m := range hostileMemo() {
			refused("a memo that is "+name, ada, m, right)
		}
	}
	e, err := enroller.Accept(t.Context(), ada, memo, right, s.Start)
	if err != nil {
		t.Fatalf("the right answer did not enroll: %v", err)
	}
	if len(e.State) == 0 || e.Label == "" || e.Traits == 0 || !how.Describe().Traits.Has(e.Traits) {
		t.Errorf("what was enrolled lacks something: label %q, traits %s", e.Label, e.Traits)
	}
	if again, memo2, err := enroller.Offer(ada, s.Start); err != nil || memo != nil && reflect.DeepEqual(memo, memo2) {
		t.Errorf("a second offer to %s is the first one again (error %v)", again.Authenticator, err)
	}
}
