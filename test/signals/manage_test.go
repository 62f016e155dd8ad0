package signals

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/servertest"
)

// configuration is a stream as its receiver reads it.
type configuration struct {
	ID        string   `json:"stream_id"`
	Issuer    string   `json:"iss"`
	Audience  string   `json:"aud"`
	Supported []string `json:"events_supported"`
	Requested []string `json:"events_requested"`
	Delivered []string `json:"events_delivered"`
	Delivery  struct {
		Method        string `json:"method"`
		Endpoint      string `json:"endpoint_url"`
		Authorization string `json:"authorization_header"`
	} `json:"delivery"`
	Interval    int    `json:"min_verification_interval"`
	Description string `json:"description"`
}

var managing = []string{"stream.list", "stream.create", "stream.update", "stream.remove", "stream.set-status", "stream.add-subject", "stream.remove-subject", "stream.verify", "stream.poll"}

// The promise: a receiver makes, reads, changes and removes its stream by the management API of SSF,
// and adds and removes people, as the text has it.
func TestReceiverManagesItsStream(t *testing.T) {
	servertest.EachEngine(t, func(t *testing.T, dsn string) {
		s := siteOn(t, dsn)
		key := s.robot("siem", managing...)
		s.EnrollCodes("grace")
		s.EnrollCodes("hopper")
		s.numbered()
		var none []configuration
		s.must(http.StatusOK, "GET", "/signals/stream", key, nil, &none)
		if none == nil || len(none) != 0 {
			t.Errorf("there is %v", none)
		}
		var c configuration
		s.must(http.StatusCreated, "POST", "/signals/stream", key, map[string]any{"events_requested": []string{caep + "session-revoked", "urn:example:unknown"}, "description": "our SIEM"}, &c)
		if c.Issuer != s.Base || c.Audience == "" || len(c.Supported) != 6 || strings.Join(c.Delivered, " ") != caep+"session-revoked" || len(c.Requested) != 2 || c.Delivery.Method != "urn:ietf:rfc:8936" || !strings.HasPrefix(c.Delivery.Endpoint, s.Base+"/signals/poll/") || c.Interval <= 0 || c.Description != "our SIEM" {
			t.Errorf("made %+v", c)
		}
		at := "/signals/stream?stream_id=" + c.ID
		var got configuration
		s.must(http.StatusOK, "GET", at, key, nil, &got)
		s.must(http.StatusOK, "PATCH", "/signals/stream", key, map[string]any{"stream_id": c.ID, "iss": s.Base, "events_requested": []string{caep + "session-revoked", caep + "credential-change"}}, &got)
		if len(got.Delivered) != 2 || got.Description != "our SIEM" || got.Delivery.Method != "urn:ietf:rfc:8936" {
			t.Errorf("patched %+v", got)
		}
		s.must(http.StatusBadRequest, "PATCH", "/signals/stream", key, map[string]any{"stream_id": c.ID, "aud": "https://evil.example.org"}, nil)
		s.must(http.StatusBadRequest, "PATCH", "/signals/stream", key, map[string]any{"stream_id": c.ID, "iss": "https://evil.example.org"}, nil)
		s.must(http.StatusBadRequest, "PATCH", "/signals/stream", key, map[string]any{"stream_id": c.ID, "delivery": map[string]any{"method": "urn:example:mail"}}, nil)
		s.must(http.StatusForbidden, "PATCH", "/signals/stream", key, map[string]any{"stream_id": c.ID, "delivery": map[string]any{"method": "urn:ietf:rfc:8935", "endpoint_url": "https://169.254.169.254/"}}, nil)
		got = configuration{}
		s.must(http.StatusOK, "PUT", "/signals/stream", key, map[string]any{"stream_id": c.ID, "delivery": map[string]any{"method": "urn:ietf:rfc:8935", "endpoint_url": "https://siem.example.org/in", "authorization_header": "Bearer a-secret"}, "events_requested": []string{caep + "session-revoked"}}, &got)
		if got.Description != "" || got.Delivery.Method != "urn:ietf:rfc:8935" || got.Delivery.Endpoint != "https://siem.example.org/in" || got.Delivery.Authorization != "" {
			t.Errorf("replaced %+v", got)
		}
		s.must(http.StatusOK, "PUT", "/signals/stream", key, map[string]any{"stream_id": c.ID, "delivery": map[string]any{"method": "urn:ietf:rfc:8936"}, "events_requested": []string{caep + "credential-change"}}, &got)
		var state struct {
			ID     string `json:"stream_id"`
			Status string `json:"status"`
			Reason string `json:"reason"`
		}
		s.must(http.StatusOK, "GET", "/signals/status?stream_id="+c.ID, key, nil, &state)
		if state.Status != "enabled" || state.ID != c.ID {
			t.Errorf("it is %+v", state)
		}
		s.must(http.StatusOK, "POST", "/signals/status", key, map[string]any{"stream_id": c.ID, "status": "paused", "reason": "lunch"}, &state)
		if state.Status != "paused" || state.Reason != "lunch" {
			t.Errorf("it is %+v", state)
		}
		s.must(http.StatusBadRequest, "POST", "/signals/status", key, map[string]any{"stream_id": c.ID, "status": "asleep"}, nil)
		s.must(http.StatusOK, "POST", "/signals/status", key, map[string]any{"stream_id": c.ID, "status": "enabled"}, nil)
		for _, who := range []map[string]any{{"format": "account", "uri": "acct:grace@" + s.host()}, {"format": "account", "uri": "acct:nobody@" + s.host()}, {"format": "email", "email": "nobody@example.org"}, {"format": "iss_sub", "iss": s.Base, "sub": "nobody"}, {"format": "phone_number", "phone_number": "+1"}} {
			if status, text := s.request("POST", "/signals/subjects/remove", key, map[string]any{"stream_id": c.ID, "subject": who}); status != http.StatusNoContent || text != "" {
				t.Errorf("%v is answered %d %s: whether they exist is told", who, status, text)
			}
		}
		u, _ := url.Parse(got.Delivery.Endpoint)
		var sets struct {
			Sets map[string]string `json:"sets"`
			More bool              `json:"moreAvailable"`
		}
		s.numbered()
		clear(sets.Sets)
		s.must(http.StatusOK, "POST", u.Path, key, map[string]any{"returnImmediately": true, "maxEvents": 100}, &sets)
		var has []string
		for id := range sets.Sets {
			has = append(has, id)
		}
		s.does("pass.issue", map[string]any{"account": "grace", "note": "x"}, nil)
		s.does("pass.issue", map[string]any{"account": "hopper", "note": "x"}, nil)
		s.numbered()
		clear(sets.Sets)
		s.must(http.StatusOK, "POST", u.Path, key, map[string]any{"returnImmediately": true, "ack": has}, &sets)
		if len(sets.Sets) != 1 {
			t.Errorf("of two people, one of whom was removed, came %d signals", len(sets.Sets))
		}
		s.must(http.StatusOK, "POST", "/signals/subjects/add", key, map[string]any{"stream_id": c.ID, "subject": map[string]any{"format": "account", "uri": "acct:grace@" + s.host()}, "verified": true}, nil)
		s.numbered()
		clear(sets.Sets)
		s.must(http.StatusOK, "POST", u.Path, key, map[string]any{"returnImmediately": true, "maxEvents": 1}, &sets)
		if len(sets.Sets) != 1 || !sets.More {
			t.Errorf("one of two is %d, more %v", len(sets.Sets), sets.More)
		}
		s.numbered()
		clear(sets.Sets)
		s.must(http.StatusOK, "POST", u.Path, key, map[string]any{"returnImmediately": true, "maxEvents": 0}, &sets)
		s.Later(10e9)
		s.must(http.StatusNoContent, "POST", "/signals/verify", key, map[string]any{"stream_id": c.ID, "state": "abc"}, nil)
		s.must(http.StatusTooManyRequests, "POST", "/signals/verify", key, map[string]any{"stream_id": c.ID, "state": "abc"}, nil)
		s.must(http.StatusNoContent, "DELETE", at, key, nil, nil)
		s.must(http.StatusNotFound, "GET", at, key, nil, nil)
	})
}

// The promise: a receiver reaches its own streams alone, with what its key names; others are not
// there for it, and who has no key learns nothing.
func TestReceiversReachTheirOwnAlone(t *testing.T) {
	s := siteOn(t, "")
	mine, theirs, poor := s.robot("siem", managing...), s.robot("other", managing...), s.robot("poor", "account.list")
	var c configuration
	s.must(http.StatusCreated, "POST", "/signals/stream", mine, map[string]any{}, &c)
	u, _ := url.Parse(c.Delivery.Endpoint)
	asks := []struct {
		method, path string
		body         any
	}{
		{"GET", "/signals/stream?stream_id=" + c.ID, nil}, {"PATCH", "/signals/stream", map[string]any{"stream_id": c.ID}}, {"PUT", "/signals/stream", map[string]any{"stream_id": c.ID}}, {"DELETE", "/signals/stream?stream_id=" + c.ID, nil},
		{"GET", "/signals/status?stream_id=" + c.ID, nil}, {"POST", "/signals/status", map[string]any{"stream_id": c.ID, "status": "disabled"}}, {"POST", "/signals/verify", map[string]any{"stream_id": c.ID}}, {"POST", u.Path, map[string]any{"returnImmediately": true}},
		{"POST", "/signals/subjects/add", map[string]any{"stream_id": c.ID, "subject": map[string]any{"format": "email", "email": "a@b.c"}}}, {"POST", "/signals/subjects/remove", map[string]any{"stream_id": c.ID, "subject": map[string]any{"format": "email", "email": "a@b.c"}}},
	}
	for _, a := range asks {
		for key, want := range map[string]int{theirs: http.StatusNotFound, poor: http.StatusForbidden, "": http.StatusUnauthorized, "cskey_wrong": http.StatusUnauthorized, "no-key": http.StatusUnauthorized} {
			if status, text := s.request(a.method, a.path, key, a.body); status != want {
				t.Errorf("%s %s is answered %d %s, and not %d", a.method, a.path, status, text, want)
			}
		}
	}
	var all []configuration
	s.must(http.StatusOK, "GET", "/signals/stream", theirs, nil, &all)
	if len(all) != 0 {
		t.Errorf("another receiver sees %+v", all)
	}
	for _, body := range []string{`{`, `[]`, `{} {}`, `"x"`, `{"delivery": 5}`, `{"events_requested": "x"}`, `{"events_requested": ["urn:example:only-unknown"]}`, strings.Repeat("[", 30_000), `{"description": "` + strings.Repeat("x", 100_000) + `"}`} {
		if status, _ := s.request("POST", "/signals/stream", mine, body); status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
			t.Errorf("%.40s is answered %d", body, status)
		}
	}
	if status, _ := s.sendAs("POST", "/signals/stream", mine, "text/plain", `{}`); status != http.StatusUnsupportedMediaType {
		t.Errorf("plain text is answered %d", status)
	}
	for _, body := range []any{map[string]any{"ack": make([]string, 101)}, map[string]any{"setErrs": map[string]any{"x": "y"}}, map[string]any{"maxEvents": "many"}} {
		if status, _ := s.request("POST", u.Path, mine, body); status != http.StatusBadRequest {
			t.Errorf("the poll %v is answered %d", body, status)
		}
	}
	s.must(http.StatusOK, "POST", u.Path, mine, map[string]any{"returnImmediately": true, "maxEvents": -5, "ack": []string{"unknown", ""}, "setErrs": map[string]any{"unknown": map[string]any{"err": "invalid_key", "description": "x"}}}, nil)
}
