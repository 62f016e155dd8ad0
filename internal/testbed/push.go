package testbed

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
)

// PushService is a Web Push service on loopback and the browser's half of one
// subscription to it. A Chromium without Google's service cannot subscribe, so
// what the service took is handed to its worker by [Browser.Push].
type PushService struct {
	Endpoint string
	Roots    *x509.CertPool
	key      *ecdh.PrivateKey
	secret   []byte

	mu    sync.Mutex
	taken [][]byte
}

// NewPushService starts one that ends with the test.
func NewPushService(t testing.TB) *PushService {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &PushService{key: key, secret: make([]byte, 16), Roots: x509.NewCertPool()}
	rand.Read(p.secret)
	s := httptest.NewTLSServer(http.HandlerFunc(p.take))
	t.Cleanup(s.Close)
	p.Roots.AddCert(s.Certificate())
	p.Endpoint = s.URL + "/p/ada"
	return p
}

func (p *PushService) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Header.Get("Content-Encoding") != "aes128gcm" || r.Header.Get("TTL") == "" || !strings.HasPrefix(r.Header.Get("Authorization"), "vapid t=") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.taken = append(p.taken, body)
	p.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

// Keys are the subscription's, in base64url: p256dh and auth.
func (p *PushService) Keys() (public, secret string) {
	enc := base64.RawURLEncoding.EncodeToString
	return enc(p.key.PublicKey().Bytes()), enc(p.secret)
}

// Taken returns the messages so far, decrypted, and forgets them.
func (p *PushService) Taken(t testing.TB) []string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, body := range p.taken {
		text, err := p.open(body)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	p.taken = nil
	return out
}

// open is RFC 8291 as the browser has it.
func (p *PushService) open(body []byte) (string, error) {
	if len(body) < 86+17 || body[20] != 65 {
		return "", errors.New("not an RFC 8291 message")
	}
	salt, sender, sealed := body[:16], body[21:86], body[86:]
	public, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return "", err
	}
	shared, err := p.key.ECDH(public)
	if err != nil {
		return "", err
	}
	ikm, err := hkdf.Key(sha256.New, shared, p.secret, "WebPush: info\x00"+string(p.key.PublicKey().Bytes())+string(sender), 32)
	if err != nil {
		return "", err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return "", err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	plain, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil || len(plain) == 0 {
		return "", errors.New("the message cannot be decrypted")
	}
	return strings.TrimSuffix(string(plain), "\x02"), nil
}

// AllowNotices lets the pages of an origin show notices, as if the person had
// said yes.
func (b *Browser) AllowNotices(origin string) {
	b.t.Helper()
	b.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		c := chromedp.FromContext(ctx)
		_, err := cdp.Call(ctx, c.Browser, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: "notifications"}, Setting: browser.PermissionSettingGranted, Origin: origin, BrowserContextID: c.BrowserContextID})
		return err
	}))
}

// Installable returns what keeps the browser from offering to install the page;
// nothing when it would. That every tab here is a private one does not count.
func (b *Browser) Installable() (why []string) {
	b.t.Helper()
	b.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		found, err := cdp.Call(ctx, t, page.GetInstallabilityErrors, cdp.Empty{})
		if err != nil {
			return err
		}
		for _, e := range found.InstallabilityErrors {
			if e.ErrorID != "in-incognito" {
				why = append(why, e.ErrorID)
			}
		}
		return nil
	}))
	return why
}

// Push gives a message to the service worker of a scope, as the browser does
// with one that a push service brought.
func (b *Browser) Push(origin, scope, text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, slow)
	defer cancel()
	updates := chromedp.Events(ctx, serviceworker.WorkerRegistrationUpdated)
	found := make(chan serviceworker.RegistrationID, 1)
	go func() {
		defer close(found)
		for e, err := range updates {
			if err != nil {
				return
			}
			for _, r := range e.Registrations {
				if r.ScopeURL == origin+scope && !r.IsDeleted {
					found <- r.RegistrationID
					return
				}
			}
		}
	}()
	b.Do(call(serviceworker.Disable, cdp.Empty{}), call(serviceworker.Enable, cdp.Empty{})) // enabling tells of all that is there
	id, ok := <-found
	if !ok {
		b.fail(errors.New("there is no service worker for " + scope))
	}
	b.Do(call(serviceworker.DeliverPushMessage, serviceworker.DeliverPushMessageParams{Origin: origin, RegistrationID: id, Data: text}))
}
