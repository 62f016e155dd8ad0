package forwardauth

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"countersign/deploy/examples"
	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
)

// guides are the proxies, each with the files of deploy/examples.
func guides() []protocol.Guide {
	guide := func(name, title string, write func(*front) ([]protocol.Ready, error)) protocol.Guide {
		return protocol.Guide{Name: name, Title: title, Document: name + ".md", Write: func(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
			s, err := frontOf(app, at)
			if err != nil {
				return nil, err
			}
			return write(s)
		}}
	}
	return []protocol.Guide{guide("nginx", "nginx", (*front).nginx), guide("caddy", "Caddy", (*front).caddy), guide("traefik", "Traefik", (*front).traefik),
		guide("haproxy", "HAProxy", (*front).haproxy), guide("envoy", "Envoy", (*front).envoy)}
}

// front is an application behind a proxy, as the files name it.
type front struct {
	id             string
	name, port     string // of the host; no port where it is the scheme's own
	https          bool
	ask, askScheme string
	backend        string
	guessed        bool // nobody named the back end
}

// host is the name with its port, as browsers send it.
func (s *front) host() string {
	if s.port == "" {
		return s.name
	}
	return s.name + ":" + s.port
}

// usualBackend stands where nobody named the application's own address.
const usualBackend = "127.0.0.1:3000"

// frontOf reads an application's settings for the one host that is meant.
func frontOf(app application.Application, at protocol.Place) (*front, error) {
	settings, err := parse(app.Settings)
	if err != nil {
		return nil, err
	}
	host, err := settings.oneHost(at.Host)
	if err != nil {
		return nil, err
	}
	s := &front{id: protocol.Identifier(app.Name), https: at.Public.Scheme == "https", ask: at.Ask, askScheme: "http"}
	s.name, s.port, _ = splitHost(host)
	if at.TLS {
		s.askScheme = "https"
	}
	if s.backend, err = address(at.Backend, settings.Backend); err != nil {
		return nil, err
	}
	if s.backend == "" {
		s.backend, s.guessed = usualBackend, true
	}
	if host, port, err := net.SplitHostPort(s.ask); err != nil || !plainAddress(host, port) {
		return nil, failure.New(failure.Invalid, "%q is not where Countersign is; write host and port, such as 10.0.0.5:8080.", s.ask)
	}
	return s, nil
}

// oneHost is the host that is meant, in the one spelling. A wildcard has no single name.
func (s Settings) oneHost(wanted string) (string, error) {
	var names []string
	for _, h := range s.Hosts {
		if plain, err := settingsHost(h); err == nil && !strings.HasPrefix(plain, "*.") {
			names = append(names, plain)
		}
	}
	switch {
	case wanted == "" && len(names) > 0:
		return names[0], nil
	case wanted == "":
		return "", failure.New(failure.Invalid, "The application names its hosts by a wildcard only. Say which host is meant, or see \"Wildcards\" in docs/nginx.md.")
	}
	plain, err := settingsHost(wanted)
	if err != nil {
		return "", err
	}
	covered := slices.ContainsFunc(s.Hosts, func(h string) bool { h, err := settingsHost(h); return err == nil && h == wildcard(plain) })
	if !slices.Contains(names, plain) && !covered {
		return "", failure.New(failure.Invalid, "The application does not name the host %q; add it to its hosts first.", wanted)
	}
	return plain, nil
}

// address reads host and port of where the application itself is: the first that is written.
func address(written ...string) (string, error) {
	for _, w := range written {
		if w == "" {
			continue
		}
		u, err := backendURL(w)
		if err != nil {
			return "", err
		}
		return u.Host, nil
	}
	return "", nil
}

// backendURL reads where an application itself is: http://10.0.0.7:3000, or without http://.
func backendURL(text string) (*url.URL, error) {
	bad := failure.New(failure.Invalid, "%q is not where an application is; write http://, its host and its port, such as http://127.0.0.1:3000.", text)
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, bad
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), ports[u.Scheme])
	}
	if !plainAddress(u.Hostname(), u.Port()) {
		return nil, bad
	}
	u.Path = ""
	return u, nil
}

// plainAddress reports whether host and port are a name or an address and a number, so that
// nothing else gets into a configuration by them.
func plainAddress(host, port string) bool {
	name, ok := plainName(host)
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() && a.Zone() == "" {
		name, ok = host, true
	}
	_, _, whole := splitHost("x:" + port)
	return ok && strings.EqualFold(name, host) && whole && port != ""
}

// about says what the files are for and what is still to be changed in them.
func (s *front) about(product, where string) []string {
	lines := []string{s.host() + " behind Countersign, for " + where + ". Countersign must know " + product + ":",
		"its address is among trusted_proxies (--trusted-proxy)."}
	if s.guessed {
		lines = append(lines, "Change "+usualBackend+" to where the application itself is.")
	}
	if s.https && product != "Caddy" {
		lines = append(lines, "Change where the certificate and its key are.")
	}
	return lines
}

// listens is where the proxy listens: at the host's port, on every address; a host that is
// this machine alone is listened for there.
func (s *front) listens() (host, port string) {
	port = s.port
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[s.https]
	}
	if here(s.name) {
		return "127.0.0.1", port
	}
	return "", port
}

func (s *front) nginx() ([]protocol.Ready, error) {
	host, port := s.listens()
	listen := "listen " + strings.TrimPrefix(host+":"+port, ":") + ";"
	if s.https {
		listen = strings.TrimSuffix(listen, ";") + " ssl;\n    ssl_certificate     /etc/ssl/" + s.name + "/fullchain.pem;\n    ssl_certificate_key /etc/ssl/" + s.name + "/privkey.pem;"
	}
	text, err := protocol.Fill(examples.Files, "nginx.conf", s.about("nginx", "inside http { }"), "listen 127.0.0.1:8081;", listen,
		"server_name wiki.example.org;", "server_name "+s.name+";", "$countersign_site wiki.example.org;", "$countersign_site "+s.host()+";",
		"http://127.0.0.1:8080", s.askScheme+"://"+s.ask, "127.0.0.1:3000", s.backend)
	return []protocol.Ready{{Path: "/etc/nginx/conf.d/" + s.id + ".conf", Text: text}}, err
}

func (s *front) caddy() ([]protocol.Ready, error) {
	scheme, ask := "http://", s.ask
	if s.https {
		scheme = "https://"
	}
	if s.askScheme == "https" {
		ask = "https://" + ask
	}
	text, err := protocol.Fill(examples.Files, "Caddyfile", s.about("Caddy", "the Caddyfile"), "http://127.0.0.1:8081, http://localhost:8081", scheme+s.host(),
		"127.0.0.1:8080", ask, "127.0.0.1:3000", s.backend)
	return []protocol.Ready{{Path: "/etc/caddy/Caddyfile", Text: text}}, err
}

func (s *front) traefik() ([]protocol.Ready, error) {
	host, port := s.listens()
	own, err := protocol.Fill(examples.Files, "traefik.yml", s.about("Traefik", "Traefik's own settings"), "127.0.0.1:8081", host+":"+port)
	if err != nil {
		return nil, err
	}
	tls := ""
	if s.https {
		tls = "\n      tls: {}"
	}
	text, err := protocol.Fill(examples.Files, "traefik-sites.yml", s.about("Traefik", "the site"), "\n    wiki:\n", "\n    "+s.id+":\n", "\n    wiki-countersign:\n", "\n    "+s.id+"-countersign:\n",
		"      service: wiki", "      service: "+s.id+tls, "      service: countersign", "      service: countersign"+tls,
		"wiki.example.org", s.name, "http://127.0.0.1:8080", s.askScheme+"://"+s.ask, "127.0.0.1:3000", s.backend)
	return []protocol.Ready{{Path: "/etc/traefik/traefik.yml", Text: own}, {Path: "/etc/traefik/traefik-sites.yml", Text: text}}, err
}

// needAddress refuses names where a proxy looks none up.
func (s *front) needAddress(product string, addresses ...string) error {
	if s.askScheme == "https" {
		return failure.New(failure.Invalid, "The file for %s reaches Countersign by http. Let Countersign listen without a certificate of its own on an address that only the proxy reaches, or choose nginx, Caddy or Traefik.", product)
	}
	for _, at := range addresses {
		host, _, _ := net.SplitHostPort(at)
		if _, err := netip.ParseAddr(host); err != nil {
			return failure.New(failure.Invalid, "%s needs an IP address where %s stands: give the address of Countersign and that of the application by number.", product, at)
		}
	}
	return nil
}

func (s *front) haproxy() ([]protocol.Ready, error) {
	if err := s.needAddress("HAProxy", s.ask); err != nil {
		return nil, err
	}
	host, port := s.listens()
	bind, tail := "bind "+host+":"+port, ""
	if s.https {
		bind += " ssl crt /etc/haproxy/certs/" + s.name + ".pem"
	}
	if s.port != "" {
		tail = ":" + s.port
	}
	text, err := protocol.Fill(examples.Files, "haproxy.cfg", s.about("HAProxy", "HAProxy"), "bind 127.0.0.1:8081", bind, "use_backend wiki if", "use_backend "+s.id+" if",
		"wiki.example.org wiki.example.org. }", s.name+tail+" "+s.name+"."+tail+" }", "\nbackend wiki\n", "\nbackend "+s.id+"\n", "server wiki ", "server "+s.id+" ",
		"127.0.0.1:8080", s.ask, "127.0.0.1:3000", s.backend)
	if err != nil {
		return nil, err
	}
	script, err := protocol.Fill(examples.Files, "haproxy.lua", []string{"Asks Countersign about every request, for haproxy.cfg. Whatever goes wrong in here, the", "variable is not set, and the rule after it refuses."})
	return []protocol.Ready{{Path: "/etc/haproxy/haproxy.cfg", Text: text}, {Path: "/etc/haproxy/haproxy.lua", Text: script}}, err
}

func (s *front) envoy() ([]protocol.Ready, error) {
	if err := s.needAddress("Envoy", s.ask, s.backend); err != nil {
		return nil, err
	}
	host, port := s.listens()
	if host == "" {
		host = "0.0.0.0"
	}
	socket := func(at string) string {
		host, port, _ := net.SplitHostPort(at)
		return `socket_address: {address: "` + host + `", port_value: ` + port + `}`
	}
	chain := "filter_chains:\n        - filters:"
	if s.https {
		chain = "filter_chains:\n        - transport_socket:\n            name: envoy.transport_sockets.tls\n            typed_config:\n              \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext\n" +
			"              common_tls_context:\n                tls_certificates:\n                  - certificate_chain: {filename: /etc/envoy/" + s.name + ".pem}\n                    private_key: {filename: /etc/envoy/" + s.name + ".key}\n          filters:"
	}
	text, err := protocol.Fill(examples.Files, "envoy.yaml", s.about("Envoy", "Envoy 1.27 or later"), "filter_chains:\n        - filters:", chain,
		"socket_address: {address: 127.0.0.1, port_value: 8081}", socket(net.JoinHostPort(host, port)), "socket_address: {address: 127.0.0.1, port_value: 8080}", socket(s.ask),
		"socket_address: {address: 127.0.0.1, port_value: 3000}", socket(s.backend), "http://127.0.0.1:8080", "http://"+s.ask,
		"- name: wiki\n                      domains", "- name: "+s.id+"\n                      domains", ": [wiki.example.org]", `: ["`+s.host()+`"]`, "cluster: wiki}", "cluster: "+s.id+"}", "    - name: wiki\n      connect", "    - name: "+s.id+"\n      connect", "cluster_name: wiki\n", "cluster_name: "+s.id+"\n")
	return []protocol.Ready{{Path: "/etc/envoy/envoy.yaml", Text: text}}, err
}
