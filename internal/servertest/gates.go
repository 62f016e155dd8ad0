package servertest

import (
	"net"
	"slices"

	"countersign/internal/application"
	"countersign/internal/drill"
	"countersign/internal/drill/wire"
)

// gates are RADIUS applications of a bed beside the first, each for one client with an
// address and a secret of its own. The last is attacked by nobody: it only hands out
// States.
var gates = []struct {
	name, address, secret string
	vouches               string
	settings              map[string]any
}{
	{name: "vpn-line", address: "127.0.0.62", secret: "a-secret-of-the-line-gate", settings: map[string]any{"mode": "appended", "separator": ","}},
	{name: "vpn-codes", address: "127.0.0.63", secret: "a-secret-of-the-code-gate", vouches: application.VouchesPassword, settings: map[string]any{"mode": "code-only"}},
	{name: "vpn-other", address: "127.0.0.64", secret: "a-secret-of-the-other-gate", settings: map[string]any{"mode": "challenge"}},
}

// equipment plants the gates and returns them, behind the first, as a drill plays them. Behind the relay of
// each stands the world's server. In the world without a guard, where one factor is enough,
// the equipment of code-only asks a server that believes every code: no policy makes ours.
func (b *Bed) equipment(w *World, first wire.Radius) []drill.Component {
	all := []wire.Radius{first}
	for _, g := range gates {
		settings := map[string]any{"clients": []any{map[string]any{"name": g.name, "networks": []string{g.address + "/32"}, "secret": g.secret}}}
		for k, v := range g.settings {
			settings[k] = v
		}
		PlantApplication(w, application.Application{Name: g.name, Kind: "vpn", Tier: application.Standard, Protocol: "radius", Vouches: g.vouches}, settings)
		separator, _ := g.settings["separator"].(string)
		mode := wire.Mode(g.settings["mode"].(string))
		address := b.relay(w.Radius, g.address)
		if w == b.Naked && mode == wire.CodeOnly {
			address = b.credulous(g.secret)
		}
		all = append(all, wire.Radius{Application: g.name, Address: address, Secret: g.secret, Mode: mode, Separator: separator, Owners: first.Owners})
	}
	return wire.Components(all...)[:len(gates)]
}

// credulous is a RADIUS server that lets everybody in.
func (b *Bed) credulous(secret string) string {
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.T.Fatal(err)
	}
	b.T.Cleanup(func() { front.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := front.ReadFrom(buffer)
			if err != nil {
				return
			}
			welcomeAll(front, from, slices.Clone(buffer[:n]), secret)
		}
	}()
	return front.LocalAddr().String()
}
