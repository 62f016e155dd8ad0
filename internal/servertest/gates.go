package servertest

import (
	"encoding/base64"
	"net"
	"slices"

	"countersign/internal/application"
	"countersign/internal/drill"
	"countersign/internal/drill/web"
	"countersign/internal/drill/wire"
	"countersign/internal/drill/yubikey"
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

// validation plants an application of Yubico's protocol, whose program checks passwords
// itself, and returns it.
func validation(w *World, name, key string, id int) yubikey.Validation {
	PlantApplication(w, application.Application{Name: name, Kind: "vpn", Tier: application.Standard, Protocol: "yubico", Vouches: application.VouchesPassword}, map[string]any{
		"clients": []any{map[string]any{"name": name, "id": id, "key": base64.StdEncoding.EncodeToString([]byte(key))}}})
	return yubikey.Validation{Application: name, Server: w.Base, Client: id, Key: []byte(key)}
}

// waiting plants an application of mode wait, which lets nobody in, and returns it as a drill
// plays it. Usual deployments have none.
func (b *Bed) waiting(w *World) drill.Component {
	const name, address, secret = "vpn-wait", "127.0.0.65", "a-secret-of-the-waiting-gate"
	PlantApplication(w, application.Application{Name: name, Kind: "vpn", Tier: application.Standard, Protocol: "radius"}, map[string]any{
		"mode": "wait", "clients": []any{map[string]any{"name": name, "networks": []string{address + "/32"}, "secret": secret}}})
	return wire.Radius{Application: name, Address: b.relay(w.Radius, address), Secret: secret, Mode: wire.Wait, Owners: web.Server(w.Base)}.Component()
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
