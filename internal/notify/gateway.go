package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/internal/failure"
	"countersign/internal/text"
)

// The forms in which gateways want telephone numbers, see [Gateway.Number].
const (
	WithPlus   = "plus"   // +4930123456
	WithZeros  = "zeros"  // 004930123456
	OnlyDigits = "digits" // 4930123456
)

// Gateway sends short messages to an HTTP service that delivers them by SMS. It follows
// no redirects, so that nothing is sent to another address.
//
// In Fields and JSON, "{number}" stands for the telephone number, "{text}" for the message and
// "{secret}" for Secret, which stands so in Value as well.
type Gateway struct {
	// URL is https, or http on loopback.
	URL string
	// Method is POST, or GET, where Fields are in the query and there is no body; empty
	// is POST.
	Method string
	// Form sends the fields as application/x-www-form-urlencoded instead of a JSON
	// object of strings.
	Form bool
	// Fields is what is sent.
	Fields map[string]string
	// JSON is sent in place of Fields: a document in whose texts the words are replaced,
	// so that nothing in a message changes its form. Empty is none.
	JSON string
	// Number is the form of numbers: WithPlus, WithZeros or OnlyDigits; empty is WithPlus.
	Number string
	// Accepted is what the body of the answer has when the message was accepted, for
	// services that answer 200 in any case; nil looks at the status alone.
	Accepted *regexp.Regexp
	// Header with its Value authenticates; empty is none.
	Header, Value string
	// Secret is called for each message, so that a changed file needs no restart; nil is none.
	Secret func() (string, error)
	Client *http.Client
}

// gatewayPatience is how long one message may take.
const gatewayPatience = 30 * time.Second

// mostOfAnswer is how many bytes of an answer are read.
const mostOfAnswer = 64 << 10

// Send sends one message. The class of an error says what to do: after Refused this message
// may be taken later, after Unavailable nothing is taken now. The sentence has the
// service's answer, and neither the number nor the text nor the secret.
func (g Gateway) Send(ctx context.Context, number, message string) error {
	ctx, cancel := context.WithTimeout(ctx, gatewayPatience)
	defer cancel()
	secret := ""
	if g.Secret != nil {
		var err error
		if secret, err = g.Secret(); err != nil {
			return failure.Wrap(failure.Unavailable, err, "The secret for the SMS gateway cannot be read. Check sms.secret_file.")
		}
	}
	r, err := g.request(ctx, strings.NewReplacer("{number}", g.form(number), "{text}", message, "{secret}", secret))
	if err != nil {
		return err
	}
	if g.Header != "" {
		r.Header.Set(g.Header, strings.ReplaceAll(g.Value, "{secret}", secret))
	}
	client := *cmp.Or(g.Client, http.DefaultClient)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its text would have the whole address
		}
		return failure.Wrap(failure.Unavailable, err, "The SMS gateway cannot be reached. Check sms.url.")
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, mostOfAnswer)) // what came of it is enough
	return g.judge(answer.StatusCode, body, func(s string) string { return hiddenIn(s, message, secret) })
}

// form is a number (E.164 with a +) as the gateway wants it.
func (g Gateway) form(number string) string {
	switch digits := strings.TrimPrefix(number, "+"); g.Number {
	case OnlyDigits:
		return digits
	case WithZeros:
		return "00" + digits
	}
	return number
}

// judge reports what an answer means. Those that say something of our settings or of the
// service hold for all messages.
func (g Gateway) judge(status int, body []byte, hidden func(string) string) error {
	class := failure.Refused
	switch {
	case status/100 == 2 && (g.Accepted == nil || g.Accepted.Match(body)):
		return nil
	case status/100 == 3, status/100 == 5, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound,
		status == http.StatusMethodNotAllowed, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		class = failure.Unavailable
	}
	said := strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "")), " ")
	if said = hidden(said); len(said) > longestAnswer {
		said = strings.ToValidUTF8(said[:longestAnswer], "") + "…"
	}
	return failure.New(class, "The SMS gateway answered %d: %s", status, text.Seen(said))
}

// longNumbers are telephone numbers and codes.
var longNumbers = regexp.MustCompile(`\d{6,}`)

// hiddenIn takes what nobody should read out of an answer that may repeat it: as it was sent,
// and as addresses, pages and documents write it.
func hiddenIn(s, message, secret string) string {
	for _, hide := range append([]string{strings.Join(strings.Fields(message), " ")}, spellings(secret)...) {
		if hide != "" {
			s = replaceFold(s, hide, "***")
		}
	}
	return longNumbers.ReplaceAllString(s, "***")
}

// spellings are the ways in which an answer may repeat a secret, the longest first.
func spellings(secret string) []string {
	var out []string
	for _, s := range []string{secret, strings.Join(strings.Fields(secret), " ")} {
		quoted, err := json.Marshal(s)
		if err == nil {
			out = append(out, strings.Trim(string(quoted), `"`))
		}
		out = append(out, s, url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s), base64.StdEncoding.EncodeToString([]byte(s)))
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// replaceFold replaces a text in whatever case, since hexadecimal digits have two.
func replaceFold(s, old, with string) string {
	return regexp.MustCompile("(?i)"+regexp.QuoteMeta(old)).ReplaceAllLiteralString(s, with)
}

// request is what is sent.
func (g Gateway) request(ctx context.Context, fill *strings.Replacer) (*http.Request, error) {
	body, kind, err := g.body(fill)
	if err != nil {
		return nil, err
	}
	method, to := cmp.Or(g.Method, http.MethodPost), g.URL
	if method == http.MethodGet {
		separator := "?"
		if strings.Contains(to, "?") {
			separator = "&"
		}
		to, body, kind = to+separator+string(body), nil, ""
	}
	r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return nil, failure.New(failure.Unavailable, "The address in sms.url cannot be used.") // the cause would have it, with what was filled in
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r, nil
}

// body is what is sent, with its media type. The fields of a GET are a form.
func (g Gateway) body(fill *strings.Replacer) (body []byte, kind string, err error) {
	if g.JSON != "" {
		body, err = filledJSON(g.JSON, fill)
		return body, "application/json", err
	}
	fields, form := map[string]string{}, url.Values{}
	for name, value := range g.Fields {
		fields[name] = fill.Replace(value)
		form.Set(name, fields[name])
	}
	if g.Form || g.Method == http.MethodGet {
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	}
	body, err = json.Marshal(fields)
	return body, "application/json", err
}

// filledJSON replaces words in the texts of a document, and nowhere else.
func filledJSON(document string, fill *strings.Replacer) ([]byte, error) {
	d := json.NewDecoder(strings.NewReader(document))
	d.UseNumber()
	var all any
	if err := d.Decode(&all); err != nil {
		return nil, failure.New(failure.Unavailable, "The document in sms.body is no JSON: %v.", err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(filled(all, fill))
	return bytes.TrimSpace(b.Bytes()), err
}

func filled(v any, fill *strings.Replacer) any {
	switch v := v.(type) {
	case string:
		return fill.Replace(v)
	case []any:
		for i := range v {
			v[i] = filled(v[i], fill)
		}
	case map[string]any:
		for name := range v {
			v[name] = filled(v[name], fill)
		}
	}
	return v
}
