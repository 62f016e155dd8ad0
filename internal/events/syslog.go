package events

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"countersign/internal/audit"
	"countersign/internal/failure"
)

// The transports of syslog.
const (
	OverTLS = "tls" // RFC 5425
	OverTCP = "tcp" // RFC 6587, octet counting; whoever is on the way reads and changes it
	OverUDP = "udp" // RFC 5426; as tcp, and what is lost is lost silently
)

const (
	// enterprise is the private enterprise number in the names of structured data: the one
	// that RFC 5612 reserves for examples, because this project has none of its own.
	enterprise = "32473"
	// facility is "log audit" (RFC 5424 section 6.2.1).
	facility = 13
	// mostSyslog is the length of a message in bytes beyond which details are left out. A
	// receiver should take 2048 (RFC 5424 section 6.1); rsyslog and syslog-ng take 8192
	// unless they are told otherwise.
	mostSyslog = 8000
	// mostName and mostID are the limits of RFC 5424 section 6 on SD-NAME and MSGID.
	mostName, mostID = 32, 32
)

const (
	syslogPatience = 10 * time.Second
	// settle is how long a connection must stand after its last byte was acknowledged: a
	// receiver that was restarted answers with a reset within this time.
	settle = 250 * time.Millisecond
)

// Syslog sends entries in the format of RFC 5424. Syslog has no acknowledgement. Over TLS
// and TCP, entries count as taken when the receiver's machine has acknowledged every byte
// and the connection still stands a moment later; what a receiver loses after that, only a
// comparison by number shows.
type Syslog struct {
	// Server is HOST:PORT.
	Server string
	// Transport is OverTLS, OverTCP or OverUDP.
	Transport string
	Files     Files
	// Host is what the messages name as their origin: the host of the public address.
	Host  string
	Trace Trace

	conn net.Conn
	raw  net.Conn // conn without TLS
}

// Close ends the connection.
func (s *Syslog) Close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn, s.raw = nil, nil
	}
}

// Take sends entries.
func (s *Syslog) Take(ctx context.Context, entries []audit.Entry) (int, error) {
	err := s.take(ctx, entries)
	if err != nil {
		s.Close()
	}
	return 0, err
}

func (s *Syslog) take(ctx context.Context, entries []audit.Entry) error {
	if s.conn == nil {
		if err := s.connect(ctx); err != nil {
			return err
		}
	}
	conn := s.conn
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := conn.SetDeadline(time.Now().Add(syslogPatience)); err != nil {
		return s.broken(err)
	}
	for _, e := range entries {
		message := []byte(Message(e, s.Host))
		if s.Transport != OverUDP {
			message = append(strconv.AppendInt(nil, int64(len(message)), 10), append([]byte{' '}, message...)...)
		}
		if _, err := conn.Write(message); err != nil {
			return s.broken(err)
		}
		s.Trace.say("sent %d bytes: %s", len(message), strings.ToValidUTF8(string(message), "?"))
	}
	if s.Transport == OverUDP {
		return nil
	}
	return s.settled()
}

func (s *Syslog) broken(err error) error {
	return failure.Wrap(failure.Unavailable, err, "The connection to the syslog server "+s.Server+" broke: "+err.Error()+".")
}

func (s *Syslog) connect(ctx context.Context) error {
	host, _, err := net.SplitHostPort(s.Server)
	if err != nil {
		return err
	}
	network := "tcp"
	if s.Transport == OverUDP {
		network = "udp"
	}
	ctx, done := context.WithTimeout(ctx, syslogPatience)
	defer done()
	raw, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, network, s.Server)
	if err != nil {
		return failure.Wrap(failure.Unavailable, err, "The syslog server "+s.Server+" cannot be reached: "+err.Error()+".")
	}
	s.Trace.say("connected to %s by %s", raw.RemoteAddr(), network)
	s.conn, s.raw = raw, raw
	if s.Transport != OverTLS {
		s.Trace.say("without encryption: whoever is on the way can read and change what is sent")
		return nil
	}
	config, err := s.Files.config(host)
	if err != nil {
		return err
	}
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return failure.Wrap(failure.Unavailable, err, "The syslog server "+s.Server+" has no certificate that is trusted here, or refused ours: "+err.Error()+". Check ca, certificate and key.")
	}
	s.conn = secure
	s.Trace.say("%s with the certificate of %s", tls.VersionName(secure.ConnectionState().Version), secure.ConnectionState().PeerCertificates[0].Subject)
	return nil
}

// settled waits until the receiver's machine has all bytes, and the connection stands.
func (s *Syslog) settled() error {
	for end := time.Now().Add(syslogPatience); ; time.Sleep(5 * time.Millisecond) {
		left, err := unacknowledged(s.raw)
		if err != nil {
			return s.broken(err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			return failure.New(failure.Unavailable, "The syslog server %s does not acknowledge what was sent.", s.Server)
		}
	}
	// A receiver says nothing; what can be read is the end of the connection.
	if err := s.conn.SetReadDeadline(time.Now().Add(settle)); err != nil {
		return s.broken(err)
	}
	var b [512]byte
	for {
		_, err := s.conn.Read(b[:])
		var timeout net.Error
		switch {
		case err == nil:
		case errors.As(err, &timeout) && timeout.Timeout():
			s.Trace.say("every byte was acknowledged, and the connection stands")
			return nil
		default:
			return s.broken(err)
		}
	}
}

// Message is an entry as RFC 5424 writes it, without framing. Host is the origin.
func Message(e audit.Entry, host string) string {
	severity := map[weight]int{usual: 6, refusal: 4, failing: 3, alarming: 2}[weigh(e)]
	var b strings.Builder
	b.WriteString("<" + strconv.Itoa(facility*8+severity) + ">1 " + e.At.UTC().Format("2006-01-02T15:04:05.000000Z") + " " + token(host, 255) + " countersign - " + token(e.Event, mostID) + " ")
	appendData(&b, "countersign", append([]field{{"seq", strconv.FormatInt(e.Seq, 10)}}, fields(e)...), mostSyslog)
	var details []field
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		details = append(details, field{k, e.Detail[k]})
	}
	if len(details) > 0 {
		appendData(&b, "detail", details, mostSyslog-b.Len())
	}
	b.WriteString(" \xEF\xBB\xBF" + strings.Map(printable, sentence(e)))
	return b.String()
}

// appendData appends one SD-ELEMENT. Pairs that make it longer than most bytes are left out,
// and it says so.
func appendData(b *strings.Builder, name string, pairs []field, most int) {
	b.WriteString("[" + name + "@" + enterprise)
	used := 0
	for i, p := range pairs {
		pair := " " + sdName(p.name) + `="` + sdValue(p.value) + `"`
		if used += len(pair); used > most {
			b.WriteString(` leftOut="` + strconv.Itoa(len(pairs)-i) + `"`)
			break
		}
		b.WriteString(pair)
	}
	b.WriteByte(']')
}

// token is a header field: printable ASCII without blanks, "-" for nothing (RFC 5424 section 6).
func token(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

// sdName is an SD-NAME: a token without the characters that end one.
func sdName(s string) string {
	return token(strings.NewReplacer("=", "", "]", "", `"`, "").Replace(s), mostName)
}

// sdValue is a PARAM-VALUE: UTF-8 in which a quote, a backslash and a closing bracket have a
// backslash in front (RFC 5424 section 6.3.3), and nothing that begins a new line.
func sdValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(strings.Map(printable, strings.ToValidUTF8(s, string(utf8.RuneError))))
}

// printable replaces what could end a line or steer a terminal. The log has cleaned its
// texts already; this holds where a text comes by another way.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return utf8.RuneError
	}
	return r
}
