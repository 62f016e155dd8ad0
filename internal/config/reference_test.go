package config

import (
	"bytes"
	"net"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// keys lists every setting and part of a configuration, as the file names it.
func keys(of reflect.Type, prefix string) []string {
	var out []string
	for i := range of.NumField() {
		f := of.Field(i)
		key := prefix + f.Tag.Get("yaml")
		out = append(out, key)
		inside := f.Type
		if inside.Kind() == reflect.Slice {
			inside = inside.Elem()
		}
		if inside.Kind() == reflect.Struct {
			out = append(out, keys(inside, key+".")...)
		}
	}
	return out
}

func exampleText(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteExample(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The promise: the reference explains each setting of the struct, and no other.
func TestReferenceIsWhole(t *testing.T) {
	all := keys(reflect.TypeFor[File](), "")
	for _, key := range all {
		if says[key] == "" {
			t.Errorf("nothing explains %s", key)
		}
	}
	if len(all) != len(says) {
		t.Errorf("%d settings and %d explanations: some are of settings that are gone", len(all), len(says))
	}
}

var turnedOff = regexp.MustCompile(`(?m)^(\s*)#(\S)`)

// The promise: what the example shows is what holds where nothing is set. Whole as it is
// printed it changes nothing, and with every line turned on neither.
func TestExampleIsTheDefaults(t *testing.T) {
	text := exampleText(t)
	for what, s := range map[string]string{"as printed": text, "turned on": turnedOff.ReplaceAllString(text, "$1$2")} {
		c, err := Parse([]byte(s))
		if err != nil {
			t.Fatalf("%s: %v\n%s", what, err, s)
		}
		if now, restart := Changes(Default(), c); len(now)+len(restart) > 0 {
			t.Errorf("%s it changes %v %v", what, now, restart)
		}
	}
	on := turnedOff.ReplaceAllString(text, "$1$2")
	for _, key := range keys(reflect.TypeFor[File](), "") {
		last := key[strings.LastIndex(key, ".")+1:]
		if !regexp.MustCompile(`(?m)^\s*(#   )?` + regexp.QuoteMeta(last) + `:`).MatchString(on) {
			t.Errorf("the example lacks %s", key)
		}
	}
}

// The documentation has the example as it is printed. UPDATE=1 writes it.
func TestConfigurationPage(t *testing.T) {
	const path, begins, ends = "../../docs/configuration.md", "```yaml\n", "```\n"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(b), begins)
	_, after, closed := strings.Cut(rest, ends)
	if !found || !closed {
		t.Fatal("there is no block of yaml on the page")
	}
	want := before + begins + exampleText(t) + ends + after
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(b) {
		t.Error("docs/configuration.md is not what countersign config example prints; run UPDATE=1 go test ./internal/config -run TestConfigurationPage")
	}
}

// The promise: a printed configuration has no secret of a database or a gateway in it.
func TestWithoutSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, database := range []string{"postgres://u:hunter2@db/x", "postgres://u:hunter2@one:1,two:2/x?sslmode=verify-full", "postgresql://u:a@hunter2@db/x", "postgres://u@db/x?password=hunter2&sslmode=disable",
		"postgres://u@db/x?sslPassword=hunter2", "postgres://u:hunter2/x@db/x", "postgres://u:%zz:hunter2@db/x", "hunter2"} {
		c := Default()
		c.Database = database
		if got := c.WithoutSecrets().Database; strings.Contains(got, secret) || !strings.Contains(got, Hidden) {
			t.Errorf("%s is printed as %s", database, got)
		}
	}
	c := Default()
	c.SMS = SMS{URL: "https://sms.example.net/?key=hunter2", Value: "Bearer hunter2", Body: `{"apikey": "hunter2", "to": "{number}"}`, Fields: map[string]string{"password": secret, "to": "{number}"}}
	var b bytes.Buffer
	if err := c.WithoutSecrets().Print(&b); err != nil || strings.Contains(b.String(), secret) || !strings.Contains(b.String(), "{number}") {
		t.Errorf("%v, and it prints\n%s", err, &b)
	}
	if c.SMS.Fields["password"] != secret {
		t.Error("what is printed is taken from what is used")
	}
	plain := Default()
	plain.Database, plain.SMS.Value = "postgres://u@db:5432/x?sslmode=verify-full", "Bearer {secret}"
	if got := plain.WithoutSecrets(); got.Database != plain.Database || got.SMS.Value != plain.SMS.Value {
		t.Errorf("what has no secret is hidden: %+v", got)
	}
}

// The promise: an address alone gives a public address that browsers on this machine reach.
func TestPublicURLFollowsListen(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "http://localhost:8080",
		"listen: 127.0.0.1:9000\n":             "http://localhost:9000",
		"listen: '[::1]:9000'\n":               "http://localhost:9000",
		"listen: 0.0.0.0:80\nplain_http: true": "http://localhost",
		"listen: 0.0.0.0:443\ntls: {certificate: c, key: k}":            "https://localhost",
		"listen: 127.0.0.1:9000\npublic_url: http://localhost:8080":     "http://localhost:8080",
		"listen: 127.0.0.1:9000\npublic_url: https://login.example.org": "https://login.example.org",
	} {
		c, err := Parse([]byte(text))
		if err != nil || c.PublicURL != want {
			t.Errorf("%q: %s, %v", text, c.PublicURL, err)
		}
		if _, _, err := net.SplitHostPort(c.Listen); err != nil || c.Local() != strings.Contains(want, "localhost") {
			t.Errorf("%q: local is %t", text, c.Local())
		}
	}
	c, err := ReadWith("", func(f *File) { f.Listen = "127.0.0.1:7000" })
	if err != nil || c.PublicURL != "http://localhost:7000" {
		t.Errorf("a flag over no file: %s, %v", c.PublicURL, err)
	}
}

// The promise: a printed configuration shows neither what authenticates at a collector nor the
// path of a webhook, which is as good as a key to it.
func TestPrintedDestinationsAreClean(t *testing.T) {
	c := Default()
	c.Events = []Destination{{Name: "a", Kind: "otlp", URL: "https://otel.example.org/v1/logs", Header: "Authorization", Value: "Bearer hunter2"},
		{Name: "b", Kind: "webhook", URL: "https://hooks.example.org/T0/hunter2?key=hunter2"}}
	var b bytes.Buffer
	if err := c.WithoutSecrets().Print(&b); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.Contains(s, "hunter2") || !strings.Contains(s, "https://otel.example.org/v1/logs") || !strings.Contains(s, "https://hooks.example.org/"+Hidden) {
		t.Error(s)
	}
	if !strings.Contains(c.Events[0].Value, "hunter2") {
		t.Error("the configuration itself was changed")
	}
}
