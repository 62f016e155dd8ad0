package host

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"countersign/internal/drill"
)

// desk hands out a list of three codes, and keeps what it was asked.
type desk struct{ asked []string }

func (d *desk) Do(_ context.Context, action string, _, out any) error {
	d.asked = append(d.asked, action)
	if out == nil || action != "offline.issue" {
		return nil
	}
	return json.Unmarshal([]byte(`{"line":"the line","list":[{"number":1,"code":"1111 1111"},{"number":2,"code":"2222 2222"},{"number":3,"code":"3333 3333"}]}`), out)
}

func (d *desk) times(action string) int {
	n := 0
	for _, a := range d.asked {
		if a == action {
			n++
		}
	}
	return n
}

// machineOf is a host with one local account, whose guard can be taken out.
type machineOf struct {
	mu                sync.Mutex
	unguarded, closed bool // closed lets nobody in
	away              bool
	local             string
	used              []string
	logins            int
}

func (m *machineOf) Join(_, password, line string) (func(), error) {
	if line != "the line" {
		return nil, context.Canceled
	}
	m.local = password
	return func() { m.local = "" }, nil
}

func (m *machineOf) Unplug() (func(), error) {
	m.away = true
	return func() { m.away = false }, nil
}

func (m *machineOf) File() (string, error) { return "the line, used", nil }

func (m *machineOf) Login(_ context.Context, _ string, lines ...string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logins++
	switch {
	case m.closed:
		return false, nil
	case m.away && lines[0] == m.local && m.unguarded:
		return true, nil
	case m.away:
		good := lines[0] == m.local && lines[1] == "22222222" && !slices.Contains(m.used, lines[1])
		if good {
			m.used = append(m.used, lines[1])
		}
		return good, nil
	}
	return lines[0] == "the password" && len(lines[1]) == 6, nil
}

// playAt plays the row's move on a host, as often as there are arms, and ends the play by
// running the row.
func playAt(t *testing.T, m *machineOf, d *desk) drill.Result {
	t.Helper()
	c := Component("login", m)
	portal := drill.Component{Kind: drill.Portal, Name: "the portal", Enroll: func(_ context.Context, _ *drill.Play, c *drill.Canary) error {
		c.Password = "the password"
		return nil
	}}
	stage := drill.Stage{Components: []drill.Component{portal, c}}
	results, err := drill.Run(t.Context(), drill.Plan{Stage: stage, Admin: d, Bed: bed{}, Rows: []string{"T1078.003"}})
	if err != nil || len(results) != 1 {
		t.Fatal(results, err)
	}
	return results[0]
}

// bed has no unguarded stage: its control arm cannot be set up.
type bed struct{ drill.Bed }

func (bed) Unguarded() (drill.Stage, drill.Administrator) { return drill.Stage{}, nil }
func (bed) Trick(context.Context, string) (func(), error) { return func() {}, nil }

// A host that asks for the paper is shut to everybody else, with the network there and
// away; its list is issued once for both arms, handed in, and revoked when all is over.
func TestGuardedHost(t *testing.T) {
	m, d := &machineOf{}, &desk{}
	r := playAt(t, m, d)
	if r.Blocked.State != drill.Passed || len(r.Tries) != 9 || r.Closed.State != drill.Passed {
		t.Errorf("%+v %+v %+v", r.Blocked, r.Closed, r.Tries)
	}
	if m.logins != 9+2+4 {
		t.Errorf("%d log-ins: nine tries, the owner twice, and four while Countersign is stopped", m.logins)
	}
	if d.times("offline.issue") != 1 || d.times("offline.reconcile") != 2 || d.times("offline.revoke") != 1 {
		t.Errorf("%q", d.asked)
	}
	if last := slices.Index(d.asked, "account.remove"); last < slices.Index(d.asked, "offline.revoke") {
		t.Errorf("the account is removed before its list: %q", d.asked)
	}
	if m.local != "" || m.away {
		t.Error("the host is left as the attack had it")
	}
}

// A host without the guard is open, and one that lets nobody in shows nothing.
func TestOpenAndClosedHosts(t *testing.T) {
	if r := playAt(t, &machineOf{unguarded: true}, &desk{}); r.Blocked.State != drill.Failed || r.Closed.State != drill.Failed || !strings.Contains(r.Closed.Detail, "the local password") {
		t.Errorf("%+v %+v", r.Blocked, r.Closed)
	}
	d := &desk{}
	if r := playAt(t, &machineOf{closed: true}, d); r.Blocked.State != drill.Failed || !strings.Contains(r.Blocked.Detail, "the owner is not let in") {
		t.Errorf("%+v", r.Blocked)
	}
	if d.times("offline.revoke") != 1 {
		t.Errorf("the list is left over: %q", d.asked)
	}
}
