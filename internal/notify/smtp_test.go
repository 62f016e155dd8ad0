package notify_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"

	"countersign/internal/notify"
	"countersign/internal/testbed"
)

func mailer(m *testbed.MailServer) notify.Mailer {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(m.Root())
	return notify.Mailer{Server: m.Addr, From: "countersign@example.org", Roots: roots}
}

var hello = notify.Notice{Address: "ada@example.org", Subject: "Grüße, ada", Body: strings.Repeat("A line.\n.\n..\nBcc: eve@example.org\n", 20)}

func TestMailer(t *testing.T) {
	m := testbed.NewMailServer(t)
	if err := mailer(m).Deliver(context.Background(), hello); err != nil {
		t.Fatal(err)
	}
	got := m.Mails()
	if len(got) != 1 || !got[0].TLS || got[0].Body != hello.Body || len(got[0].To) != 1 || got[0].To[0] != hello.Address || got[0].Header.Get("Bcc") != "" {
		t.Errorf("%+v", got)
	}
	for _, h := range []string{"Date", "Message-Id", "From", "To", "Subject"} {
		if got[0].Header.Get(h) == "" {
			t.Errorf("no %s", h)
		}
	}
}

// A server that nobody vouches for gets nothing, and a password goes only by TLS.
func TestMailerTrustsNobody(t *testing.T) {
	m := testbed.NewMailServer(t)
	m.Password = "mail password"
	stranger := mailer(m)
	stranger.Roots = x509.NewCertPool()
	if err := stranger.Deliver(context.Background(), hello); err == nil {
		t.Error("a certificate that nobody vouches for was believed")
	}
	login := mailer(m)
	login.Username, login.Password = "countersign", func() (string, error) { return "mail password", nil }
	if err := login.Deliver(context.Background(), hello); err != nil {
		t.Error(err)
	}
	if got := m.Mails(); len(got) != 1 || got[0].Login != "countersign" {
		t.Errorf("%+v", got)
	}
	wrong := login
	wrong.Password = func() (string, error) { return "another", nil }
	if err := wrong.Deliver(context.Background(), hello); err == nil || strings.Contains(err.Error(), "another") {
		t.Errorf("a wrong password: %v", err)
	}
	unread := login
	unread.Password = func() (string, error) { return "", errors.New("no such file") }
	if err := unread.Deliver(context.Background(), hello); err == nil {
		t.Error("without a password")
	}
	plain := testbed.NewMailServer(t)
	plain.Password, plain.NoTLS = "mail password", true
	open := mailer(plain)
	open.Username, open.Password = login.Username, login.Password
	if err := open.Deliver(context.Background(), hello); err == nil || len(plain.Mails()) != 0 {
		t.Errorf("a password without TLS: %v", err)
	}
}

// A server that says nothing does not hold up the outbox for ever: the deadline
// is the caller's or ours, whichever is nearer.
func TestMailerDoesNotWaitForEver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50_000_000)
	defer cancel()
	if err := (notify.Mailer{Server: l.Addr().String(), From: "a@b"}).Deliver(ctx, hello); err == nil {
		t.Error("silence was taken for a delivery")
	}
}
