package cli

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/authenticator/yubicootp"
	"countersign/internal/signin"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// yubikey is a key whose one-time passwords another implementation makes:
// libyubikey's.
type yubikey struct {
	t              testing.TB
	serial, public string
	private, key   string // hexadecimal
	session, use   int
}

func newYubikey(t testing.TB, serial string) *yubikey {
	t.Helper()
	testbed.Program(t, "ykgenerate")
	random := make([]byte, 28)
	rand.Read(random)
	return &yubikey{t: t, serial: serial, public: yubicootp.Modhex(random[:6]), private: hex.EncodeToString(random[6:12]), key: hex.EncodeToString(random[12:]), session: 1}
}

// row is the key's line in the Yubico format.
func (y *yubikey) row() string {
	return strings.Join([]string{y.serial, y.public, y.private, y.key, "000000000000", "2026-10-01T09:00:00", ""}, ",") + "\n"
}

func (y *yubikey) touch() string {
	y.t.Helper()
	out, err := exec.Command("ykgenerate", y.key, y.private, fmt.Sprintf("%04x", y.session), "c230", "01", fmt.Sprintf("%02x", y.use)).Output()
	if err != nil {
		y.t.Fatalf("ykgenerate (Debian package libyubikey-dev): %v", err)
	}
	y.use++
	return y.public + strings.TrimSpace(string(out))
}

// validator is a validation client: its number and its key.
type validator struct {
	w    *world
	base string
	id   int
	key  string // base64
}

const (
	gatewayKey = "Z2F0ZXdheS1rZXktb2YtMjAh" // 18 octets
	backupsKey = "YmFja3Vwcy1rZXktb2YtMjAh"
)

// validators makes an application with two clients: one that checks passwords
// itself, so that a touch is the second factor.
func (w *world) validators() (gateway, backups validator) {
	w.t.Helper()
	w.plantApplication(application.Application{Name: "gate", Kind: "vpn", Tier: application.Standard, Protocol: "yubico", Vouches: application.VouchesPassword}, map[string]any{"clients": []any{
		map[string]any{"name": "gateway", "id": 7, "key": gatewayKey}, map[string]any{"name": "backups", "id": 8, "key": backupsKey}}})
	return validator{w, w.base, 7, gatewayKey}, validator{w, w.base, 8, backupsKey}
}

// client runs Yubico's own client, which checks our signature. It exits with 0 for
// OK and 2 for a one-time password that was used.
func (v validator) client(otp string) (exit int) {
	v.w.t.Helper()
	testbed.Program(v.w.t, "ykclient")
	cmd := exec.Command("ykclient", "--url", v.base+"/wsapi/2.0/verify", "--apikey", v.key, fmt.Sprint(v.id), otp)
	out, _ := cmd.CombinedOutput()
	v.w.t.Logf("ykclient: %d %s", cmd.ProcessState.ExitCode(), out)
	return cmd.ProcessState.ExitCode()
}

// ask is a client of our own, which can be wrong in ways that ykclient cannot.
func (v validator) ask(edit func(url.Values)) map[string]string {
	v.w.t.Helper()
	q := url.Values{"id": {fmt.Sprint(v.id)}, "nonce": {rand.Text() + "abcd"}}
	edit(q)
	if !q.Has("h") {
		q.Set("h", v.sign(q))
	}
	return v.get(q.Encode())
}

func (v validator) otp(otp string) string {
	return v.ask(func(q url.Values) { q.Set("otp", otp) })["status"]
}

func (v validator) get(query string) map[string]string {
	v.w.t.Helper()
	resp, err := http.Get(v.w.base + "/wsapi/2.0/verify?" + query)
	if err != nil {
		v.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(string(body), "\r\n\r\n") {
		v.w.t.Fatalf("%v %s %q", err, resp.Status, body)
	}
	said := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(body)), "\r\n") {
		name, value, _ := strings.Cut(line, "=")
		said[name] = value
	}
	return said
}

func (v validator) sign(values map[string][]string) string {
	var lines []string
	for name, value := range values {
		if name != "h" {
			lines = append(lines, name+"="+value[0])
		}
	}
	slices.Sort(lines)
	key, _ := base64.StdEncoding.DecodeString(v.key)
	m := hmac.New(sha1.New, key)
	m.Write([]byte(strings.Join(lines, "&")))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// grants counts who was let in where.
func (w *world) grants(application, name string) (n int) {
	w.t.Helper()
	entries, err := w.DB.AuditLog().Entries(context.Background(), store.Filter{Event: "signin.granted", Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, en := range entries {
		if en.Application == application && en.AccountName == name {
			n++
		}
	}
	return n
}

// withYubikeys is an office where two people have keys from a maker's file.
func withYubikeys(t *testing.T, dsn string) (w *world, desk *shell, bobs, carols *yubikey) {
	t.Helper()
	w = newWorldOn(t, dsn)
	desk = w.tokenDesk()
	bobs, carols = newYubikey(t, "1001"), newYubikey(t, "1002")
	w.enrollCodes("bob")
	w.enrollCodes("carol")
	desk.does("token", "import", desk.file(bobs.row()+carols.row()), "--format", "yubico-csv", "--commit")
	desk.does("token", "assign", "1001", "bob", "--note", "seen", "--codes", bobs.touch()+" "+bobs.touch())
	desk.does("token", "assign", "1002", "carol", "--note", "seen", "--codes", carols.touch()+" "+carols.touch())
	return w, desk, bobs, carols
}

// The promise: programs that ask Yubico's servers can ask us: a key from a maker's
// file is accepted by Yubico's own client, once, for the account that has it.
func TestYubicoValidation(t *testing.T) {
	w, desk, bobs, carols := withYubikeys(t, "")
	gateway, backups := w.validators()
	first := bobs.touch()
	if gateway.client(first) != 0 {
		t.Fatal("Yubico's client is refused")
	}
	if w.grants("gate", "bob") != 1 {
		t.Error("the log does not have bob at the gate")
	}
	t.Run("again, and from the other client", func(t *testing.T) {
		if gateway.client(first) != 2 {
			t.Error("Yubico's client is not told that it was used")
		}
		if got := backups.otp(first); got != "REPLAYED_OTP" {
			t.Error(got)
		}
	})
	t.Run("an answer that is not ours", func(t *testing.T) {
		impostor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			fmt.Fprintf(w, "h=AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nt=2026-11-25T08:00:00Z0000\r\notp=%s\r\nnonce=%s\r\nsl=100\r\nstatus=OK\r\n\r\n", q.Get("otp"), q.Get("nonce"))
		}))
		defer impostor.Close()
		if (validator{w, impostor.URL, 7, gatewayKey}).client(bobs.touch()) == 0 {
			t.Error("Yubico's client believes an answer without our signature")
		}
	})
	t.Run("one that was touched before", func(t *testing.T) {
		older, newer := bobs.touch(), bobs.touch()
		if got := gateway.otp(newer); got != "OK" {
			t.Error(got)
		}
		if got := gateway.otp(older); got != "REPLAYED_OTP" {
			t.Error(got)
		}
	})
	t.Run("in capitals", func(t *testing.T) {
		if got := gateway.otp(strings.ToUpper(bobs.touch())); got != "OK" {
			t.Error(got)
		}
	})
	t.Run("the same request again", func(t *testing.T) {
		q := url.Values{"id": {"7"}, "nonce": {"abcdefghijklmnop"}, "otp": {bobs.touch()}}
		q.Set("h", gateway.sign(q))
		for _, want := range []string{"OK", "REPLAYED_REQUEST"} {
			if got := gateway.get(q.Encode()); got["status"] != want {
				t.Errorf("%v, wanted %s", got, want)
			}
		}
	})
	t.Run("another AES key under a known id", func(t *testing.T) {
		forged := newYubikey(t, "9")
		forged.public, forged.session = bobs.public, 200
		if got := gateway.otp(forged.touch()); got != "BAD_OTP" {
			t.Error(got)
		}
		if got := gateway.otp(newYubikey(t, "9").touch()); got != "BAD_OTP" {
			t.Errorf("an unknown id: %s", got)
		}
	})
	t.Run("a key that was lost", func(t *testing.T) {
		desk.does("token", "lost", "1002", "--reason", "left in a taxi")
		if got := gateway.otp(carols.touch()); got != "BAD_OTP" {
			t.Error(got)
		}
		// It is found, shows that it is itself, and becomes bob's second.
		desk.does("token", "return", "1002", "--reason", "found")
		desk.does("token", "resync", "1002", carols.touch()+" "+carols.touch())
		desk.does("token", "assign", "1002", "bob", "--note", "seen", "--codes", carols.touch()+" "+carols.touch())
		if got := gateway.otp(carols.touch()); got != "OK" || w.grants("gate", "carol") != 0 {
			t.Error(got)
		}
	})
	t.Run("somebody who was suspended", func(t *testing.T) {
		desk.does("account", "suspend", "bob", "--reason", "left")
		if got := gateway.otp(bobs.touch()); got != "BAD_OTP" {
			t.Error(got)
		}
	})
}

// The promise: a request counts only under its client's signature, and an answer
// bears ours.
func TestYubicoSignatures(t *testing.T) {
	w, _, bobs, _ := withYubikeys(t, "")
	gateway, backups := w.validators()
	otp := bobs.touch()
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
		"another's signature":   {func(q url.Values) { with(q); q.Set("h", backups.sign(q)) }, "BAD_SIGNATURE"},
		"a changed otp":         {func(q url.Values) { with(q); q.Set("h", gateway.sign(q)); q.Set("otp", bobs.public+otp[12:43]+last) }, "BAD_SIGNATURE"},
		"an added parameter":    {func(q url.Values) { with(q); q.Set("h", gateway.sign(q)); q.Set("sl", "0") }, "BAD_SIGNATURE"},
		"an unknown client":     {func(q url.Values) { with(q); q.Set("id", "9") }, "NO_SUCH_CLIENT"},
		"a client by other way": {func(q url.Values) { with(q); q.Set("id", "07") }, "NO_SUCH_CLIENT"},
		"no nonce":              {func(q url.Values) { with(q); q.Del("nonce") }, "MISSING_PARAMETER"},
		"a short nonce":         {func(q url.Values) { with(q); q.Set("nonce", "abc") }, "MISSING_PARAMETER"},
		"a nonce with a break":  {func(q url.Values) { with(q); q.Set("nonce", "abcdefghijklmnop\r\nstatus=OK") }, "MISSING_PARAMETER"},
		"no otp":                {func(url.Values) {}, "MISSING_PARAMETER"},
		"an otp with a break":   {func(q url.Values) { q.Set("otp", otp+"\r\nstatus=OK") }, "BAD_OTP"},
		"a password":            {func(q url.Values) { q.Set("otp", passphrase) }, "BAD_OTP"},
		"six digits":            {func(q url.Values) { q.Set("otp", "123456") }, "BAD_OTP"},
		"two otps":              {func(q url.Values) { with(q); q.Set("h", gateway.sign(q)); q.Add("otp", bobs.touch()) }, "MISSING_PARAMETER"},
	} {
		said := gateway.ask(c.edit)
		if said["status"] != c.want || strings.Contains(fmt.Sprint(said), "status:OK") {
			t.Errorf("%s: %v, wanted %s", name, said, c.want)
		}
	}
	if n := w.grants("gate", "bob"); n != 0 {
		t.Fatalf("%d grants", n)
	}
	// After all that the one-time password is good still, and the answer is ours.
	said := gateway.ask(with)
	fields := map[string][]string{}
	for name, value := range said {
		fields[name] = []string{value}
	}
	if said["status"] != "OK" || said["otp"] != otp || said["h"] != gateway.sign(fields) || said["sl"] != "100" {
		t.Errorf("%v", said)
	}
	if _, err := time.Parse("2006-01-02T15:04:05Z0000", said["t"][:len(said["t"])-4]+"0000"); err != nil {
		t.Errorf("t=%s", said["t"])
	}
}

// The promise: of any number of requests with one one-time password at once, one
// is told OK.
func TestYubicoManyAtOnce(t *testing.T) {
	for name, dsn := range map[string]func(*testing.T) string{"sqlite": func(*testing.T) string { return "" }, "postgres": func(t *testing.T) string { return storetest.StartPostgres(t).DSN }} {
		t.Run(name, func(t *testing.T) {
			w, _, bobs, _ := withYubikeys(t, dsn(t))
			gateway, backups := w.validators()
			otp := bobs.touch()
			var mu sync.Mutex
			said := map[string]int{}
			var all sync.WaitGroup
			for i := range 32 {
				all.Go(func() {
					v := gateway
					if i%2 == 1 {
						v = backups
					}
					status := v.otp(otp)
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
	if err := w.PlantApplications(t.Context(), "wiki.test", drillSecret); err != nil {
		t.Fatal(err)
	}
	w.later(25 * time.Hour) // what was handed over is in quarantine for a day
	if s := w.begin(line("bob", passphrase, bobs.touch())); s.State != signin.Granted {
		t.Errorf("%s: %s", s.State, s.Reason)
	}
	if s := w.begin(line("bob", passphrase, carols.touch())); s.State == signin.Granted {
		t.Error("somebody else's key was accepted")
	}
	equipment := gateway{address: w.radius, secret: drillSecret}
	if _, o := equipment.signIn(t.Context(), "bob", bobs.touch); o != accepted {
		t.Errorf("at a RADIUS challenge: %v", o)
	}
	if _, o := equipment.signIn(t.Context(), "bob", carols.touch); o == accepted {
		t.Error("somebody else's key was accepted at a RADIUS challenge")
	}
	p := w.person()
	p.get("/sign-in")
	p.post("/sign-in", "name", "bob")
	p.post("/sign-in", "authenticator", "password", "text", passphrase)
	if !strings.Contains(p.page, "Touch your YubiKey") {
		t.Fatal(p.page)
	}
	p.post("/sign-in", "authenticator", "yubico-otp", "text", bobs.touch())
	if !p.inside() {
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
	gateway, _ := w.validators()
	service := "countersign-test-" + strings.ToLower(rand.Text()[:10])
	mapping := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(mapping, []byte("bob:"+bobs.public+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("/etc/pam.d", service)
	stack := fmt.Sprintf("auth required pam_yubico.so id=7 key=%s urllist=%s authfile=%s\naccount required pam_permit.so\n", gateway.key, w.base+"/wsapi/2.0/verify", mapping)
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
	otp := bobs.touch()
	if !login(otp) {
		t.Error("bob's key is refused")
	}
	if login(otp) {
		t.Error("his one-time password was good twice")
	}
	if login(carols.touch()) {
		t.Error("carol's key lets bob in")
	}
	w.stop()
	if login(bobs.touch()) {
		t.Error("with the server gone the module lets in")
	}
}
