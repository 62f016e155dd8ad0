package upstream

import (
	"context"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// goingOn is where the page leads that sends a browser to another organisation.
var goingOn = regexp.MustCompile(`<a class="button" href="([^"]+)" rel="noreferrer">Go on</a>`)

// office is a world with ada, who has a password and an app, and somebody who administers.
func office(t testing.TB) (*servertest.World, *servertest.Person, *servertest.Clerk) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	mailOf(w, "ada", "ada@partner.example")
	return w, ada, servertest.OfficeOf(w, "root")[0]
}

// mailOf gives somebody a mail address that we verified.
func mailOf(w *servertest.World, name, mail string) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		a, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := w.Accounts.AddMail(ctx, tx, a.ID, mail); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.mail", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// register registers an identity provider as an administrator does.
func register(desk *servertest.Clerk, name string, settings map[string]any) {
	desk.W.T.Helper()
	if err := set(desk, name, 0, settings); err != nil {
		desk.W.T.Fatal(err)
	}
}

func set(desk *servertest.Clerk, name string, base int64, settings map[string]any) error {
	raw, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	return desk.Do(context.Background(), "upstream.set", map[string]any{"name": name, "base": base, "settings": json.RawMessage(raw)}, nil)
}

func link(desk *servertest.Clerk, account, subject string) error {
	return desk.Do(context.Background(), "upstream.link", map[string]any{"name": "partner", "account": account, "subject": subject}, nil)
}

// visits has a browser sign in at the partner and come back.
func visits(p *servertest.Person) {
	p.W.T.Helper()
	p.Get("/sign-in")
	p.Post("/sign-in/upstream", "upstream", "partner")
	goes(p)
}

// goes follows the page that sends to the partner.
func goes(p *servertest.Person) {
	p.W.T.Helper()
	m := goingOn.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("the page leads nowhere:\n%s", p.Page)
	}
	p.Get(html.UnescapeString(m[1]))
}

// comesIn has ada sign in at the partner and show her own code.
func comesIn(p *servertest.Person, code string) {
	p.W.T.Helper()
	visits(p)
	p.Post("/sign-in", "authenticator", "totp", "text", code)
}

// in reports whether a browser is signed in.
func in(p *servertest.Person) bool {
	p.W.T.Helper()
	p.Get("/account")
	return strings.Contains(p.Page, "Where you are signed in")
}

// links are the account's links, in every state.
func links(w *servertest.World, name string) (out []directory.Credential) {
	w.T.Helper()
	for _, c := range servertest.AuthenticatorsOf(w, name) {
		if c.Kind == "upstream" {
			out = append(out, c)
		}
	}
	return out
}

// lastRefused is the last entry of an answer that was refused.
func lastRefused(w *servertest.World) audit.Entry {
	w.T.Helper()
	all, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: "answer.refused", Newest: true, Limit: 1})
	if err != nil {
		w.T.Fatal(err)
	}
	if len(all) == 0 {
		return audit.Entry{}
	}
	return all[0]
}
