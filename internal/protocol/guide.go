package protocol

import (
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"countersign/internal/application"
	"countersign/internal/failure"
)

// Guide is how one product that asks is set up: files that are ready to be copied.
type Guide struct {
	// Name is the stable word: "nginx". Title is what people call the product, and Document
	// its page in docs.
	Name, Title, Document string
	// Write makes the files for an application at a place. They hold no secret: where one is
	// needed, they say which. What is missing is an Invalid failure that says what to do.
	Write func(app application.Application, at Place) ([]Ready, error)
}

// Ready is a file with the application's own names and addresses in it.
type Ready struct {
	// Path is where it usually goes.
	Path string `json:"path"`
	Text string `json:"text"`
}

// Place is where an application and Countersign are, as far as is known.
type Place struct {
	// Public is where our own pages are, as browsers reach them.
	Public *url.URL
	// Ask is the host and port at which proxies and programs reach us, and TLS says that we
	// speak it there.
	Ask string
	TLS bool
	// Sockets are the addresses at which a protocol listens, by its name.
	Sockets func(protocol string) []string
	// Host is the one of the application's hosts that is meant, and Backend where the
	// application itself is; Client is the one of its clients. Empty leaves the choice.
	Host, Backend, Client string
}

// With is a place with what somebody chose instead.
func (p Place) With(host, backend, client, ask string) Place {
	p.Host, p.Backend, p.Client = host, backend, client
	if ask != "" {
		p.Ask = ask
	}
	return p
}

// AskAt says where we are reached: by the address that we listen at, and where that is every
// address, by the name of our own pages.
func AskAt(listen string, public *url.URL) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		host, port = "", public.Port()
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = public.Hostname()
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[public.Scheme]
	}
	return net.JoinHostPort(host, port)
}

// Fill reads an example, puts other words about it in the place of the comment that it begins
// with, and replaces in pairs what is only for the example. A text that the file does not hold
// is an Internal failure, so that examples and guides cannot differ.
func Fill(files fs.FS, name string, about []string, pairs ...string) (string, error) {
	b, err := fs.ReadFile(files, name)
	if err != nil {
		return "", err
	}
	comment, body := split(string(b))
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(body, pairs[i]) {
			return "", failure.New(failure.Internal, "the example %s does not hold %q", name, pairs[i])
		}
	}
	var head strings.Builder
	for _, line := range about {
		head.WriteString(comment + " " + line + "\n")
	}
	return head.String() + strings.NewReplacer(pairs...).Replace(body), nil
}

// split cuts the comment off that a file begins with, and says how one begins there.
func split(text string) (comment, body string) {
	for _, comment := range []string{"#", "--", "!"} {
		if !strings.HasPrefix(text, comment) {
			continue
		}
		for strings.HasPrefix(text, comment) {
			_, text, _ = strings.Cut(text, "\n")
		}
		return comment, text
	}
	return "#", text
}

// Identifier makes of an application's name one that configuration files take for a name and
// for nothing else.
func Identifier(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
	reserved := " true false yes no on off null y n countersign sites "
	if name == "" || name[0] < 'a' || name[0] > 'z' || strings.Contains(reserved, " "+name+" ") {
		return "app-" + name
	}
	return name
}
