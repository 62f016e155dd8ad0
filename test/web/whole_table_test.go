package web

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"countersign/internal/admin/nouns"
	"countersign/internal/assurance"
	"countersign/internal/audit"
	"countersign/internal/directory"
	"countersign/internal/enrollment"
	"countersign/internal/incident"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/session"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/web/look"
)

// The table of routes and of actions. A route or an action that is in none of these
// lists fails TestWholeTable: whoever adds one says here what it may do, and to whom.
var (
	// goesOn are the GETs that may write something, and why that is no act. Every other
	// GET changes nothing, whoever opens it.
	goesOn = map[string]string{
		"GET /sign-in":              "asks a question; whoever has shown nothing leaves nothing, and who has a session that is enough goes on without a word",
		"GET /sign-in/wait":         "goes on with the sign-in that this browser began by a form and holds the ticket of, once it was answered elsewhere under its number; it ends in a session of this browser and does nothing else",
		"GET /sign-in/card":         "the same, with a statement that is sealed for the question of this browser's ticket",
		"GET /console/audit/export": "a download of the log is itself an entry",
	}
	// byWhat are the forms that are open to who has no session, and what they take
	// instead. All take a form of the browser's own and none comes from another site.
	byWhat = map[string]string{
		"POST /sign-in": "an answer to a question that this browser was asked", "POST /sign-in/upstream": "begins a visit of this browser, and says who nobody is", "POST /sign-out": "ends the session of this browser alone", "POST /welcome": "the secret of a pass", "POST /invited": "the code of an invitation, which gives a pass", "POST /setup": "the secret of the set-up link",
		"POST /sign-in/open": "the secret of a link in a mail to its owner", "POST /session/bind": "a challenge that came with the sign-in, signed by the key to bind to; it narrows the session of this browser", "POST /session/refresh": "a challenge signed by the key that the session is bound to; it holds nothing more than before",
		"POST /language": "keeps a language for this browser, and for the account of its session",
		"POST /recovery": "gives the browser a number that somebody must read out", "POST /recovery/codes": "the same, and a saved code", "POST /recovery/go-on": "the secret of the browser that shows the number",
		"POST /recovery/forget": "takes a cookie away", "POST /recovery/stop": "the secret of a link in a mail to its owner",
		"POST /app/bind": "a code that the owner's page shows, signed by a key", "POST /app/look": "the app's signature", "POST /app/waits": "the app's signature", "POST /app/answer": "the app's signature over number, text and decision",
		"POST /app/disown": "the app's signature", "POST /app/move": "the app's signature",
	}
	// requests are the API's that are open to who has no session.
	requests = map[string]string{
		"GET /api/v1/openapi.json": "a document", "POST /api/v1/login": "a page that only its reader can answer, with a session of their own", "POST /api/v1/login/finish": "the code and its verifier",
		"POST /api/v1/login/terminal": "typed answers to the engine", "POST /api/v1/approval": "the secret that the client waits with",
	}
	// ownActs is how each action that people may do to their own account is begun.
	ownActs = map[string]string{
		signin.SignIn: "no act", signin.CommandLine: "the page of a command line, which shows its text and takes a press", signin.Approve: "its text has the number in it, typed on the page before",
		signin.Recover: "held by the browser that shows the number", signin.SetQuiet: "a form that says all of it",
		enrollment.Enroll: "opens a form; what is enrolled is answered there, in the same session", enrollment.SetPIN: "opens a form, in the same session",
		enrollment.Remove: "its text is shown and takes a press", incident.Report: "its text is shown and takes a press", enrollment.Rename: "a form that says all of it",
	}
)

// The promise: every route and every action is in the table.
func TestWholeTable(t *testing.T) {
	w := servertest.NewWorld(t)
	for _, r := range w.Routes {
		method, _, _ := strings.Cut(r.Pattern, " ")
		switch public := r.Demand == look.Public(); {
		case method == http.MethodGet && (goesOn[r.Pattern] != "" || !strings.HasSuffix(r.Pattern, "/approved")):
		case method == http.MethodPost && public == (byWhat[r.Pattern] != ""):
		default:
			t.Errorf("%s (%s) is not in the table: say what it may do, and what it takes", r.Pattern, r.Demand)
		}
	}
	for _, r := range w.API.Requests() {
		if public := r.Demand == look.Public(); public != (requests[r.Pattern] != "") {
			t.Errorf("%s (%s) is not in the table", r.Pattern, r.Demand)
		}
	}
	for _, list := range []map[string]string{goesOn, byWhat} {
		for pattern := range list {
			if !slices.ContainsFunc(w.Routes, func(r look.Route) bool { return r.Pattern == pattern }) {
				t.Errorf("%s is in the table and is not served", pattern)
			}
		}
	}
	acts := signin.OwnActions()
	for _, a := range acts {
		if ownActs[a] == "" {
			t.Errorf("the action %s is not in the table: say how it is begun", a)
		}
	}
	if len(acts) != len(ownActs) {
		t.Errorf("%d actions, %d in the table", len(acts), len(ownActs))
	}
}

// scene is an administrator who has just proved herself, a colleague with an account
// and a stranger, each in a browser.
type scene struct {
	*servertest.World
	ada, eve, stranger *servertest.Person
	adas, eves         *servertest.Person // who hold what they sign in with
	file               *sql.DB
}

func newScene(t *testing.T) *scene {
	w := servertest.NewWorld(t)
	s := &scene{World: w, adas: w.Administrator("ada"), eves: w.EnrollCodes("eve")}
	if err := w.PlantApplications(t.Context(), "wiki.example.org", "kX9-Lq27-vTzp-40aM"); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.file, err = sql.Open("sqlite", "file:"+filepath.Join(w.Folder, server.DatabaseFile)+"?mode=ro"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.file.Close() })
	s.stranger = w.Person()
	s.stranger.Get("/sign-in")
	s.comeBack()
	return s
}

// gainsPasskey gives somebody one more way, without which none of two could be removed.
func (s *scene) gainsPasskey(name string) {
	s.T.Helper()
	err := s.DB.Change(s.T.Context(), audit.System("test"), func(tx *store.Tx) error {
		d, err := s.Accounts.Find(s.T.Context(), tx, name)
		if err != nil {
			return err
		}
		_, err = s.Credentials.Add(s.T.Context(), tx, directory.Credential{Account: d.ID, Kind: "passkey", Label: "Key", State: []byte("{}"),
			Traits: assurance.Held | assurance.UserVerified | assurance.PhishingResistant})
		tx.Record(audit.Entry{Event: "test.passkey", Outcome: audit.OK})
		return err
	})
	if err != nil {
		s.T.Fatal(err)
	}
}

// comeBack has both prove themselves just now.
func (s *scene) comeBack() {
	s.ada, s.eve = s.Person(), s.Person()
	s.ada.Comes("ada", s.adas.Secret)
	s.ada.Get("/account")
	s.ada.Sees("Where you are signed in")
	s.eve.Comes("eve", s.eves.Secret)
	s.eve.Get("/account")
	s.eve.Sees("Where you are signed in")
}

// rowsOf is what is in every table, as a hash, and how many rows there are. That a
// session was looked at is no change, and of the log's entries those of refusals are none.
func (s *scene) rowsOf() map[string]string {
	s.T.Helper()
	names, err := s.file.Query(`select name from sqlite_master where type = 'table' order by name`)
	if err != nil {
		s.T.Fatal(err)
	}
	var tables []string
	for names.Next() {
		var name string
		if err := names.Scan(&name); err != nil {
			s.T.Fatal(err)
		}
		tables = append(tables, name)
	}
	names.Close()
	out := map[string]string{}
	for _, table := range tables {
		if table != "feed" && !strings.HasPrefix(table, "audit_") { // the feed is how servers tell each other
			out[table] = s.hashOf(table)
		}
	}
	entries, err := s.DB.AuditLog().Entries(s.T.Context(), store.Filter{Limit: 100_000})
	if err != nil {
		s.T.Fatal(err)
	}
	var did []string
	for _, e := range entries {
		if e.Outcome != "refused" {
			did = append(did, e.Event)
		}
	}
	out["entries"] = fmt.Sprint(len(did), did[:min(3, len(did))])
	return out
}

func (s *scene) hashOf(table string) string {
	s.T.Helper()
	what := "*"
	if table == "session" {
		what = "id, number, account, parent, host, payload, source, agent, created, expires, ended"
	}
	rows, err := s.file.Query(`select ` + what + ` from ` + table)
	if err != nil {
		s.T.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		s.T.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			s.T.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%x", values))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return fmt.Sprintf("%d rows, %s", len(lines), hex.EncodeToString(sum[:6]))
}

// unchanged runs what must change nothing.
func (s *scene) unchanged(what string, do func()) {
	s.T.Helper()
	before := s.rowsOf()
	do()
	if after := s.rowsOf(); !maps.Equal(before, after) {
		for table := range after {
			if before[table] != after[table] {
				s.T.Errorf("%s: %s was %s and is %s", what, table, before[table], after[table])
			}
		}
	}
}

// asks sends a request as a browser does, without following where it leads.
func asks(p *servertest.Person, method, path string, form url.Values, headers ...string) *http.Response {
	p.W.T.Helper()
	r, err := http.NewRequest(method, p.W.Base+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.W.T.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	p.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { p.Client.CheckRedirect = nil }()
	answer, err := p.Client.Do(r)
	p.Take(answer, err)
	return answer
}

// filledIn is a form that every form can be read from, with the browser's own token.
func filledIn(p *servertest.Person, more ...string) url.Values {
	p.W.T.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(everything); i += 2 {
		form.Set(everything[i], everything[i+1])
	}
	if m := servertest.TokenField.FindStringSubmatch(p.Page); m != nil {
		form.Set("form-token", m[1])
	}
	if m := servertest.SaysField.FindStringSubmatch(p.Page); m != nil {
		form.Set("says", html.UnescapeString(m[1]))
	}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// at fills in a route's path.
func at(pattern, name string) string {
	_, path, _ := strings.Cut(pattern, " ")
	return strings.NewReplacer("{$}", "", "{name}", name, "{serial}", "1", "{number}", "1").Replace(path)
}

// The promise: nothing acts on a GET. Every page is opened by an administrator who has
// just proved herself, by a colleague, and by a stranger; from a link on another site as
// well; with what forms have in its address; and no row of the database is another.
func TestNothingActsOnAGet(t *testing.T) {
	s := newScene(t)
	link := trap(s.stranger, "/account/do", "action", incident.Report, "object", "1")
	_, continuation, _ := strings.Cut(link, "errand=")
	if continuation == "" {
		t.Fatalf("a stranger is sent to %q", link)
	}
	query := "?" + encoded("errand", continuation, "action", incident.Report, "object", "1", "number", "1", "code", continuation, "shown", "x", "held", "", "text", "x", "name", "ada")
	for _, r := range s.Routes {
		if method, _, _ := strings.Cut(r.Pattern, " "); method != http.MethodGet || strings.HasSuffix(r.Pattern, "/export") {
			continue
		}
		s.unchanged(r.Pattern, func() {
			for _, p := range []*servertest.Person{s.ada, s.eve, s.stranger} {
				for _, name := range []string{"eve", "wiki"} {
					path := at(r.Pattern, name)
					asks(p, http.MethodGet, path, nil)
					asks(p, http.MethodGet, path+query, nil, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Referer", "https://evil.example/")
					asks(p, http.MethodHead, path+query, nil)
					if !strings.Contains(r.Pattern, "{name}") {
						break
					}
				}
			}
		})
	}
	// A form's path is not opened by a GET, nor by any other method.
	s.unchanged("forms by other methods", func() {
		for _, r := range s.Routes {
			method, path, _ := strings.Cut(r.Pattern, " ")
			if method != http.MethodPost || slices.ContainsFunc(s.Routes, func(o look.Route) bool { return o.Pattern == "GET "+path }) {
				continue
			}
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
				if answer := asks(s.ada, method, at(r.Pattern, "eve")+query, nil); answer.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%s %s was answered %d", method, path, answer.StatusCode)
				}
			}
		}
	})
}

// The promise: a form acts only from a page of ours in that very browser: not without
// its token, not with another browser's, and not from another site even with the token
// that nobody there can have.
func TestFormsAreOfTheirBrowser(t *testing.T) {
	s := newScene(t)
	s.ada.Get("/account")
	s.eve.Get("/account")
	own, others := filledIn(s.ada), filledIn(s.eve)
	none := maps.Clone(own)
	none.Del("form-token")
	site := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}
	for _, r := range s.Routes {
		if method, _, _ := strings.Cut(r.Pattern, " "); method != http.MethodPost {
			continue
		}
		path, refused := at(r.Pattern, "eve"), http.StatusForbidden
		if r.Bare { // no form is there, and without what browsers alone can send there is nothing to do
			refused = http.StatusBadRequest
		}
		s.unchanged(r.Pattern, func() {
			for what, ask := range map[string]func() *http.Response{
				"no token":        func() *http.Response { return asks(s.ada, http.MethodPost, path, none) },
				"another's token": func() *http.Response { return asks(s.ada, http.MethodPost, path, others) },
				"another site":    func() *http.Response { return asks(s.ada, http.MethodPost, path, own, site...) },
				"another origin": func() *http.Response {
					return asks(s.ada, http.MethodPost, path, own, "Origin", "https://evil.example")
				},
				"a neighbour":           func() *http.Response { return asks(s.ada, http.MethodPost, path, own, "Sec-Fetch-Site", "same-site") },
				"no origin that exists": func() *http.Response { return asks(s.ada, http.MethodPost, path, own, "Origin", "null") },
			} {
				if answer := ask(); answer.StatusCode != refused {
					t.Errorf("%s, %s: %d", r.Pattern, what, answer.StatusCode)
				}
			}
		})
	}
	// The API reads no cookie, whoever sends them.
	s.unchanged("the API with a browser's cookies", func() {
		for _, r := range s.API.Requests() {
			method, path, _ := strings.Cut(r.Pattern, " ")
			if requests[r.Pattern] != "" {
				continue
			}
			if answer := asks(s.ada, method, path, nil, "Content-Type", "application/json"); answer.StatusCode != http.StatusUnauthorized && method != http.MethodDelete { // there is no session to end
				t.Errorf("%s was answered %d", r.Pattern, answer.StatusCode)
			}
		}
	})
}

// actions are all there are.
func actions() []string {
	out := signin.OwnActions()
	for _, c := range nouns.Commands() {
		out = append(out, c.Action)
	}
	return out
}

// The promise: who has no session makes no continuation for any action. Whatever they post,
// wherever, changes nothing, and the link that they are given does nothing to an
// administrator who has just proved herself and opens it.
func TestStrangersMakeNoErrands(t *testing.T) {
	s := newScene(t)
	posts := map[string]bool{}
	for _, r := range s.Routes {
		if method, _, _ := strings.Cut(r.Pattern, " "); method == http.MethodPost && r.Demand != look.Public() {
			posts[at(r.Pattern, "eve")] = true
		}
	}
	links := map[string]bool{}
	s.unchanged("strangers' forms", func() {
		for path := range posts {
			for _, action := range actions() {
				if path != "/account/do" && action != signin.SignIn {
					continue
				}
				s.stranger.Get("/sign-in")
				answer := asks(s.stranger, http.MethodPost, path, filledIn(s.stranger, "action", action, "object", "1"))
				if answer.StatusCode < 300 {
					t.Errorf("%s %s was answered %d", path, action, answer.StatusCode)
				}
				if to := answer.Header.Get("Location"); to != "" {
					links[to] = true
				}
			}
		}
	})
	if len(links) == 0 {
		t.Fatal("no stranger was sent anywhere")
	}
	s.comeBack()
	s.unchanged("strangers' links", func() {
		for to := range links {
			if to == "/sign-in?errand=own" {
				t.Error("a stranger has an errand of their own")
			}
			s.ada.Get(to)
			if strings.Contains(s.ada.Page, "Approve") && !strings.Contains(s.ada.Page, "Where you are signed in") {
				t.Errorf("%s leads to an approval:\n%s", to, s.ada.Page)
			}
		}
	})
}

// lends is a browser that has the cookies of another one, but for its session and for
// what its forms are tied to: all that anybody could plant.
func (s *scene) lends(from, to *servertest.Person) *servertest.Person {
	u, _ := url.Parse(s.Base)
	jar, _ := cookiejar.New(nil)
	cookies := to.Client.Jar.Cookies(u)
	for _, c := range from.Client.Jar.Cookies(u) {
		if !slices.ContainsFunc(cookies, func(o *http.Cookie) bool { return o.Name == c.Name }) {
			cookies = append(cookies, c)
		}
	}
	jar.SetCookies(u, cookies)
	return &servertest.Person{W: s.World, Client: &http.Client{Jar: jar}, Secret: to.Secret}
}

// The promise: a continuation belongs to the browser and the session that began it. An
// administrator's form that waits for her proof is nothing in a colleague's browser, in
// another browser of her own, in this one once somebody else is signed in, nor at any
// other address; where it is, it does exactly what it says, once.
func TestContinuationsStayWhereTheyBegan(t *testing.T) {
	s := newScene(t)
	var paths []string
	for _, r := range s.Routes {
		if strings.HasPrefix(r.Pattern, "POST ") && (strings.HasSuffix(r.Pattern, "/approved") || r.Pattern == "POST /account/continue" || r.Pattern == "POST "+"/approve/done" || r.Pattern == "POST /recovery/codes/shown") {
			paths = append(paths, at(r.Pattern, "eve"))
		}
	}
	if len(paths) < 50 {
		t.Fatalf("only %d continuations", len(paths))
	}
	again := s.Person() // another browser of ada's
	again.Comes("ada", s.adas.Secret)
	s.Later(6 * time.Minute)
	const suspend = "/console/accounts/eve/suspend"
	s.ada.Get("/console/accounts/eve")
	s.ada.Post(suspend, "reason", "left")
	s.ada.Sees("person eve: left")
	s.ada.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	form := filledIn(s.ada, "authenticator", "totp", "text", s.adas.Code())
	form.Del("name")
	if answer := asks(s.ada, http.MethodPost, "/sign-in", form); answer.StatusCode != http.StatusTemporaryRedirect || answer.Header.Get("Location") != suspend+"/approved" {
		t.Fatalf("%d to %q\n%s", answer.StatusCode, answer.Header.Get("Location"), s.ada.Page)
	}
	// It waits now for the form that does it.
	s.unchanged("in other browsers", func() {
		for who, p := range map[string]*servertest.Person{"eve": s.eve, "ada elsewhere": again} {
			thief := s.lends(s.ada, p)
			thief.Get("/account")
			for _, path := range paths {
				if answer := asks(thief, http.MethodPost, path, filledIn(thief)); answer.StatusCode < 400 {
					t.Errorf("%s went on at %s: %d", who, path, answer.StatusCode)
				}
			}
			if answer := asks(thief, http.MethodGet, "/sign-in?errand=own", nil); strings.Contains(thief.Page, "person eve: left") {
				t.Errorf("%s is shown what was begun elsewhere: %d", who, answer.StatusCode)
			}
		}
	})
	s.ada.Get("/account")
	s.unchanged("at other addresses", func() {
		for _, path := range paths {
			if path == suspend+"/approved" {
				continue
			}
			if answer := asks(s.ada, http.MethodPost, path, filledIn(s.ada)); answer.StatusCode < 400 {
				t.Errorf("it went on at %s: %d\n%s", path, answer.StatusCode, s.ada.Page)
			}
		}
	})
	if n := s.Events("account.suspended"); n != 0 {
		t.Fatalf("%d suspended", n)
	}
	// A link to it shows the text and does nothing; the form in which she proves herself
	// does, once.
	s.ada.Get("/sign-in?errand=own")
	s.ada.Sees("person eve: left")
	if n := s.Events("account.suspended"); n != 0 {
		t.Fatal("a link did it")
	}
	s.Later(time.Minute)
	s.ada.Proves()
	s.ada.Get("/account")
	s.ada.Post(suspend + "/approved")
	if n := s.Events("account.suspended"); n != 1 || s.ada.Status < 400 {
		t.Errorf("suspended %d times, and again: %d", n, s.ada.Status)
	}
}

// The promise: where the proof comes from another device, the page that waited shows the
// text and acts on a press, and on nothing before it.
func TestPressAfterAnotherDevice(t *testing.T) {
	w, ada, browser, key := servertest.WithPasskey(t)
	other := w.Person()
	other.Get("/sign-in")
	other.SignIn("ada", ada.Code())
	w.Later(20 * time.Minute)
	other.Get("/account")
	other.Post("/account/rename", "number", servertest.Last(t, renames, other.Page), "label", "Blue")
	other.Sees("to “Blue”")
	other.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	other.Post("/sign-in", "authenticator", signin.OutOfBand)
	number := servertest.Last(t, servertest.PageNumber, other.Page)
	browser.Get("/sign-in")
	if servertest.PasskeyForm.MatchString(browser.Page) {
		browser.UsePasskey(key)
	}
	browser.Transfer(number, key)
	for range 2 {
		other.Get("/sign-in/wait")
		other.Sees("to “Blue”")
		other.Sees("Do it")
	}
	if w.Events("credential.renamed") != 0 {
		t.Error("it was done before anybody pressed")
	}
	other.Post("/account/continue")
	other.Sees("It has its new name")
	if w.Events("credential.renamed") != 1 {
		t.Error("it was pressed and not done")
	}
}

// The promise: whoever proves themselves for a continuation is whose session began it: nobody
// types another name, and when somebody else signs in here meanwhile it is over.
func TestContinuationsAreOfTheirSession(t *testing.T) {
	s := newScene(t)
	s.Promote("eve") // so that whoever approves could do it as well
	s.Later(6 * time.Minute)
	begins := func() {
		t.Helper()
		s.ada.Get("/console/accounts/eve")
		s.ada.Post("/console/accounts/eve/suspend", "reason", "left")
		s.ada.Sees("person eve: left")
	}
	begins()
	if strings.Contains(s.ada.Page, `name="name"`) {
		t.Error("the page asks for another name")
	}
	s.ada.Post("/sign-in", "name", "eve", "authenticator", "password", "text", servertest.Passphrase)
	if s.ada.Status != http.StatusForbidden {
		t.Errorf("another name was answered %d", s.ada.Status)
	}
	begins()
	s.ada.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	u, _ := url.Parse(s.Base)
	for _, c := range s.eve.Client.Jar.Cookies(u) {
		if c.Name == session.Cookie(false) {
			s.ada.Client.Jar.SetCookies(u, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: "/"}}) // eve signs in here
		}
	}
	s.ada.Post("/sign-in", "authenticator", "totp", "text", s.adas.Code())
	if n := s.Events("account.suspended"); n != 0 || s.ada.Status < 400 && strings.Contains(s.ada.Page, "its sessions have ended") {
		t.Errorf("it was done in another session: %s", s.ada.Page)
	}
	s.ada.Get("/account")
	s.ada.Post("/console/accounts/eve/suspend/approved")
	if n := s.Events("account.suspended"); n != 0 || s.ada.Status != http.StatusForbidden {
		t.Errorf("%d suspended, and the form was answered %d", n, s.ada.Status)
	}
}

// The promise: removing an authenticator and disowning an entry say what they are about
// first, and the press counts for that text alone: not without it, nor when it has
// changed meanwhile.
func TestActsShowTheirText(t *testing.T) {
	s := newScene(t)
	s.eve.Get("/account")
	m := servertest.Last(t, renames, s.eve.Page)
	s.eve.Post("/account/do", "action", enrollment.Remove, "object", m)
	s.eve.Sees("you could not sign in with two factors") // before anything is proved or pressed
	s.gainsPasskey("eve")
	s.eve.Get("/account")
	s.eve.Post("/account/do", "action", enrollment.Remove, "object", m)
	s.eve.Sees("Remove a way to sign in")
	s.eve.Sees("Authenticator app")
	text := servertest.Last(t, servertest.Pressed, s.eve.Page)
	for _, moved := range []string{"", "yes", "Remove a way to sign in", text + ".", strings.Replace(text, "added", "added about", 1)} {
		s.eve.Post("/account/do", "action", enrollment.Remove, "object", m, "text", moved)
		s.eve.Sees("Remove it")
	}
	s.eve.Get("/account/history")
	entry := servertest.Last(t, servertest.Disowns, s.eve.Page)
	s.eve.Post("/account/do", "action", incident.Report, "object", entry, "text", text)
	s.eve.Sees("It was not me")
	s.eve.Sees("your password is switched off")
	s.eve.Post("/account/do", "action", incident.Report, "object", "999999", "text", "")
	if s.eve.Status != http.StatusNotFound {
		t.Errorf("an entry that is not hers was answered %d", s.eve.Status)
	}
	if s.Events("credential.removed") != 0 || s.Events("alarm.not-me") != 0 {
		t.Error("something was done without its text")
	}
	s.eve.Get("/account/history")
	s.eve.Does("/account/do", "action", incident.Report, "object", servertest.Last(t, servertest.Disowns, s.eve.Page))
	s.eve.Sees("Thank you")
	if s.Events("alarm.not-me") != 1 {
		t.Error("what was pressed was not done")
	}
	s.eve.Sees("Set a new password now")
	s.eve.Sees("Your session rested on what is switched off now") // her password
	stranger := s.Person()
	if stranger.Get("/account/after/report"); strings.Contains(stranger.Page, ">eve<") || strings.Contains(strings.Replace(stranger.Page, `<form class="languages"`, "", 1), "<form") {
		t.Errorf("a stranger reads more than advice:\n%s", stranger.Page)
	}
}

// renames is the number of an authenticator on its owner's page.
var renames = regexp.MustCompile(`/account/rename\?number=(\d+)"`)
