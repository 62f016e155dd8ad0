package api

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"countersign/internal/admin/nouns"
	"countersign/internal/store"
	"countersign/internal/web/look"
)

const published = "../../../docs/openapi.json"

// The document in the repository is the one that is served. To write it anew:
//
//	UPDATE=1 go test ./internal/web/api
func TestDocument(t *testing.T) {
	l, err := look.New(look.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a := New(Parts{Look: l, Admin: nouns.New(nouns.Parts{DB: new(store.DB)}), PublicURL: &url.URL{Scheme: "https", Host: "login.example.org"}, Now: time.Now})
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(a.Document()); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(published, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(published)
	if err != nil || !bytes.Equal(file, b.Bytes()) {
		t.Fatalf("docs/openapi.json is not what is served (%v); run UPDATE=1 go test ./internal/web/api", err)
	}
	var doc map[string]any
	if err := json.Unmarshal(file, &doc); err != nil {
		t.Fatal(err)
	}
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for name := range schemas {
		if strings.ToUpper(name[:1]) != name[:1] {
			t.Errorf("a schema is called %s", name)
		}
	}
	refs(t, schemas, doc)
	untagged(t, schemas)
}

// refs checks that every reference leads somewhere.
func refs(t *testing.T, schemas map[string]any, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && schemas[strings.TrimPrefix(ref, "#/components/schemas/")] == nil {
			t.Errorf("%s leads nowhere", ref)
		}
		for _, inner := range v {
			refs(t, schemas, inner)
		}
	case []any:
		for _, inner := range v {
			refs(t, schemas, inner)
		}
	}
}

// untagged finds fields that go out under their Go names.
func untagged(t *testing.T, schemas map[string]any) {
	t.Helper()
	for name, s := range schemas {
		properties, _ := s.(map[string]any)["properties"].(map[string]any)
		for p := range properties {
			if strings.ToLower(p) != p {
				t.Errorf("%s.%s has no JSON name of its own", name, p)
			}
		}
	}
}

func TestEveryRequestSaysWhatItDemands(t *testing.T) {
	a := &API{}
	n := 0
	for _, r := range a.Requests() {
		n++
		if r.Demand == (look.Demand{}) || r.Summary == "" || r.Handler == nil {
			t.Errorf("%s lacks its demand, its summary or its handler", r.Pattern)
		}
		if strings.Contains(r.Pattern, "/commands/") && r.Demand == look.Public() {
			t.Errorf("%s is open to anybody", r.Pattern)
		}
	}
	if n < 30 {
		t.Errorf("the list of requests shrank to %d", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"name":"ada"}`)
	f.Add(`{"name":"ada"} {}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, s := range nouns.Commands() {
			c := s.New()
			if decode([]byte(body), c) != nil {
				continue
			}
			c, err := settle(s, c)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := again(s.Action, b, c.Object()); err != nil {
				t.Errorf("%s: what was approved reads differently when it is done: %v", s.Action, err)
			}
		}
	})
}
