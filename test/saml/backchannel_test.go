package saml

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/protocol/saml/message"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/store"
)

// soapEar is where an application is told by SOAP. It answers as a service provider does, by its
// own key.
type soapEar struct {
	*httptest.Server
	wi *wiki

	mu     sync.Mutex
	heard  []message.LogoutRequest
	broken bool
	// signs and names are what an impostor answers with; nil and empty are the application's own.
	signs *wiki
	names string
}

func listenBySOAP(t *testing.T, wi *wiki) *soapEar {
	t.Helper()
	e := &soapEar{wi: wi}
	idp, err := x509.ParseCertificate(ourCertificate(t, wi.w))
	if err != nil {
		t.Fatal(err)
	}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.broken {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b, _ := io.ReadAll(r.Body)
		in, err := message.FromSOAP(b)
		if err != nil {
			t.Errorf("it is told %s: %v", b, err)
			return
		}
		request, err := in.LogoutRequest(func(string) ([]*x509.Certificate, error) { return []*x509.Certificate{idp}, nil })
		if err != nil || request.Proof != message.Signed {
			t.Errorf("it is told %s: %v", b, err)
		}
		e.heard = append(e.heard, request)
		by, answers := wi, request.ID
		if e.signs != nil {
			by = e.signs
		}
		if e.names != "" {
			answers = e.names
		}
		out, err := message.AnswerLogout(message.NewID(), wi.sp.EntityID, "", wi.w.Now(), answers, message.Status{Code: message.Success}).SOAP(message.Credential{Signer: by.sp.Key, Certificate: by.sp.Certificate.Raw})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(out)
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *soapEar) told() []message.LogoutRequest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]message.LogoutRequest(nil), e.heard...)
}

func (e *soapEar) breaks(yes bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken = yes
}

// ourCertificate is that of our metadata.
func ourCertificate(t *testing.T, w *servertest.World) []byte {
	t.Helper()
	set, err := w.CertKeys.Of(t.Context(), "saml")
	if err != nil {
		t.Fatal(err)
	}
	return set.Now.Certificate
}

// bySOAP registers an application that is told by SOAP.
func (wi *wiki) bySOAP(name, at string) {
	s := wi.settings()
	s["logout_soap"], s["inside"] = at, []string{"127.0.0.1"}
	register(wi.w, name, s)
}

// working tells applications until the test ends.
func working(t *testing.T, w *servertest.World) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stopped := w.Work(ctx)
	stop = sync.OnceFunc(func() { cancel(); <-stopped })
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// The promise: an application with an address for SOAP is told when a session is over that an
// administrator ended, with the name and the index that it knows; one that does not answer is told
// again, also by a server that starts later.
func TestSignOutWithoutABrowser(t *testing.T) {
	w, _, browser, wi := inside(t)
	e := listenBySOAP(t, wi)
	wi.bySOAP("wiki", e.URL)
	told := wi.last()
	e.breaks(true)
	stop := working(t, w)
	account, err := w.Accounts.Find(t.Context(), w.DB, "ada")
	if err != nil {
		t.Fatal(err)
	}
	err = w.DB.Change(t.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		if _, err := w.Endings.EndAllTx(t.Context(), tx, account.ID, ""); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "session.ended", Outcome: audit.OK, Account: int64(account.ID)})
	})
	if err != nil {
		t.Fatal(err)
	}
	if browser.Get("/account"); browser.Inside() {
		t.Fatal("the session stands")
	}
	until(t, "it was tried", func() bool {
		var tries int
		err := w.DB.QueryRow(t.Context(), `select coalesce(max(tries), 0) from participant`).Scan(&tries)
		return err == nil && tries > 0
	})
	stop()
	e.breaks(false)
	w.Later(2 * time.Minute)
	working(t, w)
	until(t, "it is told", func() bool { return len(e.told()) > 0 })
	got := e.told()[0]
	if got.Name != told.Subject.NameID.Value || len(got.Indexes) != 1 || got.Indexes[0] != told.AuthnStatements[0].SessionIndex || got.Destination != e.URL {
		t.Errorf("it is told %+v", got)
	}
	until(t, "nothing is left to tell", func() bool {
		var n int
		err := w.DB.QueryRow(t.Context(), `select count(*) from participant`).Scan(&n)
		return err == nil && n == 0
	})
	if n := len(e.told()); n != 1 {
		t.Errorf("it is told %d times", n)
	}
}

// The promise: where idle sessions end, an application with an address for SOAP is told of one.
func TestAnIdleSessionEndsBySOAP(t *testing.T) {
	w, _, _, wi := insideOf(servertest.NewWorldFrom(t, server.Settings{Sessions: session.Limits{EndIdle: true}}, "http://localhost", nil))
	e := listenBySOAP(t, wi)
	wi.bySOAP("wiki", e.URL)
	working(t, w)
	w.Later(61 * time.Minute)
	if err := w.Inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "it is told", func() bool { return len(e.told()) > 0 })
	if got := e.told()[0]; got.Name != wi.last().Subject.NameID.Value || len(got.Indexes) != 1 || got.Indexes[0] != wi.last().AuthnStatements[0].SessionIndex {
		t.Errorf("it is told %+v", got)
	}
}

// The promise: an answer that another key signed, or that answers another request, is none: the
// application is told again, until it answers itself.
func TestAnswerBySOAPIsTheApplications(t *testing.T) {
	w, _, browser, wi := inside(t)
	e := listenBySOAP(t, wi)
	wi.bySOAP("wiki", e.URL)
	other := newWiki(w)
	working(t, w)
	browser.Get("/account")
	browser.Post("/sign-out")
	for n, answers := range []func(){
		func() { e.signs = other },
		func() { e.signs, e.names = nil, "_another" },
		func() { e.names = "" },
	} {
		e.mu.Lock()
		answers()
		e.heard = nil
		e.mu.Unlock()
		w.Later(2 * time.Hour / 4)
		until(t, "it is told again", func() bool { return len(e.told()) > 0 })
		until(t, "its answer is looked at", func() bool {
			var left int
			err := w.DB.QueryRow(t.Context(), `select count(*) from participant`).Scan(&left)
			return err == nil && left == map[bool]int{true: 1, false: 0}[n < 2]
		})
	}
}

// send posts an envelope to us.
func (wi *wiki) send(t *testing.T, b []byte) (int, string) {
	t.Helper()
	r, err := http.Post(wi.w.Base+"/saml/soap", "text/xml", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	out, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(out)
}

func (wi *wiki) envelope(t *testing.T, name, to string) []byte {
	t.Helper()
	b, err := message.AskLogout(message.NewID(), wi.sp.EntityID, to, wi.w.Now(), message.NameID{Value: name, Format: message.FormatPersistent}, "").SOAP(message.Credential{Signer: wi.sp.Key, Certificate: wi.sp.Certificate.Raw})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The promise: an application signs somebody out by SOAP and is answered at once; the others are
// told, and who takes part by a browser alone makes it a partial one.
func TestSignOutBySOAP(t *testing.T) {
	w, _, browser, wi := inside(t)
	other := newWiki(w)
	e := listenBySOAP(t, other)
	other.bySOAP("other", e.URL)
	browser.Get(other.URL + "/page")
	follow(browser)
	working(t, w)
	status, out := wi.send(t, wi.envelope(t, wi.last().Subject.NameID.Value, w.Base+"/saml/soap"))
	if status != http.StatusOK || !strings.Contains(out, message.Success) || strings.Contains(out, message.PartialLogout) {
		t.Errorf("answered %d %s", status, out)
	}
	if browser.Get("/account"); browser.Inside() {
		t.Error("the session stands")
	}
	until(t, "the other is told", func() bool { return len(e.told()) == 1 })
	if status, out := wi.send(t, wi.envelope(t, wi.last().Subject.NameID.Value, "")); status != http.StatusOK || !strings.Contains(out, message.UnknownPrincipal) {
		t.Errorf("once more is answered %d %s", status, out)
	}
}

// The promise: nobody ends a session by an envelope that is unsigned, of another application, made
// for another address, late, or no envelope; and each is answered with a fault.
func TestNobodyElseSignsOutBySOAP(t *testing.T) {
	w, _, browser, wi := inside(t)
	other := newWiki(w)
	other.withLogout("other")
	name := wi.last().Subject.NameID.Value
	right := string(wi.envelope(t, name, w.Base+"/saml/soap"))
	cut := func(s, from, to string) string {
		a, b := strings.Index(s, from), strings.Index(s, to)
		if a < 0 || b < 0 {
			t.Fatalf("no %s in %s", from, s)
		}
		return s[:a] + s[b+len(to):]
	}
	for what, b := range map[string]string{
		"unsigned":            cut(right, "<ds:Signature", "</ds:Signature>"),
		"for another address": string(wi.envelope(t, name, w.Base+"/saml/slo")),
		"changed":             strings.Replace(right, `ID="`, `ID="x`, 1),
		"no envelope":         "<x/>",
		"too long":            strings.Repeat(" ", message.Longest) + right,
		"a stranger's":        strings.ReplaceAll(right, wi.sp.EntityID, "https://stranger.example.org"),
	} {
		if status, out := wi.send(t, []byte(b)); status != http.StatusInternalServerError || !strings.Contains(out, "Fault") {
			t.Errorf("%s is answered %d %s", what, status, out)
		}
	}
	if status, out := other.send(t, other.envelope(t, name, w.Base+"/saml/soap")); !strings.Contains(out, message.UnknownPrincipal) {
		t.Errorf("another application's is answered %d %s", status, out)
	}
	w.Later(10 * time.Minute)
	if status, _ := wi.send(t, []byte(right)); status != http.StatusInternalServerError {
		t.Errorf("an old one is answered %d", status)
	}
	if browser.Get("/account"); !browser.Inside() {
		t.Error("the session is over")
	}
}
