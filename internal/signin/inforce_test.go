package signin

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/directory"
	"countersign/internal/policy"
	"countersign/internal/store"
)

// mentioned is what a document may mention, as an installation has them at the moment.
type mentioned struct {
	policy.Known
	read int   // how often they were read
	fail error // what reading them comes to, where it is set
}

// withNames is a rig whose policy's names change, and whose log is kept.
func withNames(t *testing.T, document string) (*rig, *mentioned) {
	t.Helper()
	r := newRig(t, document)
	n := &mentioned{Known: vocabulary(r.order)}
	r.Rules.known = func(context.Context, store.Reader) (policy.Known, error) {
		n.read++
		return n.Known, n.fail
	}
	r.Rules.log = slog.New(slog.NewTextHandler(r.log, nil))
	return r, n
}

// announces has some server say that something changed.
func (r *rig) announces(topic string) {
	r.t.Helper()
	r.change(func(tx *store.Tx) error { tx.Announce(topic); return nil })
}

// lets reports whether policy lets anybody at all in to the wiki with nothing shown yet,
// or why not.
func (r *rig) lets() string {
	r.t.Helper()
	p, err := r.Rules.Current(r.t.Context())
	if err != nil {
		return "broken: " + err.Error()
	}
	m := (&table{setting: *r.judge.setting, strict: p}).matterOf()
	why, no := p.Decide(m.facts(m.account, false)).Requirement.Denied()
	if !no {
		return ""
	}
	return why
}

const denying = "rules:\n  - {name: all, deny: closed}\n"

// What a document mentions is looked up again when any server says that it changed, and
// not for each change of something else; what is gone is told in the log.
func TestNamesAreReadAgainWhenTheyChange(t *testing.T) {
	r, n := withNames(t, "rules:\n  - {name: all, require: one-factor}\n  - {name: the vpn, when: 'application.name == \"vpn\"', deny: closed}\n")
	all := n.Applications
	for topic, again := range map[string]bool{PolicyTopic: true, "group": true, application.Topic: true, store.Missed: true, "account/7": false, "session/x": false} {
		n.Applications = all
		r.announces(PolicyTopic)
		if why := r.lets(); why != "" {
			t.Fatalf("%s: %s", topic, why)
		}
		before := n.read
		if r.lets(); n.read != before {
			t.Errorf("read %d times while nothing changed", n.read-before)
		}
		n.Applications = []string{"wiki"}
		r.log.Reset()
		r.announces(topic)
		if why := r.lets(); why != "" || (n.read > before) != again || strings.Contains(r.log.String(), "no longer exist") != again {
			t.Errorf("after %q: %q, read %d times, and the log says %q", topic, why, n.read-before, r.log)
		}
	}
	n.Applications = all
	r.log.Reset()
	r.announces(PolicyTopic)
	if r.lets(); r.log.Len() != 0 {
		t.Errorf("nothing is gone, and the log says %q", r.log)
	}
}

// A document that cannot be believed or read leaves the last good one in force; where
// there is none nobody is let in.
func TestTheLastGoodPolicyStaysInForce(t *testing.T) {
	changed := func(r *rig) {
		r.change(func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), `update policy set author = 'eve'`)
			return err
		})
		r.announces(PolicyTopic)
	}
	for what, c := range map[string]struct {
		happens    func(r *rig)
		first, log string // what is said where there was none, and what the log says where there was one
	}{
		"it failed its integrity check (MAC)": {happens: changed, first: directory.ErrTampered.Error(), log: "the policy failed its integrity check (MAC)"},
		"it does not compile":                 {happens: func(r *rig) { r.rules("rules: [{name: a, when: 'account.groups', require: two-factors}]") }, first: "line 1", log: "the policy no longer compiles"},
	} {
		r, _ := withNames(t, anyFactor)
		c.happens(r)
		if why := r.lets(); !strings.HasPrefix(why, "broken: ") || !strings.Contains(why, c.first) {
			t.Errorf("%s, and it is the first: %q", what, why)
		}
		if s, err := r.Begin(t.Context(), browses("wiki", "ada", typed("password", secret))); err == nil && s.State == Granted {
			t.Errorf("%s, and it is the first: let in", what)
		}
		r, _ = withNames(t, denying)
		if why := r.lets(); why != "closed" {
			t.Fatalf("%q", why)
		}
		r.log.Reset()
		c.happens(r)
		for range 2 {
			if why := r.lets(); why != "closed" || !strings.Contains(r.log.String(), c.log) {
				t.Errorf("%s: %q, and the log says %q", what, why, r.log)
			}
		}
		r.rules(anyFactor)
		if why := r.lets(); why != "" {
			t.Errorf("%s, and then there is a good one: %q", what, why)
		}
	}
}

// Without any document, and while its names cannot be read, nothing is decided.
func TestWithoutAPolicy(t *testing.T) {
	r, n := withNames(t, anyFactor)
	n.fail = errors.New("the names are gone")
	if why := r.lets(); why != "broken: the names are gone" {
		t.Errorf("names that cannot be read: %q", why)
	}
	n.fail = nil
	r.change(func(tx *store.Tx) error { _, err := tx.Exec(t.Context(), `delete from policy`); return err })
	if _, err := r.Rules.Current(t.Context()); !errors.Is(err, errPolicyGone) {
		t.Errorf("no document any more: %v", err)
	}
	if _, err := r.Rules.Version(t.Context(), r.DB, 1); !errors.Is(err, ErrNoPolicy) {
		t.Errorf("a version that there is not: %v", err)
	}
	r.rules(anyFactor)
	over, stop := context.WithCancel(t.Context())
	stop()
	if _, err := r.Rules.Current(over); !errors.Is(err, context.Canceled) {
		t.Errorf("read for nobody: %v", err)
	}
	if all, err := r.Rules.Versions(over, r.DB, 0, 10); !errors.Is(err, context.Canceled) || all != nil {
		t.Errorf("and all of them: %v, %v", all, err)
	}
}

// A server whose database is gone decides by nothing that it remembers.
func TestAPolicyIsNotRememberedWithoutADatabase(t *testing.T) {
	r, _ := withNames(t, anyFactor)
	if why := r.lets(); why != "" {
		t.Fatalf("%q", why)
	}
	r.DB.Close()
	if why := r.lets(); !strings.HasPrefix(why, "broken: ") {
		t.Errorf("%q", why)
	}
}

// Of those who come at once after a change one compiles the document, and all decide by it.
func TestAChangedPolicyIsCompiledOnce(t *testing.T) {
	r, n := withNames(t, anyFactor)
	if why := r.lets(); why != "" {
		t.Fatalf("%q", why)
	}
	before := n.read
	r.rules(denying)
	r.Rules.compile.Lock()
	said := make(chan string)
	const many = 3
	for range many {
		go func() { said <- r.lets() }()
	}
	stacks := make([]byte, 1<<20)
	for end := time.Now().Add(time.Minute); strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "signin.(*Rules).Current(") < many; runtime.Gosched() {
		if time.Now().After(end) {
			t.Error("they do not come")
			break
		}
	}
	r.Rules.compile.Unlock()
	for range many {
		if why := <-said; why != "closed" {
			t.Errorf("decided %q", why)
		}
	}
	if n.read != before+1 {
		t.Errorf("compiled %d times", n.read-before)
	}
}
