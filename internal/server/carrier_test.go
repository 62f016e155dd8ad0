package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"countersign/internal/authenticator"
	"countersign/internal/config"
	"countersign/internal/directory"
	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/outbox"
	"countersign/internal/store"
	"countersign/internal/store/storetest"
	"countersign/internal/testbed"
)

// silent is a mail server that says nothing, and counts who came and who went.
type silent struct {
	addr       string
	came, went atomic.Int32
}

func newSilent(t *testing.T) *silent {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &silent{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.came.Add(1)
			go func() {
				defer c.Close()
				io.Copy(io.Discard, c) //nolint:errcheck // until it goes
				s.went.Add(1)
			}()
		}
	}()
	return s
}

// until waits for a state.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// The promise: a mail server that hangs, with a notice and with a code, holds up neither
// codes by SMS nor what keeps house and hears SIGHUP.
func TestAHangingMailServerHoldsUpNothing(t *testing.T) {
	hangups := make(chan os.Signal, 100)
	signal.Notify(hangups, syscall.SIGHUP) // one that comes too early ends no test
	defer signal.Stop(hangups)
	server, gateway := newSilent(t), testbed.NewSMSGateway(t, "a-secret")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := config.Default()
	file.Listen, file.Data = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	file.Mail = config.Mail{Server: server.addr, From: "mfa@example.org"}
	file.SMS.URL, file.SMS.Fields = gateway.URL, map[string]string{"to": "{number}", "message": "{text}"}
	file.SMS.Header, file.SMS.Value, file.SMS.SecretFile = "Authorization", "Bearer {secret}", secret
	if err := file.Check(); err != nil {
		t.Fatal(err)
	}
	d := newDaemon(file)
	d.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := SettingsOf(file, d.log)
	if err != nil {
		t.Fatal(err)
	}
	if d.in, err = Assemble(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var read atomic.Int32
	d.reread = func() (config.File, error) { read.Add(1); return file, nil }
	storetest.Change(t, d.in.DB, func(tx *store.Tx) error { return queueAll(t.Context(), tx, d.in) })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx, s, func(context.Context, Settings) error { return nil }) }()
	until(t, "both mails wait for the server", func() bool { return server.came.Load() >= 2 })
	until(t, "the SMS arrives", func() bool { return len(gateway.Got()) > 0 })
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "the configuration is read again", func() bool {
		syscall.Kill(os.Getpid(), syscall.SIGHUP) //nolint:errcheck // the first was heard, or this one is
		return read.Load() > 0
	})
	if server.went.Load() > 0 {
		t.Error("the mail server had to be given up first")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	until(t, "nobody waits for the server after the end", func() bool { return server.went.Load() == server.came.Load() })
	d.in.DB.Close()
}

// queueAll queues a notice, a code by mail and one by SMS, in this order.
func queueAll(ctx context.Context, tx *store.Tx, in *Installation) error {
	if err := in.outbox.Queue(ctx, tx, notify.Notice{Address: "ada@example.org", Subject: "A notice", Body: "x"}); err != nil {
		return err
	}
	for _, m := range []authenticator.Message{{To: "ada@example.org", Subject: "A code", Text: "by-mail"}, {To: "+4930123456", Text: "by-sms"}} {
		a, err := in.Accounts.Create(ctx, tx, directory.NewAccount{Name: "of-" + m.Text})
		if err == nil {
			_, err = in.SignIn.Messages.Send(ctx, tx, outbox.Sending{Account: a.ID}, m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A carrier that takes nothing is left alone for longer and longer, and the administrator is
// told once, with the answer, until it takes something; that nothing waits says nothing.
func TestACarrierThatFails(t *testing.T) {
	db := storetest.Open(t)
	all := newCarriers(db, slog.New(slog.DiscardHandler))
	c := all.mail
	events := func() (out []string) {
		t.Helper()
		for _, e := range []string{"carrier.failing", "carrier.works"} {
			said, err := db.AuditLog().Entries(t.Context(), store.Filter{Event: e, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			for _, en := range said {
				out = append(out, en.Event+" "+en.Detail["carrier"]+" "+en.Detail["answer"])
			}
		}
		return out
	}
	came := func(taken int, err error) {
		t.Helper()
		if err := c.came(t.Context(), taken, err); err != nil {
			t.Fatal(err)
		}
	}
	refused := failure.New(failure.Unavailable, "The mail server refused the password: 535 no")
	came(0, errors.New("the database is away"))
	if !c.rests() || c.says() != "" || len(events()) != 0 {
		t.Errorf("an error that is not the carrier's: %s, %v", c.says(), events())
	}
	c.wake()
	for _, pause := range []time.Duration{firstPause, 2 * firstPause, 4 * firstPause} {
		if came(0, refused); c.pause != pause || !c.rests() {
			t.Errorf("it is left alone for %s, not %s", c.pause, pause)
		}
	}
	for range 20 {
		came(0, refused)
	}
	if came(0, nil); c.pause != longestPause || !c.rests() {
		t.Errorf("it is left alone for %s", c.pause)
	}
	failing := []string{"carrier.failing mail server The mail server refused the password: 535 no"}
	if says := all.says(); len(says) != 1 || !strings.Contains(says[0], "the mail server takes nothing: The mail server refused the password: 535 no") || !slices.Equal(events(), failing) {
		t.Errorf("it says %q, and the log %q", says, events())
	}
	all.wake()
	if c.rests() || len(all.says()) != 1 {
		t.Error("a changed configuration does not have it asked again, or is believed unseen")
	}
	for range 3 { // by turns
		came(1, nil)
		came(0, refused)
	}
	came(1, nil)
	if got := events(); len(all.says()) != 0 || c.rests() || !slices.Equal(got, append(failing, "carrier.works mail server ")) {
		t.Errorf("it says %q, and the log %q", all.says(), got)
	}
	c.told = c.told.Add(-tellEvery)
	if came(0, refused); len(events()) != 3 {
		t.Errorf("an hour later: %q", events())
	}
}
