package testbed

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Mailboxes is Debian's Dovecot with the example of deploy/examples, on ports of its own. All of
// its addresses are loopback ones; those of IMAP, POP3 and ManageSieve take STARTTLS.
type Mailboxes struct {
	IMAP, IMAPS, POP3, POP3S, Sieve string
	// Doveadm is where its administration is by HTTP, Key what it asks for.
	Doveadm, Key string
	// Auth is the socket at which Postfix asks about senders.
	Auth string
	// Mail is the folder with a folder for each mailbox.
	Mail string
	// Certificate is the file with that of its doors, which signed itself; its name is localhost.
	Certificate string
	Log         *Log
	dir         string
}

// MailParts are what a Mailboxes asks.
type MailParts struct {
	// Countersign is the address of ours, such as http://localhost:8080.
	Countersign string
	// Secrets are those of the applications mail and mail-filters.
	MailSecret, FiltersSecret string
	// Patience is how long it waits for ours, in milliseconds; empty for as long as the example does.
	Patience string
	// Edit changes the configuration, where a test takes something away; nil changes nothing.
	Edit func(conf string) string
}

// DoveadmKey is the key of the administration of every Mailboxes.
const DoveadmKey = "a-key-of-dovecot-of-this-test"

// Dovecot starts a mail server.
func Dovecot(t testing.TB, p MailParts) *Mailboxes {
	t.Helper()
	m := &Mailboxes{IMAP: Addr(t), IMAPS: Addr(t), POP3: Addr(t), POP3S: Addr(t), Sieve: Addr(t), Doveadm: Addr(t), Key: DoveadmKey, dir: shortDir(t)}
	m.Mail, m.Auth = filepath.Join(m.dir, "mail"), filepath.Join(m.dir, "auth")
	if err := os.Mkdir(m.Mail, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(m.Mail, 0o777); err != nil { // whatever the umask says
		t.Fatal(err)
	}
	certificate, key := TLSFiles(t, m.dir, "localhost")
	m.Certificate = certificate
	patience := cmp.Or(p.Patience, "10000")
	secrets := []string{"THE-MAIL-SECRET", p.MailSecret, "THE-FILTERS-SECRET", p.FiltersSecret, "https://login.example.org", p.Countersign, "10000", patience}
	scheme, host, _ := strings.Cut(p.Countersign, "://")
	write(t, m.dir, "mail.conf", Example(t, "dovecot-mail.conf", "THE-MAIL-SECRET", p.MailSecret, "https://", scheme+"://", "login.example.org", host, "10000", patience))
	write(t, m.dir, "filters.conf", Example(t, "dovecot-filters.conf", "THE-FILTERS-SECRET", p.FiltersSecret, "https://", scheme+"://", "login.example.org", host, "10000", patience))
	write(t, m.dir, "countersign.lua", Example(t, "dovecot.lua", secrets...))
	conf := Example(t, "dovecot.conf", "/etc/dovecot/mail.pem", certificate, "/etc/dovecot/mail.key", key, "uid=vmail gid=vmail", "uid=nobody gid=nogroup", "/var/vmail", m.Mail,
		"/etc/dovecot/countersign-mail.conf.ext", filepath.Join(m.dir, "mail.conf"), "/etc/dovecot/countersign-filters.conf.ext", filepath.Join(m.dir, "filters.conf"),
		"/etc/dovecot/countersign.lua", filepath.Join(m.dir, "countersign.lua"), "/var/spool/postfix/private/auth", m.Auth, "port = 8080", "port = "+portOf(m.Doveadm), "THE-DOVEADM-KEY", m.Key)
	conf += m.places()
	if p.Edit != nil {
		conf = p.Edit(conf)
	}
	path := write(t, m.dir, "dovecot.conf", conf)
	m.Log = Start(t, Process{Path: Program(t, "dovecot"), Args: []string{"-F", "-c", path}, Dir: m.dir, Ready: m.IMAP})
	return m
}

// places are what a test needs beside the example: folders and ports of its own.
func (m *Mailboxes) places() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nbase_dir = %s\nstate_dir = %s\nlog_path = /dev/stderr\ninstance_name = %s\nfirst_valid_uid = 1\nauth_failure_delay = 0 secs\n", filepath.Join(m.dir, "run"), filepath.Join(m.dir, "state"), filepath.Base(m.dir))
	for _, s := range []struct{ service, plain, at, sealed, over string }{{"imap", "imap", m.IMAP, "imaps", m.IMAPS}, {"pop3", "pop3", m.POP3, "pop3s", m.POP3S}} {
		fmt.Fprintf(&b, "service %s-login {\n  inet_listener %s {\n    port = %s\n  }\n  inet_listener %s {\n    port = %s\n    ssl = yes\n  }\n}\n", s.service, s.plain, portOf(s.at), s.sealed, portOf(s.over))
	}
	fmt.Fprintf(&b, "service managesieve-login {\n  inet_listener sieve {\n    port = %s\n  }\n}\n", portOf(m.Sieve))
	// The example limits the number of processes by its defaults, which is plenty; anvil forgets
	// who failed, so that a test that attacks from one address is not slowed down.
	b.WriteString("service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}\n")
	return b.String()
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// shortDir is a folder with a short path, since a socket's path has 107 octets at most.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Postfix starts Debian's Postfix as a submission server, which asks m about senders, with the
// example of deploy/examples. It delivers nothing. It returns its address.
func Postfix(t testing.TB, m *Mailboxes) (addr string, log *Log) {
	t.Helper()
	addr = Addr(t)
	dir := shortDir(t)
	own := func(name, user string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if user != "" {
			uid, gid := ids(t, user)
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	queue, data := own("queue", ""), own("data", "postfix")
	own("queue/pid", "")
	certificate, key := TLSFiles(t, dir, "localhost")
	conf := Example(t, "postfix.conf", "private/auth", m.Auth, "/etc/dovecot/mail.pem", certificate, "/etc/dovecot/mail.key", key)
	write(t, dir, "main.cf", conf+fmt.Sprintf("compatibility_level = 3.6\nqueue_directory = %s\ndata_directory = %s\nmaillog_file = /dev/stdout\nmyhostname = localhost\nmydestination = localhost\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nlocal_recipient_maps =\ndefault_transport = discard:\nlocal_transport = discard:\nsmtpd_client_connection_rate_limit = 0\nalias_maps =\n", queue, data))
	write(t, dir, "master.cf", addr+" inet n - n - - smtpd\npostlog unix-dgram n - n - 1 postlogd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\ndiscard unix - - n - - discard\nanvil unix - - n - 1 anvil\ntlsmgr unix - - n 1000? 1 tlsmgr\n")
	program := Program(t, "postfix")
	if out, err := exec.Command(program, "-c", dir, "check").CombinedOutput(); err != nil { // which makes the queue's folders
		t.Fatalf("postfix check: %v: %s", err, out)
	}
	log = Start(t, Process{Path: program, Args: []string{"-c", dir, "start-fg"}, Dir: dir, Ready: addr, Stop: syscall.SIGTERM})
	t.Cleanup(func() { _ = exec.Command(program, "-c", dir, "stop").Run() }) // its master is a process of its own
	return addr, log
}

func ids(t testing.TB, name string) (uid, gid int) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ = strconv.Atoi(u.Uid)
	gid, _ = strconv.Atoi(u.Gid)
	return uid, gid
}
