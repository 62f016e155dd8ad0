package authenticatortest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/prompt"
)

// guard is what stands against a replay.
type guard int

const (
	bothGuards guard = iota
	onceAlone        // once-keys are unique; anybody may overwrite the state
	stateAlone       // a state is written over the one that was read; nobody counts once-keys
)

// desk does the engine's duties for one credential.
type desk struct {
	how    authenticator.Authenticator
	device Answerer
	guard  guard

	mu         sync.Mutex
	credential authenticator.Credential
	version    int
	spent      map[string]bool
	retired    bool
}

var (
	ada = authenticator.Person{Account: 7, UserHandle: []byte("the user handle of ada, 32 bytes"), Name: "ada", Display: "Ada Lovelace"}
	eve = authenticator.Person{Account: 8, UserHandle: []byte("the user handle of eve, 32 bytes"), Name: "eve", Display: "Eve Adversary"}
)

// open enrolls a person and opens a desk for the new credential.
func (s Subject) open(t testing.TB, how authenticator.Authenticator, p authenticator.Person, g guard) *desk {
	t.Helper()
	e, device := s.Enroll(t, how, p, s.Start)
	d := how.Describe()
	if !d.Traits.Has(e.Traits) {
		t.Fatalf("enrolled with the traits %s, of which %s were never described", e.Traits, e.Traits&^d.Traits)
	}
	if len(e.State) == 0 {
		t.Fatal("enrolled with an empty state")
	}
	spent := map[string]bool{}
	if e.Once != "" {
		spent[e.Once] = true
	}
	return &desk{
		how: how, device: device, guard: g, spent: spent,
		credential: authenticator.Credential{
			ID: assurance.CredentialID(p.Account) * 11, Account: p.Account, Kind: d.Kind,
			Label: e.Label, State: e.State, Handle: e.Handle, Created: s.Start,
		},
	}
}

// after is when the n-th right answer of a device can be given.
func (s Subject) after(n int) time.Time { return s.Start.Add(time.Duration(n) * s.Pause) }

// uses is how many of n right answers the subject really has.
func (s Subject) uses(n int) int {
	if s.Uses > 0 && s.Uses < n {
		return s.Uses
	}
	return n
}

// ask poses the question and lets the device answer it.
func (d *desk) ask(t testing.TB, now time.Time) (authenticator.Memo, prompt.Answer) {
	t.Helper()
	question, memo, err := d.how.Ask([]authenticator.Credential{d.read()}, now)
	if err != nil {
		t.Fatalf("asking: %v", err)
	}
	return memo, d.device(t, question, now)
}

func (d *desk) read() authenticator.Credential {
	d.mu.Lock()
	defer d.mu.Unlock()
	return clone(d.credential)
}

// answer reads, checks and settles.
func (d *desk) answer(t testing.TB, memo authenticator.Memo, answer prompt.Answer, now time.Time) authenticator.Result {
	t.Helper()
	d.mu.Lock()
	version := d.version
	d.mu.Unlock()
	r := check(t, d.how, []authenticator.Credential{d.read()}, memo, answer, now)
	return d.settle(r, version)
}

// settle keeps a result, or turns it into a refusal as the guard demands.
func (d *desk) settle(r authenticator.Result, version int) authenticator.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !r.OK && !r.Partial && !r.Used:
		return r
	case d.retired:
		return authenticator.Wrong("retired")
	case d.guard != onceAlone && r.Next != nil && version != d.version:
		return authenticator.Wrong("conflict")
	case d.guard != stateAlone && r.Once != "" && d.spent[r.Once]:
		return authenticator.Wrong("replayed")
	}
	if r.Once != "" {
		d.spent[r.Once] = true
	}
	if r.Next != nil {
		d.credential.State = slices.Clone(r.Next)
		d.version++
	}
	// Retirement is a guard of its own, so it is left out where one stands alone.
	d.retired = d.retired || r.Exhausted && d.guard == bothGuards
	return r
}

// check calls Check and holds the Result to the contract: nothing that was
// handed in is changed, and a Result is one thing and not two.
func check(t testing.TB, how authenticator.Authenticator, credentials []authenticator.Credential, memo authenticator.Memo, answer prompt.Answer, now time.Time) authenticator.Result {
	t.Helper()
	r, err := tryCheck(t, how, credentials, memo, answer, now)
	if err != nil {
		t.Errorf("a breakdown where a refusal was due: %v", err)
		return authenticator.Wrong("breakdown")
	}
	return r
}

func tryCheck(t testing.TB, how authenticator.Authenticator, credentials []authenticator.Credential, memo authenticator.Memo, answer prompt.Answer, now time.Time) (authenticator.Result, error) {
	t.Helper()
	before, memoBefore, dataBefore := make([]authenticator.Credential, len(credentials)), bytes.Clone(memo), bytes.Clone(answer.Data)
	for i, c := range credentials {
		before[i] = clone(c)
	}
	r, err := how.Check(t.Context(), credentials, memo, answer, now)
	if len(credentials) > 0 && !reflect.DeepEqual(before, credentials) {
		t.Error("Check changed the credentials that it was given")
	}
	if !bytes.Equal(memoBefore, memo) || !bytes.Equal(dataBefore, answer.Data) {
		t.Error("Check changed the memo or the answer that it was given")
	}
	if err != nil {
		if r.OK || r.Partial {
			t.Error("Check broke down and accepted at once")
		}
		silent(t, "an error", err.Error(), answer)
		return r, err
	}
	consistent(t, how.Describe(), r, credentials)
	silent(t, "a result", fmt.Sprintf("%s %s %s %s %s", r.Once, r.Reason, r.Detail, r.Bound, r.Traits), answer)
	return r, nil
}

// consistent holds a Result to the words of its fields.
func consistent(t testing.TB, d authenticator.Description, r authenticator.Result, credentials []authenticator.Credential) {
	t.Helper()
	accepted := r.OK || r.Partial
	switch {
	case r.OK && r.Partial:
		t.Error("a Result is both OK and Partial")
	case r.OK && r.Traits == 0:
		t.Error("an accepted answer showed nothing")
	case !r.OK && r.Traits != 0:
		t.Errorf("an answer that was not accepted showed %s", r.Traits)
	case !d.Traits.Has(r.Traits):
		t.Errorf("showed %s, of which %s was never described", r.Traits, r.Traits&^d.Traits)
	case accepted && !slices.ContainsFunc(credentials, func(c authenticator.Credential) bool { return c.ID == r.Credential }):
		t.Error("accepted for a credential that was not handed in")
	case !accepted && !r.Used && (r.Next != nil || r.Once != "" || r.Exhausted || !r.Until.IsZero()):
		t.Error("a refusal wants something to be kept")
	case r.Used && (accepted || r.Next == nil || r.Once == ""):
		t.Error("an answer is used up and accepted, or used up and nothing keeps it from coming again")
	case !accepted && r.Reason == "":
		t.Error("a refusal without a reason")
	case r.Next != nil && len(r.Next) == 0:
		t.Error("an empty next state")
	}
}

// silent fails if what was typed shows. Short texts occur by chance.
func silent(t testing.TB, where, text string, answer prompt.Answer) {
	t.Helper()
	if len(answer.Text) >= 6 && strings.Contains(text, answer.Text) {
		t.Errorf("%s tells what was typed", where)
	}
	if len(answer.Data) >= 16 && strings.Contains(text, string(answer.Data)) {
		t.Errorf("%s tells what was answered", where)
	}
}

func clone(c authenticator.Credential) authenticator.Credential {
	c.State = bytes.Clone(c.State)
	return c
}
