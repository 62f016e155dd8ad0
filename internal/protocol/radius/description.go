package radius

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"

	"countersign/internal/application"
	"countersign/internal/attack"
	"countersign/internal/metrics"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
)

const (
	datagrams = "countersign_radius_datagrams_total"
	waiting   = "countersign_radius_now"
)

// Description is what the rest of the server asks of this protocol.
func Description() protocol.Description {
	return protocol.Description{
		Name: Protocol, Way: "by RADIUS", Document: "radius.md", Plays: prompt.Line | prompt.Single,
		CheckSettings: CheckSettings,
		CheckCompatible: func(app application.Application, around protocol.Environment) error {
			return CheckCompatible(app, around.Applications, around.Groups)
		},
		Guides:   guides(),
		Test:     test,
		Clash:    Clash,
		Exposure: openings,
		Form:     form(),
		Open:     open,
		Metrics:  []string{datagrams, waiting},
	}
}

func open(p protocol.Parts) (protocol.Service, error) {
	s, err := New(Parts{Engine: p.Engine, Applications: p.Applications, Now: p.Now, Notice: logged(p.Log), Ears: p.Ears})
	if err != nil {
		return protocol.Service{}, err
	}
	return protocol.Service{Listen: s.sockets, Metrics: s.Metrics}, nil
}

// sockets opens sockets that the server answers on.
func (s *Server) sockets(addresses []string) (protocol.Sockets, error) {
	conns, err := Listen(addresses)
	if err != nil {
		return protocol.Sockets{}, err
	}
	open := protocol.Sockets{Serve: func(ctx context.Context) error { return s.Serve(ctx, conns) }}
	for _, c := range conns {
		open.Addresses = append(open.Addresses, c.LocalAddr())
	}
	return open, nil
}

func openings(app application.Application) (protocol.Exposure, error) {
	var s Settings
	if err := json.Unmarshal(app.Settings, &s); err != nil {
		return protocol.Exposure{}, fmt.Errorf("the settings of %s cannot be read", app.Name) // what was written may be a secret
	}
	o := protocol.Exposure{Medium: s.Mode.Plays(), Groups: Groups(app.Settings), Entrances: []string{"RADIUS for " + app.Name}, Drill: "radius"}
	for _, c := range s.Clients {
		if e := c.Exception; e != nil {
			for _, what := range c.loosened() {
				o.Exceptions = append(o.Exceptions, attack.Exception{What: what, Reason: e.Reason, Application: app.Name, Protocol: app.Protocol, Expires: e.Expires})
			}
		}
	}
	return o, nil
}

// loosened says what a client's exception loosens, a sentence for each.
func (c Client) loosened() []string {
	where := c.Name + " at " + strings.Join(c.Networks, ", ")
	first := where + " may leave out its Message-Authenticator"
	if c.across() {
		first += ", across the network: whoever is on the way can change unseen what a request says, but not read the password and not forge a reply"
	}
	out := []string{first}
	if n := c.Exception.ProxyStates; n > 0 {
		out = append(out, fmt.Sprintf("%s may bring up to %d Proxy-States of %d octets without a Message-Authenticator, which comes back in the reply as the sender wrote it", where, n, maxProxyState))
	}
	return out
}

func form() []protocol.Group {
	return []protocol.Group{
		{Legend: "Clients", Help: "The equipment that may ask.", List: "clients", Row: "client", Abreast: 2, Add: "Add a client", Remove: "Remove this client", Fields: []protocol.Field{
			{Name: "name", Label: "Name", Missing: "Every client needs a name, for the audit log."},
			{Name: "secret", Label: "Shared secret", Kind: protocol.Secret, Help: "16 characters at least, random. It is never shown again.", Missing: "A new client needs a secret."},
			{Name: "networks", Label: "Networks", Kind: protocol.Lines, Rows: 2, Help: "One a line: 10.0.0.5 or 10.0.0.0/24.", Missing: "Say where the client sends from."},
			{Name: "nas_identifiers", Label: "NAS identifiers", Kind: protocol.Words, Help: "Where one network has several applications."},
		}},
		{Fields: []protocol.Field{
			{Name: "mode", Label: "How a sign-in is played", Choices: []protocol.Choice{
				{Value: string(Challenge), Text: "Ask for the code afterwards (Access-Challenge)"}, {Value: string(Appended), Text: "Password and code in one line"},
				{Value: string(CodeOnly), Text: "The code alone"}, {Value: string(Wait), Text: "Wait while the person acts elsewhere"}}},
			{Name: "vouches", Label: "What the equipment checks itself", Kind: protocol.Vouches},
		}},
		{Legend: "More settings", Folded: true, Fields: []protocol.Field{
			{Name: "timeout", Label: "Timeout in seconds", Kind: protocol.Number, Help: "For as long as the equipment waits: 5 where it is empty."},
			{Name: "code_digits", Label: "Digits of a code", Kind: protocol.Number, Help: "6 where it is empty."},
			{Name: "separator", Label: "Separator", Help: "Between password and code in one line."},
			{Name: "ports", Label: "Ports of ours", Kind: protocol.Numbers, Help: "Those that it is answered on; every one where it is empty.", Wrong: "Write numbers of ports, such as 1812."},
			{Name: "bind", Label: "An answer must come", Choices: []protocol.Choice{{Value: "nas", Text: "By the same equipment (client and NAS)"}, {Value: "client", Text: "By the same client"}}},
			{Name: "source_attribute", Label: "The person's address", Choices: []protocol.Choice{{Value: "", Text: "Not told"},
				{Value: "Calling-Station-Id", Text: "Calling-Station-Id"}, {Value: "Tunnel-Client-Endpoint", Text: "Tunnel-Client-Endpoint"}}},
		}},
	}
}

// Metrics names each of the server's counts after its field. It is a
// [metrics.Source], and fails never.
func (s *Server) Metrics(context.Context) ([]metrics.Sample, error) {
	var out []metrics.Sample
	stats := reflect.ValueOf(&s.Stats).Elem()
	for i := range stats.NumField() {
		name := strings.ToLower(stats.Type().Field(i).Name)
		switch n := stats.Field(i).Addr().Interface().(type) {
		case *atomic.Uint64:
			out = append(out, metrics.Sample{Name: datagrams, Help: "Datagrams by what became of them.", Kind: metrics.Counter, Labels: []string{"fate", name}, Value: float64(n.Load())})
		case *atomic.Int64:
			out = append(out, metrics.Sample{Name: waiting, Help: "Requests that wait now.", Kind: metrics.Gauge, Labels: []string{"for", name}, Value: float64(n.Load())})
		}
	}
	return out, nil
}
