package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"countersign/internal/admin"
	"countersign/internal/admin/application"
	"countersign/internal/admin/nouns"
	"countersign/internal/audit"
	"countersign/internal/authenticator"
	pretendkind "countersign/internal/authenticator/pretend"
	"countersign/internal/directory"
	"countersign/internal/metrics"
	"countersign/internal/protocol"
	pretendprotocol "countersign/internal/protocol/pretend"
	"countersign/internal/server"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// whole is everything that has a name, and the sources that it is documented and tested in.
type whole struct {
	protocols protocol.List
	kinds     server.KindList
	commands  []admin.Spec
	tables    []string
	samples   []metrics.Sample            // of a running server
	measured  map[string][]metrics.Sample // by each protocol of it
	sources   fs.FS
}

// lacks names what is missing, a line for each.
func (w whole) lacks() []string {
	var out []string
	for _, d := range w.protocols {
		out = append(out, w.protocolLacks(d)...)
	}
	for _, k := range w.kinds {
		_, enrolled := k.Authenticator.(authenticator.Enroller)
		out = append(out, w.kindLacks(k.Describe(), enrolled)...)
	}
	for _, c := range w.commands {
		out = append(out, named("command "+c.Action, map[string]bool{
			"words (Summary)":                   c.Summary == "",
			"an answer (Answer)":                c.Answer == nil,
			"documentation (docs/openapi.json)": !w.says("docs/openapi.json", `"/api/v1/commands/`+c.Action+`"`),
			"words for a field (help)":          !helped(reflect.TypeOf(c.New()).Elem()),
		})...)
	}
	for _, table := range w.tables {
		out = append(out, named("table "+table, map[string]bool{
			"an owner (a room that writes to it)":                           !w.owned(table),
			"documentation (docs/threat-database.md)":                       !w.says("docs/threat-database.md", "`"+table+"`"),
			"a test of what becomes of its changes (stored_tables_test.go)": len(database[table].key) == 0,
		})...)
	}
	for _, s := range w.samples {
		if !w.metric(s.Name) {
			out = append(out, "metric "+s.Name+" lacks documentation (docs/metrics.md)")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// named says of something what of it is missing.
func named(what string, missing map[string]bool) []string {
	var out []string
	for part, is := range missing {
		if is {
			out = append(out, what+" lacks "+part)
		}
	}
	slices.Sort(out)
	return out
}

func (w whole) protocolLacks(d protocol.Description) []string {
	what := "protocol " + d.Name
	out := named(what, map[string]bool{
		"words (Way)":                             d.Way == "",
		"what it plays (Plays)":                   d.Plays == 0,
		"the check of settings":                   d.CheckSettings == nil,
		"what it leaves open (Openings)":          d.Exposure == nil,
		"a form":                                  len(d.Form) == 0,
		"documentation (docs/" + d.Document + ")": d.Document == "" || !w.says("docs/"+d.Document, d.Name),
		"tests in its folder":                     !w.tested("internal/protocol", d.Name),
	})
	for _, g := range d.Form {
		if g.List != "" && (g.Row == "" || g.Add == "" || g.Legend == "") {
			out = append(out, what+" lacks words for its list "+g.List)
		}
		if g.Folded && g.Legend == "" {
			out = append(out, what+" folds a part of its form that has no words on it")
		}
		if g.Remove != "" && !slices.ContainsFunc(g.Fields, func(f protocol.Field) bool { return f.Name == "name" }) {
			out = append(out, what+" lacks a field that tells the objects of "+g.List+" apart (name)")
		}
		for _, f := range g.Fields {
			if f.Name == "" || f.Label == "" {
				out = append(out, fmt.Sprintf("%s lacks words for its field %q (Label)", what, f.Name))
			}
		}
	}
	for _, m := range d.Metrics {
		if !w.metric(m) {
			out = append(out, what+" lacks documentation of its metric "+m+" (docs/metrics.md)")
		}
	}
	return append(out, w.metricsLack(d)...)
}

var metricName = regexp.MustCompile(`"(countersign_[a-z_]+)"`)

// metricsLack compares the metrics that a protocol names with those that it emits, and with
// those that its sources name, which it may emit at another time.
func (w whole) metricsLack(d protocol.Description) []string {
	var out []string
	emits := map[string]bool{}
	for _, s := range w.measured[d.Name] {
		emits[s.Name] = true
	}
	sources, _ := fs.Glob(w.sources, path.Join("internal/protocol", strings.ReplaceAll(d.Name, "-", ""), "*.go"))
	for _, name := range sources {
		text, err := fs.ReadFile(w.sources, name)
		if err != nil || strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range metricName.FindAllStringSubmatch(string(text), -1) {
			emits[m[1]] = true
		}
	}
	for name := range emits {
		if !slices.Contains(d.Metrics, name) {
			out = append(out, "protocol "+d.Name+" lacks its metric "+name+" in its description (Metrics)")
		}
	}
	for _, name := range d.Metrics {
		if !slices.ContainsFunc(w.measured[d.Name], func(s metrics.Sample) bool { return s.Name == name }) {
			out = append(out, "protocol "+d.Name+" lacks samples of its metric "+name)
		}
	}
	return out
}

// methods are those of RFC 8176 that a kind can be.
var methods = []string{"", "face", "fpt", "geo", "hwk", "iris", "kba", "otp", "pin", "pwd", "sc", "sms", "swk", "tel", "vbm", "wia"}

func (w whole) kindLacks(d authenticator.Description, enrolled bool) []string {
	marks := []authenticator.Mark{authenticator.MarkKey, authenticator.MarkPhone, authenticator.MarkDots, authenticator.MarkPaper, authenticator.MarkTicket}
	return named("kind "+d.Kind, map[string]bool{
		"words (Title)":                           d.Title == "",
		"words (Noun)":                            d.Noun == "",
		"a sentence for who chooses (Pitch)":      enrolled && d.Pitch == "",
		"a picture (Mark)":                        !slices.Contains(marks, d.Mark),
		"a method of RFC 8176 (AMR)":              !slices.Contains(methods, d.AMR),
		"what it shows (Traits)":                  d.Traits == 0,
		"what it is played on (Media)":            d.Media == 0,
		"documentation (docs/" + d.Document + ")": d.Document == "" || !w.exists("docs/"+d.Document),
		"its line in docs/authenticators.md":      !w.says("docs/authenticators.md", "| `"+d.Kind+"` |"),
		"tests in its folder":                     !w.tested("internal/authenticator", d.Kind),
	})
}

func (w whole) exists(name string) bool {
	_, err := fs.Stat(w.sources, name)
	return err == nil
}

func (w whole) says(name, text string) bool {
	page, err := fs.ReadFile(w.sources, name)
	return err == nil && strings.Contains(string(page), text)
}

// helped reports whether each field of a command has its sentence.
func helped(t reflect.Type) bool {
	for f := range t.Fields() {
		switch {
		case f.Anonymous || f.Tag.Get("embed") != "" || f.Tag.Get("json") == "":
			if f.Type.Kind() == reflect.Struct && !helped(f.Type) {
				return false
			}
		case f.Tag.Get("json") != "-" && f.Tag.Get("kong") != "-" && f.Tag.Get("help") == "":
			return false
		}
	}
	return true
}

// metric reports whether a sample is documented, by its name or by the beginning of it.
func (w whole) metric(name string) bool {
	for i := len(name); i > len("countersign_"); i-- {
		if w.says("docs/metrics.md", "`"+name[:i]+"_*`") || w.says("docs/metrics.md", "`"+name[:i]+"`") && i == len(name) || w.says("docs/metrics.md", "`"+name[:i]+"{") && i == len(name) {
			return true
		}
	}
	return false
}

// tested reports whether the folder of a name has tests.
func (w whole) tested(under, name string) bool {
	tests, _ := fs.Glob(w.sources, path.Join(under, strings.ReplaceAll(name, "-", ""), "*_test.go"))
	return len(tests) > 0
}

// owned reports whether a room's sources name a table in a statement.
func (w whole) owned(table string) bool {
	found := false
	each := func(name string, d fs.DirEntry, err error) error {
		if err != nil || found || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		for _, before := range []string{"into ", "update ", "from "} {
			found = found || w.says(name, before+table+" ") || w.says(name, before+table+"`") || w.says(name, before+table+"(") || w.says(name, before+table+"\n") || w.says(name, before+table+`"`)
		}
		return nil
	}
	for _, top := range []string{"internal", "cmd", "test"} {
		fs.WalkDir(w.sources, top, each) //nolint:errcheck // what cannot be read owns nothing
	}
	return found
}

var createTable = regexp.MustCompile(`(?i)create table (?:if not exists )?([a-z_]+)`)

var dropTable = regexp.MustCompile(`(?i)drop table (?:if exists )?([a-z_]+)`)

// theWhole is what this program is made of.
func theWhole(t *testing.T) whole {
	t.Helper()
	kinds, err := server.EveryKind()
	if err != nil {
		t.Fatal(err)
	}
	w := whole{protocols: server.Protocols(), kinds: kinds, commands: nouns.Commands(), sources: os.DirFS("../..")}
	sqls, err := fs.Glob(w.sources, "internal/store/migrations/*.sql")
	if err != nil || len(sqls) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, name := range sqls {
		text, err := fs.ReadFile(w.sources, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range dropTable.FindAllStringSubmatch(string(text), -1) {
			w.tables = slices.DeleteFunc(w.tables, func(table string) bool { return table == m[1] })
		}
		for _, m := range createTable.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(w.tables, m[1]) {
				w.tables = append(w.tables, m[1])
			}
		}
	}
	return w
}

// The promise: every kind, protocol, command, table and metric has words, documentation,
// an owner and tests. Every event has a sentence: the console's TestEveryEventIsTold.
func TestWholeTableHasWords(t *testing.T) {
	w := theWhole(t)
	world := servertest.NewWorld(t)
	for _, source := range world.MetricSources() {
		samples, err := source(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.samples = append(w.samples, samples...)
	}
	w.measured = measured(t, world)
	if len(w.measured) == 0 {
		t.Error("no protocol of the server is measured")
	}
	for _, line := range w.lacks() {
		t.Error(line)
	}
}

// measured are the samples of each protocol of a running server that has some.
func measured(t *testing.T, w *servertest.World) map[string][]metrics.Sample {
	t.Helper()
	out := map[string][]metrics.Sample{}
	for name, source := range w.ProtocolMetrics() {
		samples, err := source(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out[name] = samples
	}
	return out
}

// The promise: a protocol and an authenticator are a folder and a line. With the line of
// each in the lists, an application of the protocol is made in the console's form and by
// the API, which is the command line's, and serves, by HTTP and on sockets of its own; it
// is measured; the kind signs in, has words wherever
// kinds are named, and a policy can speak of it.
func TestAFolderAndALine(t *testing.T) {
	w := servertest.NewWorldFrom(t, server.Settings{
		Protocols: append(server.Protocols(), pretendprotocol.Description()),
		More:      []server.Kind{{Authenticator: pretendkind.Authenticator{}}},
	}, "http://localhost", nil)
	ada := w.Administrator("ada")
	ada.Comes("ada", ada.Secret)

	ada.Get("/console/applications")
	ada.Sees("New, by a pretence")
	ada.Get("/console/new-application?protocol=pretend")
	ada.Sees("Add a station")
	ada.Does("/console/new-application", "protocol", "pretend", "base", "{}", "name", "by-form", "kind", "vpn", "tier", "standard",
		"greeting", "Hello:", "station-name-0", "gate", "station-number-0", "7", "station-word-0", "mellon")
	ada.Sees("The application was saved.")
	ada.Get("/console/applications/by-form")
	ada.Sees(`value="Hello:"`)
	if strings.Contains(ada.Page, "mellon") {
		t.Error("the page shows a secret of a form that is new to it")
	}
	sh := w.Shell()
	sh.Login(w.Person(), "ada", ada.Code())
	line := func(number int) (out, complaint string, ok bool) {
		return sh.Run(fmt.Sprintf(`{"stations":[{"name":"door","number":%d,"word":"friend"}]}`, number), "application", "set", "by-line", "--kind", "vpn", "--protocol", "pretend", "--settings", "-")
	}
	if _, complaint, ok := line(7); ok || !strings.Contains(complaint, "the station number 7") {
		t.Errorf("a number that another application has: %s", complaint)
	}
	if out, complaint, ok := line(8); !ok {
		t.Errorf("by the command line: %s%s", out, complaint)
	}
	if out, complaint, ok := sh.Run("", "--json", "application", "show", "by-line"); !ok || strings.Contains(out, "friend") || !strings.Contains(out, application.HiddenSecret) {
		t.Errorf("it is shown as %s%s", out, complaint)
	}

	grace := w.EnrollCodes("grace")
	chain, enrolled, err := pretendkind.New(5)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DB.Change(t.Context(), audit.System("test"), func(tx *store.Tx) error {
		d, err := w.Accounts.Find(t.Context(), tx, "grace")
		if err != nil {
			return err
		}
		_, err = w.Credentials.Add(t.Context(), tx, directory.Credential{Account: d.ID, Kind: pretendkind.Kind, Label: enrolled.Label, Traits: enrolled.Traits, State: enrolled.State})
		tx.Record(audit.Entry{Event: "test.chain", Outcome: audit.OK})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	asks := func(station, word, code string) string {
		t.Helper()
		p := w.Person()
		p.Take(http.PostForm(w.Base+pretendprotocol.Path, url.Values{"station": {station}, "word": {word}, "name": {"grace"}, "password": {servertest.Passphrase}, "code": {code}}))
		return p.Page
	}
	for _, c := range []struct{ station, word, code, want string }{
		{"7", "mellon", chain[0], "Hello: yes"}, {"7", "mellon", chain[0], "Hello: no"}, {"8", "friend", chain[1], "yes"}, {"8", "mellon", chain[2], "no"}, {"9", "friend", chain[2], "no"},
	} {
		if got := asks(c.station, c.word, c.code); got != c.want {
			t.Errorf("station %s is answered %q, not %q", c.station, got, c.want)
		}
	}
	dials := func(word, code string) string {
		t.Helper()
		conn, err := net.Dial("tcp", w.Sockets[pretendprotocol.Protocol].Addresses[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text, _ := json.Marshal(pretendprotocol.Line{Station: "7", Word: word, Name: "grace", Password: servertest.Passphrase, Code: code})
		if _, err := conn.Write(append(text, '\n')); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(answer))
	}
	for _, c := range []struct{ word, code, want string }{{"mellon", chain[2], "Hello: yes"}, {"mellon", chain[2], "Hello: no"}, {"friend", chain[3], "no"}} {
		if got := dials(c.word, c.code); got != c.want {
			t.Errorf("on a socket, %s is answered %q, not %q", c.word, got, c.want)
		}
	}
	if _, err := w.Listen(map[string][]string{"yubico": {"127.0.0.1:0"}}); err == nil {
		t.Error("addresses for a protocol that opens no sockets are taken")
	}
	if got := measured(t, w)[pretendprotocol.Protocol]; len(got) != 1 || got[0].Value != 3 {
		t.Errorf("the metrics of a new protocol are %v", got)
	}
	grace.Comes("grace", grace.Secret)
	grace.Get("/account/history")
	grace.Sees("Let in to by-form with password and pretended chain")
	body := "rules:\n  - name: all\n    require: two-factors\n  - name: chains\n    when: protocol == \"pretend\"\n    refuse: [pretend]\n"
	w.SetPolicy(body)
}

// The promise: what a folder leaves out is named.
func TestWhatAFolderLeavesOutIsNamed(t *testing.T) {
	w := theWhole(t)
	pages := fstest.MapFS{
		"docs/pretend.md":                             {Data: []byte("pretend")},
		"docs/authenticators.md":                      {Data: []byte("| `pretend` | a chain |")},
		"docs/metrics.md":                             {Data: []byte("`countersign_pretend_lines_total`")},
		"internal/protocol/pretend/pretend_test.go":   {},
		"internal/authenticator/pretend/exam_test.go": {},
	}
	only := func(d protocol.Description, k authenticator.Authenticator, sources fs.FS) []string {
		return whole{protocols: protocol.List{d}, kinds: server.KindList{{Authenticator: k}}, sources: sources,
			measured: map[string][]metrics.Sample{"pretend": {{Name: "countersign_pretend_lines_total"}}}}.lacks()
	}
	if out := only(pretendprotocol.Description(), pretendkind.Authenticator{}, pages); len(out) != 0 {
		t.Errorf("the whole example lacks %q", out)
	}
	out := only(pretendprotocol.Description(), pretendkind.Authenticator{}, w.sources)
	for _, want := range []string{"protocol pretend lacks documentation (docs/pretend.md)", "kind pretend lacks documentation (docs/pretend.md)", "kind pretend lacks its line in docs/authenticators.md"} {
		if !slices.Contains(out, want) {
			t.Errorf("nothing says %q: %q", want, out)
		}
	}
	d := pretendprotocol.Description()
	d.Way, d.Plays, d.CheckSettings, d.Metrics, d.Form[0].Fields[1].Label, d.Form[0].Add = "", 0, nil, []string{"countersign_pretend_total"}, "", ""
	out = only(d, mute{}, pages)
	for _, want := range []string{"protocol pretend lacks words (Way)", "protocol pretend lacks what it plays (Plays)", "protocol pretend lacks the check of settings",
		"protocol pretend lacks documentation of its metric countersign_pretend_total (docs/metrics.md)",
		"protocol pretend lacks samples of its metric countersign_pretend_total", "protocol pretend lacks its metric countersign_pretend_lines_total in its description (Metrics)", `protocol pretend lacks words for its field "number" (Label)`,
		"protocol pretend lacks words for its list stations", "kind mute lacks words (Noun)", "kind mute lacks a picture (Mark)", "kind mute lacks tests in its folder", "kind mute lacks a method of RFC 8176 (AMR)"} {
		if !slices.Contains(out, want) {
			t.Errorf("nothing says %q: %q", want, out)
		}
	}
}

// mute is a kind that says next to nothing of itself.
type mute struct{ pretendkind.Authenticator }

func (mute) Describe() authenticator.Description {
	return authenticator.Description{Kind: "mute", AMR: "mumbling"}
}
