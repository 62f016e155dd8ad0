package radius

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
)

// The promise: what equipment adds to what somebody types keeps nobody out, and the State of
// one person stays theirs, by radclient.
func TestWhatEquipmentAdds(t *testing.T) {
	w := servertest.NewWorld(t)
	ada := w.EnrollCodes("ada")
	w.LoginHost(true)
	ask := func(name, octets, state string) string {
		lines := "User-Name = \"" + name + "\"\nUser-Password = \"" + octets + "\"\nMessage-Authenticator = 0x00\n" + state
		c := exec.Command("radclient", "-x", w.Radius, "auth", servertest.PamSecret)
		c.Stdin = strings.NewReader(lines)
		out, _ := c.CombinedOutput() // it exits 1 for what is no Accept
		return string(out)
	}
	out := ask("ada", servertest.Passphrase+`\r\n`, "")
	state := regexp.MustCompile(`State = 0x[0-9a-f]+`).FindString(out)
	if !strings.Contains(out, "Access-Challenge") || state == "" {
		t.Fatalf("the password with the end of a line:\n%s", out)
	}
	code := ada.Code()
	if out = ask("bob", code, state); !strings.Contains(out, "Access-Reject") {
		t.Errorf("somebody else with her State:\n%s", out)
	}
	if out = ask("ADA", code+`\r\n`, state); !strings.Contains(out, "Received Access-Accept") {
		t.Errorf("the code with the end of a line, the name in capitals:\n%s", out)
	}
}

// The promise: the second request of a sign-in may name the same account in another form, and what
// names another account, or nobody, neither gets in nor uses the State up.
func TestAnotherFormOfTheName(t *testing.T) {
	w := servertest.NewWorld(t)
	dave := w.EnrollCodes("dave")
	w.EnrollCodes("bob")
	distinguished(w, "dave")
	w.LoginHost(true)
	ask := func(name, typed, state string) string {
		name = strings.ReplaceAll(name, `\`, `\\`)
		c := exec.Command("radclient", "-x", w.Radius, "auth", servertest.PamSecret)
		c.Stdin = strings.NewReader("User-Name = \"" + name + "\"\nUser-Password = \"" + typed + "\"\nMessage-Authenticator = 0x00\n" + state)
		out, _ := c.CombinedOutput() // it exits 1 for what is no Accept
		return string(out)
	}
	for _, forms := range [][2]string{{`CORP\dave`, "dave"}, {"dave", `CORP\dave`}, {"dave", "DAVE@example.org"}, {"dave@example.org", `corp\DAVE`}} {
		out := ask(forms[0], servertest.Passphrase, "")
		state := regexp.MustCompile(`State = 0x[0-9a-f]+`).FindString(out)
		if !strings.Contains(out, "Access-Challenge") || state == "" {
			t.Fatalf("%s:\n%s", forms[0], out)
		}
		code := dave.Code()
		for _, other := range []string{"bob", `CORP\bob`, "dave@elsewhere.org", `dave\bob`, "nobody", ""} {
			if out = ask(other, code, state); !strings.Contains(out, "Received Access-Reject") {
				t.Errorf("%s with the State of %s:\n%s", other, forms[0], out)
			}
		}
		if out = ask(forms[1], code, state); !strings.Contains(out, "Received Access-Accept") {
			t.Errorf("%s and then %s:\n%s", forms[0], forms[1], out)
		}
		w.Later(31 * time.Second)
	}
}

// distinguished gives somebody an address, which is a name of theirs.
func distinguished(w *servertest.World, name string) {
	w.T.Helper()
	ctx := context.Background()
	err := w.DB.Change(ctx, audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a, err := w.Accounts.Find(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := w.Accounts.AddMail(ctx, tx, a.ID, name+"@example.org"); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.distinguished", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}
