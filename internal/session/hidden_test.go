package session

import (
	"slices"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/failure"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
)

// standingRows counts the rows that say that their session stands.
func (r *rig) standingRows(t *testing.T) (n int) {
	t.Helper()
	if err := r.db.QueryRow(t.Context(), `select count(*) from session where ended = 0`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A session that is known to be over and whose row is gone has ended already: whoever ends
// it once more is told so, and the log says nothing of it again.
func TestEndOfWhatIsOver(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	number := r.number(t, hers)
	end := func() error { return r.End(t.Context(), audit.System("test"), r.ids["ada"], number, "x") }
	if err := end(); err != nil {
		t.Fatal(err)
	}
	r.intrude(t, `delete from session`)
	if err := end(); failure.ClassOf(err) != failure.NotFound {
		t.Errorf("ended once more: %v", err)
	}
	if n := len(r.events(t, "session.ended")); n != 1 {
		t.Errorf("the log says %d times that it ended", n)
	}
}

// Who ends a session ends every one that hangs from it, and the row of each says so.
func TestEndOfAllThatHangs(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	hosts := []string{r.accepted(t, hers), r.accepted(t, hers), r.accepted(t, hers)}
	if n := r.standingRows(t); n != 4 {
		t.Fatalf("%d rows stand", n)
	}
	if err := r.End(t.Context(), audit.System("test"), r.ids["ada"], r.number(t, hers), "x"); err != nil {
		t.Fatal(err)
	}
	if n := r.standingRows(t); n != 0 {
		t.Errorf("%d rows still stand", n)
	}
	for _, secret := range append(hosts, hers) {
		r.refuses(t, "one of them", secret)
	}
}

// Who hides a session's row and leaves those that hang from it has gained nothing once it
// was ended: the row is over when it is put back.
func TestEndOfAHiddenOneWithItsHosts(t *testing.T) {
	r := setUp(t)
	hers := r.start(t, "ada", "weak")
	number, host := r.number(t, hers), r.accepted(t, hers)
	r.intrude(t, keepRows, `delete from session where number = '`+number+`'`)
	if err := r.End(t.Context(), audit.System("test"), r.ids["ada"], number, "x"); err != nil {
		t.Fatal(err)
	}
	r.intrude(t, `insert into session select * from kept where number = '`+number+`'`)
	r.refuses(t, "the row that was hidden", hers)
	r.refuses(t, "its host's", host)
	r.said(t, store.Returned)
}

// A round goes on behind the first that is missing and the first that was put back.
func TestARoundFindsEach(t *testing.T) {
	r := setUp(t)
	var numbers []string
	for _, name := range []string{"ada", "bob", "ada", "bob"} {
		numbers = append(numbers, r.number(t, r.start(t, name, "weak")))
	}
	r.intrude(t, keepRows)
	for i, name := range []string{"ada", "bob"} {
		if err := r.End(t.Context(), audit.System("test"), r.ids[name], numbers[i], "x"); err != nil {
			t.Fatal(err)
		}
	}
	r.intrude(t, `delete from session`, `insert into session select * from kept where number in ('`+numbers[0]+`', '`+numbers[1]+`')`)
	for range 2 { // what is missed once may be over
		r.inspect(t)
	}
	want := []string{"session missing", "session missing", "session returned", "session returned"}
	var got []string
	for until := time.Now().Add(20 * time.Second); !slices.Equal(got, want) && time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		got = storetest.Alarms(t, r.db)
		slices.Sort(got)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the alarms are %q", got)
	}
	var ended []string
	for _, e := range r.events(t, "session.ended") {
		if e.Reason == "missing" {
			ended = append(ended, e.Detail["session"])
		}
	}
	if slices.Sort(ended); !slices.Equal(ended, slices.Sorted(slices.Values(numbers[2:]))) {
		t.Errorf("%q ended as they were missing, want %q", ended, numbers[2:])
	}
}
