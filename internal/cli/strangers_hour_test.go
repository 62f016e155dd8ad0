package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/prompt"
	"countersign/internal/signin"
	"countersign/internal/store"
)

// size is what the database holds in pages, in octets.
func (w *world) size() (n int64) {
	w.t.Helper()
	err := w.DB.QueryRow(context.Background(), `select (p.page_count - f.freelist_count) * s.page_size from pragma_page_count() p, pragma_freelist_count() f, pragma_page_size() s`).Scan(&n)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// stranger is a browser that anybody has, somewhere. Its requests do not pass the
// network.
type stranger struct {
	w     *world
	jar   *cookiejar.Jar
	token string
	n     int
}

func (w *world) stranger() *stranger {
	s := &stranger{w: w}
	s.jar, _ = cookiejar.New(nil)
	page := s.do("GET", "/sign-in", nil).Body.String()
	token := tokenField.FindStringSubmatch(page)
	if token == nil {
		w.t.Fatalf("no form:\n%s", page)
	}
	s.token = token[1]
	return s
}

// do sends one request, each from another address in turn.
func (s *stranger) do(method, path string, form url.Values, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	var body io.Reader
	if form != nil {
		form.Set("form-token", s.token)
		body = strings.NewReader(form.Encode())
	}
	s.n++
	r := httptest.NewRequest(method, s.w.base+path, body)
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", s.n>>16, s.n&0xffff))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	u, _ := url.Parse(s.w.base)
	for _, c := range append(s.jar.Cookies(u), cookies...) {
		r.AddCookie(c)
	}
	out := httptest.NewRecorder()
	s.w.Handler.ServeHTTP(out, r)
	if s.token == "" {
		s.jar.SetCookies(u, out.Result().Cookies())
	}
	return out
}

// asJSON sends a request to the API.
func (s *stranger) asJSON(path, body string) int {
	s.n++
	r := httptest.NewRequest("POST", s.w.base+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", s.n>>16, s.n&0xffff))
	r.Header.Set("Content-Type", "application/json")
	out := httptest.NewRecorder()
	s.w.Handler.ServeHTTP(out, r)
	return out.Code
}

// strangeThings is all that somebody can send who has nothing.
func strangeThings(s *stranger) map[string]func(i int) int {
	long := strings.Repeat("x", 60_000)
	challenge := strings.Repeat("A", 43)
	signature := strings.Repeat("A", 86)
	return map[string]func(i int) int{
		"a made-up ticket to the page that waits": func(i int) int {
			return s.do("GET", "/sign-in/wait", nil, &http.Cookie{Name: "countersign-countersign-attempt", Value: fmt.Sprintf("%024d.1", i)}).Code
		},
		"a sealed ticket that is none": func(i int) int {
			return s.do("POST", "/sign-in", url.Values{"authenticator": {"password"}, "text": {"x"}}, &http.Cookie{Name: "countersign-countersign-attempt", Value: fmt.Sprintf("%0200d", i)}).Code
		},
		"the page to sign in": func(int) int { return s.do("GET", "/sign-in", nil).Code },
		"a name of 60 kB with a kind of its own": func(i int) int {
			return s.do("POST", "/sign-in", url.Values{"name": {fmt.Sprint(i) + long[:59_000]}, "authenticator": {fmt.Sprint("kind-", i)}, "text": {"x"}}).Code
		},
		"a key for machines typed into the form": func(i int) int {
			return s.do("POST", "/sign-in", url.Values{"name": {fmt.Sprint("person-", i)}, "authenticator": {"apikey"}, "text": {"cskey_" + fmt.Sprint(i)}}).Code
		},
		"an app that looks": func(i int) int {
			return s.do("POST", "/app/look", url.Values{"app": {fmt.Sprint(i) + long[:4000]}, "moment": {"1.x"}, "count": {"1"}, "signature": {signature}, "number": {"123456"}}).Code
		},
		"an app that binds": func(i int) int {
			return s.do("POST", "/app/bind", url.Values{"code": {fmt.Sprintf("%032d", i)}, "proposal": {long[:50_000]}}).Code
		},
		"a command line's login": func(int) int { return s.asJSON("/api/v1/login", `{"challenge":"`+challenge+`","agent":"`+long+`"}`) },
		"a command line at a terminal": func(i int) int {
			return s.asJSON("/api/v1/login/terminal", fmt.Sprintf(`{"name":"person-%d","agent":%q}`, i, long[:1000]))
		},
		"a made-up key at the API": func(i int) int {
			s.n++
			r := httptest.NewRequest("POST", s.w.base+"/api/v1/commands/audit.search", strings.NewReader("{}"))
			r.RemoteAddr = "127.0.0.1:4711"
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("2001:db8:%x:%x::1", s.n>>16, s.n&0xffff))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", fmt.Sprintf("Bearer cskey_%040d", i))
			out := httptest.NewRecorder()
			s.w.Handler.ServeHTTP(out, r)
			return out.Code
		},
		"a number for the help desk": func(i int) int {
			return s.do("POST", "/recovery", url.Values{"name": {fmt.Sprint("person-", i%7)}}).Code
		},
		"a saved code that is none": func(i int) int {
			return s.do("POST", "/recovery/codes", url.Values{"name": {fmt.Sprint("person-", i)}, "text": {"AAAA-BBBB-CCCC-DDDD"}}).Code
		},
		"a guarded page":        func(i int) int { return s.do("GET", fmt.Sprintf("/account?x=%d", i), nil).Code },
		"a link that is none":   func(i int) int { return s.do("GET", fmt.Sprintf("/welcome?code=%032d", i), nil).Code },
		"a stop that is none":   func(i int) int { return s.do("GET", fmt.Sprintf("/recovery/stop?code=%032d", i), nil).Code },
		"a set-up that is none": func(i int) int { return s.do("GET", fmt.Sprintf("/setup?code=%032d", i), nil).Code },
		"a pass that is none": func(i int) int {
			return s.do("POST", "/welcome", url.Values{"name": {fmt.Sprint("p-", i)}, "pass": {"x"}}).Code
		},
		"an approval that is none": func(i int) int { return s.do("GET", fmt.Sprintf("/approve?code=%032d", i), nil).Code },
		"a login that nobody began": func(i int) int {
			return s.asJSON("/api/v1/login/finish", fmt.Sprintf(`{"code":"%032d","verifier":%q}`, i, long))
		},
	}
}

// answered is what they are answered, so that each really gets as far as it is meant to.
var answered = map[string]int{
	"a command line at a terminal":            200,
	"a command line's login":                  200,
	"a guarded page":                          303,
	"a key for machines typed into the form":  401,
	"a link that is none":                     403,
	"a login that nobody began":               403,
	"a made-up key at the API":                403,
	"a made-up ticket to the page that waits": 403,
	"a name of 60 kB with a kind of its own":  401,
	"a number for the help desk":              303,
	"a pass that is none":                     403,
	"a saved code that is none":               403,
	"a sealed ticket that is none":            403,
	"a set-up that is none":                   403,
	"a stop that is none":                     403,
	"an app that binds":                       403,
	"an app that looks":                       403,
	"an approval that is none":                303,
	"the page to sign in":                     200,
}

// hour is how many requests strangers send in it, at 1,000 a second, and hourMost what
// it may leave of all together.
const (
	hour     = 3_600_000
	hourMost = 50 << 20
)

// The promise: whatever strangers send, a thousand requests a second for an hour leave
// less than 50 MB, of each kind and of all together; and an honest person gets in.
func TestAnHourOfStrangers(t *testing.T) { anHourOfStrangers(t, 500) }

// keptMost is what budgets and numbers for the help desk may take: they have bounds of their
// own, which are tests of their own.
const keptMost = 100_000*100 + 10_256*400

// unkept is size without them.
func (w *world) unkept() int64 {
	w.t.Helper()
	for _, statement := range []string{`delete from guess`, `delete from recovery_request`} {
		if err := w.DB.Housekeep(context.Background(), "test", func(tx *store.Tx) error {
			_, err := tx.Exec(context.Background(), statement)
			return err
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.size()
}

func anHourOfStrangers(t *testing.T, many int) {
	w, ada := withVPN(t)
	s := w.stranger()
	kinds := strangeThings(s)
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		t.Run(name, func(t *testing.T) {
			w.later(2 * time.Minute) // a minute of its own, whose entries nobody has had
			i := 0
			play := func(many int) (grown int64) {
				before := w.unkept()
				for range many {
					if status := kinds[name](i); status != answered[name] {
						t.Fatalf("request %d is answered %d", i, status)
						answered[name] = status
					}
					i++
				}
				return w.unkept() - before
			}
			play(1)
			// What is bounded is full before it is measured what each more leaves.
			first := play(many)
			each := float64(play(many)) / float64(many)
			before := w.size()
			if err := w.Engine.Strangers.SumUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			minute := float64(first + w.size() - before)
			left := each*hour + minute*60 + keptMost
			t.Logf("%.1f octets each, %.0f a minute: %.1f MB in an hour", each, minute, left/1e6)
			if left > hourMost {
				t.Errorf("an hour of it leaves %.0f MB", left/1e6)
			}
		})
	}
	if got := w.begin(line("ada", passphrase, ada.code())); got.State != signin.Granted {
		t.Errorf("ada, afterwards: %v %s", got.State, got.Reason)
	}
}

// The promise: wrong answers for names that nobody has are in the log one by one up to a
// rate, and summed up beyond it; none is missing.
func TestWrongAnswersOfStrangers(t *testing.T) {
	w, ada := withVPN(t)
	before := w.refusals("signin.refused")
	const many = 1000
	for i := range many {
		s, err := w.Engine.Begin(context.Background(), signin.Request{Application: "vpn", Name: fmt.Sprintf("person-%d", i), Protocol: "radius", Medium: prompt.Single, CodeAlone: true,
			Source: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), Opening: []prompt.Answer{{Authenticator: signin.AnyCode, Text: "123456"}}})
		if err != nil || s.State != signin.Denied || s.Reason != "wrong" {
			t.Fatalf("a wrong code: %v %s, %v", s.State, s.Reason, err)
		}
	}
	if n := w.refusals("signin.refused") - before; n != many {
		t.Errorf("%d of %d are in the log", n, many)
	}
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "signin.refused", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > many/2 { // a few minutes' on a slow machine
		t.Errorf("%d entries for %d wrong answers", len(entries), many)
	}
	one, last := entries[before], entries[len(entries)-1]
	if one.AccountName != "person-0" || one.Source != "198.51.0.0" || one.Detail["count"] != "" {
		t.Errorf("the first entry is %+v", one)
	}
	if last.Detail["count"] == "" || last.Outcome != audit.Refused || last.Account != 0 {
		t.Errorf("the last entry is %+v", last)
	}
	if got := w.begin(line("ada", passphrase, ada.code())); got.State != signin.Granted {
		t.Errorf("ada, afterwards: %v %s", got.State, got.Reason)
	}
}

// The promise: a ticket of an attempt in which nothing was shown is worth nothing to who
// has a copy. What was right is right once, of 64 at once as well, and guesses draw on
// the budgets, however often it begins anew.
func TestTicketOfNothingShown(t *testing.T) {
	w, _, _, key := withPasskey(t)
	begun := func() (signin.Step, []byte) {
		t.Helper()
		s := w.begin(signin.Request{Application: signin.Self, Protocol: "browser", Medium: prompt.Browser, Source: netip.MustParseAddr("203.0.113.7")})
		for _, p := range s.Prompts {
			if p.Kind == prompt.PublicKey {
				data, err := key.Get(w.base, p.Data)
				if err != nil {
					t.Fatal(err)
				}
				return s, data
			}
		}
		t.Fatal("no passkey is asked for")
		return s, nil
	}
	rows := func() (n int) {
		t.Helper()
		if err := w.DB.QueryRow(t.Context(), `select count(*) from attempt`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := rows()
	s, data := begun()
	if strings.Contains(s.Ticket, ".") || rows() != before {
		t.Errorf("an attempt of which nothing was shown is a row")
	}
	var all sync.WaitGroup
	steps := make([]signin.Step, 64)
	for i := range steps {
		all.Go(func() {
			var err error
			steps[i], err = w.Engine.Answer(context.Background(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: data}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	good := 0
	var granted signin.Step
	for _, s := range steps {
		if s.State == signin.Granted {
			good, granted = good+1, s
		}
	}
	if good != 1 {
		t.Errorf("one answer was right %d times", good)
	}
	if strings.Contains(granted.Ticket, ".") || rows() != before {
		t.Error("what was granted is a row before it is claimed")
	}
	if again, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: data}}); err != nil || again.State == signin.Granted {
		t.Errorf("the same again: %v, %v", again.State, err)
	}
	if _, err := w.Engine.Claim(t.Context(), s.Ticket, signin.Self, "", ""); err == nil {
		t.Error("a ticket of nothing was claimed")
	}
	var claimed atomic.Int64
	for range 64 {
		all.Go(func() {
			if _, err := w.Engine.Claim(context.Background(), granted.Ticket, signin.Self, "", ""); err == nil {
				claimed.Add(1)
			}
		})
	}
	all.Wait()
	if n := claimed.Load(); n != 1 {
		t.Errorf("it was claimed %d times", n)
	}

	// Its ticket brought by another partner, or where it is not known, is nothing.
	s, data = begun()
	for name, reply := range map[string]signin.Reply{
		"another partner":               {Partner: "nas-7", Answer: prompt.Answer{Authenticator: "passkey", Data: data}},
		"a kind that was not asked for": {Answer: prompt.Answer{Authenticator: "totp", Text: "123456"}},
	} {
		if got, err := w.Engine.Answer(t.Context(), s.Ticket, reply); err != nil || got.State == signin.Granted {
			t.Errorf("%s: %v, %v", name, got.State, err)
		}
	}
	w.later(11 * time.Minute)
	if got, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Answer: prompt.Answer{Authenticator: "passkey", Data: data}}); err != nil || got.Reason != "late-ticket" {
		t.Errorf("after its time: %v %s, %v", got.State, got.Reason, err)
	}
}

// The promise: who plays the same ticket again and again, so that its tries begin anew,
// has as many guesses as the budgets give and no more.
func TestReplayedTicketRefillsNoBudget(t *testing.T) {
	w, _ := withVPN(t)
	s := w.begin(signin.Request{Application: "vpn", Name: "ada", Protocol: "browser", Medium: prompt.Browser, Source: netip.MustParseAddr("198.51.100.7")})
	if s.State != signin.Ask || strings.Contains(s.Ticket, ".") {
		t.Fatal(s.State, s.Ticket)
	}
	compared := 0
	for i := range 24 {
		got, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Source: netip.MustParseAddr("198.51.100.7"), Answer: prompt.Answer{Authenticator: "password", Text: fmt.Sprint("guess-", i)}})
		if err != nil || got.State == signin.Granted {
			t.Fatalf("guess %d: %v, %v", i, got.State, err)
		}
		if got.Reason == "wrong" {
			compared++
		}
	}
	if compared > 10 {
		t.Errorf("%d guesses were compared with one ticket", compared)
	}
	fresh := w.begin(line("ada", "another guess", ""))
	if fresh.Reason == "wrong" {
		t.Error("a new sign-in had another guess at once")
	}
}

// The promise: one account that was damaged behind our back keeps nothing else from being
// swept, and is told of once.
func TestSweepGoesOn(t *testing.T) {
	w, _ := withVPN(t)
	w.enrollCodes("bob")
	for _, name := range []string{"ada", "bob"} {
		if s := w.begin(signin.Request{Application: "vpn", Name: name, Protocol: "radius", Medium: prompt.Line, Source: netip.MustParseAddr("203.0.113.7"),
			Opening: []prompt.Answer{{Authenticator: "password", Text: passphrase}}}); s.State != signin.Ask {
			t.Fatal(name, s.State, s.Reason)
		}
	}
	before := w.events("alarm.factor-missing")
	if err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := tx.Exec(t.Context(), `update account set display = 'changed', mac = x'00' where name = 'ada'`); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.damage", Outcome: audit.OK})
	}); err != nil {
		t.Fatal(err)
	}
	w.later(time.Hour)
	if _, err := w.Engine.Sweep(t.Context()); err == nil {
		t.Error("a damaged account was not told of")
	}
	if _, err := w.Engine.Sweep(t.Context()); err != nil {
		t.Errorf("it was told of twice: %v", err)
	}
	var left int
	if err := w.DB.QueryRow(t.Context(), `select count(*) from attempt`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d attempts are left, %v", left, err)
	}
	if n := w.events("alarm.factor-missing") - before; n != 2 {
		t.Errorf("%d alarms for two abandoned sign-ins", n)
	}
}

// The promise: however many numbers for the help desk strangers ask for, they keep a
// bounded number of rows, refuse their own neighbourhood alone, and leave the number of an
// honest person where it is.
func TestNumbersOfAFloodMakeRoom(t *testing.T) {
	w, _ := withVPN(t)
	recoveries := w.Recoveries
	begin := func(name, from string) (string, error) {
		secret, _, err := recoveries.Requests.Begin(context.Background(), name, netip.MustParseAddr(from))
		return secret, err
	}
	honest, err := begin("ada", "203.0.113.7")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < 10_800; i += 8 {
				if _, err := begin([]string{"ada", "nobody"}[i%2], fmt.Sprintf("2001:db8:0:%x::1", i%400)); err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
	var rows int
	if err := w.DB.QueryRow(t.Context(), `select count(*) from recovery_request`).Scan(&rows); err != nil || rows > 10_256 {
		t.Errorf("%d rows are kept, %v", rows, err)
	}
	if _, err := recoveries.Requests.Look(t.Context(), honest); err != nil {
		t.Errorf("the number of somebody who asked once: %v", err)
	}
	for range 30 {
		begin("ada", "198.51.100.7") //nolint:errcheck // the next is the one too many
	}
	if _, err := begin("ada", "198.51.100.7"); failure.ClassOf(err) != failure.Refused {
		t.Errorf("one too many of one address: %v", err)
	}
	if _, err := begin("ada", "198.51.100.8"); err != nil {
		t.Errorf("another address: %v", err)
	}
	w.later(31 * time.Minute)
	if err := recoveries.Requests.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.QueryRow(t.Context(), `select count(*) from recovery_request`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
}
