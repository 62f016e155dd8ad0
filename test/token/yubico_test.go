package token

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/servertest"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// runYubicoClient runs Yubico's own client, which checks our signature. It exits with 0 for
// OK and 2 for a one-time password that was used.
func runYubicoClient(v servertest.Validator, otp string) (exit int) {
	v.W.T.Helper()
	testbed.Program(v.W.T, "ykclient")
	cmd := exec.Command("ykclient", "--url", v.Base+"/wsapi/2.0/verify", "--apikey", v.Key, fmt.Sprint(v.Id), otp)
	out, _ := cmd.CombinedOutput()
	v.W.T.Logf("ykclient: %d %s", cmd.ProcessState.ExitCode(), out)
	return cmd.ProcessState.ExitCode()
}

// grants counts who was let in where.
func grants(w *servertest.World, application, name string) (n int) {
	w.T.Helper()
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: "signin.granted", Limit: 1000})
	if err != nil {
		w.T.Fatal(err)
	}
	for _, en := range entries {
		if en.Application == application && en.AccountName == name {
			n++
		}
	}
	return n
}

// withYubikeys is an office where two people have keys from a maker's file.
func withYubikeys(t *testing.T, dsn string) (w *servertest.World, desk *servertest.Shell, bobs, carols *servertest.Yubikey) {
	t.Helper()
	w = servertest.NewWorldOn(t, dsn)
	desk = servertest.TokenDesk(w)
	bobs, carols = servertest.NewYubikey(t, "1001"), servertest.NewYubikey(t, "1002")
	w.EnrollCodes("bob")
	w.EnrollCodes("carol")
	desk.Does("token", "import", desk.File(bobs.Row()+carols.Row()), "--format", "yubico-csv", "--commit")
	desk.Does("token", "assign", "1001", "bob", "--note", "seen", "--codes", bobs.Touch()+" "+bobs.Touch())
	desk.Does("token", "assign", "1002", "carol", "--note", "seen", "--codes", carols.Touch()+" "+carols.Touch())
	return w, desk, bobs, carols
}

// The promise: programs that ask Yubico's servers can ask us: a key from a maker's
// file is accepted by Yubico's own client, once, for the account that has it.
func TestYubicoValidation(t *testing.T) {
	w, desk, bobs, carols := withYubikeys(t, "")
	gateway, backups := servertest.Validators(w)
	first := bobs.Touch()
	if runYubicoClient(gateway, first) != 0 {
		t.Fatal("Yubico's client is refused")
	}
	if grants(w, "gate", "bob") != 1 {
		t.Error("the log does not have bob at the gate")
	}
	t.Run("again, and from the other client", func(t *testing.T) {
		if runYubicoClient(gateway, first) != 2 {
			t.Error("Yubico's client is not told that it was used")
		}
		if got := backups.Otp(first); got != "REPLAYED_OTP" {
			t.Error(got)
		}
	})
	t.Run("an answer that is not ours", func(t *testing.T) {
		impostor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			fmt.Fprintf(w, "h=AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nt=2026-11-25T08:00:00Z0000\r\notp=%s\r\nnonce=%s\r\nsl=100\r\nstatus=OK\r\n\r\n", q.Get("otp"), q.Get("nonce"))
		}))
		defer impostor.Close()
		if runYubicoClient((servertest.Validator{W: w, Base: impostor.URL, Id: 7, Key: servertest.GatewayKey}), bobs.Touch()) == 0 {
			t.Error("Yubico's client believes an answer without our signature")
		}
	})
	t.Run("one that was touched before", func(t *testing.T) {
		older, newer := bobs.Touch(), bobs.Touch()
		if got := gateway.Otp(newer); got != "OK" {
			t.Error(got)
		}
		if got := gateway.Otp(older); got != "REPLAYED_OTP" {
			t.Error(got)
		}
	})
	t.Run("in capitals", func(t *testing.T) {
		if got := gateway.Otp(strings.ToUpper(bobs.Touch())); got != "OK" {
			t.Error(got)
		}
	})
	t.Run("the same request again", func(t *testing.T) {
		q := url.Values{"id": {"7"}, "nonce": {"abcdefghijklmnop"}, "otp": {bobs.Touch()}}
		q.Set("h", gateway.Sign(q))
		for _, want := range []string{"OK", "REPLAYED_REQUEST"} {
			if got := gateway.Get(q.Encode()); got["status"] != want {
				t.Errorf("%v, wanted %s", got, want)
			}
		}
	})
	t.Run("another AES key under a known id", func(t *testing.T) {
		forged := servertest.NewYubikey(t, "9")
		forged.Public, forged.Session = bobs.Public, 200
		if got := gateway.Otp(forged.Touch()); got != "BAD_OTP" {
			t.Error(got)
		}
		if got := gateway.Otp(servertest.NewYubikey(t, "9").Touch()); got != "BAD_OTP" {
			t.Errorf("an unknown id: %s", got)
		}
	})
	t.Run("a key that was lost", func(t *testing.T) {
		desk.Does("token", "lost", "1002", "--reason", "left in a taxi")
		if got := gateway.Otp(carols.Touch()); got != "BAD_OTP" {
			t.Error(got)
		}
		// It is found, shows that it is itself, and becomes bob's second.
		desk.Does("token", "return", "1002", "--reason", "found")
		desk.Does("token", "resync", "1002", carols.Touch()+" "+carols.Touch())
		desk.Does("token", "assign", "1002", "bob", "--note", "seen", "--codes", carols.Touch()+" "+carols.Touch())
		if got := gateway.Otp(carols.Touch()); got != "OK" || grants(w, "gate", "carol") != 0 {
			t.Error(got)
		}
	})
	t.Run("somebody who was suspended", func(t *testing.T) {
		desk.Does("account", "suspend", "bob", "--reason", "left")
		if got := gateway.Otp(bobs.Touch()); got != "BAD_OTP" {
			t.Error(got)
		}
	})
}

// The promise: a request counts only under its client's signature, and an answer
// bears ours.
func TestYubicoSignatures(t *testing.T) {
	w, _, bobs, _ := withYubikeys(t, "")
	gateway, backups := servertest.Validators(w)
	otp := bobs.Touch()
	with := func(q url.Values) { q.Set("otp", otp) }
	last := "c"
	if strings.HasSuffix(otp, last) {
		last = "b"
	}
	for name, c := range map[string]struct {
		edit func(url.Values)
		want string
	}{
		"no signature":          {func(q url.Values) { with(q); q.Set("h", "") }, "MISSING_PARAMETER"},
		"another's signature":   {func(q url.Values) { with(q); q.Set("h", backups.Sign(q)) }, "BAD_SIGNATURE"},
		"a changed otp":         {func(q url.Values) { with(q); q.Set("h", gateway.Sign(q)); q.Set("otp", bobs.Public+otp[12:43]+last) }, "BAD_SIGNATURE"},
		"an added parameter":    {func(q url.Values) { with(q); q.Set("h", gateway.Sign(q)); q.Set("sl", "0") }, "BAD_SIGNATURE"},
		"an unknown client":     {func(q url.Values) { with(q); q.Set("id", "9") }, "NO_SUCH_CLIENT"},
		"a client by other way": {func(q url.Values) { with(q); q.Set("id", "07") }, "NO_SUCH_CLIENT"},
		"no nonce":              {func(q url.Values) { with(q); q.Del("nonce") }, "MISSING_PARAMETER"},
		"a short nonce":         {func(q url.Values) { with(q); q.Set("nonce", "abc") }, "MISSING_PARAMETER"},
		"a nonce with a break":  {func(q url.Values) { with(q); q.Set("nonce", "abcdefghijklmnop\r\nstatus=OK") }, "MISSING_PARAMETER"},
		"no otp":                {func(url.Values) {}, "MISSING_PARAMETER"},
		"an otp with a break":   {func(q url.Values) { q.Set("otp", otp+"\r\nstatus=OK") }, "BAD_OTP"},
		"a password":            {func(q url.Values) { q.Set("otp", servertest.Passphrase) }, "BAD_OTP"},
		"six digits":            {func(q url.Values) { q.Set("otp", "123456") }, "BAD_OTP"},
		"two otps":              {func(q url.Values) { with(q); q.Set("h", gateway.Sign(q)); q.Add("otp", bobs.Touch()) }, "MISSING_PARAMETER"},
	} {
		said := gateway.Ask(c.edit)
		if said["status"] != c.want || strings.Contains(fmt.Sprint(said), "status:OK") {
			t.Errorf("%s: %v, wanted %s", name, said, c.want)
		}
	}
	if n := grants(w, "gate", "bob"); n != 0 {
		t.Fatalf("%d grants", n)
	}
	// After all that the one-time password is good still, and the answer is ours.
	said := gateway.Ask(with)
	fields := map[string][]string{}
	for name, value := range said {
		fields[name] = []string{value}
	}
	if said["status"] != "OK" || said["otp"] != otp || said["h"] != gateway.Sign(fields) || said["sl"] != "100" {
		t.Errorf("%v", said)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z0000", said["t"][:len(said["t"])-4]+"0000"); err != nil {
		t.Errorf("t=%s", said["t"])
	}
}

// curlYubico asks with curl, which programs of version 1 and those that POST are here.
func curlYubico(v servertest.Validator, path, otp string, post, nonce bool) string {
	v.W.T.Helper()
	q := url.Values{"id": {fmt.Sprint(v.Id)}, "otp": {otp}}
	if nonce {
		q.Set("nonce", strings.ToLower(rand.Text()))
	}
	q.Set("h", v.Sign(q))
	args := []string{"-sS", "--get"}
	if post {
		args = args[:1]
	}
	for name := range q {
		args = append(args, "--data-urlencode", name+"="+q.Get(name))
	}
	out, err := exec.Command("curl", append(args, v.Base+path)...).Output()
	if err != nil {
		v.W.T.Fatalf("curl: %v", err)
	}
	said := map[string][]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\r\n") {
		name, value, _ := strings.Cut(line, "=")
		said[name] = []string{value}
	}
	if said["h"] == nil || said["h"][0] != v.Sign(said) || !nonce && len(said) != 3 {
		v.W.T.Errorf("the answer is %q", out)
	}
	return said["status"][0]
}

// The promise: programs that POST, that speak version 1 of the protocol, or that sit behind
// a Dvorak keyboard are answered as others are, and each one-time password counts once.
func TestYubicoOtherWays(t *testing.T) {
	w, _, bobs, _ := withYubikeys(t, "")
	gateway, _ := servertest.Validators(w)
	const newer, older = "/wsapi/2.0/verify", "/wsapi/verify"
	for _, c := range []struct {
		path        string
		post, nonce bool
	}{{newer, true, true}, {older, false, false}, {older, true, false}, {older, false, true}} {
		otp := bobs.Touch()
		if got := curlYubico(gateway, c.path, otp, c.post, c.nonce); got != "OK" {
			t.Errorf("%+v: %s", c, got)
		}
		if got := curlYubico(gateway, c.path, otp, c.post, c.nonce); got != "REPLAYED_OTP" {
			t.Errorf("%+v, again: %s", c, got)
		}
	}
	if got := curlYubico(gateway, older, bobs.Touch()[:43]+"a", true, false); got != "BAD_OTP" {
		t.Error(got)
	}
	otp := bobs.Touch()
	if runYubicoClient(gateway, servertest.OnDvorak(otp)) != 0 {
		t.Error("a one-time password of a Dvorak keyboard is refused")
	}
	for _, again := range []string{otp, servertest.OnDvorak(otp)} {
		if got := gateway.Otp(again); got != "REPLAYED_OTP" {
			t.Errorf("used in both layouts: %s", got)
		}
	}
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	w.Later(25 * time.Hour) // what was handed over is in quarantine for a day
	if s := w.Begin(servertest.Line("bob", servertest.Passphrase, servertest.OnDvorak(bobs.Touch()))); s.State != signin.Granted {
		t.Errorf("%s: %s", s.State, s.Reason)
	}
}

// The promise: an administrator learns from application show and from the audit log why a
// program's requests are not judged, and reads nothing there that anybody typed.
func TestWhyYubicoIsNotServed(t *testing.T) {
	w, desk, bobs, _ := withYubikeys(t, "")
	gateway, _ := servertest.Validators(w)
	good := bobs.Touch()
	for range 2 {
		if runYubicoClient(servertest.Validator{W: w, Base: w.Base, Id: 7, Key: "bm90LXRoZS1rZXktb2YtaXQ="}, good) == 0 {
			t.Fatal("another key is believed")
		}
	}
	runYubicoClient(servertest.Validator{W: w, Base: w.Base, Id: 9, Key: servertest.GatewayKey}, good)
	gateway.Ask(func(q url.Values) { q.Set("otp", good); q.Set("h", "") })
	gateway.Otp("hunter2-hunter2-hunter2-hunter2-hunter2")
	if got := gateway.Get("id=7&id=8"); got["status"] != "MISSING_PARAMETER" {
		t.Error(got)
	}
	shown := desk.Does("application", "show", "gate", "--json")
	for _, want := range []string{"type the same key at the program and here", "is not signed", "nothing that a YubiKey types", `"last_heard_from"`} {
		if !strings.Contains(shown, want) {
			t.Errorf("application show lacks %q:\n%s", want, shown)
		}
	}
	if err := w.TellUnserved(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	entries, err := w.DB.AuditLog().Entries(t.Context(), store.Filter{Event: "request.unserved", Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	causes := map[string]string{}
	for _, en := range entries {
		causes[en.Reason] = en.Application + " " + en.Detail["client"] + " " + en.Detail["count"]
	}
	want := map[string]string{"bad-signature": "gate gateway 2", "no-such-client": "  ", "no-signature": "gate gateway ", "no-one-time-password": "gate gateway ", "unreadable": "  "}
	if fmt.Sprint(causes) != fmt.Sprint(want) {
		t.Errorf("the audit log has %v, wanted %v", causes, want)
	}
	if all := shown + fmt.Sprint(entries); strings.Contains(all, "hunter2") || strings.Contains(all, good) || strings.Contains(all, servertest.GatewayKey) {
		t.Errorf("what is told holds what was typed, or a key:\n%s", all)
	}
	if got := gateway.Otp(good); got != "OK" {
		t.Errorf("after all that the one-time password is %s", got)
	}
}

// The promise: of any number of requests with one one-time password at once, one
// is told OK.
func TestYubicoManyAtOnce(t *testing.T) {
	for name, dsn := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { return storetest.StartPostgres(t).DSN }} {
		t.Run(name, func(t *testing.T) {
			w, _, bobs, _ := withYubikeys(t, dsn(t))
			gateway, backups := servertest.Validators(w)
			otp := bobs.Touch()
			var mu sync.Mutex
			said := map[string]int{}
			var all sync.WaitGroup
			for i := range 32 {
				all.Go(func() {
					v := gateway
					if i%2 == 1 {
						v = backups
					}
					status := v.Otp(otp)
					mu.Lock()
					defer mu.Unlock()
					said[status]++
				})
			}
			all.Wait()
			if said["OK"] != 1 || said["OK"]+said["REPLAYED_OTP"] != 32 {
				t.Errorf("%v", said)
			}
		})
	}
}

// A key is a second factor on pages and over RADIUS too, behind the password and
// in one line with it.
func TestYubikeyElsewhere(t *testing.T) {
	w, _, bobs, carols := withYubikeys(t, "")
	if err := w.PlantApplications(t.Context(), "wiki.test", servertest.DrillSecret); err != nil {
		t.Fatal(err)
	}
	w.Later(25 * time.Hour) // what was handed over is in quarantine for a day
	if s := w.Begin(servertest.Line("bob", servertest.Passphrase, bobs.Touch())); s.State != signin.Granted {
		t.Errorf("%s: %s", s.State, s.Reason)
	}
	if s := w.Begin(servertest.Line("bob", servertest.Passphrase, carols.Touch())); s.State == signin.Granted {
		t.Error("somebody else's key was accepted")
	}
	equipment := servertest.Gateway{Address: w.Radius, Secret: servertest.DrillSecret}
	if _, o := equipment.SignIn(t.Context(), "bob", bobs.Touch); o != servertest.Accepted {
		t.Errorf("at a RADIUS challenge: %v", o)
	}
	if _, o := equipment.SignIn(t.Context(), "bob", carols.Touch); o == servertest.Accepted {
		t.Error("somebody else's key was accepted at a RADIUS challenge")
	}
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", "bob")
	p.Post("/sign-in", "authenticator", "password", "text", servertest.Passphrase)
	if !strings.Contains(p.Page, "Touch your YubiKey") {
		t.Fatal(p.Page)
	}
	p.Post("/sign-in", "authenticator", "yubico-otp", "text", bobs.Touch())
	if !p.Inside() {
		t.Error("a touch in the browser is refused")
	}
}

// Debian's pam_yubico, with nothing beside it, lets in whose key it is.
func TestPAMYubico(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can add a PAM service; run the tests with sudo")
	}
	testbed.Program(t, "pamtester")
	w, _, bobs, carols := withYubikeys(t, "")
	gateway, _ := servertest.Validators(w)
	service := "countersign-test-" + strings.ToLower(rand.Text()[:10])
	mapping := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(mapping, []byte("bob:"+bobs.Public+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("/etc/pam.d", service)
	stack := fmt.Sprintf("auth required pam_yubico.so id=7 key=%s urllist=%s authfile=%s\naccount required pam_permit.so\n", gateway.Key, w.Base+"/wsapi/2.0/verify", mapping)
	if err := os.WriteFile(file, []byte(stack), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
	login := func(typed string) bool {
		cmd := exec.Command("pamtester", service, "bob", "authenticate")
		cmd.Stdin = strings.NewReader(typed + "\n")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err == nil
	}
	otp := bobs.Touch()
	if !login(otp) {
		t.Error("bob's key is refused")
	}
	if login(otp) {
		t.Error("his one-time password was good twice")
	}
	if login(carols.Touch()) {
		t.Error("carol's key lets bob in")
	}
	w.Stop()
	if login(bobs.Touch()) {
		t.Error("with the server gone the module lets in")
	}
}
