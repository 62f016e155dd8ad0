package session

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/failure"
	"countersign/internal/keyring"
	"countersign/internal/signin"
)

var (
	visit = Continuation{Application: "wiki", Method: "GET", Path: "/pages/1", Protocol: "forward-auth", Return: wiki + "/pages/1"}
	act   = Continuation{Application: signin.Self, Action: "authenticator.remove", Object: "7", Return: "/account/continue", Form: url.Values{"object": {"7"}}}
)

// stray says that a continuation is refused as somebody else's, without a word about whose.
func stray(err error) bool {
	return failure.ClassOf(err) == failure.Refused && !strings.Contains(failure.Public(err), "wiki")
}

// A continuation that signs in travels; one that does anything else cannot be put in an
// address, whatever it is that it does.
func TestWhatTravels(t *testing.T) {
	r := setUp(t)
	raise := assurance.Phishing()
	for name, e := range map[string]Continuation{
		"to an application": visit, "to us": {Application: signin.Self, Return: "/account"}, "to us by name": {Application: signin.Self, Action: signin.SignIn, Return: "/account"},
		"with a wish": {Application: "wiki", Raise: &raise, Return: wiki}, "to an application's own action": {Application: "wiki", Action: "read", Return: wiki},
	} {
		code, err := r.Send(e)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := r.Sent(code)
		if err != nil || got.Application != e.Application || got.Action != e.Action || got.Path != e.Path || got.Return != e.Return || (got.Raise == nil) != (e.Raise == nil) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, e := range map[string]Continuation{
		"an act of ours": {Application: signin.Self, Action: "authenticator.remove"}, "an object": {Application: "wiki", Object: "7"}, "words of its own": {Application: "wiki", Says: "Sign in to the bank"},
		"a form": {Application: "wiki", Form: url.Values{"a": {"b"}}}, "one that looks": {Application: "wiki", Looks: true}, "nothing": {}, "all of it": act,
	} {
		if code, err := r.Send(e); err == nil {
			t.Errorf("%s travels: %s", name, code)
		}
		// Also where it was sealed for an address by whatever mistake, it is not opened.
		code, err := r.seal(keyring.AAD{Table: "errand", Column: "address"}, e)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Sent(code); !stray(err) || got.Application != "" {
			t.Errorf("%s came: %+v, %v", name, got, err)
		}
	}
	var rows int
	if err := r.db.QueryRow(t.Context(), `select count(*) from ticket`).Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows are left by strangers, %v", rows, err)
	}
}

func TestCodesOfContinuations(t *testing.T) {
	r := setUp(t)
	code, err := r.Send(visit)
	if err != nil {
		t.Fatal(err)
	}
	held, err := r.Hold(Continuation{Application: signin.Self, Action: signin.Recover, Return: "/recovery/codes"}, "browser")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := setUp(t).Send(visit)
	if err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]string{"nothing": "", "cut": code[:len(code)-2], "longer": code + "AA", "another installation's": foreign, "a cookie's": held, "no base64": "!" + code[1:], "padded": code + "=", "endless": strings.Repeat("A", 4000)} {
		if got, err := r.Sent(wrong); !stray(err) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := r.Kept(t.Context(), code, Bearer{Browser: "browser"}); !stray(err) {
		t.Errorf("an address's code in a cookie: %+v, %v", got, err)
	}
	r.now = began.Add(continuationLife - time.Microsecond)
	if _, err := r.Sent(code); err != nil {
		t.Error(err)
	}
	r.now = began.Add(continuationLife)
	if _, err := r.Sent(code); !stray(err) {
		t.Errorf("late: %v", err)
	}
	if _, err := r.Kept(t.Context(), held, Bearer{Browser: "browser"}); !stray(err) {
		t.Errorf("late: %v", err)
	}
}

// What is too long for an address is not sent, and what repeats itself is shorter.
func TestLongWay(t *testing.T) {
	r := setUp(t)
	long := visit
	long.Path = strings.Repeat("/wiki", 2000)
	if _, err := r.Send(long); err != nil {
		t.Errorf("what repeats itself: %v", err)
	}
	var b strings.Builder
	for i := range 4000 {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz0123456789"[(i*i*7+i*13+i/3)%36])
	}
	long.Path = url.PathEscape(string(r.keys.Seal(keyring.Ticket, keyring.AAD{Table: "t", Column: "c"}, []byte(b.String()))))
	if code, err := r.Send(long); err != ErrLongWay || code != "" {
		t.Errorf("%d octets: %v", len(code), err)
	}
}

// A continuation of a session is for the browser and the session that began it, until it is
// done or its time is over.
func TestKept(t *testing.T) {
	r := setUp(t)
	her := Bearer{Browser: "b", Session: "s", Account: r.ids["ada"]}
	code, err := r.Keep(t.Context(), act, her)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := r.Kept(t.Context(), code, her)
		if err != nil || got.Action != act.Action || got.Form.Get("object") != "7" {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	for name, by := range map[string]Bearer{
		"another browser": {Browser: "c", Session: "s", Account: her.Account}, "no browser": {Session: "s", Account: her.Account}, "another session": {Browser: "b", Session: "x", Account: her.Account},
		"no session": {Browser: "b"}, "somebody else": {Browser: "b", Session: "s", Account: r.ids["bob"]}, "nobody": {},
	} {
		if got, err := r.Kept(t.Context(), code, by); !stray(err) || got.Action != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := r.Kept(t.Context(), stored+"made-up", her); !stray(err) {
		t.Errorf("a made-up code: %v", err)
	}
	if err := r.Done(t.Context(), code); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Kept(t.Context(), code, her); !stray(err) {
		t.Errorf("it is done, and there still: %v", err)
	}
	late, err := r.Keep(t.Context(), act, her)
	if err != nil {
		t.Fatal(err)
	}
	r.now = began.Add(continuationLife)
	if _, err := r.Kept(t.Context(), late, her); !stray(err) {
		t.Errorf("late: %v", err)
	}
}

// One owner column or one payload that is put in another's place opens for neither.
func TestKeptErrandsMovedBehindOurBack(t *testing.T) {
	for _, query := range []string{`update ticket set owner = 2 where owner = 1`, `update ticket set payload = (select payload from ticket where owner = 2) where owner = 1`} {
		r := setUp(t)
		her, him := Bearer{Browser: "b", Session: "s", Account: r.ids["ada"]}, Bearer{Browser: "c", Session: "x", Account: r.ids["bob"]}
		code, err := r.Keep(t.Context(), act, her)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Keep(t.Context(), act, him); err != nil {
			t.Fatal(err)
		}
		r.sabotage(t, query)
		for _, by := range []Bearer{her, him} {
			if got, err := r.Kept(t.Context(), code, by); err == nil {
				t.Errorf("%s: %+v", query, got)
			}
		}
	}
}

// Nobody keeps one for nobody.
func TestErrandsWithoutAnOwner(t *testing.T) {
	r := setUp(t)
	for name, by := range map[string]Bearer{"no browser": {Session: "s", Account: 1}, "no session": {Browser: "b"}} {
		if _, err := r.Keep(t.Context(), act, by); err == nil {
			t.Errorf("%s: kept", name)
		}
	}
	if _, err := r.Keep(t.Context(), visit, Bearer{Browser: "b", Session: "s", Account: 1}); err == nil {
		t.Error("another application's was kept")
	}
	if _, err := r.Hold(act, "b"); err == nil {
		t.Error("a form was held")
	}
	if _, err := r.Hold(Continuation{Application: signin.Self}, ""); err == nil {
		t.Error("one was held by nobody")
	}
}

// Before there is a session a continuation is in one browser's cookie, and opens in that one.
func TestHeld(t *testing.T) {
	r := setUp(t)
	e := Continuation{Application: signin.Self, Action: signin.Recover, Object: "o", Return: "/recovery/codes"}
	code, err := r.Hold(e, "b")
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []Bearer{{Browser: "b"}, {Browser: "b", Session: "s", Account: 1}} {
		if got, err := r.Kept(t.Context(), code, by); err != nil || got.Object != "o" {
			t.Errorf("%+v: %+v, %v", by, got, err)
		}
	}
	for _, by := range []Bearer{{Browser: "c"}, {}} {
		if got, err := r.Kept(t.Context(), code, by); !stray(err) {
			t.Errorf("%+v: %+v, %v", by, got, err)
		}
	}
	if err := r.Done(t.Context(), code); err != nil {
		t.Error(err)
	}
}
