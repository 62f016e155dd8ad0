package session

import (
	"context"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/store"
)

// What hangs from a session stands with it: longer than a browser that nobody uses, and not for a
// moment after it was ended, is over, or was put back. No host's session is one of those.
func TestWhatStandsWithASession(t *testing.T) {
	r, ctx := setUp(t), context.Background()
	hers := r.start(t, "ada", "strong")
	host := r.accepted(t, hers)
	number := r.number(t, hers)
	h, err := r.Active(ctx, host)
	if err != nil {
		t.Fatal(err)
	}
	stands := func() bool {
		t.Helper()
		held, err := r.Standing(ctx, number)
		if err != nil && failure.ClassOf(err) != failure.Refused {
			t.Fatal(err)
		}
		if err == nil && (held.Account != r.ids["ada"] || held.Number != number || held.Own != number || len(held.Evidence) == 0 || !held.Expires.Equal(h.Expires)) {
			t.Errorf("it holds %+v", held)
		}
		return err == nil
	}
	if !stands() {
		t.Fatal("it does not stand")
	}
	for name, wrong := range map[string]string{"nothing": "", "a host's": h.Own, "unknown": "AAAAAAAAAAAA", "her secret": hers} {
		if _, err := r.Standing(ctx, wrong); failure.ClassOf(err) != failure.Refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.now = h.Expires.Add(-time.Microsecond)
	if r.stands(t, hers) || !stands() {
		t.Error("it goes by whether a browser was there")
	}
	if r.now = h.Expires; stands() {
		t.Error("it stands longer than it can")
	}
}

func TestNothingStandsAfterASession(t *testing.T) {
	for how, end := range ends {
		if how == "raised" { // its number goes on
			continue
		}
		t.Run(how, func(t *testing.T) {
			r := setUp(t)
			r.now = began.Add(-2 * overlap)
			hers := r.start(t, "ada", "weak")
			number := r.number(t, hers)
			since := r.now
			if r.AllEnded(r.ids["ada"], since) {
				t.Error("all had ended before")
			}
			r.intrude(t, keepRows)
			r.now = began
			end(t, r, hers)
			for _, when := range []string{"at once", "put back"} {
				if _, err := r.Standing(t.Context(), number); failure.ClassOf(err) != failure.Refused {
					t.Errorf("%s: %v", when, err)
				}
				r.intrude(t, `delete from session where number in (select number from kept)`)
				if when == "at once" {
					if _, err := r.Standing(t.Context(), number); failure.ClassOf(err) != failure.Refused {
						t.Errorf("without its row: %v", err)
					}
					r.intrude(t, putBack)
				}
			}
			all := how == "all ended" || how == "everybody's ended"
			if r.AllEnded(r.ids["ada"], since) != all || r.AllEnded(r.ids["ada"], began.Add(time.Hour)) {
				t.Errorf("all had ended: %v", !all)
			}
		})
	}
}

// A row that says itself that it is over is over, whatever else is remembered of it.
func TestARowSaysThatItIsOver(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "strong")
	number := r.number(t, hers)
	row, err := r.Sessions.rows.byNumber(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	row.ended = r.now
	r.Sessions.rows.bind(row)
	r.sabotage(t, `update session set ended = $2, mac = $3 where id = $1`, row.id, store.Unix(row.ended), row.mac)
	if _, err := r.Standing(t.Context(), number); failure.ClassOf(err) != failure.Refused {
		t.Errorf("it stands: %v", err)
	}
}
