package radius_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/signin"
	"countersign/internal/testbed"
)

// key is the shared secret of the tests.
const key = "uQ7xk2VtZ9wLmB4d"

var secret = packet.NewSecret([]byte(key))

// settings is an application's settings with one client on loopback; more are
// its other members, as JSON.
func settings(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"clients":[{"name":"nas","networks":["127.0.0.0/8","::1"],"secret":"` + key + `"}]` + more + `}`
}

// exception is the same with the exception from the Message-Authenticator.
func exception(more string) string {
	expires := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	if more != "" {
		more = "," + more
	}
	return `{"clients":[{"name":"nas","networks":["127.0.0.0/8"],"secret":"` + key + `",
		"message_authenticator_exception":{"reason":"an old client","expires":"` + expires + `"}}]` + more + `}`
}

// catalogue is a list of applications that can change and break.
type catalogue struct {
	mu      sync.Mutex
	list    []application.Application
	changed uint64
	err     error
}

func (c *catalogue) ByProtocol(context.Context, string) ([]application.Application, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list, c.err
}

func (c *catalogue) Changed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *catalogue) set(err error, settings ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed++
	c.err, c.list = err, nil
	for i, s := range settings {
		name := []string{"vpn", "wifi", "switch"}[i]
		c.list = append(c.list, application.Application{ID: int64(i + 1), Name: name, Settings: json.RawMessage(s)})
	}
}

// told orders what a client did before it asked, what the engine noted, and what the
// client looks at after the reply: nobody who looks for races sees that order
// through a socket.
var told atomic.Int64

// decider is an engine that does what one test wants.
type decider struct {
	begin  func(signin.Request) (signin.Step, error)
	answer func(string, signin.Reply) (signin.Step, error)
	look   func(string) (signin.Step, error)
}

func (d decider) Begin(_ context.Context, r signin.Request) (signin.Step, error) {
	told.Load()
	defer told.Add(1)
	return d.begin(r)
}

func (d decider) Answer(_ context.Context, ticket string, r signin.Reply) (signin.Step, error) {
	told.Load()
	defer told.Add(1)
	return d.answer(ticket, r)
}

// Names takes a name with a domain for somebody else's.
func (d decider) Names(_ context.Context, _, name string) error {
	if strings.ContainsAny(name, `\@`) {
		return failure.Refuse("other-name", "That did not work.")
	}
	return nil
}

func (d decider) Poll(_ context.Context, ticket string) (signin.Step, error) {
	told.Load()
	defer told.Add(1)
	return d.look(ticket)
}

// granted forges what only the engine can make, by force, because a protocol's
// rendering of a grant is to be tested without a store.
func granted(groups ...string) signin.Step {
	step := signin.Step{State: signin.Granted}
	inner := reflect.New(reflect.TypeFor[signin.Grant]().Field(0).Type.Elem())
	field := inner.Elem().FieldByName("groups")
	*(*[]string)(unsafe.Pointer(field.UnsafeAddr())) = groups
	*(*unsafe.Pointer)(unsafe.Pointer(&step.Grant)) = inner.UnsafePointer()
	return step
}

// rig is a server on loopback.
type rig struct {
	*radius.Server
	catalogue *catalogue
	address   netip.AddrPort
	stop      func()
	notices   chan radius.Notice
}

func start(tb testing.TB, engine radius.Engine, settings ...string) *rig {
	tb.Helper()
	return startAt(tb, radius.Parts{Engine: engine}, "127.0.0.1:0", settings...)
}

func startAt(tb testing.TB, p radius.Parts, address string, settings ...string) *rig {
	tb.Helper()
	r := &rig{catalogue: &catalogue{}, notices: make(chan radius.Notice, 1000)}
	r.catalogue.set(nil, settings...)
	p.Applications = r.catalogue
	p.Notice = func(n radius.Notice) { r.notices <- n }
	server, err := radius.New(p)
	if err != nil {
		tb.Fatal(err)
	}
	server.PollEvery(5 * time.Millisecond)
	r.Server = server
	if problems := server.Problems(); len(problems) > 0 {
		tb.Fatalf("problems: %v", problems)
	}
	conns, err := radius.Listen([]string{address})
	if err != nil {
		tb.Fatal(err)
	}
	r.address = conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, conns) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	tb.Cleanup(r.stop)
	return r
}

// nas is one client's socket.
type nas struct {
	testing.TB
	*net.UDPConn
}

func dial(tb testing.TB, to netip.AddrPort) nas {
	tb.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return nas{tb, conn}
}

// request is an Access-Request being written.
type request struct {
	packet.Draft
	authenticator [16]byte
}

func newRequest(name, typed string) *request {
	r := &request{}
	rand.Read(r.authenticator[:])
	r.Draft = packet.Start(nil, packet.AccessRequest, r.authenticator[0])
	r.Add(packet.UserName, []byte(name))
	if typed != "" {
		r.Hide(secret, []byte(typed), r.authenticator)
	}
	return r
}

func (r *request) with(t packet.Type, value string) *request {
	r.Add(t, []byte(value))
	return r
}

func (r *request) octets() []byte {
	octets, err := r.Request(secret, r.authenticator)
	if err != nil {
		panic(err)
	}
	return octets
}

// bare is the request without its Message-Authenticator, as old clients send it.
func (r *request) bare() []byte {
	octets := r.octets()
	octets = append(octets[:packet.HeaderLength:packet.HeaderLength], octets[packet.HeaderLength+18:]...)
	octets[2], octets[3] = byte(len(octets)>>8), byte(len(octets))
	return octets
}

// ask sends octets and returns the reply to them, verified.
func (n nas) ask(octets []byte) packet.Packet {
	n.Helper()
	told.Add(1)
	if _, err := n.Write(octets); err != nil {
		n.Fatal(err)
	}
	return n.reply(octets)
}

func (n nas) reply(octets []byte) packet.Packet {
	n.Helper()
	buf := make([]byte, packet.MaxLength)
	_ = n.SetReadDeadline(time.Now().Add(20 * time.Second))
	size, err := n.Read(buf)
	told.Load()
	if err != nil {
		n.Fatalf("no reply: %v", err)
	}
	p, err := packet.Parse(buf[:size])
	if err != nil {
		n.Fatalf("the reply does not parse: %v", err)
	}
	if p.Identifier() != octets[1] || !testbed.AnswersRADIUS(p.Bytes(), key, [16]byte(octets[4:20])) {
		n.Fatalf("the reply does not verify: %x", p.Bytes())
	}
	if buf[packet.HeaderLength] != byte(packet.MessageAuthenticator) {
		n.Fatalf("Message-Authenticator is not the first attribute: %x", p.Bytes())
	}
	return p
}

// want sends a request and wants a reply of this code.
func (n nas) want(octets []byte, code packet.Code) packet.Packet {
	n.Helper()
	p := n.ask(octets)
	if p.Code() != code {
		n.Fatalf("%v (%s), want %v", p.Code(), text(p, packet.ReplyMessage), code)
	}
	return p
}

// silence sends octets, then asks for the server's status: the reply to that
// comes first, so there was none to them. It is no proof that none will come
// later; the server's own count is.
func (n nas) silence(octets []byte) {
	n.Helper()
	if _, err := n.Write(octets); err != nil {
		n.Fatal(err)
	}
	n.want(status(), packet.AccessAccept)
}

// counted waits until a counter has moved past what it was: several readers take
// datagrams, so one that nobody replies to may be counted a moment after the next
// was answered.
func counted(counter func() uint64, before uint64) {
	for give := time.Now().Add(10 * time.Second); counter() == before && time.Now().Before(give); {
		time.Sleep(time.Millisecond)
	}
}

func status() []byte {
	r := &request{}
	rand.Read(r.authenticator[:])
	r.Draft = packet.Start(nil, packet.StatusServer, r.authenticator[0])
	return r.octets()
}

func text(p packet.Packet, t packet.Type) string {
	v, _ := p.Get(t)
	return string(v)
}
