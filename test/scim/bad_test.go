package scim

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The promise: what is malformed, hostile or of another kind is refused with an error of SCIM, and
// nothing is made of it.
func TestBadInput(t *testing.T) {
	c := provisioned(t, "", everything...)
	before := c.must(http.StatusOK, "GET", "/Users?count=0", "").text("totalResults")
	for body, scimType := range map[string]string{
		`{"userName":"ada","userName":"root"}`: "invalidSyntax", `{"userName":"ada","USERNAME":"root"}`: "invalidSyntax", `{"userName":"ada"} {}`: "invalidSyntax", `[]`: "invalidSyntax", `"ada"`: "invalidSyntax", `{`: "invalidSyntax", ``: "invalidSyntax",
		"{\"userName\":\"\xff\"}": "invalidSyntax", `{"userName":"a\u0000b"}`: "invalidValue", `{"userName":"a\u202eb"}`: "invalidValue", `{"userName":"a b"}`: "invalidValue", `{"userName":"a\u200bb"}`: "invalidValue", `{"userName":"\ud800"}`: "invalidValue",
		`{"userName":"` + strings.Repeat("a", 200) + `"}`: "invalidValue", `{"userName":""}`: "invalidValue", `{"userName":7}`: "invalidValue", `{"userName":null}`: "invalidValue", `{}`: "invalidValue", `{"userName":"../etc"}`: "invalidValue", `{"userName":"<script>"}`: "invalidValue",
		`{"userName":"оperator"}`:                     "invalidValue", // a Cyrillic letter among Latin ones
		`{"userName":"ada","displayName":"a\u202eb"}`: "invalidValue", `{"userName":"ada","displayName":"operator"}`: "uniqueness", `{"userName":"ada","displayName":7}`: "invalidValue",
		`{"userName":"ada","emails":[{"value":"a@b@c"}]}`: "invalidValue", `{"userName":"ada","emails":[{"value":"a\r\nBcc: x@y.z"}]}`: "invalidValue", `{"userName":"ada","emails":"x"}`: "invalidValue", `{"userName":"ada","emails":[7]}`: "invalidValue", `{"userName":"ada","emails":[{"value":"a@b.c","primary":"maybe"}]}`: "invalidValue",
		`{"userName":"ada","externalId":"` + strings.Repeat("x", 129) + `"}`: "invalidValue", `{"userName":"ada","externalId":"a\nb"}`: "invalidValue", `{"userName":"ada","externalId":{}}`: "invalidValue",
		`{"userName":"ada","active":"perhaps"}`: "invalidValue", `{"userName":"ada","active":1}`: "invalidValue", `{"userName":"ada","n":` + strings.Repeat("9", 40) + `}`: "invalidValue", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"userName":"ada"}`: "invalidValue",
		`{"userName":"ada","x":` + strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20) + `}`: "invalidSyntax",
	} {
		got := c.does("POST", "/Users", body)
		if body == "" {
			continue // it has no content type either
		}
		if got.status != http.StatusBadRequest && got.status != http.StatusConflict || got.text("scimType") != scimType {
			t.Errorf("%.60s is answered %d %s", body, got.status, got.raw)
		}
		if strings.Contains(got.raw, "<script") || strings.Contains(got.raw, "Bcc") {
			t.Errorf("%.60s is told %s", body, got.raw)
		}
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/scim+json; charset=utf-16", "text/html", "x"} {
		c.header = http.Header{"Content-Type": {kind}}
		c.refused(http.StatusUnsupportedMediaType, "", "POST", "/Users", `{"userName":"ada"}`)
	}
	c.header = http.Header{}
	c.refused(http.StatusRequestEntityTooLarge, "", "POST", "/Users", `{"userName":"ada","x":"`+strings.Repeat("x", 1<<20)+`"}`)
	if after := c.must(http.StatusOK, "GET", "/Users?count=0", "").text("totalResults"); after != before {
		t.Errorf("there were %s people, and are %s", before, after)
	}
	c.header = http.Header{"Content-Type": {`application/json; charset="UTF-8"`}}
	c.must(http.StatusCreated, "POST", "/Users", `{"userName":"ada"}`)
}

// The promise: a client that asks for all at once is told to wait, and others are served meanwhile.
// A client that sends slowly, and strangers, take nobody's place.
func TestBudget(t *testing.T) {
	c := provisioned(t, "", everything...)
	other := another(t, c.w, c.clerk, "okta", everything...)
	var hold sync.WaitGroup
	for range 10 {
		body := &stuck{first: []byte(`{"userName":`), until: t.Context().Done()}
		slow, err := http.NewRequestWithContext(t.Context(), "POST", c.w.Base+"/scim/v2/Users", body)
		if err != nil {
			t.Fatal(err)
		}
		slow.Header = http.Header{"Authorization": {"Bearer " + c.key}, "Content-Type": {"application/scim+json"}}
		hold.Add(1)
		body.held = sync.OnceFunc(hold.Done)
		go func() {
			if a, err := http.DefaultClient.Do(slow); err == nil {
				a.Body.Close()
			}
		}()
	}
	hold.Wait() // what they have to say was said, but for its end
	c.must(http.StatusOK, "GET", "/Users", "")
	var mu sync.Mutex
	seen := map[int]int{}
	var wg sync.WaitGroup
	for range 60 {
		wg.Go(func() {
			r, err := http.NewRequest("POST", c.w.Base+"/scim/v2/Users/.search", bytes.NewReader([]byte(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`)))
			if err != nil {
				return
			}
			r.Header = http.Header{"Authorization": {"Bearer " + c.key}, "Content-Type": {"application/scim+json"}}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			defer a.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			seen[a.StatusCode]++
			if a.StatusCode == http.StatusTooManyRequests && a.Header.Get("Retry-After") == "" {
				t.Error("nothing says when to come back")
			}
		})
	}
	other.must(http.StatusOK, "GET", "/Users", "")
	wg.Wait()
	if seen[http.StatusOK] == 0 || seen[http.StatusTooManyRequests] == 0 || len(seen) != 2 {
		t.Errorf("they are answered %v", seen)
	}
	c.must(http.StatusOK, "GET", "/Users", "")
}

// The promise: of a stranger's request no more is read than a small one has: a long one is answered
// before it has come, and a long one of a client is read.
func TestStrangersAreNotRead(t *testing.T) {
	c := provisioned(t, "", "account.create")
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	for _, key := range []string{"cskey_abc_def", c.key + "x"} {
		r, err := http.NewRequestWithContext(ctx, "POST", c.w.Base+"/scim/v2/Bulk", &stuck{first: []byte(strings.Repeat("[", 100<<10)), until: ctx.Done(), held: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/scim+json"}}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("a stranger is not answered: %v", err)
		}
		a.Body.Close()
		if a.StatusCode != http.StatusUnauthorized {
			t.Errorf("a stranger is answered %d", a.StatusCode)
		}
	}
	if got := c.must(http.StatusOK, "POST", "/Bulk", bulkOf(500, 0)); strings.Count(statuses(got), "201") != 500 {
		t.Errorf("a client is answered %.300s", got.raw)
	}
}

// stuck is a body that never ends.
type stuck struct {
	first []byte
	until <-chan struct{}
	held  func() // the first is sent
}

func (s *stuck) Read(b []byte) (int, error) {
	if n := copy(b, s.first); n > 0 {
		s.first = s.first[n:]
		return n, nil
	}
	s.held()
	<-s.until
	return 0, http.ErrBodyReadAfterClose
}
