package servertest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// Fob is a hardware token, whose codes another implementation computes: OATH
// Toolkit's. Its secret is the token's alone; the tests know it, its owner not.
type Fob struct {
	T      testing.TB
	Serial string
	Hash   string // sha1, sha256, sha512; of hotp empty
	Secret string // hexadecimal
	Digits int
	Period int
	Count  uint64 // hotp: the next
}

// At is the code of a moment.
func (f *Fob) At(now time.Time) string {
	return f.ask("--totp="+f.Hash, "-d", fmt.Sprint(f.Digits), "-s", fmt.Sprintf("%ds", f.Period), "--now", fmt.Sprintf("@%d", now.Unix()), f.Secret)
}

// Press is the next code.
func (f *Fob) Press() string {
	f.Count++
	return f.ask("--hotp", "-d", fmt.Sprint(f.Digits), "-c", fmt.Sprint(f.Count-1), f.Secret)
}

func (f *Fob) ask(args ...string) string {
	f.T.Helper()
	out, err := exec.Command("oathtool", args...).Output()
	if err != nil {
		f.T.Fatalf("oathtool (Debian package oathtool): %v", err)
	}
	return strings.TrimSpace(string(out))
}

func SecretOf(size int, fill byte) string {
	return hex.EncodeToString([]byte(strings.Repeat(string('A'+fill), size)))
}

// TokenDesk is an administrator's command line, signed in.
func TokenDesk(w *World) *Shell {
	w.T.Helper()
	ada := w.Administrator("ada")
	sh := w.Shell()
	sh.Login(w.Person(), "ada", ada.Code())
	return sh
}

func (s *Shell) Does(args ...string) string {
	s.W.T.Helper()
	out, complaint, ok := s.Run("", args...)
	if !ok {
		s.W.T.Fatalf("%v: %s%s", args, out, complaint)
	}
	return out
}

func (s *Shell) Refuses(says string, args ...string) {
	s.W.T.Helper()
	out, complaint, ok := s.Run("", args...)
	if ok || !strings.Contains(complaint, says) {
		s.W.T.Errorf("%v: ok %t, want a refusal with %q:\n%s%s", args, ok, says, out, complaint)
	}
}

func (s *Shell) File(text string) string {
	s.W.T.Helper()
	path := filepath.Join(s.W.T.TempDir(), "tokens.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.W.T.Fatal(err)
	}
	return path
}

func Count(w *World, t *testing.T, query string) (n int) {
	t.Helper()
	if err := w.DB.QueryRow(context.Background(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const OwnPIN = "481516"

// PlantApplication adds or changes one application with its protocol's settings.
func PlantApplication(w *World, a application.Application, settings map[string]any) {
	w.T.Helper()
	var err error
	if a.Settings, err = json.Marshal(settings); err != nil {
		w.T.Fatal(err)
	}
	err = w.DB.Change(context.Background(), audit.System("test"), func(tx *store.Tx) error {
		if _, err := w.Catalogue.Set(context.Background(), tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "test.application", Outcome: audit.OK})
	})
	if err != nil {
		w.T.Fatal(err)
	}
}

// TakesToken imports a button token and assigns it.
func TakesToken(w *World, desk *Shell, serial, name string) *Fob {
	w.T.Helper()
	f := &Fob{w.T, serial, "", SecretOf(20, serial[len(serial)-1]-'0'), 6, 0, 0}
	desk.Does("token", "import", desk.File(fmt.Sprintf("%s,%s,hotp,6\n", serial, f.Secret)), "--format", "oath-csv", "--commit")
	desk.Does("token", "assign", serial, name, "--codes", f.Press()+" "+f.Press())
	return f
}

// ComesIn signs in on the pages with the password and a line for the token.
func ComesIn(w *World, name, kind, line string) *Person {
	w.T.Helper()
	p := w.Person()
	p.Get("/sign-in")
	p.Post("/sign-in", "name", name, "authenticator", "password", "text", Passphrase)
	p.Post("/sign-in", "authenticator", kind, "text", line)
	return p
}

// Settled lets the quarantine of new authenticators pass.
func Settled(w *World) { w.Later(25 * time.Hour) }

var PinObject = regexp.MustCompile(`name="action" value="authenticator.pin"><input type="hidden" name="object" value="(\d+)"`)

// SetsPIN sets the PIN of the first authenticator that can have one.
func SetsPIN(p *Person, pin string) {
	p.W.T.Helper()
	p.Get("/account")
	m := PinObject.FindStringSubmatch(p.Page)
	if m == nil {
		p.W.T.Fatalf("nothing takes a PIN:\n%s", p.Page)
	}
	p.Post("/account/do", "action", "authenticator.pin", "object", m[1])
	p.Sees("New PIN")
	p.Post("/account/pin", "pin", pin, "again", pin)
}

// Yubikey is a key whose one-time passwords another implementation makes:
// libyubikey's.
type Yubikey struct {
	t              testing.TB
	Serial, Public string
	private, key   string // hexadecimal
	Session, use   int
}

// modhex is hexadecimal in the letters that are in one place on nearly every keyboard.
func modhex(b []byte) string {
	return strings.Map(func(r rune) rune { return rune("cbdefghijklnrtuv"[strings.IndexRune("0123456789abcdef", r)]) }, hex.EncodeToString(b))
}

// OnDvorak is what a key types where the keyboard's layout is Dvorak.
func OnDvorak(otp string) string {
	return strings.Map(func(r rune) rune { return rune("jxe.uidchtnbpygk"[strings.IndexRune("cbdefghijklnrtuv", r)]) }, otp)
}

func NewYubikey(t testing.TB, serial string) *Yubikey {
	t.Helper()
	testbed.Program(t, "ykgenerate")
	random := make([]byte, 28)
	rand.Read(random)
	return &Yubikey{t: t, Serial: serial, Public: modhex(random[:6]), private: hex.EncodeToString(random[6:12]), key: hex.EncodeToString(random[12:]), Session: 1}
}

// Row is the key's line in the Yubico format.
func (y *Yubikey) Row() string {
	return strings.Join([]string{y.Serial, y.Public, y.private, y.key, "000000000000", "2026-10-01T09:00:00", ""}, ",") + "\n"
}

func (y *Yubikey) Touch() string {
	y.t.Helper()
	out, err := exec.Command("ykgenerate", y.key, y.private, fmt.Sprintf("%04x", y.Session), "c230", "01", fmt.Sprintf("%02x", y.use)).Output()
	if err != nil {
		y.t.Fatalf("ykgenerate (Debian package libyubikey-dev): %v", err)
	}
	y.use++
	return y.Public + strings.TrimSpace(string(out))
}

// Validator is a validation client: its number and its key.
type Validator struct {
	W    *World
	Base string
	Id   int
	Key  string // base64
}

const (
	GatewayKey = "Z2F0ZXdheS1rZXktb2YtMjAh" // 18 octets
	backupsKey = "YmFja3Vwcy1rZXktb2YtMjAh"
)

// Validators makes an application with two clients: one that checks passwords
// itself, so that a touch is the second factor.
func Validators(w *World) (gateway, backups Validator) {
	w.T.Helper()
	PlantApplication(w, application.Application{Name: "gate", Kind: "vpn", Tier: application.Standard, Protocol: "yubico", Vouches: application.VouchesPassword}, map[string]any{"clients": []any{
		map[string]any{"name": "gateway", "id": 7, "key": GatewayKey}, map[string]any{"name": "backups", "id": 8, "key": backupsKey}}})
	return Validator{w, w.Base, 7, GatewayKey}, Validator{w, w.Base, 8, backupsKey}
}

// Ask is a client of our own, which can be wrong in ways that ykclient cannot.
func (v Validator) Ask(edit func(url.Values)) map[string]string {
	v.W.T.Helper()
	q := url.Values{"id": {fmt.Sprint(v.Id)}, "nonce": {rand.Text() + "abcd"}}
	edit(q)
	if !q.Has("h") {
		q.Set("h", v.Sign(q))
	}
	return v.Get(q.Encode())
}

func (v Validator) Otp(Otp string) string {
	return v.Ask(func(q url.Values) { q.Set("otp", Otp) })["status"]
}

func (v Validator) Get(query string) map[string]string {
	v.W.T.Helper()
	resp, err := http.Get(v.W.Base + "/wsapi/2.0/verify?" + query)
	if err != nil {
		v.W.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasSuffix(string(body), "\r\n\r\n") {
		v.W.T.Fatalf("%v %s %q", err, resp.Status, body)
	}
	said := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(string(body)), "\r\n") {
		name, value, _ := strings.Cut(line, "=")
		said[name] = value
	}
	return said
}

func (v Validator) Sign(values map[string][]string) string {
	var lines []string
	for name, value := range values {
		if name != "h" {
			lines = append(lines, name+"="+value[0])
		}
	}
	slices.Sort(lines)
	key, _ := base64.StdEncoding.DecodeString(v.Key)
	m := hmac.New(sha1.New, key)
	m.Write([]byte(strings.Join(lines, "&")))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}
