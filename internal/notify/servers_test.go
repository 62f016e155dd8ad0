package notify_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"countersign/internal/failure"
	"countersign/internal/notify"
	"countersign/internal/testbed"
)

// secret is a password that nothing may show, in either form.
const secret = "correct horse"

// What became of a mail is told by its class: never, later, or nothing of this server now.
// One that was accepted is accepted, whatever comes after.
func TestWhatServersAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		verb, says string
		class      failure.Class
		tells      string // empty is accepted
	}{
		"accepted, and gone before the farewell":    {"QUIT", testbed.Ends, 0, ""},
		"accepted, and a farewell that is an error": {"QUIT", "421 4.4.2 timeout exceeded", 0, ""},
		"Google: no such person":                    {"RCPT", "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n550 5.1.1 double-checking the address. - gsmtp", failure.Invalid, "550 5.1.1 The email account that you tried to reach does not exist. Please try 5.1.1 double-checking the address. - gsmtp"},
		"Postfix: greylisted":                       {"RCPT", "450 4.2.0 <ada@example.org>: Recipient address rejected: Greylisted", failure.Refused, "450 4.2.0"},
		"Postfix: no relay":                         {"RCPT", "554 5.7.1 <ada@example.org>: Relay access denied", failure.Invalid, "Relay access denied"},
		"it forwards":                               {"RCPT", "251 2.1.5 user not local; will forward", 0, ""},
		"Google: a day's mail":                      {"MAIL", "550 5.4.5 Daily user sending limit exceeded.", failure.Unavailable, "the sender (mail.from)"},
		"Microsoft: not your address":               {"DOT", "554 5.2.252 SendAsDenied; countersign@example.org not allowed to send as other@example.org", failure.Invalid, "SendAsDenied"},
		"full for now":                              {"DOT", "452 4.3.1 Insufficient system storage", failure.Refused, "452"},
		"closing":                                   {"RCPT", "421 4.7.0 Try again later, closing connection.", failure.Unavailable, "421 4.7.0"},
		"gone before its answer":                    {"DOT", testbed.Ends, failure.Unavailable, "ended the conversation"},
		"Microsoft: log in first":                   {"MAIL", "530 5.7.57 Client not authenticated to send mail.", failure.Unavailable, "530 5.7.57"},
		"a greeting that is none":                   {"GREETING", "554 5.7.1 Service unavailable; Client host blocked", failure.Unavailable, "Client host blocked"},
		"no greeting":                               {"GREETING", testbed.Ends, failure.Unavailable, "set mail.tls to implicit"},
		"not a mail server":                         {"GREETING", "HTTP/1.1 400 Bad Request", failure.Unavailable, "did not greet us"},
		"a name it does not like":                   {"EHLO", "450 4.7.1 Helo command rejected: Host not found", failure.Unavailable, "(from public_url)"},
		"its TLS is broken now":                     {"STARTTLS", "454 4.7.0 TLS not available due to local problem", failure.Unavailable, "refused STARTTLS: 454"},
		"words before TLS":                          {"STARTTLS", "220 go on\r\n250-AUTH PLAIN\r\n250 x", failure.Unavailable, "TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			m := testbed.NewMailServer(t)
			m.Says = map[string]string{c.verb: c.says}
			err := mailer(m).Deliver(context.Background(), hello)
			if c.tells == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure.ClassOf(err) != c.class || !strings.Contains(failure.Public(err), c.tells) {
				t.Errorf("%v, %v", failure.ClassOf(err), err)
			}
			if len(m.Mails()) != 0 {
				t.Error("and yet it was taken")
			}
		})
	}
}

// A server of before EHLO takes mail on this machine.
func TestServerWithoutEHLO(t *testing.T) {
	m := testbed.NewMailServer(t)
	m.Says = map[string]string{"EHLO": "502 5.5.1 unrecognized command"}
	old := mailer(m)
	old.Roots, old.Name = nil, "login.example.org"
	if err := old.Deliver(context.Background(), hello); err != nil {
		t.Fatal(err)
	}
	if got := m.Mails(); len(got) != 1 || got[0].Hello != "login.example.org" || got[0].TLS {
		t.Errorf("%+v", got)
	}
}

// On this machine mail needs no TLS unless a password goes with it, roots are named or the
// configuration asks for it: a Debian's own server has a certificate that nobody vouches for.
func TestMailOnThisMachine(t *testing.T) {
	m := testbed.NewMailServer(t)
	near := notify.Mailer{Server: m.Addr, From: "countersign@example.org"}
	if err := near.Deliver(context.Background(), hello); err != nil || m.Mails()[0].TLS {
		t.Error(err)
	}
	for name, strict := range map[string]notify.Mailer{
		"asked for":       {TLS: notify.StartTLS},
		"with a password": {Username: "countersign", Password: func() (string, error) { return secret, nil }},
	} {
		strict.Server, strict.From = near.Server, near.From
		if err := strict.Deliver(context.Background(), hello); failure.ReasonOf(err) != "tls" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(m.Mails()) != 1 {
		t.Error("and yet it was taken")
	}
}

// Each way to authenticate that servers offer is used, and only by TLS. The password is in
// no error and in no trace, even where the server repeats what it was sent.
func TestLogins(t *testing.T) {
	for name, c := range map[string]struct {
		mechanisms, verb, says, tells string
	}{
		"Google":                        {" LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER XOAUTH", "", "", ""},
		"Microsoft, which has no PLAIN": {" LOGIN XOAUTH2", "", "", ""},
		"an old one":                    {"=LOGIN", "", "", ""},
		"small letters":                 {" plain login", "", "", ""},
		"no password is taken":          {" XOAUTH2 OAUTHBEARER", "", "", "neither AUTH PLAIN nor LOGIN (it offers: XOAUTH2 OAUTHBEARER)"},
		"a wrong one at Google":         {" PLAIN", "AUTH", "535-5.7.8 Username and Password not accepted. For more information, go to\r\n535 5.7.8  https://support.google.com/mail/?p=BadCredentials - gsmtp", "BadCredentials"},
		"Microsoft without basic":       {" LOGIN XOAUTH2", "PASSWORD", "550 5.7.30 Basic authentication is not supported for Client Submission.", "550 5.7.30"},
		"it repeats what it was sent":   {" PLAIN", "AUTH", "500 unrecognized: {line}", "500 unrecognized: AUTH PLAIN ***"},
	} {
		t.Run(name, func(t *testing.T) {
			m := testbed.NewMailServer(t)
			m.Password, m.Mechanisms, m.Says = secret, c.mechanisms, map[string]string{c.verb: c.says}
			if name == "small letters" {
				m.Mechanisms, m.Offers = "=PLAIN", []string{"auth plain"}
			}
			var trace strings.Builder
			login := mailer(m)
			login.Trace = func(line string) { trace.WriteString(line + "\n") }
			login.Username, login.Password = "countersign@example.org", func() (string, error) { return secret, nil }
			err := login.Deliver(context.Background(), hello)
			if c.tells == "" && (err != nil || m.Mails()[0].Login != login.Username) {
				t.Error(err)
			}
			if c.tells != "" && (failure.ClassOf(err) != failure.Unavailable || !strings.Contains(failure.Public(err), c.tells)) {
				t.Error(err)
			}
			said := trace.String()
			if err != nil {
				said += err.Error()
			}
			for _, form := range []string{secret, "Y29ycmVjdCBob3JzZQ", "AGNvdW50"} {
				if strings.Contains(said, form) {
					t.Error("the password is shown")
				}
			}
			if c.tells == "" && !strings.Contains(said, "C: .\nS: 250 taken\nC: QUIT\nS: 221 bye\n") {
				t.Errorf("the conversation is %s", said)
			}
		})
	}
	m := testbed.NewMailServer(t)
	m.Password = secret
	empty := mailer(m)
	empty.Username, empty.Password = "countersign", func() (string, error) { return "", nil }
	if err := empty.Deliver(context.Background(), hello); failure.ReasonOf(err) != "login" {
		t.Error(err)
	}
}

// A server that expects TLS from the start gets it, on port 465 by itself, and the greeting
// is read behind it.
func TestImplicitTLS(t *testing.T) {
	m := testbed.NewMailServer(t)
	m.Implicit, m.Password = true, secret
	c := mailer(m)
	c.TLS, c.Username, c.Password = notify.Implicit, "countersign", func() (string, error) { return secret, nil }
	if err := c.Deliver(context.Background(), hello); err != nil {
		t.Fatal(err)
	}
	if got := m.Mails(); len(got) != 1 || !got[0].TLS || got[0].Login != "countersign" {
		t.Errorf("%+v", got)
	}
	other := testbed.NewMailServer(t)
	c.Server, c.Roots = other.Addr, mailer(other).Roots
	if err := c.Deliver(context.Background(), hello); failure.ReasonOf(err) != "tls" || len(other.Mails()) != 0 {
		t.Errorf("a server that begins in the clear: %v", err)
	}
}

// The envelope has addresses only, the domains in punycode, and letters beyond ASCII before
// the @ go only to servers that say they take them.
func TestEnvelopes(t *testing.T) {
	for name, c := range map[string]struct {
		from, to   string
		offers     []string
		sender     string
		recipient  string
		headers    string // From and To
		class      failure.Class
		deliveries int
	}{
		"a name": {"Countersign <mfa@example.org>", "ada@example.org", nil,
			"MAIL FROM:<mfa@example.org>", "ada@example.org", `"Countersign" <mfa@example.org>, <ada@example.org>`, 0, 1},
		"a name beyond ASCII": {"Müller & Söhne <mfa@example.org>", "ada@example.org", nil,
			"MAIL FROM:<mfa@example.org>", "ada@example.org", `=?utf-8?b?TcO8bGxlciAmIFPDtmhuZQ==?= <mfa@example.org>, <ada@example.org>`, 0, 1},
		"domains beyond ASCII": {"mfa@müller.example", "ada@Bücher.example", []string{"SMTPUTF8"},
			"MAIL FROM:<mfa@xn--mller-kva.example>", "ada@xn--bcher-kva.example", "<mfa@xn--mller-kva.example>, <ada@xn--bcher-kva.example>", 0, 1},
		"a name in quotation marks": {"mfa@example.org", `"ada lovelace"@example.org`, nil,
			"MAIL FROM:<mfa@example.org>", `"ada lovelace"@example.org`, `<mfa@example.org>, <"ada lovelace"@example.org>`, 0, 1},
		"letters before the @, taken": {"mfa@example.org", "jürgen@bücher.example", []string{"SMTPUTF8"},
			"MAIL FROM:<mfa@example.org> BODY=8BITMIME SMTPUTF8", "jürgen@xn--bcher-kva.example", "<mfa@example.org>, <jürgen@xn--bcher-kva.example>", 0, 1},
		"letters before the @, not taken": {"mfa@example.org", "jürgen@bücher.example", nil, "", "", "", failure.Invalid, 0},
		"such a sender, not taken":        {"jürgen@example.org", "ada@example.org", nil, "", "", "", failure.Unavailable, 0},
		"no address":                      {"mfa@example.org", "ada at example.org", nil, "", "", "", failure.Invalid, 0},
		"another command":                 {"mfa@example.org", "ada@example.org>\r\nRCPT TO:<eve@example.org", nil, "", "", "", failure.Invalid, 0},
		"two":                             {"mfa@example.org", "ada@example.org, eve@example.org", nil, "", "", "", failure.Invalid, 0},
		"no sender":                       {"Countersign", "ada@example.org", nil, "", "", "", failure.Unavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := testbed.NewMailServer(t)
			m.Offers = c.offers
			from := mailer(m)
			from.From = c.from
			n := hello
			n.Address = c.to
			if err := from.Deliver(context.Background(), n); failure.ClassOf(err) != c.class {
				t.Error(err)
			}
			got := m.Mails()
			if len(got) != c.deliveries {
				t.Fatalf("%d came", len(got))
			}
			if c.deliveries == 0 {
				return
			}
			headers := got[0].Header.Get("From") + ", " + got[0].Header.Get("To")
			if got[0].Sender != c.sender || len(got[0].To) != 1 || got[0].To[0] != c.recipient || headers != c.headers {
				t.Errorf("%q to %q, %s", got[0].Sender, got[0].To, headers)
			}
		})
	}
}

// What the server calls itself is of public_url: a name, a name in punycode or an address.
func TestHelloAndMessageID(t *testing.T) {
	for host, want := range map[string]string{"login.example.org": "login.example.org", "anmelden.müller.example": "anmelden.xn--mller-kva.example", "192.0.2.7": "[192.0.2.7]", "2001:db8::7": "[IPv6:2001:db8::7]", "": "localhost"} {
		m := testbed.NewMailServer(t)
		named := mailer(m)
		named.Name = host
		if err := named.Deliver(context.Background(), hello); err != nil {
			t.Fatal(err)
		}
		if got := m.Mails()[0]; got.Hello != want || !strings.HasSuffix(got.Header.Get("Message-Id"), "@"+want+">") {
			t.Errorf("%s: %s, %s", host, got.Hello, got.Header.Get("Message-Id"))
		}
	}
}

// A server that is stopped while a mail is with the mail server learns whether it was
// accepted: otherwise the mail would be sent again.
func TestAMailThatIsUnderWayAtTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		in := bufio.NewReader(c)
		for _, says := range []string{"220 sink", "250 sink", "250 ok", "250 ok", "354 go on"} {
			fmt.Fprintf(c, "%s\r\n", says)
			if _, err := in.ReadString('\n'); err != nil {
				return
			}
		}
		for line := ""; line != ".\r\n"; {
			if line, err = in.ReadString('\n'); err != nil {
				return
			}
		}
		stop()
		<-ctx.Done()
		fmt.Fprint(c, "250 taken\r\n")
		in.ReadString('\n') //nolint:errcheck // its farewell
	}()
	if err := (notify.Mailer{Server: l.Addr().String(), From: "mfa@example.org"}).Deliver(ctx, hello); err != nil {
		t.Error(err)
	}
}
