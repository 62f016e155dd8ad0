package signin

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/authenticator"
	"countersign/internal/directory"
	"countersign/internal/outbox"
	"countersign/internal/prompt"
	"countersign/internal/store"
)

// askInSession has ada's password in a session, and returns a request with it.
func askInSession(r *rig, medium prompt.Medium) Request {
	r.t.Helper()
	ada, err := r.people.Find(r.t.Context(), r.DB, "ada")
	if err != nil {
		r.t.Fatal(err)
	}
	all, err := r.credentials.All(r.t.Context(), r.DB, ada.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	r.sessions.put("hers", Held{Account: ada.ID, Number: "n1", Expires: r.Now().Add(time.Hour), Evidence: evidenceOf(all, "password", r.Now())})
	q := browses("wiki", "")
	q.Session, q.Medium = "hers", medium
	return q
}

// Behind a session, where nothing was shown yet, a code is sent on a line with the
// question, and on pages when it is asked for; looking again sends none.
func TestACodeIsSentBehindASession(t *testing.T) {
	for medium, before := range map[prompt.Medium]int{prompt.Line: 1, prompt.Browser: 0} {
		r, kind, codes := withTelephone(t)
		s := r.begin(askInSession(r, medium))
		if s.State != Ask || kindsOf(s) != kind || *codes != before || len(r.events("code.sent")) != before {
			t.Fatalf("medium %v: %+v, %d codes", medium, s, *codes)
		}
		if medium == prompt.Browser {
			s = r.reply(s, kind, "")
		}
		for range 2 {
			if s.State != Ask || *codes != 1 || s.Prompts[0].Label != "Type the code" {
				t.Fatalf("medium %v: %+v, %d codes", medium, s, *codes)
			}
			var err error
			if s, err = r.Poll(t.Context(), s.Ticket); err != nil {
				t.Fatalf("medium %v: %v", medium, err)
			}
		}
		if s = r.reply(s, kind, "100001"); s.State != Granted || len(r.events("code.sent")) != 1 {
			t.Errorf("medium %v: %v %s, %d codes", medium, s.State, s.Reason, len(r.events("code.sent")))
		}
	}
}

// On a line a look again is no reason to send another code, and nothing to write down.
func TestLookingAgainSendsNoCode(t *testing.T) {
	r, kind, codes := withTelephone(t)
	s := r.begin(Request{Application: "vpn", Name: "ada", Source: home, Protocol: "radius", Medium: prompt.Line, Opening: []prompt.Answer{typed("password", secret)}})
	entries := len(r.events(""))
	for range 3 {
		r.clock.Later(sendPause)
		next, err := r.Poll(t.Context(), s.Ticket)
		if err != nil || next.State != Ask || kindsOf(next) != kind || next.Prompts[0].Label != "Type the code" {
			t.Fatalf("%+v, %v", next, err)
		}
		s = next
	}
	if n := len(r.events("")); *codes != 1 || n != entries {
		t.Errorf("%d codes, %d more entries", *codes, n-entries)
	}
	if s = r.reply(s, kind, "100001"); s.State != Granted {
		t.Errorf("%v %s", s.State, s.Reason)
	}
}

// A telephone that is taken away before a code is asked for is not asked for any more,
// and gets none: there is another way, or there is none.
func TestACodeOfATelephoneThatIsGone(t *testing.T) {
	for _, another := range []bool{true, false} {
		r, kind, codes := withTelephone(t)
		ada, err := r.people.Find(t.Context(), r.DB, "ada")
		if err != nil {
			t.Fatal(err)
		}
		if another {
			r.withCodes(ada)
		}
		s := r.reply(r.begin(browses("wiki", "ada")), "password", secret)
		all, err := r.credentials.All(t.Context(), r.DB, ada.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			if c.Kind == kind {
				r.alter(c, func(c *directory.Credential) { c.Status = directory.CredentialRevoked })
			}
		}
		next, err := r.Answer(t.Context(), s.Ticket, Reply{Answer: typed(kind, ""), Source: home})
		if err != nil || *codes != 0 {
			t.Fatalf("another way: %t: %v, %d codes", another, err, *codes)
		}
		if !another {
			r.is("no other way", next, Denied, "nothing-enrolled")
			continue
		}
		if next.State != Ask || kindsOf(next) != "totp" {
			t.Errorf("%+v", next)
		}
		if look, err := r.Poll(t.Context(), next.Ticket); err != nil || look.State != Ask {
			t.Errorf("a look: %+v, %v", look, err)
		}
	}
}

// A code is sent by the way for which it is asked and by no other, and none that was not
// offered: whoever has shown nothing causes none.
func TestACodeOfTwoWays(t *testing.T) {
	r, kind, codes := withTelephone(t, "hotp")
	ada, err := r.people.Find(t.Context(), r.DB, "ada")
	if err != nil {
		t.Fatal(err)
	}
	r.give(ada, "hotp", authenticator.Enrolled{Traits: assurance.Held, State: []byte("x")})
	first := r.begin(browses("wiki", "ada"))
	s := r.reply(first, kind, "")
	if r.is("asked for with a name alone", s, Ask, "not-asked"); *codes != 0 || kindsOf(s) != kindsOf(first) {
		t.Errorf("%+v, %d codes", s, *codes)
	}
	said := func() (out []string) {
		for _, p := range s.Prompts {
			out = append(out, p.Authenticator+": "+p.Label+p.Hint)
		}
		slices.Sort(out)
		return out
	}
	is := func(what string, want ...string) {
		t.Helper()
		if got := said(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", what, got)
		}
	}
	s = r.reply(s, "password", secret)
	is("nothing was asked for", "hotp: Send a code", "smscode: Send a code")
	s = r.reply(s, "smscode", "")
	is("the one", "hotp: Send a code", "smscode: Type the code")
	s = r.reply(s, "hotp", "")
	is("the other, too soon", "hotp: Send a codeNo code can be sent now. Try again in a while, or use another way.", "smscode: Type the code")
	r.clock.Later(sendPause)
	s = r.reply(s, "hotp", "")
	is("the other", "hotp: Type the code", "smscode: Send a code")
	if sent := r.events("code.sent"); len(sent) != 2 || r.last("code.sent").Detail["authenticator"] != "hotp" {
		t.Errorf("the log says %+v", sent)
	}
	if s = r.reply(s, "hotp", strconv.Itoa(100000+*codes)); s.State != Granted {
		t.Errorf("%v %s", s.State, s.Reason)
	}
}

// Of two servers that look at the same moment one carries a code.
func TestTwoServersCarryACodeOnce(t *testing.T) {
	r, _, _ := withAda(t)
	for i := range 2 {
		p := r.person("person" + strconv.Itoa(i))
		r.change(func(tx *store.Tx) error {
			_, err := r.Messages.Send(t.Context(), tx, outbox.Sending{Account: p.ID}, authenticator.Message{To: "+4930123", Text: strconv.Itoa(i)})
			return err
		})
	}
	var carried []string
	other := func(_ context.Context, m authenticator.Message) error {
		carried = append(carried, "other "+m.Text)
		return nil
	}
	err := carryAll(r.Messages, t.Context(), func(ctx context.Context, m authenticator.Message) error {
		carried = append(carried, "one "+m.Text)
		return carryAll(r.Messages, ctx, other)
	})
	if err != nil || !slices.Equal(carried, []string{"one 0", "other 1"}) {
		t.Errorf("carried %v, %v", carried, err)
	}
	if n := len(r.events("code.undelivered")); n != 0 {
		t.Errorf("%d are lost", n)
	}
}

// All that wait are carried, one behind the other; of what fails the server's log tells,
// without the number or the code, and of what is taken it tells nothing.
func TestAllCodesAreCarried(t *testing.T) {
	r, _, _ := withAda(t)
	log := &bytes.Buffer{}
	r.Parts.Log = slog.New(slog.NewTextHandler(log, nil))
	r.remake()
	for i := range 3 {
		p := r.person("person" + strconv.Itoa(i))
		r.change(func(tx *store.Tx) error {
			did, err := r.Messages.Send(t.Context(), tx, outbox.Sending{Account: p.ID}, authenticator.Message{To: "+4930123", Text: "the code " + strconv.Itoa(i)})
			if !did {
				t.Error("it was not queued")
			}
			return err
		})
	}
	outcome := map[string]error{"the code 1": errors.New("the gateway is away")}
	carried := func() (out []string) {
		t.Helper()
		err := carryAll(r.Messages, t.Context(), func(_ context.Context, m authenticator.Message) error {
			out = append(out, m.Text)
			return outcome[m.Text]
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := strings.Join(carried(), ", "); got != "the code 0, the code 1, the code 2" {
		t.Errorf("carried %s", got)
	}
	said := log.String()
	if strings.Count(said, "a code could not be sent") != 1 || !strings.Contains(said, "the gateway is away") || strings.Contains(said, "4930123") || strings.Contains(said, "the code") {
		t.Errorf("the log says %q", said)
	}
	r.clock.Later(carryPause)
	delete(outcome, "the code 1")
	if got := strings.Join(carried(), ", "); got != "the code 1" {
		t.Errorf("carried again %s", got)
	}
	if log.String() != said {
		t.Errorf("the log says %q as well", strings.TrimPrefix(log.String(), said))
	}
}

// carryAll hands every message that waits to one carrier.
func carryAll(m *outbox.Messages, ctx context.Context, carry func(context.Context, authenticator.Message) error) error {
	_, err := m.CarryBy(ctx, outbox.Carrier{Carry: carry})
	return err
}
