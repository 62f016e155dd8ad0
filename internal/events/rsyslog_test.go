package events

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/failure"
	"countersign/internal/testbed"
)

// rsyslog is a real rsyslogd that listens by TLS, TCP and UDP and writes what it read into
// structured data, one line for each message.
type rsyslog struct {
	tls, tcp, udp string
	ca, out       string
	start         func() (stop func())
}

func newRsyslog(t *testing.T) *rsyslog {
	t.Helper()
	program, dir := testbed.Program(t, "rsyslogd"), t.TempDir()
	authority := testbed.NewAuthority(t, "syslog CA", nil)
	key := testbed.NewKey(t)
	r := &rsyslog{tls: testbed.Addr(t), tcp: testbed.Addr(t), udp: testbed.Addr(t), ca: testbed.PEM(t, dir+"/ca.pem", authority.Certificate), out: dir + "/out"}
	testbed.PEM(t, dir+"/cert.pem", authority.Issue("localhost", key.Public(), localhost))
	testbed.KeyPEM(t, dir+"/key.pem", key)
	port := func(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }
	r.tls = "localhost:" + port(r.tls)
	keep(t, dir+"/rsyslog.conf", fmt.Sprintf(`global(workDirectory="%[1]s" maxMessageSize="16k" DefaultNetstreamDriverCAFile="%[1]s/ca.pem" DefaultNetstreamDriverCertFile="%[1]s/cert.pem" DefaultNetstreamDriverKeyFile="%[1]s/key.pem")
module(load="imtcp")
module(load="imudp")
template(name="all" type="string" string="%%hostname%%|%%app-name%%|%%msgid%%|%%syslogfacility%%|%%syslogseverity%%|%%structured-data%%|%%msg%%\n")
ruleset(name="keep") { action(type="omfile" file="%[1]s/out" template="all" flushInterval="1" asyncWriting="off") }
input(type="imtcp" address="127.0.0.1" port="%[2]s" ruleset="keep" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" address="127.0.0.1" port="%[3]s" ruleset="keep")
input(type="imudp" address="127.0.0.1" port="%[4]s" ruleset="keep")
`, dir, port(r.tls), port(r.tcp), port(r.udp)))
	r.start = func() func() {
		return testbed.StartUntil(t, testbed.Process{Path: program, Args: []string{"-n", "-f", dir + "/rsyslog.conf", "-i", dir + "/pid"}, Dir: dir, Ready: "127.0.0.1:" + port(r.tls), Stop: syscall.SIGTERM})
	}
	return r
}

// localhost makes a certificate that of a server on this machine.
func localhost(c *x509.Certificate) {
	c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

// got are the messages that it wrote, each read by our own reader again where it can be.
func (r *rsyslog) got(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(r.out)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// The promise: rsyslog takes the messages by each transport, with the structured data as it
// was sent; a certificate of somebody else is refused.
func TestRsyslogReadsEachTransport(t *testing.T) {
	s := newRsyslog(t)
	s.start()
	for i, c := range []struct{ at, transport string }{{s.tls, OverTLS}, {s.tcp, OverTCP}, {s.udp, OverUDP}} {
		e := one[0]
		e.Seq, e.Application = int64(100+i), `a "b" ] \ ü`
		x := &Syslog{Server: c.at, Transport: c.transport, Files: Files{CA: s.ca}, Host: "login.example.org"}
		if _, err := x.Take(t.Context(), one); err != nil {
			t.Fatalf("%s: %v", c.transport, err)
		}
		e.AccountName = strings.Repeat("x", 200)
		if _, err := x.Take(t.Context(), append(one, e)); err != nil {
			t.Fatalf("%s: %v", c.transport, err)
		}
		x.Close()
		want := fmt.Sprintf(`login.example.org|countersign|signin.granted|13|6|[countersign@32473 seq="%d" event="signin.granted" outcome="ok" actor="system" via="test" account="%s" application="a \"b\" \] \\ ü"]|`, e.Seq, e.AccountName)
		await(t, func() bool { return strings.Contains(s.got(t), want) }, func() string { return want + "\n" + s.got(t) })
	}
	if n := strings.Count(s.got(t), "\n"); n != 9 {
		t.Errorf("%d messages of 9:\n%s", n, s.got(t))
	}
	stranger := testbed.PEM(t, t.TempDir()+"/ca.pem", testbed.NewAuthority(t, "another CA", nil).Certificate)
	_, err := (&Syslog{Server: s.tls, Transport: OverTLS, Files: Files{CA: stranger}, Host: "h"}).Take(t.Context(), one)
	if failure.ClassOf(err) != failure.Unavailable || !strings.Contains(err.Error(), "no certificate that is trusted here") {
		t.Errorf("a certificate of somebody else: %v", err)
	}
}

func await(t *testing.T, is func() bool, says func() string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never:\n" + says())
		}
	}
}

// The promise: rsyslog that is stopped, and killed, while entries come has all of them when it
// is back.
func TestRsyslogIsRestarted(t *testing.T) {
	s, r := newRsyslog(t), newRig(t, filepath.Join(t.TempDir(), "test.db"))
	d := r.delivery(Destination{Name: "siem", FromBeginning: true, Receiver: &Syslog{Server: s.tls, Transport: OverTLS, Files: Files{CA: s.ca}, Host: "h"}})
	stop := s.start()
	for i := range 6 {
		// A single message: the first write into a connection whose other end went succeeds.
		r.write("test.a")
		r.steps(d)
		switch i % 3 {
		case 0:
			stop()
		case 1:
			if d.all[0].problem == "" {
				t.Error("nobody noticed that it is away")
			}
			stop = s.start()
			r.later(longestPause + time.Second)
		}
	}
	r.later(longestPause + time.Second)
	r.steps(d)
	for seq := range r.log() {
		want := fmt.Sprintf(`seq="%d"`, seq)
		await(t, func() bool { return strings.Contains(s.got(t), want) }, func() string { return want + "\n" + s.got(t) })
	}
	stop()
}
