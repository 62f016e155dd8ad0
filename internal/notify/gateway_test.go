package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/failure"
	"countersign/internal/notify"
)

const smsText = "123456 is your code for \"Müller & Söhne\".\n\n@login.example.org #123456"

// gateways is a service that takes what a test says, and what it was sent last.
func gateways(t *testing.T, status int, answer string) (url string, sent *string) {
	t.Helper()
	sent = new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*sent = fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("X-Key"), body)
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, sent
}

// Each kind of gateway is sent what it expects: a query, a form, an object, or a document of
// its own, with the number in its form and whatever stands in the message.
func TestGatewaysAreSent(t *testing.T) {
	fields := map[string]string{"to": "{number}", "msg": "{text}"}
	const query = "msg=123456+is+your+code+for+%22M%C3%BCller+%26+S%C3%B6hne%22.%0A%0A%40login.example.org+%23123456&to="
	const inJSON = `"123456 is your code for \"Müller & Söhne\".\n\n@login.example.org #123456"`
	for name, c := range map[string]struct {
		g    notify.Gateway
		want string
	}{
		"a query":                {notify.Gateway{Method: "GET", Number: notify.OnlyDigits, Fields: fields}, "GET /?" + query + "4930123456   "},
		"beside another query":   {notify.Gateway{Method: "GET", URL: "/send?api=2", Number: notify.WithZeros, Fields: fields}, "GET /send?api=2&" + query + "004930123456   "},
		"a form":                 {notify.Gateway{Form: true, Fields: fields}, "POST / application/x-www-form-urlencoded  " + query + "%2B4930123456"},
		"an object":              {notify.Gateway{Fields: map[string]string{"to": "{number}"}}, `POST / application/json  {"to":"+4930123456"}`},
		"a document":             {notify.Gateway{JSON: `{"messages":[{"to":["{number}"],"body":"{text}","flash":false,"ttl":12345678901234567890}]}`}, `POST / application/json  {"messages":[{"body":` + inJSON + `,"flash":false,"to":["+4930123456"],"ttl":12345678901234567890}]}`},
		"a secret in a header":   {notify.Gateway{Header: "X-Key", Value: "Bearer {secret}", Fields: map[string]string{"to": "{number}"}}, `POST / application/json Bearer s3cr&t {"to":"+4930123456"}`},
		"a secret in a document": {notify.Gateway{JSON: `{"key":"{secret}","to":"{number}"}`}, `POST / application/json  {"key":"s3cr&t","to":"+4930123456"}`},
	} {
		t.Run(name, func(t *testing.T) {
			url, sent := gateways(t, 200, "")
			c.g.URL = url + c.g.URL
			c.g.Secret = func() (string, error) { return "s3cr&t", nil }
			if err := c.g.Send(context.Background(), "+4930123456", smsText); err != nil || *sent != c.want {
				t.Errorf("%v\n%s\n%s", err, *sent, c.want)
			}
		})
	}
}

// What an answer means is told by its status, or by its body where a service says 200 to
// everything; and no error repeats the number, the code or the secret.
func TestGatewaysAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		body     string
		accepted string
		class    failure.Class
		tells    string // empty is accepted
	}{
		"taken":                           {202, "", "", 0, ""},
		"taken, it says":                  {200, "ID: 5012345678\n", `^ID: `, 0, ""},
		"refused, though 200":             {200, "ERR: 114, Cannot route message", `^ID: `, failure.Refused, "answered 200: ERR: 114"},
		"refused in JSON, though 200":     {200, `{"messages":[{"status":"4","error-text":"Bad Credentials"}]}`, `"status": ?"0"`, failure.Refused, "Bad Credentials"},
		"an empty answer, though 200":     {200, "", `"status": ?"0"`, failure.Refused, "answered 200"},
		"it would match, but failed":      {503, "ID: 5", `^ID: `, failure.Unavailable, "503"},
		"this number not":                 {400, `{"code":21211,"message":"The 'To' number +4930123456 is not a valid phone number."}`, "", failure.Refused, `{"code":21211,"message":"The 'To' number +*** is not`},
		"who are you":                     {401, "unauthorized: s3cr&t s3cr%26t", "", failure.Unavailable, "unauthorized: *** ***"},
		"it repeats the address":          {401, "GET /send?key=s3cr%26t&x=s3cr&amp;t HTTP/1.1", "", failure.Unavailable, "key=***&x=*** HTTP"},
		"it repeats it in JSON":           {403, `{"key":"s3cr\u0026t","b":"czNjciZ0"}`, "", failure.Unavailable, `{"key":"***","b":"***"}`},
		"too many":                        {429, "slow down", "", failure.Unavailable, "429"},
		"it repeats everything":           {500, "cannot send " + smsText + " to 004930123456", "", failure.Unavailable, "cannot send *** to ***"},
		"it repeats the code":             {500, "#123456", "", failure.Unavailable, "#***"},
		"elsewhere":                       {302, "", "", failure.Unavailable, "302"},
		"something that is for terminals": {500, "\x1b[2J" + strings.Repeat("long ", 1000), "", failure.Unavailable, `\u{1B}[2Jlong`},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := gateways(t, c.status, c.body)
			g := notify.Gateway{URL: url, Fields: map[string]string{"to": "{number}", "text": "{text}"}, Secret: func() (string, error) { return "s3cr&t", nil }}
			if c.accepted != "" {
				g.Accepted = regexp.MustCompile(c.accepted)
			}
			err := g.Send(context.Background(), "+4930123456", smsText)
			if c.tells == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure.ClassOf(err) != c.class || !strings.Contains(failure.Public(err), c.tells) || len(err.Error()) > 500 {
				t.Errorf("%v, %v", failure.ClassOf(err), err)
			}
			for _, hidden := range []string{"4930123456", "123456", "s3cr", "\x1b"} {
				if strings.Contains(err.Error(), hidden) {
					t.Errorf("%q is told", hidden)
				}
			}
		})
	}
	g := notify.Gateway{Method: "GET", URL: "http://127.0.0.1:1/", Fields: map[string]string{"to": "{number}", "key": "{secret}"}, Secret: func() (string, error) { return "s3cr&t", nil }}
	if err := g.Send(context.Background(), "+4930123456", smsText); failure.ClassOf(err) != failure.Unavailable || strings.Contains(err.Error(), "s3cr") || strings.Contains(err.Error(), "4930") {
		t.Errorf("nobody there: %v", err)
	}
	g.Secret = func() (string, error) { return "", errors.New("no such file") }
	if err := g.Send(context.Background(), "+4930123456", smsText); failure.ClassOf(err) != failure.Unavailable {
		t.Errorf("no secret: %v", err)
	}
}
