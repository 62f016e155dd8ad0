package outside

import (
	"net/netip"
	"testing"
)

// The promise: nothing inside the network is taken for the public internet, in any of the
// forms in which an address can be written.
func TestPublic(t *testing.T) {
	for _, inside := range []string{"127.0.0.1", "127.8.8.8", "0.1.2.3", "198.18.0.1", "192.0.2.7", "fc00::1", "2001::1", "fe80::1%lo", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255",
		"100.64.0.1", "198.18.0.1", "240.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1", "2001:db8::1", "192.0.2.1"} {
		if Public(netip.MustParseAddr(inside)) {
			t.Errorf("%s is taken for the public internet", inside)
		}
	}
	for _, out := range []string{"8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"} {
		if !Public(netip.MustParseAddr(out)) {
			t.Errorf("%s is not taken for the public internet", out)
		}
	}
}

// The promise: only what is listed is reached inside, and a name opens no link-local address.
func TestListed(t *testing.T) {
	l, err := List([]string{"10.1.0.0/16", "127.0.0.1", "Collector.example.org", "169.254.1.2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host, address string
		want          bool
	}{
		{"other.example.org", "10.1.2.3", true}, {"other.example.org", "10.2.2.3", false}, {"127.0.0.1", "127.0.0.1", true}, {"x", "127.0.0.2", false},
		{"collector.example.org.", "192.168.1.1", true}, {"COLLECTOR.example.org", "fd00::1", true}, {"collector.example.org", "127.0.0.1", true}, {"sub.collector.example.org", "192.168.1.1", false},
		{"collector.example.org", "169.254.169.254", false}, {"collector.example.org", "fe80::1", false}, {"collector.example.org", "0.0.0.0", false}, {"collector.example.org", "100.64.0.1", false},
		{"x", "169.254.1.2", true}, {"x", "8.8.8.8", true}, {"x", "::ffff:10.1.2.3", true}, {"x", "::ffff:10.9.2.3", false},
	} {
		if got := l.Allows(c.host, netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%s at %s: %v", c.host, c.address, got)
		}
		port := netip.AddrPortFrom(netip.MustParseAddr(c.address), 443).String()
		if got := l.Control(c.host)("tcp", port, nil); (got == nil) != c.want {
			t.Errorf("%s at %s when it is dialled: %v", c.host, c.address, got)
		}
	}
	if (Listed{}).Control("x")("tcp", "not an address", nil) == nil {
		t.Error("what is no address is dialled")
	}
	for _, bad := range []string{"", "a b", "https://x", "x:443", "*.example.org", "10.0.0.0/99"} {
		if _, err := List([]string{bad}); err == nil {
			t.Errorf("%q is listed", bad)
		}
	}
}
