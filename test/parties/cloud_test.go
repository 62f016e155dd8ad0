//go:build parties

package parties

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"countersign/internal/application"
	"countersign/internal/audit"
	"countersign/internal/servertest"
	"countersign/internal/store"
	"countersign/internal/testbed"
)

// outsideAddress is one that the cloud takes for a place on the Internet: it asks nobody inside.
const outsideAddress = "203.0.113.7"

const issuerHost = "id.example.test"

// inItsOwnNetwork plays a test in a network of its own, where the issuer has its name, its port and
// an address that is not private, and reports whether this is that network.
func inItsOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv("COUNTERSIGN_OWN_NETWORK") != "" {
		return true
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"+outsideAddress+" "+issuerHost+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	script := `ip link set lo up && ip addr add ` + outsideAddress + `/32 dev lo && mount --bind "$0" /etc/hosts && exec "$@"`
	cmd := exec.Command("unshare", "--net", "--mount", "sh", "-c", script, hosts, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "COUNTERSIGN_OWN_NETWORK=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("in a network of its own (as root): %v\n%s", err, out)
	}
	return false
}

// cloud is versitygw's IAM service, which is asked by curl.
type cloud struct {
	t    *testing.T
	addr string
}

// ask sends a signed request of an administrator, or of whoever has other keys: access key and
// secret, with a session token where there is one.
func (c cloud) ask(action, keys, session string, params ...string) string {
	c.t.Helper()
	args := []string{"--silent", "--aws-sigv4", "aws:amz:us-east-1:iam", "--user", keys, "http://" + c.addr + "/", "--data-urlencode", "Action=" + action, "--data-urlencode", "Version=2010-05-08"}
	if session != "" {
		args = append(args, "--header", "X-Amz-Security-Token: "+session)
	}
	for i := 0; i < len(params); i += 2 {
		args = append(args, "--data-urlencode", params[i]+"="+params[i+1])
	}
	out, err := exec.CommandContext(c.t.Context(), "curl", args...).Output()
	if err != nil {
		c.t.Fatalf("%s: %v", action, err)
	}
	return string(out)
}

// assume asks for a role with a web identity token, and returns the answer.
func (c cloud) assume(role, token string) string {
	c.t.Helper()
	r, err := http.PostForm("http://"+c.addr+"/", url.Values{"Action": {"AssumeRoleWithWebIdentity"}, "Version": {"2011-06-15"}, "RoleArn": {role}, "RoleSessionName": {"ada"}, "WebIdentityToken": {token}, "DurationSeconds": {"900"}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		c.t.Fatal(err)
	}
	return b.String()
}

var (
	errorCode = regexp.MustCompile(`<Code>([^<]*)</Code>`)
	field     = func(name, in string) string {
		m := regexp.MustCompile(`<` + name + `>([^<]*)</` + name + `>`).FindStringSubmatch(in)
		if m == nil {
			return ""
		}
		return m[1]
	}
)

// certificate is the server's own, which the cloud is told by its thumbprint.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(-time.Hour)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{issuerHost}, NotBefore: from, NotAfter: from.Add(48 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:])
}

// client is a program on somebody's own machine that wants a web identity token.
type client struct {
	w    *servertest.World
	name string
	back *httptest.Server
	came chan string
}

func newClient(w *servertest.World, name string, more map[string]any) *client {
	w.T.Helper()
	c := &client{w: w, name: name, came: make(chan string, 10)}
	c.back = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if code := r.URL.Query().Get("code"); code != "" {
			c.came <- code
		}
		fmt.Fprint(rw, "<p>Welcome to the program")
	}))
	w.T.Cleanup(c.back.Close)
	settings := map[string]any{"client_id": name, "authentication": "none", "runs": "native", "redirect_uris": []string{c.back.URL + "/"}, "session_tag": "cs-mfa"}
	for k, v := range more {
		settings[k] = v
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		w.T.Fatal(err)
	}
	err = w.DB.Change(w.T.Context(), audit.Actor{Name: "test"}, func(tx *store.Tx) error {
		a := application.Application{Name: name, Title: name, Kind: "cloud-console", Tier: application.Standard, Protocol: "oidc", Settings: raw}
		if _, err := w.Catalogue.Set(context.Background(), tx, a); err != nil {
			return err
		}
		return tx.Record(audit.Entry{Event: "application.set", Outcome: "ok", Application: name})
	})
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// token signs somebody in by a browser and returns their ID token, or nothing where they got no code.
func (c *client) token(p *servertest.Person, signIn func()) string {
	c.w.T.Helper()
	transport := http.Client{Transport: c.w.Transport}
	config := oauth2.Config{ClientID: c.name, RedirectURL: c.back.URL + "/", Scopes: []string{"openid"}, Endpoint: oauth2.Endpoint{AuthURL: c.w.Base + "/oidc/authorize", TokenURL: c.w.Base + "/oidc/token", AuthStyle: oauth2.AuthStyleInParams}}
	verifier := oauth2.GenerateVerifier()
	p.Get(config.AuthCodeURL("a-state", oauth2.S256ChallengeOption(verifier)))
	signIn()
	if m := leave.FindStringSubmatch(p.Page); m != nil {
		p.Get(strings.ReplaceAll(m[1], "&amp;", "&"))
	}
	select {
	case code := <-c.came:
		ctx := context.WithValue(c.w.T.Context(), oauth2.HTTPClient, &transport)
		got, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
		if err != nil {
			c.w.T.Fatal("the code gives no token")
		}
		id, _ := got.Extra("id_token").(string)
		return id
	default:
		return ""
	}
}

var leave = regexp.MustCompile(`href="(http[^"]*/oidc/authorize\?resume=[^"]*)"`)

func claims(t *testing.T, token string) (out struct {
	AMR  []string `json:"amr"`
	Tags struct {
		Principal map[string][]string `json:"principal_tags"`
	} `json:"https://aws.amazon.com/tags"`
}) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal("no ID token")
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(b, &out) != nil {
		t.Fatal("an ID token that cannot be read")
	}
	return out
}

// The promise: a cloud whose roles demand amr of our tokens gives keys to who showed two factors, and
// to nobody else: not for a password, not for a token of another client, of another key, altered or
// old. What the keys may do is the role's.
func TestCloudByWebIdentity(t *testing.T) {
	gateway := program(t, "github.com/versity/versitygw", "v1.8.0", "./cmd/versitygw")
	if !inItsOwnNetwork(t) {
		return
	}
	cert, thumbprint := certificate(t)
	w := servertest.NewWorldAt(t, "", "https://"+issuerHost+":443", &cert)
	ada := w.EnrollCodes("ada")
	c := cloud{t, testbed.Addr(t)}
	const root = "admin-key:admin-secret-of-the-cloud"
	testbed.Start(t, testbed.Process{Path: gateway, Args: []string{"-p", c.addr, "-a", "admin-key", "-s", "admin-secret-of-the-cloud", "iam", "--dir", t.TempDir()}, Env: []string{"HOME=" + t.TempDir()}, Ready: c.addr})
	provider := field("OpenIDConnectProviderArn", c.ask("CreateOpenIDConnectProvider", root, "", "Url", w.Base, "ClientIDList.member.1", "cloud", "ThumbprintList.member.1", thumbprint))
	if provider == "" {
		t.Fatal("the cloud does not take the provider")
	}
	trust := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"%s:aud":"cloud"},"ForAnyValue:StringEquals":{"%s:amr":["mfa"]}}}]}`, provider, issuerHost, issuerHost)
	role := field("Arn", c.ask("CreateRole", root, "", "RoleName", "keys", "AssumeRolePolicyDocument", trust))
	if role == "" {
		t.Fatal("the cloud does not take the role")
	}
	if said := c.ask("PutRolePolicy", root, "", "RoleName", "keys", "PolicyName", "keys", "PolicyDocument", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:CreateUser"],"Resource":"*"}]}`); errorCode.MatchString(said) {
		t.Fatal(said)
	}
	shut := func(what, token string) {
		t.Helper()
		said := c.assume(role, token)
		if field("SecretAccessKey", said) != "" || !errorCode.MatchString(said) {
			t.Errorf("%s gets keys", what)
		}
		t.Logf("%s: %s", what, errorCode.FindString(said))
	}
	program := newClient(w, "cloud", nil)
	p := w.Person()
	if id := program.token(p, func() {
		p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	}); id != "" {
		t.Error("a password alone gives a token")
	}
	shut("no token", "not.a.token")

	honest := program.token(p, func() {
		p.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
		p.Post("/sign-in", "authenticator", "totp", "text", ada.Code())
	})
	if got := claims(t, honest); strings.Join(got.Tags.Principal["cs-mfa"], " ") != "mfa" {
		t.Errorf("the session tag is %v", got.Tags)
	}
	keys := c.assume(role, honest)
	access, secret, session := field("AccessKeyId", keys), field("SecretAccessKey", keys), field("SessionToken", keys)
	if access == "" {
		t.Fatalf("the honest token: %s", errorCode.FindString(keys))
	}
	if said := c.ask("CreateUser", access+":"+secret, session, "UserName", "made-by-ada"); errorCode.MatchString(said) {
		t.Errorf("what the role may do: %s", said)
	}
	if said := c.ask("DeleteRole", access+":"+secret, session, "RoleName", "keys"); field("Code", said) != "AccessDenied" {
		t.Errorf("what it may not: %q", field("Code", said))
	}
	parts := strings.Split(honest, ".")
	forged, _ := base64.RawURLEncoding.DecodeString(parts[1])
	shut("an altered token", parts[0]+"."+base64.RawURLEncoding.EncodeToString(bytes.Replace(forged, []byte(`"cloud"`), []byte(`"CLOUD"`), 1))+"."+parts[2])
	shut("a token without a signature", base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))+"."+parts[1]+".")
	other := newClient(w, "other", nil)
	shut("a token of another client", other.token(p, func() {}))
	w.SetPolicy(servertest.OneFactor)
	weak := w.Person()
	low := program.token(weak, func() {
		weak.Post("/sign-in", "name", "ada", "authenticator", "password", "text", servertest.Passphrase)
	})
	if got := claims(t, low); strings.Join(got.AMR, " ") != "pwd" || len(got.Tags.Principal) != 0 {
		t.Errorf("with a policy that a password satisfies the token says %+v", got)
	}
	shut("a token for a password", low)
	if n := w.Events("client.tokens"); n != 3 {
		t.Errorf("%d tokens are in the log", n)
	}
}
