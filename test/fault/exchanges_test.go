package fault

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// waits are the times that a server waited for its database.
type waits struct {
	mu  sync.Mutex
	all []wait
}

// wait is one of them: on which connection, and for what was sent together.
type wait struct {
	conn     int64
	together []string
}

// background are in the statements that a server runs by itself.
var background = []string{"from audit_inbox", "audit_entry", "audit_tree", "audit_checkpoint", "from feed", "pg_", "set seen", "alarm"}

// during returns the waits while something is done, without those of a server by itself.
func (w *waits) during(h *servertest.House, do func()) []wait {
	w.all = nil
	h.Waits(func(conn int64, together []string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = append(w.all, wait{conn, together})
	})
	do()
	h.Waits(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(w.all, func(one wait) bool {
		return len(one.together) == 1 && (one.together[0] == "begin" || one.together[0] == "commit") || // of the sequencer
			slices.ContainsFunc(one.together, func(query string) bool {
				return slices.ContainsFunc(background, func(b string) bool { return strings.Contains(query, b) })
			})
	})
}

// told is for people.
func told(all []wait) string {
	var b strings.Builder
	for _, one := range all {
		b.WriteString("\nconnection " + strconv.FormatInt(one.conn, 10))
		for _, query := range one.together {
			b.WriteString("\n    " + strings.Join(strings.Fields(query), " "))
		}
	}
	return b.String()
}

// inTransactions are the waits of each transaction.
func inTransactions(all []wait) (out [][]wait) {
	open := map[int64][]wait{}
	for _, one := range all {
		if strings.HasPrefix(one.together[0], "begin") {
			open[one.conn] = []wait{}
		}
		if open[one.conn] == nil {
			continue // it only reads
		}
		open[one.conn] = append(open[one.conn], one)
		if one.together[len(one.together)-1] == "commit" {
			out = append(out, open[one.conn])
			delete(open, one.conn)
		}
	}
	return out
}

// vouched plants equipment that checks passwords itself and asks for a code alone.
func vouched(h *servertest.House) {
	h.T.Helper()
	settings, err := json.Marshal(map[string]any{"mode": "code-only", "clients": []any{map[string]any{"name": "nas", "networks": []string{"127.0.0.0/8"}, "secret": servertest.DrillSecret}}})
	if err != nil {
		h.T.Fatal(err)
	}
	err = h.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := h.Catalogue.Set(context.Background(), tx, application.Application{Name: "gateway", Kind: "vpn", Tier: application.Standard, Protocol: "radius", Vouches: application.VouchesPassword, Settings: settings}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.application", Outcome: audit.OK})
	})
	if err != nil {
		h.T.Fatal(err)
	}
}

// A sign-in by code waits for PostgreSQL twice: for what it reads, and for its commit with all
// that it writes. So does each transaction of a sign-in by password and code on the pages. This
// counts, and measures no time.
func TestExchangesOfASignIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, storetest.Postgres(t))
	vouched(h)
	byCode := func() {
		t.Helper()
		h.Later(time.Minute)
		s, err := h.Engine.Begin(context.Background(), signin.Request{Application: "gateway", Name: "ada", Protocol: "radius", Medium: prompt.Single,
			CodeAlone: true, Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: h.Ada.Code()}}, Partner: "nas"})
		if err != nil || s.State != signin.Granted {
			t.Fatalf("%v, %v", s, err)
		}
	}
	byCode() // and the policy and the applications are in memory
	var w waits
	if got := w.during(h, byCode); len(got) != 2 {
		t.Errorf("a sign-in by code waited %d times; want 2:%s", len(got), told(got))
	}
	h.Later(time.Minute)
	p := h.Person()
	p.Comes("ada", h.Ada.Secret)
	h.Later(time.Minute)
	p = h.Person()
	all := inTransactions(w.during(h, func() { p.Comes("ada", h.Ada.Secret) }))
	if len(all) != 5 { // the guess, the password, the code, the claim, the session
		t.Errorf("a sign-in by password and code has %d transactions; want 5", len(all))
	}
	for _, one := range all {
		if len(one) > 2 {
			t.Errorf("a transaction of a sign-in by password and code waited %d times; want at most 2:%s", len(one), told(one))
		}
	}
}
