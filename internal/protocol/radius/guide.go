package radius

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"countersign/deploy/examples"
	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
)

// guides are the clients, each with the files of deploy/examples.
func guides() []protocol.Guide {
	return []protocol.Guide{
		guide("freeradius", "FreeRADIUS as a proxy", file{"/etc/freeradius/3.0/proxy.conf", "freeradius-proxy.conf", []string{"ipaddr = 127.0.0.1", "ipaddr = HOST", "port = 1812", "port = PORT"}}),
		guide("pam", "pam_radius", pamFile, stackFile),
		guide("openvpn", "OpenVPN, by PAM", file{"/etc/openvpn/server/ID.conf", "openvpn.conf", []string{`"wiki login`, `"ID login`}}, pamFile, stackFile),
		guide("cisco", "Cisco ASA and Firepower", file{"the configuration of the ASA", "cisco-asa.txt", []string{"aaa-server wiki", "aaa-server ID", "authentication-server-group wiki", "authentication-server-group ID", "host 127.0.0.1", "host HOST", "authentication-port 1812", "authentication-port PORT"}}),
		guide("radclient", "radclient, to try it once", file{"a shell", "radclient.txt", []string{"127.0.0.1:1812", "HOST:PORT"}}),
	}
}

// file is an example with what is replaced in it; ID, HOST and PORT stand for the
// application's own.
type file struct {
	path, example string
	pairs         []string
}

var (
	pamFile   = file{"/etc/pam_radius_auth.conf", "pam_radius_auth.conf", []string{"127.0.0.1:1812", "HOST:PORT"}}
	stackFile = file{"/etc/pam.d/ID", "pam_radius.txt", nil}
)

func guide(name, title string, files ...file) protocol.Guide {
	return protocol.Guide{Name: name, Title: title, Document: "radius.md", Write: func(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
		s, err := parseSettings(app.Settings)
		if err != nil {
			return nil, err
		}
		client, err := s.oneClient(at.Client)
		if err != nil {
			return nil, err
		}
		host, port, err := s.answersAt(at)
		if err != nil {
			return nil, err
		}
		own := strings.NewReplacer("ID", protocol.Identifier(app.Name), "HOST", host, "PORT", port)
		about := []string{client.Name + " asks Countersign about " + protocol.Identifier(app.Name) + ", by RADIUS and PAP, from " + strings.Join(client.Networks, ", ") + "."}
		var out []protocol.Ready
		for _, f := range files {
			pairs, about := slices.Clone(f.pairs), about
			for i := 1; i < len(pairs); i += 2 {
				pairs[i] = own.Replace(pairs[i])
			}
			if f.path != stackFile.path && f.example != "openvpn.conf" {
				pairs, about = append(pairs, "the-shared-secret", "SECRET-OF-"+strings.ToUpper(protocol.Identifier(client.Name))), append(about, "Write the client's shared secret where SECRET-OF- stands; nothing shows it again.")
			}
			text, err := protocol.Fill(examples.Files, f.example, about, pairs...)
			if err != nil {
				return nil, err
			}
			out = append(out, protocol.Ready{Path: own.Replace(f.path), Text: text})
		}
		return out, nil
	}}
}

// oneClient is the client that is meant, or the first.
func (s Settings) oneClient(name string) (Client, error) {
	for _, c := range s.Clients {
		if name == "" || c.Name == name {
			return c, nil
		}
	}
	return Client{}, failure.New(failure.Invalid, "The application has no client %q.", name)
}

// answersAt is where the equipment sends to: the first of our sockets that the application
// answers on. A socket on every address is reached by the name of our own pages.
func (s Settings) answersAt(at protocol.Place) (host, port string, err error) {
	for _, listen := range at.Sockets(Protocol) {
		n, err := strconv.Atoi(listen[strings.LastIndexByte(listen, ':')+1:])
		if err != nil || len(s.Ports) > 0 && !slices.Contains(s.Ports, n) {
			continue
		}
		return splitAddress(protocol.AskAt(listen, at.Public))
	}
	return "", "", failure.New(failure.Invalid, "RADIUS is not served here: set radius.listen in the configuration, or start with --radius 0.0.0.0:1812.")
}

func splitAddress(at string) (host, port string, err error) {
	if host, port, err = net.SplitHostPort(at); err != nil {
		return "", "", err
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	return host, port, nil
}
