package radius_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/application"
	"countersign/internal/prompt"
	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/radius/packet"
	"countersign/internal/signin"
)

// yes grants everything, and keeps what it was asked.
func yes(seen *[]signin.Request) decider {
	return decider{begin: func(r signin.Request) (signin.Step, error) {
		*seen = append(*seen, r)
		return granted(), nil
	}}
}

func TestRequestReachesTheEngineUntouched(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), settings(`"source_attribute":"Calling-Station-Id"`))
	n := dial(t, r.address)
	for _, name := range []string{"ada", "ADA", "ada@corp", "a\x00da", " ada", strings.Repeat("x", 253), "\xff\xfe", ""} {
		seen = nil
		n.want(newRequest(name, "pass").with(packet.CallingStationID, "203.0.113.9").with(packet.NASIdentifier, "edge 1").octets(), packet.AccessAccept)
		if len(seen) != 1 {
			t.Fatalf("%q: %d requests", name, len(seen))
		}
		got := seen[0]
		if got.Name != name || got.Application != "vpn" || got.Protocol != "radius" || got.Source != netip.MustParseAddr("203.0.113.9") {
			t.Errorf("%q became %+v", name, got)
		}
		if want := `nas 127.0.0.1 nas="edge 1"`; got.Partner != want {
			t.Errorf("partner %q, want %q", got.Partner, want)
		}
	}
}

func TestModes(t *testing.T) {
	for _, c := range []struct {
		settings, typed string
		medium          prompt.Medium
		opening         string
	}{
		{`"mode":"challenge"`, "pass", prompt.Line | prompt.Display, "password=pass"},
		{`"mode":"challenge"`, "", prompt.Line | prompt.Display, ""},
		{`"mode":"appended"`, "pass123456", prompt.Single, "password=pass code=123456"},
		{`"mode":"appended"`, "123456", prompt.Single, "password= code=123456"},
		{`"mode":"appended"`, "pass12345", prompt.Single, "password=pass12345"},
		{`"mode":"appended"`, "pass,123456", prompt.Single, "password=pass, code=123456"},
		{`"mode":"appended","code_digits":8`, "pass12345678", prompt.Single, "password=pass code=12345678"},
		{`"mode":"appended","separator":","`, "pa,ss,123456", prompt.Single, "password=pa,ss code=123456"},
		{`"mode":"appended","separator":","`, "pass123456", prompt.Single, "password=pass123456"},
		{`"mode":"appended","separator":","`, "pass,abcd-efgh", prompt.Single, "password=pass code=abcd-efgh"},
		{`"mode":"code-only"`, "123456", prompt.Single, "code=123456"},
		{`"mode":"wait"`, "pass", prompt.Single | prompt.Silence, "password=pass"},
	} {
		var seen []signin.Request
		r := start(t, yes(&seen), settings(c.settings))
		dial(t, r.address).want(newRequest("ada", c.typed).octets(), packet.AccessAccept)
		var opening []string
		for _, a := range seen[0].Opening {
			opening = append(opening, a.Authenticator+"="+a.Text)
		}
		if got := strings.Join(opening, " "); got != c.opening || seen[0].Medium != c.medium {
			t.Errorf("%s, %q: opening %q by medium %b; want %q by %b", c.settings, c.typed, got, seen[0].Medium, c.opening, c.medium)
		}
		r.stop()
	}
}

func TestPersonsAddress(t *testing.T) {
	for _, c := range []struct{ attribute, value, want string }{
		{"Calling-Station-Id", "203.0.113.9", "203.0.113.9"},
		{"Calling-Station-Id", "203.0.113.9:51413", "203.0.113.9"},
		{"Calling-Station-Id", "2001:db8::1", "2001:db8::1"},
		{"Calling-Station-Id", "::ffff:203.0.113.9", "203.0.113.9"},
		{"Calling-Station-Id", "02-00-5E-10-00-00", "invalid IP"},
		{"Calling-Station-Id", "", "invalid IP"},
		{"Tunnel-Client-Endpoint", "\x01203.0.113.9", "203.0.113.9"},
		{"Tunnel-Client-Endpoint", "203.0.113.9", "203.0.113.9"},
	} {
		var seen []signin.Request
		r := start(t, yes(&seen), settings(`"source_attribute":"`+c.attribute+`"`))
		typ := map[string]packet.Type{"Calling-Station-Id": packet.CallingStationID, "Tunnel-Client-Endpoint": packet.TunnelClientEndpoint}[c.attribute]
		dial(t, r.address).want(newRequest("ada", "p").with(typ, c.value).octets(), packet.AccessAccept)
		if got := seen[0].Source.String(); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.attribute, c.value, got, c.want)
		}
		r.stop()
	}
	var seen []signin.Request
	r := start(t, yes(&seen), settings(``))
	dial(t, r.address).want(newRequest("ada", "p").with(packet.CallingStationID, "203.0.113.9").octets(), packet.AccessAccept)
	if seen[0].Source.IsValid() {
		t.Error("an attribute that the settings do not name was believed")
	}
}

// asking asks for a code, and then does what answer says.
func asking(prompts []prompt.Prompt, answer func(string, signin.Reply) (signin.Step, error)) decider {
	return decider{
		begin: func(signin.Request) (signin.Step, error) {
			return signin.Step{State: signin.Ask, Prompts: prompts, Ticket: "ticket.1", Deadline: time.Now().Add(5 * time.Minute)}, nil
		},
		answer: answer,
	}
}

var codePrompt = prompt.Prompt{Authenticator: "totp", Kind: prompt.Code, Label: "Code from your authenticator app", Digits: 6}

func TestChallengeTellsThePersonWhatToDo(t *testing.T) {
	recovery := prompt.Prompt{Authenticator: "recoverycode", Kind: prompt.Secret, Label: "Recovery code"}
	var got signin.Reply
	r := start(t, asking([]prompt.Prompt{codePrompt, recovery}, func(ticket string, reply signin.Reply) (signin.Step, error) {
		if ticket != "ticket.1" {
			t.Errorf("ticket %q", ticket)
		}
		got = reply
		return granted(), nil
	}), settings(``))
	n := dial(t, r.address)
	p := n.want(newRequest("ada", "pass").octets(), packet.AccessChallenge)
	if got := text(p, packet.ReplyMessage); got != "Code from your authenticator app, or Recovery code: " {
		t.Errorf("Reply-Message %q", got)
	}
	if timeout, ok := p.Get(packet.SessionTimeout); !ok || timeout[2] != 1 || timeout[3] < 20 {
		t.Errorf("Session-Timeout %x, want a little under 300", timeout)
	}
	if echo, ok := p.Get(packet.Prompt); !ok || echo[3] != 1 {
		t.Errorf("Prompt %x", echo)
	}
	n.want(newRequest("ada", "492039").with(packet.State, text(p, packet.State)).octets(), packet.AccessAccept)
	if got.Answer.Text != "492039" || got.Answer.Authenticator != "" || got.Partner != "nas 127.0.0.1" {
		t.Errorf("the engine was answered %+v", got)
	}
}

func TestChallengeAgainSaysWhy(t *testing.T) {
	r := start(t, asking([]prompt.Prompt{codePrompt}, func(string, signin.Reply) (signin.Step, error) {
		p := codePrompt
		p.Hint = "That code was right."
		return signin.Step{State: signin.Ask, Prompts: []prompt.Prompt{p}, Ticket: "ticket.2", Again: true, Public: "Not so."}, nil
	}), settings(``))
	n := dial(t, r.address)
	p := n.want(newRequest("ada", "pass").octets(), packet.AccessChallenge)
	p = n.want(newRequest("ada", "1").with(packet.State, text(p, packet.State)).octets(), packet.AccessChallenge)
	if got := text(p, packet.ReplyMessage); got != "Not so. That code was right. Code from your authenticator app: " {
		t.Errorf("Reply-Message %q", got)
	}
}

func TestStateIsBoundToItsBearer(t *testing.T) {
	r := start(t, asking([]prompt.Prompt{codePrompt}, func(string, signin.Reply) (signin.Step, error) {
		return granted(), nil
	}), settings(``))
	n := dial(t, r.address)
	first := func(nas string) string {
		p := n.want(newRequest("ada", "pass").with(packet.NASIdentifier, nas).octets(), packet.AccessChallenge)
		return text(p, packet.State)
	}
	state := first("a")
	changed := []byte(state)
	changed[len(changed)-1] ^= 1
	wait := "w" + state[1:]
	for name, req := range map[string]*request{
		"another name":        newRequest("eve", "1").with(packet.NASIdentifier, "a").with(packet.State, state),
		"the name elsewhere":  newRequest(`CORP\ada`, "1").with(packet.NASIdentifier, "a").with(packet.State, state),
		"another NAS":         newRequest("ada", "1").with(packet.NASIdentifier, "b").with(packet.State, state),
		"no NAS":              newRequest("ada", "1").with(packet.State, state),
		"a changed ticket":    newRequest("ada", "1").with(packet.NASIdentifier, "a").with(packet.State, string(changed)),
		"a changed letter":    newRequest("ada", "1").with(packet.NASIdentifier, "a").with(packet.State, wait),
		"an empty State":      newRequest("ada", "1").with(packet.NASIdentifier, "a").with(packet.State, ""),
		"a State of our form": newRequest("ada", "1").with(packet.NASIdentifier, "a").with(packet.State, "a0123456789abcdefticket.1"),
	} {
		if p := n.ask(req.octets()); p.Code() != packet.AccessReject {
			t.Errorf("%s: %v", name, p.Code())
		}
	}
	if got := r.Stats.StrayState.Load(); got != 8 {
		t.Errorf("%d stray States counted", got)
	}
	n.want(newRequest("ada", "1").with(packet.NASIdentifier, "a").with(packet.State, state).octets(), packet.AccessAccept)
	n.want(newRequest("Ada", "1").with(packet.NASIdentifier, "a").with(packet.State, state).octets(), packet.AccessAccept)
}

func TestBindToClientAlone(t *testing.T) {
	r := start(t, asking([]prompt.Prompt{codePrompt}, func(string, signin.Reply) (signin.Step, error) { return granted(), nil }), settings(`"bind":"client"`))
	n := dial(t, r.address)
	p := n.want(newRequest("ada", "pass").with(packet.NASIdentifier, "a").octets(), packet.AccessChallenge)
	n.want(newRequest("ada", "1").with(packet.NASIdentifier, "b").with(packet.State, text(p, packet.State)).octets(), packet.AccessAccept)
}

func TestStateOutsideOfChallengeModeIsRejected(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), settings(`"mode":"code-only"`))
	dial(t, r.address).want(newRequest("ada", "123456").with(packet.State, "whatever").octets(), packet.AccessReject)
	if len(seen) != 0 {
		t.Error("the engine was asked")
	}
}

func TestWhatCannotBePlayedIsRejected(t *testing.T) {
	for _, mode := range []string{"appended", "code-only", "wait"} {
		r := start(t, asking([]prompt.Prompt{codePrompt}, nil), settings(`"mode":"`+mode+`"`))
		dial(t, r.address).want(newRequest("ada", "pass").octets(), packet.AccessReject)
		r.stop()
	}
	r := start(t, decider{begin: func(signin.Request) (signin.Step, error) {
		return signin.Step{State: signin.Wait, Ticket: "t"}, nil
	}}, settings(`"mode":"appended"`))
	dial(t, r.address).want(newRequest("ada", "pass").octets(), packet.AccessReject)
}

// TestChallengeShowsANumberAndWaits: an act elsewhere in mode challenge is
// shown first, and waited for when the person comes back.
func TestChallengeShowsANumberAndWaits(t *testing.T) {
	looks := 0
	elsewhere := signin.Step{State: signin.Wait, Ticket: "t.1", Prompts: []prompt.Prompt{{Kind: prompt.OutOfBand, Label: "Type this number in your app", Number: "482 911"}}}
	r := start(t, decider{
		begin: func(signin.Request) (signin.Step, error) { return elsewhere, nil },
		look: func(ticket string) (signin.Step, error) {
			if looks++; looks < 3 {
				again := elsewhere
				again.Ticket = "t.2"
				return again, nil
			}
			if ticket != "t.2" {
				t.Errorf("looked with the ticket %q that an earlier look replaced", ticket)
			}
			return granted(), nil
		},
	}, settings(``))
	n := dial(t, r.address)
	p := n.want(newRequest("ada", "pass").octets(), packet.AccessChallenge)
	if got := text(p, packet.ReplyMessage); got != "Type this number in your app: 482 911, then press Enter here: " {
		t.Errorf("Reply-Message %q", got)
	}
	n.want(newRequest("ada", "").with(packet.State, text(p, packet.State)).octets(), packet.AccessAccept)
}

func TestChallengeThatIsNotApprovedAsksAgain(t *testing.T) {
	elsewhere := signin.Step{State: signin.Wait, Ticket: "t.1", Prompts: []prompt.Prompt{{Kind: prompt.OutOfBand, Label: "Approve"}}}
	r := start(t, decider{
		begin: func(signin.Request) (signin.Step, error) { return elsewhere, nil },
		look:  func(string) (signin.Step, error) { return elsewhere, nil },
	}, settings(`"timeout":2`))
	n := dial(t, r.address)
	p := n.want(newRequest("ada", "pass").octets(), packet.AccessChallenge)
	n.want(newRequest("ada", "").with(packet.State, text(p, packet.State)).octets(), packet.AccessChallenge)
}

func TestRepliesByGroup(t *testing.T) {
	groups := []string{"staff"}
	r := start(t, decider{begin: func(signin.Request) (signin.Step, error) { return granted(groups...), nil }}, settings(`"replies":[
		{"groups":["admins","netops"],"attributes":[{"name":"Class","value":"admin"},{"vendor":9,"type":1,"value":"shell:priv-lvl=15"},{"name":"Service-Type","value":"6"}]},
		{"groups":["staff"],"attributes":[{"name":"Filter-Id","value":"staff"},{"name":"Session-Timeout","value":"28800"},{"name":"Framed-IP-Address","value":"10.9.0.7"}]},
		{"attributes":[{"name":"Reply-Message","value":"Welcome"},{"vendor":14122,"type":9,"format":"hex","value":"00ff"}]}]`))
	n := dial(t, r.address)
	p := n.want(newRequest("ada", "p").octets(), packet.AccessAccept)
	if text(p, packet.FilterID) != "staff" || text(p, packet.SessionTimeout) != "\x00\x00\x70\x80" || text(p, packet.FramedIPAddress) != "\x0a\x09\x00\x07" || p.Count(packet.Class) != 0 {
		t.Errorf("staff got %x", p.Bytes())
	}
	groups = []string{"netops", "staff"}
	p = n.want(newRequest("ada", "p").octets(), packet.AccessAccept)
	if v, _ := p.Vendor(9, 1); text(p, packet.Class) != "admin" || string(v) != "shell:priv-lvl=15" || text(p, packet.ServiceType) != "\x00\x00\x00\x06" || p.Count(packet.FilterID) != 0 {
		t.Errorf("netops got %x", p.Bytes())
	}
	groups = nil
	p = n.want(newRequest("ada", "p").octets(), packet.AccessAccept)
	if v, _ := p.Vendor(14122, 9); text(p, packet.ReplyMessage) != "Welcome" || string(v) != "\x00\xff" {
		t.Errorf("nobody in particular got %x", p.Bytes())
	}
}

// The promise: a group in another case is the same group, and not a reason for
// what the next entry says; settings that name a group that is not there, or take
// another's network, are not saved.
func TestRepliesFoldGroups(t *testing.T) {
	replies := `"replies":[{"groups":["Kurzträger ","ﬀ"],"attributes":[{"name":"Class","value":"little"}]},{"attributes":[{"name":"Class","value":"much"}]}]`
	for _, g := range []string{"kurzträger", "ff"} {
		r := start(t, decider{begin: func(signin.Request) (signin.Step, error) { return granted(g), nil }}, settings(replies))
		if p := dial(t, r.address).want(newRequest("ada", "p").octets(), packet.AccessAccept); text(p, packet.Class) != "little" {
			t.Errorf("%s gets %s", g, text(p, packet.Class))
		}
	}
	app := application.Application{Name: "vpn", Protocol: radius.Protocol, Settings: json.RawMessage(settings(replies))}
	if err := radius.CheckCompatible(app, nil, []string{"ff", "kurzträger"}); err != nil {
		t.Error(err)
	}
	for _, groups := range [][]string{nil, {"ff"}, {"kurzträger", "f"}} {
		if err := radius.CheckCompatible(app, nil, groups); err == nil {
			t.Errorf("with the groups %q it is sound", groups)
		}
	}
	other := application.Application{ID: 1, Name: "other", Protocol: radius.Protocol, Settings: json.RawMessage(settings(``))}
	if err := radius.CheckCompatible(app, []application.Application{other}, []string{"ff", "kurzträger"}); err == nil || !strings.Contains(err.Error(), "belongs to the application other") {
		t.Errorf("another's network: %v", err)
	}
}

func TestProxyStateComesBackInOrder(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), settings(``))
	req := newRequest("ada", "p").with(packet.ProxyState, "one").with(packet.Class, "x").with(packet.ProxyState, "").with(packet.ProxyState, "three")
	p := dial(t, r.address).want(req.octets(), packet.AccessAccept)
	var got []string
	for typ, v := range p.All() {
		if typ == packet.ProxyState {
			got = append(got, string(v))
		}
	}
	if !slices.Equal(got, []string{"one", "", "three"}) {
		t.Errorf("Proxy-State %q", got)
	}
}

func TestUnsupportedMethodsAreRejected(t *testing.T) {
	var seen []signin.Request
	r := start(t, yes(&seen), settings(``))
	n := dial(t, r.address)
	n.want(newRequest("ada", "").with(packet.CHAPPassword, strings.Repeat("x", 17)).octets(), packet.AccessReject)
	n.want(newRequest("ada", "").with(packet.VendorSpecific, "\x00\x00\x01\x37\x19\x34"+strings.Repeat("x", 50)).octets(), packet.AccessReject)
	p := n.want(newRequest("ada", "").with(packet.EAPMessage, "\x02\x07\x00\x08\x01ada").octets(), packet.AccessReject)
	if got := text(p, packet.EAPMessage); got != "\x04\x07\x00\x04" {
		t.Errorf("EAP-Message %x, want a failure", got)
	}
	// A password beside it does not help: the equipment is set to something else.
	n.want(newRequest("ada", "pass").with(packet.EAPMessage, "\x02").octets(), packet.AccessReject)
	if len(seen) != 0 || r.Stats.Unsupported.Load() != 4 {
		t.Errorf("%d handed to the engine, %d counted", len(seen), r.Stats.Unsupported.Load())
	}
}

func TestBreakdownIsSilentAndTold(t *testing.T) {
	r := start(t, decider{begin: func(signin.Request) (signin.Step, error) {
		return signin.Step{Attempt: "at-1"}, errors.New("the store is down")
	}}, settings(``))
	n := dial(t, r.address)
	n.silence(newRequest("ada", "hunter2-hunter2").octets())
	got := <-r.notices
	if got.Reason != "breakdown" || got.Attempt != "at-1" || got.Client != "nas" || got.Application != "vpn" {
		t.Errorf("notice %+v", got)
	}
	if s := fmt.Sprintf("%+v %#v", got, got); strings.Contains(s, "hunter2") {
		t.Error("a notice holds what was typed")
	}
}

func TestNewRefusesMissingParts(t *testing.T) {
	if _, err := radius.New(radius.Parts{}); err == nil {
		t.Error("a server without an engine")
	}
}
