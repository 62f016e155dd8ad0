package events

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/outside"
)

// Webhook posts entries as JSON with the signature of the Standard Webhooks specification: an
// HMAC-SHA-256 of the identifier, the time and the body. It connects to nothing inside the
// network that is not listed, follows no redirect and asks no proxy.
type Webhook struct {
	// URL is https, or http on a listed loopback address.
	URL string
	// SecretFile has one secret for each line, whsec_ and base64: two while one is replaced
	// by the other. Each signs. It is read for each request.
	SecretFile string
	Inside     outside.Listed
	Files      Files
	// Host is the host of the public address, by which receivers tell installations apart.
	Host string
	// Name is that of the destination.
	Name  string
	Now   func() time.Time
	Trace Trace

	poster *poster
}

// Close ends the connections.
func (w *Webhook) Close() {
	if w.poster != nil {
		w.poster.close()
	}
}

// hooked is the body of a request.
type hooked struct {
	From   string     `json:"from"`
	Events []numbered `json:"events"`
}

// Take posts entries in one request.
func (w *Webhook) Take(ctx context.Context, entries []audit.Entry) (int, error) {
	lines, err := secrets(w.SecretFile)
	if err != nil {
		return 0, err
	}
	keys, err := hookKeys(lines)
	if err != nil {
		return 0, err
	}
	all := hooked{From: w.Host}
	for _, e := range entries {
		all.Events = append(all.Events, number(e))
	}
	var b bytes.Buffer
	if err := appendLine(&b, all); err != nil {
		return 0, err
	}
	if w.poster == nil {
		u, err := url.Parse(w.URL)
		if err != nil {
			return 0, failure.New(failure.Unavailable, "The url of the webhook cannot be used.")
		}
		w.poster = &poster{what: "webhook", files: w.Files, control: w.Inside.Control(u.Hostname()), trace: w.Trace}
	}
	header := w.signed(keys, entries, b.Bytes())
	w.Trace.say("webhook-id %s, signed with %d secrets", header.Get("webhook-id"), len(keys))
	_, err = w.poster.send(ctx, post{url: w.URL, header: header, body: b.Bytes(), hide: lines})
	return 0, err
}

// signed are the headers of a request.
func (w *Webhook) signed(keys [][]byte, entries []audit.Entry, body []byte) http.Header {
	first, last := entries[0].Seq, entries[len(entries)-1].Seq
	id, at := fmt.Sprintf("%s-%d-%d", w.Name, first, last), strconv.FormatInt(w.Now().Unix(), 10)
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", at)
	var all []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.", id, at)
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	h.Set("webhook-signature", strings.Join(all, " "))
	return h
}

// leastKey and mostKey are the lengths in bytes that the specification allows.
const leastKey, mostKey, mostKeys = 24, 64, 2

// hookKeys reads secrets. An error repeats none of them.
func hookKeys(lines []string) ([][]byte, error) {
	if len(lines) > mostKeys {
		return nil, failure.New(failure.Unavailable, "The file in secret_file has %d secrets; one or two are used.", len(lines))
	}
	var out [][]byte
	for _, line := range lines {
		coded, ok := strings.CutPrefix(line, "whsec_")
		key, err := base64.StdEncoding.DecodeString(coded)
		if !ok || err != nil || len(key) < leastKey || len(key) > mostKey {
			return nil, failure.New(failure.Unavailable, "A secret of a webhook must be whsec_ and the base64 of 24 to 64 bytes. Make one: echo whsec_$(openssl rand -base64 32)")
		}
		out = append(out, key)
	}
	return out, nil
}

func nonEmpty(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}
