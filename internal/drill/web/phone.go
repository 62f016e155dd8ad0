package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"countersign/internal/drill"
)

// Phone is a device with the app: a key, and a browser for its requests (docs/app.md).
type Phone struct {
	b     *browser
	key   *ecdsa.PrivateKey
	spoke int // how often, which every signature says
	// Endpoint is where a push service would be asked to wake it.
	Endpoint string
}

func newPhone(b *browser) (*Phone, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Phone{b: b, key: key, Endpoint: "https://push.example.net/" + strings.ToLower(rand.Text())}, err
}

// statement is what is signed of some fields: each with its length in front.
func statement(fields ...string) []byte {
	var b strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&b, "%d:%s\n", len(f), f)
	}
	return []byte(b.String())
}

func (f *Phone) point() []byte {
	b, _ := f.key.PublicKey.Bytes() // of P-256, which has a form
	return b
}

// sign makes a signature as browsers do: r and s, 32 bytes each.
func (f *Phone) sign(fields ...string) ([]byte, error) {
	sum := sha256.Sum256(statement(fields...))
	r, s, err := ecdsa.Sign(rand.Reader, f.key, sum[:])
	if err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	r.FillBytes(out[:32])
	s.FillBytes(out[32:])
	return out, nil
}

var inBase64 = base64.RawURLEncoding

// moment asks the server for what a request needs, and returns the moment to be signed and
// the token of forms.
func (f *Phone) moment(ctx context.Context) (moment, token string, _ error) {
	if err := f.b.get(ctx, f.b.server+"/app/moment"); err != nil {
		return "", "", err
	}
	var m struct{ Moment, Token string }
	err := json.Unmarshal([]byte(f.b.body), &m)
	return m.Moment, m.Token, err
}

// asks sends a request of the app, and reports whether it was taken.
func (f *Phone) asks(ctx context.Context, verb string, fields url.Values) (bool, error) {
	err := f.b.do(ctx, http.MethodPost, f.b.server+"/app/"+verb, fields)
	var refused struct{ Problem string }
	if err == nil && json.Unmarshal([]byte(f.b.body), &refused) == nil && refused.Problem != "" {
		f.b.answer += fmt.Sprintf(", %q", refused.Problem)
	}
	return err == nil && f.b.status == http.StatusOK, err
}

// binds proposes the device's key for a binding code. It returns the number that the owner
// would type to confirm it, and whether the proposal was taken.
func (f *Phone) binds(ctx context.Context, code string) (number string, taken bool, _ error) {
	_, token, err := f.moment(ctx)
	if err != nil {
		return "", false, err
	}
	point := inBase64.EncodeToString(f.point())
	signature, err := f.sign("countersign bind", code, point)
	if err != nil {
		return "", false, err
	}
	body, err := json.Marshal(map[string]any{"key": f.point(), "signature": signature})
	if err != nil {
		return "", false, err
	}
	sum := sha256.Sum256(statement("countersign confirm", code, point))
	taken, err = f.asks(ctx, "bind", url.Values{"form-token": {token}, "code": {code}, "proposal": {string(body)}})
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(sum[:8])%1_000_000), taken, err
}

// calls sends a signed request, whose fields are given as name and value, and reports whether
// it was taken.
func (f *Phone) calls(ctx context.Context, verb string, fields ...string) (bool, error) {
	moment, token, err := f.moment(ctx)
	if err != nil {
		return false, err
	}
	u, err := url.Parse(f.b.server)
	if err != nil {
		return false, err
	}
	f.spoke++
	sum := sha256.Sum256(f.point())
	app := inBase64.EncodeToString(sum[:])
	signed := []string{"countersign " + verb, u.Host, app, moment, fmt.Sprint(f.spoke)}
	form := url.Values{"form-token": {token}, "app": {app}, "moment": {moment}, "count": {fmt.Sprint(f.spoke)}}
	for i := 0; i+1 < len(fields); i += 2 {
		signed = append(signed, fields[i+1])
		form.Set(fields[i], fields[i+1])
	}
	signature, err := f.sign(signed...)
	if err != nil {
		return false, err
	}
	form.Set("signature", inBase64.EncodeToString(signature))
	return f.asks(ctx, verb, form)
}

// waits reports whether the server takes the device for somebody's app.
func (f *Phone) waits(ctx context.Context) (bool, error) { return f.calls(ctx, "waits") }

var bindLink = regexp.MustCompile(`href="[^"]*/app/#bind=([^"]+)"`)

// offered begins to add an app in a browser of its owner, and returns the code of the link.
func (b setup) offered(ctx context.Context, c *drill.Canary) (string, error) {
	if err := b.begins(ctx, c, "push"); err != nil {
		return "", err
	}
	m := bindLink.FindStringSubmatch(b.body)
	if m == nil {
		return "", fmt.Errorf("the page gives no binding code (%d, %s)", b.status, b.title())
	}
	return html.UnescapeString(m[1]), nil
}

// begins begins to set something up, and proves its owner where that is asked for.
func (b setup) begins(ctx context.Context, c *drill.Canary, kind string) error {
	if err := b.get(ctx, b.server+"/account"); err != nil {
		return err
	}
	if err := b.post(ctx, "/account/do", "action", "authenticator.enroll", "object", kind); err != nil || !strings.HasPrefix(b.at.Path, "/sign-in") {
		return err
	}
	return b.prove(ctx, c)
}

// Phone gives an account a phone with the app, which says where it can be woken.
func (s Server) Phone(ctx context.Context, p *drill.Play, c *drill.Canary) (*Phone, error) {
	f, err := newPhone(honest(p, string(s)))
	if err != nil {
		return nil, err
	}
	b := setup{honest(p, string(s))}
	if err := b.typed(ctx, c.Name, c.Password, c.Code()); err != nil {
		return nil, err
	}
	code, err := b.offered(ctx, c)
	if err != nil {
		return nil, err
	}
	number, taken, err := f.binds(ctx, code)
	if err == nil && taken {
		err = b.post(ctx, "/account/setup", "authenticator", "push", "text", number)
	}
	if err = errors.Join(err, b.added("the app")); err != nil {
		return nil, err
	}
	taken, err = f.calls(ctx, "move", "endpoint", f.Endpoint, "p256dh", inBase64.EncodeToString(f.point()), "auth", inBase64.EncodeToString(make([]byte, 16)))
	if err == nil && !taken {
		err = errors.New("the server does not keep where the phone can be woken: " + f.b.answer)
	}
	return f, err
}
