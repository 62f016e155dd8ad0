package signals

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	commands "countersign/internal/admin/signal"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// everything are all events that a stream can carry.
var everything = []string{"session-revoked", "credential-change", "assurance-level-change", "risk-level-change", "account-disabled", "account-purged"}

// receiver is a party that polls, written by the text of the standards: it knows no code of ours.
type receiver struct {
	t      testing.TB
	of     *site
	key    string
	stream commands.Stream
	keys   jose.JSONWebKeySet
}

func receiverOf(s *site, more map[string]any) *receiver {
	s.T.Helper()
	r := &receiver{t: s.T, of: s, key: s.robot("siem", "stream.list", "stream.create", "stream.update", "stream.remove", "stream.set-status", "stream.add-subject", "stream.remove-subject", "stream.verify", "stream.poll")}
	settings := map[string]any{"audience": []string{"https://siem.example.org"}, "delivery": "poll", "events": everything, "format": "account"}
	for k, v := range more {
		settings[k] = v
	}
	s.numbered()
	s.does("stream.create", map[string]any{"name": "siem", "receiver": "siem", "settings": settings}, &r.stream)
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	s.must(http.StatusOK, "GET", "/.well-known/ssf-configuration", "", nil, &about)
	u, err := url.Parse(about.Keys)
	if err != nil || about.Issuer != s.Base {
		s.T.Fatal(about, err)
	}
	s.must(http.StatusOK, "GET", u.Path, "", nil, &r.keys)
	return r
}

// heard is a token as its text says.
type heard struct {
	id, event string
	claims    map[string]any
	all       map[string]any
}

// takes polls, and checks each token by the text: RFC 8417, RFC 9493, SSF 1.0, CAEP 1.0.
func (r *receiver) takes(ack ...string) ([]heard, bool) {
	r.t.Helper()
	r.of.numbered()
	u, err := url.Parse(r.stream.Poll)
	if err != nil {
		r.t.Fatal(err)
	}
	var said struct {
		Sets map[string]string `json:"sets"`
		More bool              `json:"moreAvailable"`
	}
	r.of.must(http.StatusOK, "POST", u.Path, r.key, map[string]any{"maxEvents": 50, "returnImmediately": true, "ack": ack}, &said)
	var out []heard
	for id, text := range said.Sets {
		out = append(out, r.checked(id, text))
	}
	slices.SortFunc(out, func(a, b heard) int { return strings.Compare(a.event, b.event) })
	return out, said.More
}

func (r *receiver) checked(id, text string) heard {
	r.t.Helper()
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		r.t.Fatal(err)
	}
	head := signed.Signatures[0].Protected
	keys := r.keys.Key(head.KeyID)
	if len(keys) != 1 || head.ExtraHeaders[jose.HeaderType] != "secevent+jwt" {
		r.t.Fatalf("the head is %+v", head)
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		r.t.Fatal(err)
	}
	h := heard{id: id}
	if err := json.Unmarshal(payload, &h.all); err != nil {
		r.t.Fatal(err)
	}
	for _, never := range []string{"sub", "exp"} {
		if _, there := h.all[never]; there {
			r.t.Errorf("%s is in %s", never, payload)
		}
	}
	iat, _ := h.all["iat"].(float64)
	events, _ := h.all["events"].(map[string]any)
	about, _ := h.all["sub_id"].(map[string]any)
	if h.all["iss"] != r.of.Base || h.all["aud"] != r.stream.Settings.Audience[0] || h.all["jti"] != id || h.all["txn"] == "" || about["format"] == "" || len(events) != 1 || time.Until(time.Unix(int64(iat), 0).Add(-time.Duration(r.of.Skew.Load()))) > time.Minute {
		r.t.Errorf("the token says %s", payload)
	}
	for uri, claims := range events {
		h.event, h.claims = uri[strings.LastIndexByte(uri, '/')+1:], claims.(map[string]any)
		if strings.HasPrefix(uri, caep) {
			if who := h.claims["initiating_entity"]; !slices.Contains([]any{"admin", "user", "policy", "system"}, who) || h.claims["event_timestamp"] != iat {
				r.t.Errorf("the event says %v", h.claims)
			}
		} else if !strings.HasPrefix(uri, risc) && !strings.HasPrefix(uri, ssf) {
			r.t.Errorf("the event is %s", uri)
		}
	}
	return h
}

// only takes what waits, acknowledges it, and fails unless these events came, and no others.
func (r *receiver) only(why string, want ...string) map[string]heard {
	r.t.Helper()
	all, _ := r.takes()
	got, by, ack := []string{}, map[string]heard{}, []string{}
	for _, h := range all {
		got, by[h.event], ack = append(got, h.event), h, append(ack, h.id)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: it got %v and not %v", why, got, want)
	}
	if rest, more := r.takes(ack...); len(rest) > 0 || more {
		r.t.Errorf("%s: after it was acknowledged there is %+v", why, rest)
	}
	return by
}

// The promise: every factor change, the end of a session, a suspension and a removal, a higher level
// and a danger are told, once, in tokens that are right by the text.
func TestTokensByTheText(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		s := siteOn(t, dsn)
		r := receiverOf(s, nil)
		grace := s.EnrollCodes("grace")
		r.only("an enrollment", "credential-change", "credential-change")
		about := map[string]any{"format": "account", "uri": "acct:grace@" + s.host()}
		grace.Comes("grace", grace.Secret)
		grace.Post("/sign-out")
		ended := r.only("a sign-out", "session-revoked")["session-revoked"]
		if who, _ := ended.all["sub_id"].(map[string]any); who["format"] != "complex" || fmt.Sprint(who["user"]) != fmt.Sprint(about) || who["session"] == nil {
			t.Errorf("the session is %v", who)
		}
		s.does("pass.issue", map[string]any{"account": "grace", "note": "lost"}, nil)
		if c := r.only("a pass", "credential-change")["credential-change"].claims; c["credential_type"] != "temporary-access-pass" || c["change_type"] != "create" || c["initiating_entity"] != "admin" {
			t.Errorf("a pass is %v", c)
		}
		own := servertest.AuthenticatorsOf(s.World, "grace")
		for _, one := range own {
			if one.Kind == "totp" {
				s.does("authenticator.revoke", map[string]any{"account": "grace", "id": one.ID, "reason": "lost"}, nil)
			}
		}
		if c := r.only("a revocation", "credential-change")["credential-change"]; c.claims["credential_type"] != "app" || c.claims["change_type"] != "revoke" || fmt.Sprint(c.all["sub_id"]) != fmt.Sprint(about) {
			t.Errorf("a revocation is %v", c.all)
		}
		s.does("account.suspend", map[string]any{"name": "grace", "reason": "left"}, nil)
		r.only("a suspension", "account-disabled", "session-revoked")
		s.does("account.remove", map[string]any{"name": "grace"}, nil)
		for event, h := range r.only("a removal", "account-disabled", "account-purged", "session-revoked") {
			if fmt.Sprint(h.all["sub_id"]) != fmt.Sprint(about) {
				t.Errorf("%s is about %v", event, h.all["sub_id"])
			}
		}
		s.does("stream.verify", map[string]any{"name": "siem", "state": "a-state"}, nil)
		if h := r.only("a verification", "verification")["verification"]; h.claims["state"] != "a-state" || fmt.Sprint(h.all["sub_id"]) != "map[format:opaque id:"+r.stream.ID+"]" {
			t.Errorf("the verification says %v", h.all)
		}
		s.does("stream.set-status", map[string]any{"name": "siem", "status": "paused", "reason": "the audit"}, nil)
		hopper := s.EnrollCodes("hopper")
		if h := r.only("a pause", "stream-updated")["stream-updated"]; h.claims["status"] != "paused" || h.claims["reason"] != "the audit" {
			t.Errorf("the pause says %v", h.claims)
		}
		s.does("stream.set-status", map[string]any{"name": "siem", "status": "enabled"}, nil)
		first, more := r.takes()
		if len(first) != 1 || first[0].event != "stream-updated" || !more {
			t.Fatalf("it is enabled: %+v", first)
		}
		if rest, _ := r.takes(first[0].id); len(rest) != 2 {
			t.Errorf("what happened meanwhile is %d signals", len(rest))
		}
		s.does("stream.set-status", map[string]any{"name": "siem", "status": "disabled"}, nil)
		hopper.Comes("hopper", hopper.Secret)
		hopper.Post("/sign-out")
		s.numbered()
		s.does("stream.set-status", map[string]any{"name": "siem", "status": "enabled"}, nil)
		r.only("what happened while it was disabled", "stream-updated")
	})
}

// sink is an address that tokens are pushed to.
type sink struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	body   string
	got    []string
	header []http.Header
}

func newSink(t testing.TB) *sink {
	k := &sink{status: http.StatusAccepted}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		k.mu.Lock()
		defer k.mu.Unlock()
		k.got, k.header = append(k.got, string(b)), append(k.header, r.Header.Clone())
		if k.status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(k.status)
		io.WriteString(w, k.body)
	}))
	t.Cleanup(k.Close)
	return k
}

// answers sets what it answers from now on, and forgets what it got.
func (k *sink) answers(status int, body string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status, k.body, k.got, k.header = status, body, nil, nil
}

func (k *sink) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.got)
}

// The promise: what a receiver does not take is sent again, with pauses, in order, under the same
// name; nothing is lost; after a quarter of an hour there is an alarm, and after a day the stream is
// paused and an administrator told. No secret is in the log.
func TestWhatIsNotTakenIsSentAgain(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		s := siteOn(t, dsn)
		k := newSink(t)
		s.tells("siem", map[string]any{"audience": []string{"https://siem.example.org"}, "delivery": "push", "endpoint": k.URL + "/in", "authorization": "Bearer a-long-secret"})
		k.answers(http.StatusInternalServerError, "a-long-secret is out of order")
		s.EnrollCodes("grace")
		s.sends()
		s.sends() // it rests
		if k.count() != 1 {
			t.Errorf("it was sent %d times at once", k.count())
		}
		k.mu.Lock()
		first, head := k.got[0], k.header[0]
		k.mu.Unlock()
		if head.Get("Content-Type") != "application/secevent+jwt" || head.Get("Accept") != "application/json" || head.Get("Authorization") != "Bearer a-long-secret" {
			t.Errorf("the head is %v", head)
		}
		if n := len(s.told("stream.failing")); n != 1 {
			t.Errorf("it was said %d times that it fails", n)
		}
		s.Later(20 * time.Minute)
		s.sends()
		if len(s.told("alarm.stream-behind")) != 1 || nameOf(t, k.got[1]) != nameOf(t, first) {
			t.Errorf("after 20 minutes: %d alarms, %q and %q", len(s.told("alarm.stream-behind")), nameOf(t, k.got[1]), nameOf(t, first))
		}
		s.Later(time.Hour)
		k.answers(http.StatusAccepted, "")
		s.sends()
		if k.count() != 2 || nameOf(t, k.got[0]) != nameOf(t, first) || len(s.told("stream.works")) != 1 {
			t.Errorf("%d came, %d times it works again", k.count(), len(s.told("stream.works")))
		}
		k.answers(http.StatusBadRequest, `{"err":"invalid_request","description":"no"}`)
		s.does("pass.issue", map[string]any{"account": "grace", "note": "lost"}, nil)
		s.sends()
		if k.count() != 1 || len(s.told("stream.rejected")) != 1 {
			t.Errorf("what is malformed for its receiver was sent %d times, %d in the log", k.count(), len(s.told("stream.rejected")))
		}
		k.answers(http.StatusFound, "")
		s.does("pass.issue", map[string]any{"account": "grace", "note": "lost"}, nil)
		s.sends()
		if k.count() != 1 {
			t.Errorf("it was led elsewhere %d times", k.count())
		}
		s.Later(25 * time.Hour)
		s.sends()
		var one commands.Stream
		s.does("stream.show", map[string]any{"name": "siem"}, &one)
		if one.Status != "paused" || len(s.told("alarm.stream-paused")) != 1 {
			t.Errorf("after a day it is %s: %s", one.Status, one.Problem)
		}
		if says := s.Signals.Keeper.Says(context.Background()); len(says) != 1 || !strings.Contains(says[0], "siem") {
			t.Errorf("the administrator is told %q", says)
		}
		all, err := s.DB.AuditLog().Entries(context.Background(), store.Filter{Text: "a-long-secret", Limit: 10})
		if len(all) > 0 {
			t.Errorf("the secret is in %+v", all)
		}
		if err != nil || one.Settings.Authorization != "(hidden)" {
			t.Errorf("%s, %v", one.Settings.Authorization, err)
		}
	})
}

// nameOf is the jti of a token.
func nameOf(t testing.TB, text string) string {
	t.Helper()
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var says struct{ JTI string }
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &says); err != nil || says.JTI == "" {
		t.Fatal(says, err)
	}
	return says.JTI
}

// The promise: no stream and no source leads inside of the network, whatever names it: an address, a
// name, a redirect or the metadata of another system.
func TestSignalsLeadNowhereInside(t *testing.T) {
	w := servertest.NewWorld(t) // which lists nothing
	s := &site{w, servertest.OfficeOf(w, "root")[0]}
	k := newSink(t)
	port := k.URL[strings.LastIndexByte(k.URL, ':'):]
	settings := func(endpoint string) map[string]any {
		return map[string]any{"name": "inside", "settings": map[string]any{"audience": []string{"x"}, "delivery": "push", "endpoint": endpoint}}
	}
	for _, address := range []string{"http://127.0.0.1" + port, "https://127.0.0.1", "https://169.254.169.254/latest/meta-data", "https://[::1]", "https://10.0.0.1", "https://[::ffff:10.0.0.1]"} {
		s.refuses("inside the network", "stream.create", settings(address))
	}
	for _, address := range []string{"ftp://example.org", "https://user:secret@example.org", "https://", "example.org", "https://example.org/#x", "http://example.org/", "javascript:alert(1)", "https://example.org\\@127.0.0.1/", ""} {
		s.refuses("https://", "stream.create", settings(address))
	}
	s.refuses("inside the network", "source.create", map[string]any{"name": "inside", "settings": map[string]any{"issuer": "https://example.org", "audience": "x", "delivery": "push", "domains": []string{"example.org"}, "jwks": "https://192.168.1.1/keys"}})
	s.does("stream.create", settings("http://localhost"+port+"/in"), nil)
	s.EnrollCodes("grace")
	s.sends()
	var one commands.Stream
	s.does("stream.show", map[string]any{"name": "inside"}, &one)
	if k.count() != 0 || !strings.Contains(one.Problem, "inside the network") {
		t.Errorf("it was asked %d times: %s", k.count(), one.Problem)
	}
}

// The promise: settings are read strictly, an authorization is never shown, and goes to no other
// address than the one that it was given for.
func TestSettingsAreStrict(t *testing.T) {
	s := siteOn(t, "")
	with := func(more map[string]any) map[string]any {
		settings := map[string]any{"audience": []string{"https://siem.example.org"}, "delivery": "push", "endpoint": "https://siem.example.org/in", "authorization": "Bearer a-long-secret"}
		for k, v := range more {
			settings[k] = v
		}
		return map[string]any{"name": "siem", "settings": settings}
	}
	for text, more := range map[string]map[string]any{
		"unknown field": {"endpont": "x"}, "1 to 4 audiences": {"audience": []string{}}, "push or poll": {"delivery": "mail"}, "no event": {"events": []string{"session-ended"}}, "format of subjects": {"format": "phone_number"},
		"everybody or of those chosen": {"subjects": "some"}, "one of ES256": {"algorithm": "none"}, "printable ASCII": {"authorization": "Bearer x\r\nHost: y"}, "has no endpoint": {"delivery": "poll"}, "no stored authorization": {"authorization": "(hidden)"},
	} {
		s.refuses(text, "stream.create", with(more))
	}
	s.does("stream.create", with(nil), nil)
	s.refuses("already", "stream.create", with(nil))
	s.refuses("another one", "stream.update", with(map[string]any{"endpoint": "https://evil.example.org/in", "authorization": "(hidden)"}))
	s.does("stream.update", with(map[string]any{"authorization": "(hidden)", "description": "the SIEM"}), nil)
	all, err := s.Signals.Streams.All(context.Background())
	if err != nil || len(all) != 1 || all[0].Authorization != "Bearer a-long-secret" || all[0].Description != "the SIEM" {
		t.Errorf("%+v, %v", all, err)
	}
	for text, settings := range map[string]map[string]any{
		"1 to 500": {"most": 100000}, "ES256": {"algorithms": []string{"HS256"}}, "lower case": {"domains": []string{"*.example.org"}}, "Say of whom": {"domains": []string{}}, "comes to something": {"events": []string{"account-enabled"}},
	} {
		in := map[string]any{"issuer": "https://idp.example.org", "audience": "x", "delivery": "push", "domains": []string{"example.org"}}
		for k, v := range settings {
			in[k] = v
		}
		s.refuses(text, "source.create", map[string]any{"name": "idp", "settings": in})
	}
}
