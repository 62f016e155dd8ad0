package signals

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/servertest"
)

// The promise: no token ends anything that is forged, of another issuer, for another audience,
// confused in its algorithm, too old, malformed, or about somebody of whom the source may not speak;
// each is answered as RFC 8935 has it. What is right is obeyed once, however often it comes, also
// after a restart.
func TestOnlyWhatIsRightIsHeard(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		s := siteOn(t, dsn)
		grace := s.EnrollCodes("grace")
		grace.Comes("grace", grace.Secret)
		s.Address("grace", "grace@partner.test")
		s.does("account.create", map[string]any{"name": "robot", "kind": "service"}, nil)
		p := partnerOf(s, map[string]any{"tenant": "ours"})
		revoked, about := caep+"session-revoked", acct("grace")
		other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]any{"iss": p.web.URL, "aud": s.Base, "jti": "j", "iat": s.Now().Unix(), "sub_id": about, "events": map[string]any{revoked: map[string]any{}}}
		p.refused("forged", "invalid_key", p.signs(other, "ES256", "secevent+jwt", all))
		p.refused("the public key as a secret", "invalid_key", p.signs(der, "HS256", "secevent+jwt", all))
		p.refused("an ID token", "invalid_request", p.signs(p.key, "ES256", "JWT", all))
		p.refused("another issuer", "invalid_issuer", p.says(revoked, about, nil, map[string]any{"iss": "https://elsewhere.example.org"}))
		p.refused("another audience", "invalid_audience", p.says(revoked, about, nil, map[string]any{"aud": "https://elsewhere.example.org"}))
		p.refused("too old", "invalid_request", p.says(revoked, about, nil, map[string]any{"iat": s.Now().Add(-8 * 24 * time.Hour).Unix()}))
		p.refused("in the future", "invalid_request", p.says(revoked, about, nil, map[string]any{"iat": s.Now().Add(time.Hour).Unix()}))
		p.refused("without a name", "invalid_request", p.says(revoked, about, nil, map[string]any{"jti": nil}))
		p.refused("with sub", "invalid_request", p.says(revoked, about, nil, map[string]any{"sub": "grace"}))
		p.refused("nothing", "invalid_request", "")
		p.refused("JSON", "invalid_request", `{"iss":"x"}`)
		p.refused("noise", "invalid_request", strings.Repeat("\x00\xff.", 1000))
		for name, who := range map[string]map[string]any{
			"another domain": {"format": "account", "uri": "acct:grace@elsewhere.test"}, "a domain below": {"format": "account", "uri": "acct:grace@a.partner.test"}, "a mail of another domain": {"format": "email", "email": "grace@elsewhere.test"},
			"two @": {"format": "email", "email": "grace@partner.test@elsewhere.test"}, "nobody": acct("nobody"), "a service": acct("robot"), "another tenant": {"format": "complex", "user": about, "tenant": map[string]any{"format": "opaque", "id": "theirs"}},
			"a device alone": {"format": "complex", "device": map[string]any{"format": "opaque", "id": "x"}}, "two people": {"format": "aliases", "identifiers": []any{about, acct("root")}}, "a number": {"format": "opaque", "id": "1"},
			"our own issuer": {"format": "iss_sub", "iss": s.Base, "sub": "grace"}, "an odd name": {"format": "account", "uri": "acct:%00'%20or%201=1--@partner.test"},
		} {
			if status, text := p.push(p.says(revoked, who, nil)); status != http.StatusAccepted {
				t.Errorf("%s is answered %d %s", name, status, text)
			}
		}
		for _, secret := range []string{"", "cssig_wrong", p.source.Secret + "x", p.source.Secret[:20]} {
			if status, _ := s.sendAs("POST", "/signals/receive/partner", secret, "application/secevent+jwt", p.says(revoked, about, nil)); status != http.StatusUnauthorized {
				t.Errorf("the secret %d long is answered %d", len(secret), status)
			}
		}
		if status, _ := s.sendAs("POST", "/signals/receive/nobody", p.source.Secret, "application/secevent+jwt", p.says(revoked, about, nil)); status != http.StatusUnauthorized {
			t.Errorf("a source that is not there is answered %d", status)
		}
		if status, _ := s.sendAs("POST", "/signals/receive/partner", p.source.Secret, "application/json", p.says(revoked, about, nil)); status != http.StatusBadRequest {
			t.Errorf("another type is answered %d", status)
		}
		if n := s.heeded(); n != 0 || !grace.Inside() {
			t.Fatalf("%d were obeyed: %+v", n, s.told("signal.heeded"))
		}
		right := p.says(revoked, map[string]any{"format": "complex", "user": about, "session": map[string]any{"format": "opaque", "id": "theirs"}, "tenant": map[string]any{"format": "opaque", "id": "ours"}}, nil)
		var sent sync.WaitGroup
		for range 4 {
			sent.Go(func() { p.push(right) })
		}
		sent.Wait()
		p.taken(right)
		if grace.Inside() {
			t.Error("grace is still inside")
		}
		grace.Comes("grace", grace.Secret)
		p.taken(right)
		p.taken(p.says(caep+"token-claims-change", about, map[string]any{"claims": map[string]any{"role": "admin"}}))
		if n := s.heeded(); n != 1 || !grace.Inside() {
			t.Errorf("it was obeyed %d times", n)
		}
		p.taken(p.says(revoked, map[string]any{"format": "email", "email": "grace@partner.test"}, nil))
		if n := s.heeded(); n != 2 || grace.Inside() {
			t.Errorf("by mail it was obeyed %d times", n)
		}
	})
}

// The promise: a signal takes away and never gives. Who is suspended stays so, who is at risk stays
// so, whatever is said to have become better; and what is better ends no session.
func TestSignalsOnlyTakeAway(t *testing.T) {
	s := siteOn(t, "")
	grace := s.EnrollCodes("grace")
	p := partnerOf(s, nil)
	grace.Comes("grace", grace.Secret)
	about := acct("grace")
	aal := func(was, now, way string) map[string]any {
		c := map[string]any{"namespace": "NIST-AAL", "current_level": now, "previous_level": was}
		if way != "" {
			c["change_direction"] = way
		}
		return c
	}
	for _, token := range []string{
		p.says(risc+"account-enabled", about, nil), p.says(risc+"account-credential-change-required", about, nil), p.says(caep+"session-established", about, nil), p.says(caep+"session-presented", about, nil),
		p.says(caep+"risk-level-change", about, map[string]any{"principal": "USER", "current_level": "LOW", "previous_level": "HIGH"}), p.says(caep+"assurance-level-change", about, aal("nist-aal1", "nist-aal2", "increase")),
		p.says(caep+"assurance-level-change", about, aal("nist-aal1", "nist-aal2", "")), p.says(caep+"assurance-level-change", about, map[string]any{"namespace": "other", "current_level": "a", "previous_level": "b"}),
		p.says("https://evil.example.org/make-administrator", about, map[string]any{"groups": []string{"administrators"}}),
	} {
		p.taken(token)
	}
	if s.heeded() != 0 || !grace.Inside() {
		t.Errorf("what became better was obeyed: %+v", s.told("signal.heeded"))
	}
	for i, token := range []string{
		p.says(caep+"assurance-level-change", about, aal("nist-aal2", "nist-aal1", "decrease")), p.says(caep+"assurance-level-change", about, aal("nist-aal3", "nist-aal2", "")),
		p.says(caep+"credential-change", about, map[string]any{"credential_type": "app", "change_type": "revoke"}), p.says(risc+"account-disabled", about, map[string]any{"reason": "hijacking"}),
		p.says(risc+"credential-compromise", about, map[string]any{"credential_type": "password"}),
	} {
		p.taken(token)
		if s.heeded() != i+1 || grace.Inside() {
			t.Errorf("signal %d was not obeyed", i)
		}
		if i < 4 {
			grace.Comes("grace", grace.Secret)
		}
	}
	risk := func() bool {
		d, err := s.Accounts.Find(context.Background(), s.DB, "grace")
		if err != nil {
			t.Fatal(err)
		}
		return !d.Risk.IsZero()
	}
	if !risk() {
		t.Error("after a compromise grace is not at risk")
	}
	p.taken(p.says(caep+"risk-level-change", about, map[string]any{"principal": "USER", "current_level": "LOW"}))
	if !risk() {
		t.Error("a signal ended the risk")
	}
	s.does("account.suspend", map[string]any{"name": "grace", "reason": "left"}, nil)
	p.taken(p.says(risc+"account-enabled", about, nil))
	if d, err := s.Accounts.Find(context.Background(), s.DB, "grace"); err != nil || d.State != "suspended" {
		t.Errorf("grace is %s, %v", d.State, err)
	}
}

// The promise: ten thousand signals at once end the sessions of as many people as the source may
// end in an hour, and of nobody else. The source is paused, with an alarm, and an administrator has
// it heard again; what it sent meanwhile it is told to send later.
func TestSourceThatSaysTooMuchIsStopped(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		s := siteOn(t, dsn)
		p := partnerOf(s, map[string]any{"most": 5})
		var people []*servertest.Person
		for i := range 8 {
			name := fmt.Sprint("person", i)
			one := s.EnrollCodes(name)
			one.Comes(name, one.Secret)
			people = append(people, one)
		}
		const crowd = 10_000
		tokens := make([]string, crowd)
		for i := range tokens {
			tokens[i] = p.says(caep+"session-revoked", acct(fmt.Sprint("person", i%8)), nil)
		}
		var taken, later, crowded atomic.Int64
		var senders sync.WaitGroup
		next := make(chan string)
		for range 16 {
			senders.Go(func() {
				for token := range next {
					switch status, text := p.push(token); status {
					case http.StatusAccepted:
						taken.Add(1)
					case http.StatusServiceUnavailable:
						later.Add(1)
					case http.StatusTooManyRequests:
						crowded.Add(1)
					default:
						t.Errorf("answered %d %s", status, text)
					}
				}
			})
		}
		for _, token := range tokens {
			next <- token
		}
		close(next)
		senders.Wait()
		if n := s.heeded(); n != 5 || taken.Load() != 5 || later.Load() == 0 {
			t.Errorf("%d were obeyed; %d taken, %d later, %d crowded", n, taken.Load(), later.Load(), crowded.Load())
		}
		if n := len(s.told("alarm.source-paused")); n != 1 {
			t.Errorf("%d alarms", n)
		}
		inside := 0
		for _, one := range people {
			if one.Inside() {
				inside++
			}
		}
		if inside < 3 {
			t.Errorf("%d of 8 are still inside", inside)
		}
		if says := s.Signals.Keeper.Says(context.Background()); len(says) != 1 || !strings.Contains(says[0], "partner") {
			t.Errorf("the administrator is told %q", says)
		}
		s.Later(2 * time.Hour)
		if status, _ := p.push(p.says(caep+"session-revoked", acct("person0"), nil)); status != http.StatusServiceUnavailable {
			t.Errorf("an hour alone is enough: %d", status)
		}
		s.does("source.set-status", map[string]any{"name": "partner", "status": "enabled", "reason": "they mended it"}, nil)
		p.taken(p.says(caep+"session-revoked", acct("person0"), nil))
		if n := s.heeded(); n != 6 {
			t.Errorf("%d were obeyed after it was enabled", n)
		}
	})
}

// The promise: a source that is polled is asked for no more than its turn, however much it always
// has; what was obeyed is acknowledged, and what cannot be taken is refused, with the next poll.
func TestSourceIsPolled(t *testing.T) {
	s := siteOn(t, "")
	grace := s.EnrollCodes("grace")
	grace.Comes("grace", grace.Secret)
	p := partnerOf(s, map[string]any{"delivery": "poll"})
	good := p.says(caep+"session-revoked", acct("grace"), nil)
	p.polled = func(ask map[string]any) map[string]any {
		if ask["ack"] != nil || ask["setErrs"] != nil {
			return map[string]any{"sets": map[string]string{}}
		}
		return map[string]any{"sets": map[string]string{"a": good, "b": "rubbish"}, "moreAvailable": false}
	}
	s.asks()
	if s.heeded() != 1 || grace.Inside() {
		t.Errorf("%d were obeyed", s.heeded())
	}
	if len(p.asked) != 2 || fmt.Sprint(p.asked[1]["ack"]) != "[a]" || !strings.Contains(fmt.Sprint(p.asked[1]["setErrs"]), "b:map[description:") || !strings.Contains(fmt.Sprint(p.asked[1]["setErrs"]), "err:invalid_request") {
		t.Errorf("it was asked %v", p.asked)
	}
	p.mu.Lock()
	p.asked = nil
	p.polled = func(map[string]any) map[string]any {
		return map[string]any{"sets": map[string]string{"x": p.says(caep+"session-revoked", acct("nobody"), nil)}, "moreAvailable": true}
	}
	p.mu.Unlock()
	s.asks()
	if n := len(p.asked); n < 2 || n > 10 {
		t.Errorf("a source that always has more is asked %d times in its turn", n)
	}
	many := map[string]string{}
	for i := range 101 {
		many[fmt.Sprint(i)] = good
	}
	for name, said := range map[string]map[string]any{"too many": {"sets": many}, "too long": {"sets": map[string]string{"x": strings.Repeat("y", 2<<20)}}, "another form": {"sets": []string{good}}} {
		p.mu.Lock()
		p.polled = func(map[string]any) map[string]any { return said }
		p.mu.Unlock()
		s.Later(time.Hour)
		s.asks()
		if one, err := s.Signals.Sources.Named(context.Background(), "partner"); err != nil || s.Signals.Hearing.Problem(one) == "" {
			t.Errorf("%s is no problem, %v", name, err)
		}
	}
	if s.heeded() != 1 {
		t.Errorf("%d were obeyed", s.heeded())
	}
}

// The promise: keys are asked for again when a token is signed by another one, and not for each
// such token.
func TestKeysAreFetchedNowAndThen(t *testing.T) {
	s := siteOn(t, "")
	p := partnerOf(s, nil)
	s.EnrollCodes("grace")
	p.taken(p.says(caep+"session-revoked", acct("grace"), nil))
	forged, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		p.refused("forged", "invalid_key", p.signs(forged, "ES256", "secevent+jwt", map[string]any{}))
	}
	if p.keys > 2 {
		t.Errorf("the keys were fetched %d times", p.keys)
	}
	p.mu.Lock()
	p.key = forged // the partner rotates
	p.mu.Unlock()
	s.Later(2 * time.Minute)
	p.taken(p.says(caep+"session-revoked", acct("grace"), nil))
	if s.heeded() != 2 {
		t.Errorf("%d were obeyed", s.heeded())
	}
}

// The promise: signals that come at once are each heard once: none is refused because another one
// changed the source's row meanwhile.
func TestSignalsThatComeAtOnceAreAllHeard(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		s := siteOn(t, dsn)
		s.EnrollCodes("grace")
		p := partnerOf(s, map[string]any{"most": 500})
		const crowd = 150
		var senders sync.WaitGroup
		next := make(chan string, crowd)
		for range crowd {
			next <- p.says(caep+"session-revoked", acct("grace"), nil)
		}
		close(next)
		for range 3 { // as many as one source may have under way, but one
			senders.Go(func() {
				for token := range next {
					if status, text := p.push(token); status != http.StatusAccepted {
						t.Errorf("answered %d %s", status, text)
					}
				}
			})
		}
		senders.Wait()
		if n := s.heeded(); n != crowd {
			t.Errorf("%d of %d were obeyed", n, crowd)
		}
	})
}
