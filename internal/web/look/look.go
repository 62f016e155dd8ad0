package look

import (
	"bytes"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"embed"

	"countersign/internal/language"
)

//go:embed all:templates
var templateFiles embed.FS

// Options are what a [Look] needs to know.
type Options struct {
	// Secure says that browsers come by https.
	Secure bool
	// Organisation is whose installation it is, for the head and the foot of people's
	// pages; it may be empty.
	Organisation string
	// Brand is how people's pages look.
	Brand Brand
	// Now is the clock that "3 minutes ago" is told by.
	Now func() time.Time
	// Kinds are the words and facts of each kind of authenticator, by its stable word.
	Kinds map[string]Kind
	// Languages are what people's pages are in; nil is English and German.
	Languages *language.Shelf
	// Log hears of errors that are our own fault.
	Log *slog.Logger
}

// Look renders pages. It is safe for concurrent use.
type Look struct {
	Options
	Jar
	assets *assets
	brand  branding
	own    *Set
}

// New makes a Look. An error is a mistake in the embedded files.
func New(o Options) (*Look, error) {
	a, err := loadAssets()
	if err != nil {
		return nil, err
	}
	if o.Languages == nil {
		if o.Languages, err = language.NewShelf(""); err != nil {
			return nil, err
		}
	}
	l := &Look{Options: o, Jar: Jar{Secure: o.Secure}, assets: a, brand: a.wear(o.Brand, o.Organisation)}
	if _, err := l.base(language.English()); err != nil {
		return nil, err
	}
	l.own = l.Load(templateFiles)
	return l, nil
}

// base parses what every page has, with the functions of one language.
func (l *Look) base(in *language.Language) (*template.Template, error) {
	return template.New("look").Funcs(l.functions(in)).Option("missingkey=error").ParseFS(templateFiles, "templates/_*.html")
}

// Set is one room's pages, in each language.
type Set struct {
	look  *Look
	files fs.FS
	mu    sync.Mutex
	pages map[string]map[string]*template.Template // by tag of the language, and by name
}

// Load parses a room's folder "templates". A file that begins with an
// underscore is a part that all of the room's pages may use; every other file is
// a page of that name and defines "body". It panics on a template that does not
// parse, like [template.Must]: the files are compiled in.
func (l *Look) Load(files fs.FS) *Set {
	s := &Set{look: l, files: files, pages: map[string]map[string]*template.Template{}}
	s.in(language.English())
	return s
}

// in are the pages in one language. They are parsed when they are first asked for.
func (s *Set) in(one *language.Language) map[string]*template.Template {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pages[one.Tag()] == nil {
		s.pages[one.Tag()] = s.parse(one)
	}
	return s.pages[one.Tag()]
}

func (s *Set) parse(in *language.Language) map[string]*template.Template {
	names := must(fs.Glob(s.files, "templates/*.html"))
	room := must(s.look.base(in))
	var pages []string
	for _, name := range names {
		if !strings.HasPrefix(path.Base(name), "_") {
			pages = append(pages, name)
			continue
		}
		template.Must(room.Parse(string(must(fs.ReadFile(s.files, name)))))
	}
	out := map[string]*template.Template{}
	for _, name := range pages {
		t := template.Must(template.Must(room.Clone()).Parse(string(must(fs.ReadFile(s.files, name)))))
		out[strings.TrimSuffix(path.Base(name), ".html")] = t
	}
	return out
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Names lists the pages of a set, so that a test can render every one.
func (s *Set) Names() []string {
	var out []string
	for name := range s.in(language.English()) {
		out = append(out, name)
	}
	return out
}

// Render writes a page. Nothing is sent before all of it is rendered, so that a
// page which breaks becomes an error page and never half a page.
func (s *Set) Render(w http.ResponseWriter, r *http.Request, p Page) error {
	l := s.look
	in := l.Language(r)
	f := frame{Page: p, Token: l.token(w, r), Organisation: l.Organisation, Language: in, Languages: l.others(r, in), Brand: l.worn(r)}
	if note := l.Get(r, noteCookie); note != "" {
		f.Note = decodeNote(note)
		l.Drop(w, noteCookie)
	}
	var b bytes.Buffer
	if err := s.execute(&b, f); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", in.Tag())
	h.Add("Vary", "Accept-Language, Cookie")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	if p.Refresh > 0 {
		after := strconv.Itoa(int(max(1, p.Refresh/time.Second)))
		if p.RefreshTo != "" {
			after += ";url=" + p.RefreshTo
		}
		h.Set("Refresh", after)
	}
	w.WriteHeader(max(p.Status, http.StatusOK))
	_, err := w.Write(b.Bytes())
	if err != nil {
		l.Log.Debug("the browser went away", "error", err)
	}
	return nil
}
