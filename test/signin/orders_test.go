package signin

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	passes "countersign/internal/admin/pass"
	"countersign/internal/servertest"
	"countersign/internal/virtualauth"
)

// newcomer is somebody with a pass, and all that they could set up.
type newcomer struct {
	*servertest.Person
	name  string
	order []string // in which they set up
	when  string   // a token is assigned to them
	has   []string
	key   *virtualauth.Key
	phone *servertest.Phone
	codes []string // of a recovery sheet
	fob   *servertest.Fob
}

// settings are the ways in which a newcomer sets up each kind, on the page that offers it.
var settings = map[string]func(n *newcomer){
	"password": func(n *newcomer) {
		n.offered("password")
		n.Post("/account/setup", "authenticator", "password", "text", servertest.Passphrase)
	},
	"totp": func(n *newcomer) {
		n.offered("totp")
		n.Secret = n.ShownSecret()
		n.Post("/account/setup", "authenticator", "totp", "text", n.Code())
	},
	"passkey": func(n *newcomer) {
		n.offered("passkey")
		answer, err := n.key.Create(n.W.Base, n.PasskeyOptions())
		if err != nil {
			n.W.T.Fatal(err)
		}
		n.Post("/account/setup", "authenticator", "passkey", "data", string(answer))
	},
	"push": func(n *newcomer) {
		number, refused := n.phone.Bind(n.Offered())
		if refused != "" {
			n.W.T.Fatal(refused)
		}
		n.Post("/account/setup", "authenticator", "push", "text", number)
	},
	"recoverycode": func(n *newcomer) {
		n.offered("recoverycode")
		n.codes = nil
		for _, m := range servertest.RecoveryCodes.FindAllStringSubmatch(n.Page, -1) {
			n.codes = append(n.codes, m[1])
		}
		n.Post("/account/setup", "authenticator", "recoverycode", "text", n.codes[0])
	},
}

// begins reports whether they have something that a sign-in begins with.
func (n *newcomer) begins() bool {
	return slices.Contains(n.has, "password") || slices.Contains(n.has, "passkey")
}

// offers reports whether the page has a button for a kind.
func (n *newcomer) offers(kind string) bool {
	return strings.Contains(n.Page, `name="object" value="`+kind+`"`)
}

// offered presses the button of a kind, and proves what is asked for.
func (n *newcomer) offered(kind string) {
	n.W.T.Helper()
	if !n.offers(kind) {
		n.W.T.Fatalf("%s with %v is not offered %s, status %d:\n%s", n.name, n.has, kind, n.Status, n.Page)
	}
	n.Post("/account/do", "action", "authenticator.enroll", "object", kind)
	n.proves()
}

// proves answers what a sign-in page asks for, with whatever they have, until there is none.
func (n *newcomer) proves() {
	n.W.T.Helper()
	for range 6 {
		switch {
		case servertest.PageNumber.MatchString(n.Page):
			n.phone.Approve(servertest.PageNumber.FindStringSubmatch(n.Page)[1])
			n.Get("/sign-in/wait")
			if strings.Contains(n.Page, "<button>Do it</button>") {
				n.Post("/account/continue")
			}
		case servertest.PasskeyForm.MatchString(n.Page) && !strings.Contains(n.Page, "data-ceremony") && slices.Contains(n.has, "passkey"):
			n.UsePasskey(n.key)
		case n.asked("name") && slices.Contains(n.has, "password"):
			n.Post("/sign-in", "name", n.name, "authenticator", "password", "text", servertest.Passphrase)
		case n.asked("password"):
			n.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
		case n.asked("totp"):
			n.W.Later(time.Minute)
			n.Post("/sign-in", "authenticator", "totp", "text", n.Code())
		case n.asked("hotp"):
			n.Post("/sign-in", "authenticator", "hotp", "text", n.fob.Press())
		case n.asked("approval"):
			n.W.Later(time.Minute)
			n.Post("/sign-in", "authenticator", "approval")
		case n.asked("recoverycode"):
			n.codes = n.codes[1:]
			n.Post("/sign-in", "authenticator", "recoverycode", "text", n.codes[0])
		default:
			return
		}
	}
}

// asked reports whether the page is one to sign in on that asks for a kind, or for a name.
func (n *newcomer) asked(what string) bool {
	if what == "name" {
		return strings.Contains(n.Page, `id="name" name="name"`)
	}
	return strings.Contains(n.Page, `action="/sign-in"`) && strings.Contains(n.Page, `name="authenticator" value="`+what+`"`)
}

// orders are all orders of all sets of these, of at most so many.
func orders(of []string, most int) (out [][]string) {
	var grow func(has []string)
	grow = func(has []string) {
		if len(has) > 0 {
			out = append(out, slices.Clone(has))
		}
		if len(has) == most {
			return
		}
		for _, next := range of {
			if !slices.Contains(has, next) {
				grow(append(slices.Clone(has), next))
			}
		}
	}
	grow(nil)
	return out
}

// enough reports whether a set is two factors that a browser can begin with.
func enough(has []string) bool {
	if slices.Contains(has, "passkey") {
		return true
	}
	return slices.Contains(has, "password") && len(has) > 1
}

// whenAssigned are the moments at which a newcomer can have been assigned a token.
var whenAssigned = []string{"never", "before the pass", "after the pass"}

// The promise: nobody who sets up how they sign in comes to a page that leads nowhere. For
// every set of authenticators in every order, and a token that was assigned before the pass,
// after it or never: either the page says that more is needed and offers it, or they are signed
// in, in the same browser and in a fresh one.
func TestEveryOrderOfSettingUpLeadsIn(t *testing.T) {
	w := servertest.NewWorld(t)
	// Codes on paper take a second to make. They, and a token, are held things like codes of an
	// app, so that sets of two show all that three would.
	pairs := orders([]string{"passkey", "password", "totp", "push", "recoverycode"}, 2)
	triples := slices.DeleteFunc(orders([]string{"passkey", "password", "totp", "push"}, 3), func(o []string) bool { return len(o) < 3 })
	sh := servertest.TokenDesk(w)
	desk := servertest.OfficeOf(w, "operator")[0]
	var people []*newcomer
	rows := ""
	for _, when := range whenAssigned {
		for _, order := range slices.Concat(pairs, triples) {
			if when != "never" && (len(order) == 3 || slices.Contains(order, "recoverycode")) {
				continue
			}
			n := &newcomer{Person: w.Person(), name: fmt.Sprintf("new-%d", len(people)), key: &virtualauth.Key{}, phone: w.Phone(), order: order, when: when}
			if len(people)%2 == 0 { // of a phone that checks its owner the app is two factors, and still no beginning
				n.phone.Finger = &virtualauth.Key{}
			}
			if people = append(people, n); when != "never" {
				n.fob = &servertest.Fob{T: t, Serial: "T-" + n.name, Secret: hex.EncodeToString([]byte(fmt.Sprintf("%020d", len(people)))), Digits: 6}
				rows += n.fob.Serial + "," + n.fob.Secret + ",hotp,6\n"
			}
		}
	}
	sh.Does("token", "import", sh.File(rows), "--format", "oath-csv", "--commit")
	for _, n := range people {
		t.Run(fmt.Sprintf("%s, a token %s", strings.Join(n.order, " "), n.when), func(t *testing.T) { n.arrives(t, desk); n.sets(t) })
	}
	t.Logf("%d orders", len(people))
}

// arrives gives them an account, what is assigned, and a pass, which they take.
func (n *newcomer) arrives(t *testing.T, desk *servertest.Clerk) {
	n.W.T = t
	do := func(action string, in map[string]any, out any) {
		t.Helper()
		if err := desk.Do(t.Context(), action, in, out); err != nil {
			t.Fatal(action, err)
		}
	}
	assign := func() {
		do("token.assign", map[string]any{"serial": n.fob.Serial, "account": n.name, "codes": n.fob.Press() + " " + n.fob.Press()}, nil)
		n.has = append(n.has, "hotp")
	}
	do("account.create", map[string]any{"name": n.name}, nil)
	if n.when == "before the pass" {
		assign()
	}
	var pass passes.Pass
	do("pass.issue", map[string]any{"account": n.name, "note": "seen"}, &pass)
	if n.when == "after the pass" {
		assign()
	}
	servertest.Follows(n.Person, pass.Link)
}

// sets sets up what is their order, and follows wherever the pages lead.
func (n *newcomer) sets(t *testing.T) {
	w := n.W
	for i, kind := range n.order {
		if limited := strings.Contains(n.Page, "Set up how you sign in"); limited && !n.offers(kind) {
			if begins := kind == "password" || kind == "passkey"; begins || !n.offers("passkey") || n.begins() {
				t.Fatalf("with %v %s is not offered, status %d:\n%s", n.has, kind, n.Status, n.Page)
			}
			return // it would lead no further: another order
		} else if limited && kind == "push" && !n.begins() {
			t.Fatalf("with %v the app is offered, which nothing can stand before:\n%s", n.has, n.Page)
		}
		settings[kind](n)
		n.has = append(n.has, kind)
		n.proves()
		ready := enough(n.has)
		switch {
		case ready && !n.Inside():
			t.Fatalf("with %v there is no way in, status %d:\n%s", n.has, n.Status, n.Page)
		case !ready && (!strings.Contains(n.Page, "Set up how you sign in") || i == len(n.order)-1 && !strings.Contains(n.Page, "authenticator.enroll")):
			t.Fatalf("with %v, which is not enough, nothing more is offered, status %d:\n%s", n.has, n.Status, n.Page)
		}
		if ready && i < len(n.order)-1 { // what is new counts for nothing more until a day later
			w.Later(25 * time.Hour)
			n.Get("/account")
			n.proves()
		}
	}
	if !enough(n.has) {
		return
	}
	w.Later(25 * time.Hour) // what was added last may wake nobody before
	fresh := *n
	fresh.Person = w.Person()
	fresh.Secret = n.Secret
	fresh.Get("/sign-in")
	fresh.proves()
	if !fresh.Inside() {
		t.Fatalf("with %v a fresh browser is not let in, status %d:\n%s", n.has, fresh.Status, fresh.Page)
	}
}
