package oauth

import (
	"testing"
	"time"

	"countersign/internal/signin"
)

// The token before the newest counts within the grace, to the key that the newest is bound to; an
// older one, one after the grace and any without a grace are known as used before.
func TestATokenWithinTheGrace(t *testing.T) {
	r, ctx := setUp(t), t.Context()
	const grace = 10 * time.Second
	g, err := r.ByCode(ctx, signin.Self, r.begins(t, "ada", Spec{}))
	must(t, err)
	terms := Terms{Lasts: time.Minute, Refresh: true, Scopes: g.Scopes, Key: "a-key"}
	first, err := r.Issue(ctx, r.yes("ada"), g, terms)
	must(t, err)
	next := func(token string) Tokens {
		t.Helper()
		g, err := r.ByRefresh(ctx, signin.Self, token)
		must(t, err)
		out, err := r.Issue(ctx, r.yes("ada"), g, terms)
		must(t, err)
		return out
	}
	second := next(first.Refresh)
	if _, err := r.ByRefreshWithin(ctx, signin.Self, first.Refresh, 0); !IsReused(err) {
		t.Errorf("without a grace: %v", err)
	}
	again, err := r.ByRefreshWithin(ctx, signin.Self, first.Refresh, grace)
	if err != nil || !again.Again() {
		t.Fatalf("within the grace: %v", err)
	}
	if _, err := r.Issue(ctx, r.yes("ada"), again, Terms{Lasts: time.Minute, Refresh: true, Scopes: g.Scopes, Key: "another"}); !gone(err) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := r.Issue(ctx, r.yes("ada"), again, terms); err != nil {
		t.Errorf("with its key: %v", err)
	}
	next(second.Refresh)
	if _, err := r.ByRefreshWithin(ctx, signin.Self, first.Refresh, grace); !IsReused(err) {
		t.Errorf("two steps ago: %v", err)
	}
	r.now = r.now.Add(grace)
	if _, err := r.ByRefreshWithin(ctx, signin.Self, second.Refresh, grace); !IsReused(err) {
		t.Errorf("after the grace: %v", err)
	}
}

// A refresh token that is kept is used again and again, gives no next one, and takes a key.
func TestARefreshTokenThatIsKept(t *testing.T) {
	r, ctx := setUp(t), t.Context()
	g, err := r.ByCode(ctx, signin.Self, r.begins(t, "ada", Spec{}))
	must(t, err)
	terms := Terms{Lasts: time.Minute, Refresh: true, Keep: true, Scopes: g.Scopes, Key: "a-key"}
	first, err := r.Issue(ctx, r.yes("ada"), g, terms)
	if err != nil || first.Refresh == "" {
		t.Fatalf("%v", err)
	}
	for range 3 {
		g, err := r.ByRefresh(ctx, signin.Self, first.Refresh)
		must(t, err)
		got, err := r.Issue(ctx, r.yes("ada"), g, terms)
		if err != nil || got.Refresh != "" || got.Access == "" {
			t.Fatalf("%v", err)
		}
	}
	if g, err = r.ByRefresh(ctx, signin.Self, first.Refresh); err != nil {
		t.Fatal(err)
	}
	without := terms
	without.Key = ""
	if _, err := r.Issue(ctx, r.yes("ada"), g, without); !gone(err) {
		t.Errorf("without a key: %v", err)
	}
}
