package signin

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/policy"
	"countersign/internal/prompt"
	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store/storetest"
)

// displayFrom is display at an address; an empty one is not known.
func displayFrom(name, address string) signin.Request {
	r := servertest.Display(name, servertest.Passphrase)
	r.Source = netip.Addr{}
	switch address {
	case "":
	case "other":
		r.Partner = "other equipment"
	default:
		r.Source = netip.MustParseAddr(address)
	}
	return r
}

// farAway is the address of a browser behind a listed proxy.
type farAway string

func (f farAway) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", string(f))
	return http.DefaultTransport.RoundTrip(r)
}

// leads reports whether something waits under a number, for the owner of the phone.
func leads(p *servertest.Phone, number string) bool {
	_, _, refused := p.Look(number)
	return refused == ""
}

// The promise: of an account's sign-ins one waits to be approved, also of twenty that
// began at once.
func TestOneSignInWaits(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		w := servertest.NewWorldOn(t, dsn)
		ada := w.EnrollCodes("ada")
		if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
			t.Fatal(err)
		}
		servertest.WithBell(w, ada)
		owner := w.Person()
		owner.Comes("ada", ada.Secret)
		var mu sync.Mutex
		var numbers []string
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				s, err := w.Engine.Begin(context.Background(), servertest.Display("ada", servertest.Passphrase))
				if err != nil {
					t.Error(err)
				}
				if n, offered := servertest.Elsewhere(s); offered {
					mu.Lock()
					numbers = append(numbers, n)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		found := 0
		for _, n := range numbers {
			owner.Get("/account/approve")
			owner.Post("/account/approve", "number", n)
			if strings.Contains(owner.Page, "This waits for you") {
				found++
			}
		}
		if len(numbers) > 10 || found != 1 {
			t.Errorf("something waits under %d of %d numbers, want one of ten at most", found, len(numbers))
		}
	})
}

// The promise: whoever has the password cannot keep the owner from their own number:
// what waits gives way where the owner begins again or is at home, and to nobody
// else; a sign-in whose place was taken is approved by no number.
func TestWhoseSignInWaits(t *testing.T) {
	const home, office, hotel, lair = "203.0.113.9", "203.0.113.77", "192.0.2.80", "198.51.100.66"
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	device := servertest.WithBell(w, ada)
	for _, from := range []string{home, office} {
		request := displayFrom("ada", from)
		request.Opening = append(request.Opening, prompt.Answer{Authenticator: signin.AnyCode, Text: ada.Code()})
		if s := w.Begin(request); s.State != signin.Granted {
			t.Fatal("ada is not let in")
		}
		w.Later(time.Minute)
	}
	for _, c := range []struct {
		name          string
		first, second string
		takes         bool
	}{
		{"begun again at home", home, home, true},
		{"begun again at a hotel", hotel, hotel, true},
		{"begun again nearby", "2001:db8::1", "2001:db8::2", true},
		{"from the office, before home", office, home, false},
		{"an intruder before the owner at home", lair, home, true},
		{"an intruder before the owner at a hotel", lair, hotel, false},
		{"an intruder after the owner at home", home, lair, false},
		{"an intruder after the owner at a hotel", hotel, lair, false},
		{"an intruder of whom nothing is known", home, "", false},
		{"begun again where nothing is known, at the same equipment", "", "", true},
		{"begun at other equipment", "", "other", false},
		{"the owner at home after one of whom nothing is known", "", home, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.Later(2 * time.Hour)
			before := w.Begin(displayFrom("ada", c.first))
			one, offered := servertest.Elsewhere(before)
			if !offered {
				t.Fatal("the first shows no number")
			}
			two, offered := servertest.Elsewhere(w.Begin(displayFrom("ada", c.second)))
			if offered != c.takes {
				t.Fatalf("the second shows a number: %v", offered)
			}
			if leads(device, one) == c.takes || c.takes && !leads(device, two) {
				t.Error("not just one waits")
			}
			if !c.takes {
				return
			}
			device.Approve(two)
			s, err := w.Engine.Answer(t.Context(), before.Ticket, signin.Reply{})
			if _, again := servertest.Elsewhere(s); err != nil || s.State != signin.Ask || again {
				t.Errorf("the approval of the second serves the first, or it takes the place back: %v, %v", s, err)
			}
		})
	}
}

// The promise: who has nothing but the app is told why they cannot approve now.
func TestNothingButTheApp(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	servertest.WithBell(w, ada)
	w.SetPolicy(strings.Replace(string(policy.Default()), "rules:\n", "rules:\n  - name: no codes\n    when: application.name == \"vpn\"\n    refuse: [totp]\n", 1))
	if _, offered := servertest.Elsewhere(w.Begin(displayFrom("ada", "192.0.2.80"))); !offered {
		t.Fatal("no number")
	}
	s := w.Begin(displayFrom("ada", "198.51.100.66"))
	if s.State != signin.Denied || s.Reason != "approval-not-now" || !strings.Contains(s.Public, "Try again in a few minutes") {
		t.Errorf("%v %s %q", s.State, s.Reason, s.Public)
	}
}

// The promise: a page whose place was taken does not take it back by itself, and one
// that cannot have it says so.
func TestPageOfWhichThePlaceIsTaken(t *testing.T) {
	w, _, browser, key := servertest.WithPasskey(t)
	begins := func() *servertest.Person {
		p := w.Person()
		p.AsksElsewhere()
		return p
	}
	one := begins()
	first := servertest.Last(t, servertest.PageNumber, one.Page)
	two := begins() // the same address
	second := servertest.Last(t, servertest.PageNumber, two.Page)
	one.Get("/sign-in/wait")
	if servertest.PageNumber.MatchString(one.Page) {
		t.Errorf("the first page shows a number still:\n%s", one.Page)
	}
	browser.Get("/account/approve")
	browser.Post("/account/approve", "number", first)
	browser.Sees("No request has that number")
	browser.Transfer(second, key)
	two.Get("/sign-in/wait")
	two.Sees("Where you are signed in")

	w.Begin(displayFrom("ada", "198.51.100.66"))
	three := w.Person()
	three.Client.Transport = farAway("192.0.2.80")
	three.AsksElsewhere()
	three.Sees("Not now: another sign-in waits for approval")
	if !strings.Contains(three.Page, `name="text"`) {
		t.Errorf("the code is not asked for:\n%s", three.Page)
	}
}

// The promise: whoever is asked to approve reads who signs in, to what, from which of
// the organisation's networks, and whether they were let in from there before.
func TestWhoApprovesReadsFromWhere(t *testing.T) {
	w, ada := servertest.WithVPN(t)
	w.SetPolicy("networks: {office: [203.0.113.0/24], guests: [203.0.113.128/25]}\n" + string(policy.Default()))
	device := servertest.WithBell(w, ada)
	browser := w.Person()
	browser.Comes("ada", ada.Secret)
	request := displayFrom("ada", "203.0.113.200")
	request.Opening = append(request.Opening, prompt.Answer{Authenticator: signin.AnyCode, Text: ada.Code()})
	if s := w.Begin(request); s.State != signin.Granted {
		t.Fatal("ada is not let in")
	}
	for _, c := range []struct{ from, place string }{
		{"", ""},
		{"198.51.100.66", "You were not let in from there in the last 30 days."},
		{"203.0.113.9", "In the network office. You were not let in from there in the last 30 days."},
		{"203.0.113.200", "In the networks guests, office. You were let in from there within the last 30 days."},
	} {
		w.Later(4 * time.Minute)
		number, _ := servertest.Elsewhere(w.Begin(displayFrom("ada", c.from)))
		found, refused := device.Call("look", "number", number)
		place, _ := found["place"].(string)
		if refused != "" || found["name"] != "ada" || found["from"] != c.from || place != c.place {
			t.Errorf("from %q the app is told %v, %s", c.from, found, refused)
		}
		browser.Get("/account/approve")
		browser.Post("/account/approve", "number", number)
		browser.Sees(`<dt>Who</dt><dd><bdi>ada</bdi>`)
		browser.Sees(c.place)
	}
}

// The promise: whoever was too slow presses Enter and is shown another number, and the
// first leads nowhere.
func TestLateSignInIsShownAnotherNumber(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	device := servertest.WithBell(w, ada)
	s := w.Begin(servertest.Display("ada", servertest.Passphrase))
	first, _ := servertest.Elsewhere(s)
	w.Later(4 * time.Minute)
	s, err := w.Engine.Answer(t.Context(), s.Ticket, signin.Reply{Source: netip.MustParseAddr("203.0.113.9")})
	if err != nil {
		t.Fatal(err)
	}
	second, offered := servertest.Elsewhere(s)
	if !offered || second == first || leads(device, first) || !leads(device, second) {
		t.Errorf("after %s it shows %q", first, second)
	}
}
