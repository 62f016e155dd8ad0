package partner

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/pass"
	"countersign/internal/application"
	"countersign/internal/audit"
	delegated "countersign/internal/partner"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/virtualauth"
)

const (
	clientID     = "countersign-of-ours"
	clientSecret = "a-secret-of-the-partners"
)

var (
	goingOn = regexp.MustCompile(`<a class="button" href="([^"]+)" rel="noreferrer">Go on</a>`)
	resumes = regexp.MustCompile(`href="(http[^"]*/oidc/authorize\?resume=[^"]*)"`)
)

// house is our Countersign with two administrators, and the partner's, at which eve.there signs in with
// two factors, and which says so. Eve has an account here.
type house struct {
	t            *testing.T
	w, other     *servertest.World
	root, second *servertest.Clerk
	there        *servertest.Person
	eve          *servertest.Person // her browser here
	visitor      *servertest.Person // the same one there
	key          *virtualauth.Key   // her passkey here
	back         string
}

// build makes the house, where a partner is registered and nothing is delegated.
func build(t *testing.T) *house {
	h := &house{t: t, w: servertest.NewWorld(t), other: servertest.NewWorld(t)}
	clerks := servertest.OfficeOf(h.w, "root", "second")
	h.root, h.second = clerks[0], clerks[1]
	h.there = h.other.EnrollCodes("eve.there")
	raw, err := json.Marshal(map[string]any{"client_id": clientID, "client_secret": clientSecret, "redirect_uris": []string{h.w.Base + "/sign-in/upstream/partner"}})
	if err != nil {
		t.Fatal(err)
	}
	err = h.other.DB.Change(t.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if _, err := h.other.Catalogue.Set(t.Context(), tx, application.Application{Name: clientID, Title: "Theirs", Kind: "wiki", Tier: application.Standard, Protocol: "oidc", Settings: raw}); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: clientID})
	})
	if err != nil {
		t.Fatal(err)
	}
	settings, _ := json.Marshal(map[string]any{"title": "Partner", "protocol": "oidc", "issuer": h.other.Base, "client_id": clientID, "client_secret": clientSecret, "inside": []string{"localhost"}, "trust": "enforce", "classes": []string{"urn:countersign:aal2"}})
	h.does(h.root, "upstream.set", map[string]any{"name": "partner", "settings": json.RawMessage(settings)}, nil)
	h.does(h.root, "partner.create", map[string]any{"name": "acme", "title": "Acme", "upstream": "partner", "contact": "+1 555 0100"}, nil)
	h.does(h.root, "account.create", map[string]any{"name": "eve"}, nil)
	h.does(h.root, "account.create", map[string]any{"name": "bob"}, nil)
	return h
}

func (h *house) does(by *servertest.Clerk, action string, in map[string]any, out any) {
	h.t.Helper()
	if err := by.Do(h.t.Context(), action, in, out); err != nil {
		h.t.Fatalf("%s: %v", action, err)
	}
}

// delegates has root ask for a delegation to eve and second approve it.
func (h *house) delegates(more map[string]any) delegated.Delegation {
	h.t.Helper()
	in := map[string]any{"partner": "acme", "account": "eve", "actions": []string{"account.list", "account.show", "account.suspend", "session.end"}, "until": "24h"}
	for k, v := range more {
		in[k] = v
	}
	var d delegated.Delegation
	h.does(h.root, "partner.delegate", in, &d)
	h.does(h.second, "partner.approve", map[string]any{"number": d.Number}, &d)
	return d
}

// settles has eve set up a passkey here, with a pass of an administrator's, and wait until it counts.
func (h *house) settles() {
	h.t.Helper()
	var p pass.Pass
	h.does(h.root, "pass.issue", map[string]any{"account": "eve"}, &p)
	h.eve = h.w.Person()
	servertest.Follows(h.eve, p.Link)
	h.key = &virtualauth.Key{}
	h.eve.Post("/account/do", "action", "authenticator.enroll", "object", "passkey")
	answer, err := h.key.Create(h.w.Base, h.eve.PasskeyOptions())
	if err != nil {
		h.t.Fatal(err)
	}
	h.eve.Post("/account/setup", "authenticator", "passkey", "data", string(answer))
	h.eve.Sees("Added: ")
	h.w.Later(25 * time.Hour)
}

// comes has eve's browser sign in with her passkey.
func (h *house) comes() {
	h.t.Helper()
	h.eve = h.w.Person()
	h.eve.Get("/sign-in")
	h.eve.UsePasskey(h.key)
}

// may is what eve's session is granted for a command.
func (h *house) may(action string, in map[string]any) (signin.Step, error) {
	h.t.Helper()
	cmd := servertest.Prepared(h.w, action, in)
	step, err := h.w.Engine.Check(h.t.Context(), signin.Request{Application: signin.Self, Action: action, Object: cmd.Object(), Session: h.eve.Held(), Protocol: "browser", Medium: prompt.Browser})
	if err != nil || step.State != signin.Granted {
		return step, err
	}
	_, err = h.w.Admin.Do(h.t.Context(), step.Grant, cmd)
	return step, err
}

// meets has two worlds go on by one clock, which goes back for neither.
func (h *house) meets() {
	ahead := max(h.w.Skew.Load(), h.other.Skew.Load())
	h.w.Skew.Store(ahead)
	h.other.Skew.Store(ahead)
}

// visits has eve's browser sign in at the partner, with its two factors, and come back.
func (h *house) visits() {
	h.t.Helper()
	h.meets()
	h.eve = h.w.Person()
	if h.visitor == nil { // both are at one host, whose cookies are one jar: the same browser is two
		h.visitor = h.other.Person()
		h.visitor.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), h.w.Base) {
				h.back = r.URL.String()
				return http.ErrUseLastResponse
			}
			return nil
		}
	}
	h.eve.Get("/sign-in")
	h.eve.Post("/sign-in/upstream", "upstream", "partner")
	m := goingOn.FindStringSubmatch(h.eve.Page)
	if m == nil {
		h.t.Fatalf("the page leads nowhere:\n%s", h.eve.Page)
	}
	h.visitor.Get(html.UnescapeString(m[1]))
	if strings.Contains(h.visitor.Page, `name="name"`) {
		h.visitor.Post("/sign-in", "name", "eve.there", "authenticator", "password", "text", servertest.Passphrase)
		h.visitor.Post("/sign-in", "authenticator", "totp", "text", h.there.Code())
	}
	if m := resumes.FindStringSubmatch(h.visitor.Page); m != nil {
		h.visitor.Get(html.UnescapeString(m[1]))
	}
	if h.back == "" {
		h.t.Fatalf("the partner sends nobody back:\n%s", h.visitor.Page)
	}
	h.eve.Get(h.back)
	h.back = ""
}

// links links eve to her person at the partner, as the log has it of a sign-in that was not linked.
func (h *house) links() {
	h.t.Helper()
	h.visits()
	all, err := h.w.DB.AuditLog().Entries(h.t.Context(), store.Filter{Event: "answer.refused", Newest: true, Limit: 1})
	if err != nil || len(all) == 0 {
		h.t.Fatal("nobody was refused", err)
	}
	subject := regexp.MustCompile(`subject ([^,]+),`).FindStringSubmatch(all[0].Detail["detail"])
	if subject == nil {
		h.t.Fatalf("%q", all[0].Detail["detail"])
	}
	h.does(h.root, "upstream.link", map[string]any{"name": "partner", "account": "eve", "subject": subject[1]}, nil)
}
