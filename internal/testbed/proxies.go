package testbed

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Nginx runs nginx with a configuration for inside http{} that listens on addr.
func Nginx(t testing.TB, addr, conf string) *Log {
	t.Helper()
	dir := t.TempDir()
	path := write(t, dir, "nginx.conf", fmt.Sprintf(nginxFrame, dir, conf))
	return Start(t, Process{
		Path: Program(t, "nginx"), Args: []string{"-p", dir, "-e", "stderr", "-c", path},
		Dir: dir, Ready: addr, Stop: syscall.SIGQUIT,
	})
}

// The workers stay who started the test (a user other than root cannot choose,
// and is only warned), since a test's folders are nobody else's to read.
const nginxFrame = `daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
    access_log /dev/stdout;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
%[2]s
}
`

// Caddy runs Caddy with a Caddyfile without global options that listens on addr.
func Caddy(t testing.TB, addr, caddyfile string) *Log {
	t.Helper()
	dir := t.TempDir()
	path := write(t, dir, "Caddyfile", fmt.Sprintf(caddyFrame, dir, caddyfile))
	return Start(t, Process{
		Path: Program(t, "caddy"), Args: []string{"run", "--adapter", "caddyfile", "--config", path},
		Dir: dir, Env: []string{"XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}, Ready: addr,
	})
}

const caddyFrame = `{
	admin off
	auto_https off
	storage file_system %s
	grace_period 1s
	log {
		output stderr
	}
}
%s
`

// HAProxy runs HAProxy with a whole configuration that listens on addr. Lua
// files are given by their absolute paths.
func HAProxy(t testing.TB, addr, conf string) *Log {
	t.Helper()
	dir := t.TempDir()
	path := write(t, dir, "haproxy.cfg", conf)
	return Start(t, Process{
		Path: Program(t, "haproxy"), Args: []string{"-db", "-f", path},
		Dir: dir, Ready: addr,
	})
}

// Traefik runs Traefik with its own settings, in which the file of the sites is
// named traefik-sites.yml, and the sites. Debian has no Traefik: without the one
// that deploy/test-traefik.sh builds, the test is skipped.
func Traefik(t testing.TB, addr, conf, sites string) *Log {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "countersign-tests", "traefik-v3.6.12")
	if _, err := os.Stat(program); err != nil {
		t.Skip("there is no Traefik here; deploy/test-traefik.sh builds one, in about five minutes")
	}
	dir := t.TempDir()
	write(t, dir, "traefik-sites.yml", sites)
	path := write(t, dir, "traefik.yml", conf)
	log := Start(t, Process{Path: program, Args: []string{"--configFile=" + path}, Dir: dir, Ready: addr})
	awaitSite(t, addr)
	return log
}

// awaitSite waits until a proxy that listens before it knows its sites knows one.
func awaitSite(t testing.TB, addr string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r, err := http.Get("http://" + addr + "/.countersign/")
		if err != nil {
			continue
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err == nil && string(body) != "404 page not found\n" || r.StatusCode != http.StatusNotFound {
			return
		}
	}
	t.Fatalf("%s never knew its sites", addr)
}
