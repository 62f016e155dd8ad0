package ticket

import (
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

const upload = "upload"

// staged is an upload of these parts, as its owner sent it.
func (r *rig) staged(t *testing.T, owner int64, parts ...string) Upload {
	t.Helper()
	u, sum := Upload{Kind: upload, Owner: owner, Secret: NewSecret(), Parts: len(parts)}, Sum{}
	for i, part := range parts {
		digest, err := r.Stage(t.Context(), u, i, []byte(part))
		if err == nil {
			err = sum.Add(digest)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	u.Digest = sum.Digest()
	return u
}

// read is what a walk sees.
func (r *rig) read(t *testing.T, u Upload) (string, error) {
	t.Helper()
	var out []string
	err := r.Walk(t.Context(), u, func(payload []byte) error { out = append(out, string(payload)); return nil })
	return strings.Join(out, " "), err
}

// The promise: an upload is read in the order of its parts, only by who sent it, only as long as
// its digest is theirs, only within half an hour, and is used up once.
func TestUpload(t *testing.T) {
	r := setUp(t)
	u := r.staged(t, 3, "one", "two", "three")
	if got, err := r.read(t, u); got != "one two three" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	turned := r.staged(t, 3, "two", "one", "three")
	for what, c := range map[string]struct {
		change func(*Upload)
		class  failure.Class
	}{
		"somebody else's": {func(u *Upload) { u.Owner = 9 }, failure.NotFound}, "another kind": {func(u *Upload) { u.Kind = "link" }, failure.NotFound},
		"another order": {func(u *Upload) { u.Digest = turned.Digest }, failure.Conflict}, "one part less": {func(u *Upload) { u.Parts = 2 }, failure.Conflict},
		"one part more": {func(u *Upload) { u.Parts = 4 }, failure.NotFound}, "no part": {func(u *Upload) { u.Parts = 0 }, failure.Invalid},
		"too many parts": {func(u *Upload) { u.Parts = MostParts + 1 }, failure.Invalid}, "no secret": {func(u *Upload) { u.Secret = "short" }, failure.Invalid},
	} {
		other := u
		c.change(&other)
		if _, err := r.read(t, other); failure.ClassOf(err) != c.class || err == nil {
			t.Errorf("%s is read: %v", what, err)
		}
	}
	for _, part := range []int{-1, MostParts} {
		if _, err := r.Stage(t.Context(), u, part, []byte("x")); failure.ClassOf(err) != failure.Invalid || err == nil {
			t.Errorf("part %d is taken: %v", part, err)
		}
	}
	r.change(t, func(tx *store.Tx) error {
		if _, err := r.TakePartTx(t.Context(), tx, Upload{Kind: upload, Owner: 9, Secret: turned.Secret}, 0); failure.ClassOf(err) != failure.NotFound {
			t.Errorf("somebody else takes a part: %v", err)
		}
		return nil
	})
	r.change(t, func(tx *store.Tx) error {
		payload, err := r.TakePartTx(t.Context(), tx, u, 0)
		if string(payload) != "one" {
			t.Errorf("part 0 is %q", payload)
		}
		return err
	})
	if _, err := r.read(t, u); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("a part that was taken is read: %v", err)
	}
	whole := r.staged(t, 3, "one", "two")
	all := func(tx *store.Tx) error {
		return r.TakeAllTx(t.Context(), tx, whole, func([]byte) error { return nil })
	}
	r.change(t, all)
	if err := r.try(t, all); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("an upload is taken twice: %v", err)
	}
	late := r.staged(t, 3, "one")
	r.now = began.Add(31 * time.Minute)
	if _, err := r.read(t, late); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("after half an hour: %v", err)
	}
	var sum Sum
	for _, wrong := range []string{"", "zz", strings.Repeat("0", 62)} {
		if sum.Add(wrong) == nil {
			t.Errorf("%q is a digest", wrong)
		}
	}
}

// try is change for what may fail.
func (r *rig) try(t *testing.T, f func(tx *store.Tx) error) error {
	t.Helper()
	return r.db.Change(t.Context(), storetest.Actor, f)
}

// The promise: what an account's tickets were ended for stays so when their rows are put back:
// they are listed no more, give nothing, and somebody is told.
func TestEndedOnesPutBack(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		r := setUpOn(t, dsn)
		secret := r.issue(t, link)
		theirs := r.issue(t, Spec{Kind: "link", Owner: 9, Lifetime: time.Minute})
		another := r.issue(t, Spec{Kind: "pass", Owner: 3, Lifetime: time.Minute})
		if all, err := r.Of(t.Context(), r.db, "link", 3); err != nil || len(all) != 1 || string(all[0].Payload) != string(link.Payload) {
			t.Fatalf("%+v, %v", all, err)
		}
		r.intrude(t, keepRows)
		for _, was := range []bool{true, false} {
			r.change(t, func(tx *store.Tx) error {
				ended, err := r.EndTx(t.Context(), tx, "link", 3)
				if ended != was {
					t.Errorf("ended: %v, want %v", ended, was)
				}
				return err
			})
		}
		r.intrude(t, `delete from ticket`, putBack)
		if all, err := r.Of(t.Context(), r.db, "link", 3); err != nil || len(all) != 0 {
			t.Errorf("it is listed: %+v, %v", all, err)
		}
		if page, err := r.Page(t.Context(), r.db, "link", 0, 10); err != nil || len(page) != 1 || page[0].Owner != 9 {
			t.Errorf("a page has %+v, %v", page, err)
		}
		r.refuses(t, "what was ended", "link", secret)
		for secret, kind := range map[string]string{theirs: "link", another: "pass"} {
			if _, err := r.Peek(t.Context(), kind, secret); err != nil {
				t.Errorf("%s of somebody, or of something, else: %v", kind, err)
			}
		}
		storetest.OneAlarm(t, r.db, "ticket", store.Returned)
	})
}
