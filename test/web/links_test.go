package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/recovery"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/ticket"
)

// The promise: no link that is sent or shown to anybody does anything when it is opened,
// with the secret that is in it and in whatever browser: programs that read mail open
// links, too. Each does its work by the press on the page that it leads to.
func TestNoLinkActsWhenItIsOpened(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	eve, err := s.Accounts.Find(ctx, s.DB, "eve")
	must(err)
	issue := func(kind string, payload []byte) string {
		code, err := s.Tickets.Issue(ctx, ticket.Spec{Kind: kind, Owner: int64(eve.ID), Payload: payload, Lifetime: time.Hour})
		must(err)
		return code
	}
	pass, err := s.Setup.Plant(ctx, "newcomer", "")
	must(err)
	_, number, err := s.Recoveries.Requests.Begin(ctx, "eve", netip.MustParseAddr("192.0.2.1"))
	must(err)
	var opened recovery.Case
	must(s.DB.Change(ctx, audit.System("test"), func(tx *store.Tx) error {
		ada, err := s.Accounts.Find(ctx, tx, "ada")
		if err != nil {
			return err
		}
		opened, err = s.Recoveries.Openings.OpenTx(ctx, tx, ada, recovery.Opening{Account: eve, Number: number.Number, Check: "video", Note: "x"})
		tx.Record(audit.Entry{Event: "test.opened", Outcome: audit.OK})
		return err
	}))
	desk := &servertest.Terminal{W: s.World}
	desk.Answers(apiName("ada"), [2]string{"password", servertest.Passphrase}, [2]string{"totp", s.adas.Code()})
	page := page(desk, "account.suspend", `{"name":"eve","reason":"left"}`)
	links := map[string]string{
		"a pass":            strings.TrimPrefix(pass.Link, s.Base),
		"a mail of guesses": "/sign-in/open?code=" + url.QueryEscape(issue("sign-in.open", nil)),
		"a stop":            "/recovery/stop?code=" + url.QueryEscape(issue("recovery-stop", strconv.AppendInt(nil, opened.ID, 10))),
		"an approval":       strings.TrimPrefix(page, s.Base),
	}
	for what, link := range links {
		s.unchanged(what, func() {
			for _, p := range []*servertest.Person{s.stranger, s.eve, s.ada} {
				for range 2 {
					asks(p, http.MethodGet, link, nil)
					asks(p, http.MethodHead, link, nil)
					asks(p, http.MethodGet, link+"&"+encoded("refuse", "yes", "action", signin.Approve, "text", "x", "pass", "x"), nil, "Sec-Fetch-Site", "cross-site")
				}
				if what != "an approval" && p.Status != http.StatusOK {
					t.Errorf("%s leads to %d", what, p.Status)
				}
			}
		})
	}
	p := s.Person()
	for what, sees := range map[string]string{"a pass": "newcomer", "a mail of guesses": "Is this browser yours?", "a stop": "Stop"} {
		p.Get(links[what])
		p.Sees(sees)
	}
	for what, path := range map[string]string{"a mail of guesses": "/sign-in/open", "a stop": "/recovery/stop"} {
		p.Get(links[what])
		_, code, _ := strings.Cut(links[what], "code=")
		code, _ = url.QueryUnescape(code)
		if p.Post(path, "code", code); p.Status != http.StatusOK {
			t.Errorf("the press of %s is answered %d", what, p.Status)
		}
	}
	if s.Events("browser.known") != 1 || s.Events("alarm.recovery-not-mine") != 1 {
		t.Error("what was pressed was not done")
	}
}
