package testbed_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"countersign/internal/testbed"
)

func TestProxies(t *testing.T) {
	page := testbed.NewPage(t)
	nginx, caddy, haproxy := testbed.Addr(t), testbed.Addr(t), testbed.Addr(t)
	testbed.Nginx(t, nginx, fmt.Sprintf("server { listen %s; location / { proxy_pass http://%s; } }", nginx, page.Addr))
	testbed.Caddy(t, caddy, fmt.Sprintf("http://%s {\n\treverse_proxy %s\n}", caddy, page.Addr))
	testbed.HAProxy(t, haproxy, fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
listen test
  bind %s
  server page %s
`, haproxy, page.Addr))
	for name, addr := range map[string]string{"nginx": nginx, "caddy": caddy, "haproxy": haproxy} {
		resp, err := http.Get("http://" + addr + "/a%2Fb?c")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if seen := page.Seen(); len(seen) != 1 || seen[0].Target != "/a%2Fb?c" {
			t.Errorf("%s passed on %v", name, seen)
		}
	}
}

// TestEnds shows that a component is gone when its test is.
func TestEnds(t *testing.T) {
	addr := testbed.Addr(t)
	t.Run("while", func(t *testing.T) {
		testbed.Nginx(t, addr, "server { listen "+addr+"; }")
	})
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}
