package radius_test

import (
	"bytes"
	"countersign/internal/application"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/signin"
)

// TestSilence: what nobody who shares the secret sent, as it should be, gets no
// reply and never reaches the engine.
func TestSilence(t *testing.T) {
	other := packet.NewSecret([]byte("another secret!!"))
	wrong := func() []byte {
		r := newRequest("ada", "pass")
		octets, _ := r.Request(other, r.authenticator)
		return octets
	}
	twice := func(typ packet.Type, value string) []byte {
		return newRequest("ada", "pass").with(typ, value).octets()
	}
	misplaced := func() []byte { // right, but not over what follows it
		octets := newRequest("ada", "pass").octets()
		octets = append(octets, 25, 3, 'x')
		octets[3] += 3
		return octets
	}
	code := func(c packet.Code) []byte {
		r := newRequest("ada", "pass")
		octets := bytes.Clone(r.octets())
		octets[0] = byte(c)
		return octets
	}
	bareStatus := func() []byte {
		r := &request{Draft: packet.Start(nil, packet.StatusServer, 9)}
		return r.bare()
	}
	shortPassword := func() []byte {
		return newRequest("ada", "").with(packet.UserPassword, "0123456789").octets()
	}
	var seen []signin.Request
	r := start(t, yes(&seen), settings(``))
	for name, c := range map[string]struct {
		octets  []byte
		counter func() uint64
	}{
		"nothing":                          {[]byte{}, r.Stats.Malformed.Load},
		"noise":                            {[]byte("GET / HTTP/1.1\r\n\r\n"), r.Stats.Malformed.Load},
		"a Length too long":                {append(newRequest("ada", "p").octets()[:2], 0x0f, 0xff), r.Stats.Malformed.Load},
		"no Message-Authenticator":         {newRequest("ada", "pass").bare(), r.Stats.Unauthenticated.Load},
		"another secret":                   {wrong(), r.Stats.Forged.Load},
		"an attribute added":               {misplaced(), r.Stats.Forged.Load},
		"two names":                        {twice(packet.UserName, "eve"), r.Stats.Malformed.Load},
		"two States":                       {newRequest("ada", "p").with(packet.State, "a").with(packet.State, "b").octets(), r.Stats.Malformed.Load},
		"two passwords":                    {twice(packet.UserPassword, "0123456789abcdef"), r.Stats.Malformed.Load},
		"a password of 10 octets":          {shortPassword(), r.Stats.Malformed.Load},
		"an Access-Accept":                 {code(packet.AccessAccept), r.Stats.OtherCode.Load},
		"an Accounting-Request":            {code(packet.AccountingRequest), r.Stats.OtherCode.Load},
		"a CoA-Request":                    {code(packet.CoARequest), r.Stats.OtherCode.Load},
		"Status-Server without":            {bareStatus(), r.Stats.Unauthenticated.Load},
		"Status-Server whose MAC is wrong": {code(packet.StatusServer), r.Stats.Forged.Load},
	} {
		before := c.counter()
		n := dial(t, r.address)
		n.silence(c.octets)
		counted(c.counter, before)
		if c.counter() != before+1 {
			t.Errorf("%s: not counted as it should be", name)
		}
	}
	if len(seen) != 0 {
		t.Errorf("%d reached the engine", len(seen))
	}
}

func TestUnknownClientGetsSilence(t *testing.T) {
	var seen []signin.Request
	r := startAt(t, radius.Parts{Engine: yes(&seen)}, "127.0.0.1:0",
		`{"clients":[{"name":"elsewhere","networks":["10.0.0.0/8"],"secret":"`+key+`"}]}`)
	if _, err := dial(t, r.address).Write(newRequest("ada", "pass").octets()); err != nil {
		t.Fatal(err)
	}
	if got := <-r.notices; got.Reason != "unknown-client" {
		t.Errorf("notice %+v", got)
	}
}

func TestExceptionIsForOldClientsOnly(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), exception(``))
	n := dial(t, r.address)
	n.want(newRequest("ada", "pass").bare(), packet.AccessAccept)
	// A wrong Message-Authenticator is no missing one.
	forged := newRequest("ada", "pass").octets()
	forged[packet.HeaderLength+2] ^= 1
	n.silence(forged)
	// Proxy-State is what makes room for a forger (limit-proxy-state).
	n.silence(newRequest("ada", "pass").with(packet.ProxyState, "x").bare())
	counted(r.Stats.Forged.Load, 0)
	counted(r.Stats.ProxyState.Load, 0)
	if len(seen) != 1 || r.Stats.Forged.Load() != 1 || r.Stats.ProxyState.Load() != 1 {
		t.Errorf("%d to the engine, %d forged, %d by Proxy-State", len(seen), r.Stats.Forged.Load(), r.Stats.ProxyState.Load())
	}
	n.want(newRequest("ada", "pass").with(packet.ProxyState, "x").octets(), packet.AccessAccept)
}

// The promise: an exception lets in as many Proxy-States as it says, none longer than proxies
// write them, and gives them back unchanged; and its reply is authenticated as any other.
func TestExceptionTakesFewProxyStates(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), strings.Replace(exception(``), `"reason"`, `"proxy_states":2,"reason"`, 1))
	n := dial(t, r.address)
	longest := strings.Repeat("x", 16)
	n.want(newRequest("ada", "pass").bare(), packet.AccessAccept)
	n.want(newRequest("ada", "pass").with(packet.ProxyState, longest).with(packet.ProxyState, "17").bare(), packet.AccessAccept)
	n.silence(newRequest("ada", "pass").with(packet.ProxyState, "1").with(packet.ProxyState, "2").with(packet.ProxyState, "3").bare())
	n.silence(newRequest("ada", "pass").with(packet.ProxyState, longest+"x").bare())
	counted(r.Stats.ProxyState.Load, 1)
	if len(seen) != 2 || r.Stats.ProxyState.Load() != 2 {
		t.Errorf("%d to the engine, %d by Proxy-State", len(seen), r.Stats.ProxyState.Load())
	}
}

// The promise: beyond this machine an exception is for single addresses, ends within 90 days, and
// coverage says what it opens.
func TestExceptionBeyondLoopback(t *testing.T) {
	until := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	one := func(networks, expires, more string) string {
		return `{"clients":[{"name":"nas","networks":[` + networks + `],"secret":"` + key + `","message_authenticator_exception":{"reason":"an old client","expires":"` + expires + `"` + more + `}}]}`
	}
	for text, says := range map[string]string{
		one(`"192.0.2.7"`, until(89*24*time.Hour), ``):                       "",
		one(`"192.0.2.7","2001:db8::7","127.0.0.0/8"`, until(time.Hour), ``): "",
		one(`"192.0.2.7/32"`, until(time.Hour), `,"proxy_states":3`):         "",
		one(`"192.0.2.0/30"`, until(time.Hour), ``):                          "for single addresses",
		one(`"2001:db8::/64"`, until(time.Hour), ``):                         "for single addresses",
		one(`"192.0.2.7"`, until(91*24*time.Hour), ``):                       "90 days at most",
		one(`"192.0.2.7"`, until(time.Hour), `,"proxy_states":4`):            "0 to 3 Proxy-States",
		one(`"192.0.2.7"`, until(time.Hour), `,"proxy_states":-1`):           "0 to 3 Proxy-States",
	} {
		if err := radius.CheckSettings([]byte(text)); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	told, err := radius.Description().Exposure(application.Application{Name: "vpn", Protocol: "radius", Settings: []byte(one(`"192.0.2.7"`, until(time.Hour), `,"proxy_states":2`))})
	if err != nil || len(told.Exceptions) != 2 || !strings.Contains(told.Exceptions[0].What, "across the network") || !strings.Contains(told.Exceptions[1].What, "up to 2 Proxy-States") {
		t.Errorf("%+v, %v", told.Exceptions, err)
	}
	told, err = radius.Description().Exposure(application.Application{Name: "pam", Protocol: "radius", Settings: []byte(exception(``))})
	if err != nil || len(told.Exceptions) != 1 || strings.Contains(told.Exceptions[0].What, "across") {
		t.Errorf("%+v, %v", told.Exceptions, err)
	}
}

func TestExceptionExpires(t *testing.T) {
	for name, later := range map[string]time.Duration{"over": 25 * time.Hour, "too far ahead": -90 * 24 * time.Hour} {
		var seen []signin.Request
		now := func() time.Time { return time.Now().Add(later) }
		r := startAt(t, radius.Parts{Engine: yes(&seen), Now: now}, "127.0.0.1:0", exception(``))
		n := dial(t, r.address)
		n.silence(newRequest("ada", "pass").bare())
		counted(r.Stats.Unauthenticated.Load, 0)
		if r.Stats.Unauthenticated.Load() != 1 || len(seen) != 0 {
			t.Errorf("%s: an exception that does not hold was honoured", name)
		}
		n.want(newRequest("ada", "pass").octets(), packet.AccessAccept)
		r.stop()
	}
}

func TestSameAuthenticatorOtherContentsIsDropped(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), settings(``))
	n := dial(t, r.address)
	first := newRequest("ada", "pass")
	n.want(first.octets(), packet.AccessAccept)
	second := &request{authenticator: first.authenticator, Draft: packet.Start(nil, packet.AccessRequest, first.authenticator[0])}
	second.Add(packet.UserName, []byte("eve"))
	n.silence(second.octets())
	counted(r.Stats.Clashed.Load, 0)
	if r.Stats.Clashed.Load() != 1 || len(seen) != 1 {
		t.Errorf("%d clashes, %d to the engine", r.Stats.Clashed.Load(), len(seen))
	}
}

// TestOverload: what is beyond workers and queue is dropped, and what was
// dropped may come again.
func TestOverload(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	r := startAt(t, radius.Parts{Workers: 1, Queue: 1, Engine: decider{begin: func(signin.Request) (signin.Step, error) {
		entered <- struct{}{}
		<-release
		return granted(), nil
	}}}, "127.0.0.1:0", settings(``))
	n := dial(t, r.address)
	first, second, third := newRequest("a", "p").octets(), newRequest("b", "p").octets(), newRequest("c", "p").octets()
	if _, err := n.Write(first); err != nil {
		t.Fatal(err)
	}
	<-entered
	n.silence(second) // stands in line
	n.silence(third)  // is one too many
	counted(r.Stats.Overloaded.Load, 0)
	if got := r.Stats.Overloaded.Load(); got != 1 {
		t.Errorf("%d dropped", got)
	}
	close(release)
	n.reply(first)
	n.reply(second)
	n.want(third, packet.AccessAccept)
}

func TestMemoryFullDropsRatherThanForgets(t *testing.T) {
	var seen []signin.Request
	r := startAt(t, radius.Parts{Remember: 1, Engine: yes(&seen)}, "127.0.0.1:0", settings(``)) // one in each of 16 parts
	n := dial(t, r.address)
	req := func(i byte) []byte {
		r := &request{Draft: packet.Start(nil, packet.AccessRequest, i)}
		r.authenticator = [16]byte{0, i}
		return r.octets()
	}
	n.want(req(1), packet.AccessAccept)
	n.silence(req(2))
	counted(r.Stats.Overloaded.Load, 0)
	n.want(req(1), packet.AccessAccept)
	if r.Stats.Overloaded.Load() != 1 || r.Stats.Repeated.Load() != 1 || len(seen) != 1 {
		t.Errorf("%d dropped, %d repeated, %d decided", r.Stats.Overloaded.Load(), r.Stats.Repeated.Load(), len(seen))
	}
}

func TestWaitingRoomIsBounded(t *testing.T) {
	r := startAt(t, radius.Parts{Waiting: 1, Engine: decider{
		begin: func(signin.Request) (signin.Step, error) { return signin.Step{State: signin.Wait, Ticket: "t"}, nil },
		look:  func(string) (signin.Step, error) { return signin.Step{State: signin.Wait, Ticket: "t"}, nil },
	}}, "127.0.0.1:0", settings(`"mode":"wait","timeout":2`))
	n := dial(t, r.address)
	first := newRequest("a", "p").octets()
	if _, err := n.Write(first); err != nil {
		t.Fatal(err)
	}
	for r.Stats.Waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := n.Write(newRequest("b", "p").octets()); err != nil {
		t.Fatal(err)
	}
	if got := <-r.notices; got.Reason != "overloaded" {
		t.Errorf("notice %+v", got)
	}
	if p := n.reply(first); p.Code() != packet.AccessReject {
		t.Errorf("the first got %v", p.Code())
	}
}

func TestApplicationsChangeAtOnce(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), settings(``))
	n := dial(t, r.address)
	n.want(newRequest("ada", "p").octets(), packet.AccessAccept)
	r.catalogue.set(nil)
	if _, err := n.Write(newRequest("ada", "p").octets()); err != nil {
		t.Fatal(err)
	}
	if got := <-r.notices; got.Reason != "unknown-client" {
		t.Errorf("notice %+v", got)
	}
	r.catalogue.set(errors.New("cut off"))
	if _, err := n.Write(newRequest("ada", "p").octets()); err != nil {
		t.Fatal(err)
	}
	if got := <-r.notices; got.Reason != "no-applications" {
		t.Errorf("notice %+v", got)
	}
	if len(r.Problems()) != 1 {
		t.Errorf("problems %v", r.Problems())
	}
	r.catalogue.set(nil, settings(``))
	n.want(newRequest("ada", "p").octets(), packet.AccessAccept)
	if len(seen) != 2 {
		t.Errorf("%d decided", len(seen))
	}
}

func TestTwoApplicationsByNASIdentifier(t *testing.T) {
	client := func(name, more string) string {
		return `{"clients":[{"name":"` + name + `","networks":["127.0.0.0/8"],"secret":"` + key + `"` + more + `}]}`
	}
	var seen []signin.Request
	r := start(t, yes(&seen), client("rest", ``), client("sudo", `,"nas_identifiers":["sudo"]`))
	n := dial(t, r.address)
	for id, want := range map[string]string{"sudo": "wifi", "sshd": "vpn", "": "vpn"} {
		seen = nil
		n.want(newRequest("ada", "p").with(packet.NASIdentifier, id).octets(), packet.AccessAccept)
		if seen[0].Application != want {
			t.Errorf("NAS-Identifier %q led to %s", id, seen[0].Application)
		}
	}
}

// TestReplyLeavesFromWhereTheRequestCame: on a socket bound to no address.
func TestReplyLeavesFromWhereTheRequestCame(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		var seen []signin.Request
		r := startAt(t, radius.Parts{Engine: yes(&seen)}, listen, settings(``))
		for _, to := range []string{"127.0.0.1", "127.0.0.77", "::1"} {
			addr := netip.MustParseAddr(to)
			if addr.Is6() && listen[0] == '0' {
				continue
			}
			// A connected socket takes datagrams from its peer alone.
			n := dial(t, netip.AddrPortFrom(addr, r.address.Port()))
			octets := newRequest("ada", "p").octets()
			n.want(octets, packet.AccessAccept)
			n.want(octets, packet.AccessAccept)
			n.want(status(), packet.AccessAccept)
		}
		r.stop()
	}
}
