package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Gateway sends short messages to an HTTP service that delivers them by SMS. It follows
// no redirects, so that nothing is sent to another address.
type Gateway struct {
	// URL is https, or http on loopback.
	URL string
	// Form sends the fields as application/x-www-form-urlencoded instead of a JSON
	// object of strings.
	Form bool
	// Fields is what is sent. "{number}" and "{text}" in a value are replaced by the
	// telephone number (E.164 with a +) and the message.
	Fields map[string]string
	// Header with its Value authenticates; "{secret}" in the value is replaced by Secret.
	Header, Value string
	// Secret is called for each message, so that a changed file needs no restart; nil is none.
	Secret func() (string, error)
	Client *http.Client
}

// Send sends one message. The error holds the answer of the service, and neither the
// number nor the text.
func (g Gateway) Send(ctx context.Context, number, text string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, kind, err := g.body(strings.NewReplacer("{number}", number, "{text}", text))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("notify: the gateway's address cannot be used")
	}
	r.Header.Set("Content-Type", kind)
	if g.Header != "" {
		secret := ""
		if g.Secret != nil {
			if secret, err = g.Secret(); err != nil {
				return err
			}
		}
		r.Header.Set(g.Header, strings.ReplaceAll(g.Value, "{secret}", secret))
	}
	client := *g.client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its text would have the whole address
		}
		return fmt.Errorf("notify: the gateway cannot be reached: %w", err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) //nolint:errcheck // only so that the connection can be used again
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("notify: the gateway answered %d", answer.StatusCode)
	}
	return nil
}

func (g Gateway) client() *http.Client {
	if g.Client != nil {
		return g.Client
	}
	return http.DefaultClient
}

func (g Gateway) body(fill *strings.Replacer) (body []byte, kind string, err error) {
	fields := map[string]string{}
	form := url.Values{}
	for name, value := range g.Fields {
		fields[name] = fill.Replace(value)
		form.Set(name, fields[name])
	}
	if g.Form {
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	}
	body, err = json.Marshal(fields)
	return body, "application/json", err
}
