package testbed

import (
	"fmt"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An Application is a real program behind a proxy that makes variables of a
// request's headers, by folding what stands between their words, and answers
// with all of them: a line NAME=value each.
type Application struct {
	Name  string
	Start func(t testing.TB) (addr string)
}

// Applications are PHP with its own server, PHP's FPM behind three servers that
// speak FastCGI to it, CGI programs of lighttpd, fcgiwrap and Go, and Python's
// WSGI.
var Applications = []Application{
	{"php", phpServer}, {"php-fpm-nginx", fpmByNginx}, {"php-fpm-caddy", fpmByCaddy}, {"php-fpm-haproxy", fpmByHAProxy},
	{"lighttpd-cgi", lighttpd}, {"fcgiwrap", fcgiwrap}, {"go-cgi", goCGI}, {"wsgi", wsgi},
}

const phpScript = `<?php header("Content-Type: text/plain"); foreach ($_SERVER as $k => $v) { if (is_string($v)) { echo "$k=$v\n"; } }`

const shellScript = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nexec env\n"

func phpServer(t testing.TB) string {
	addr, dir := Addr(t), t.TempDir()
	Start(t, Process{Path: Program(t, "php"), Args: []string{"-n", "-S", addr, write(t, dir, "index.php", phpScript)}, Dir: dir, Ready: addr})
	return addr
}

// FPM runs PHP's FastCGI manager and returns its address and the path of a
// script that answers as an [Application] does.
func FPM(t testing.TB) (addr, script string) {
	t.Helper()
	addr = Addr(t)
	dir := t.TempDir()
	script = write(t, dir, "index.php", phpScript)
	conf := write(t, dir, "fpm.conf", fmt.Sprintf("[global]\nerror_log = /dev/stderr\ndaemonize = no\n[www]\nlisten = %s\npm = static\npm.max_children = 2\nuser = root\ngroup = root\n", addr))
	Start(t, Process{Path: newest(t, "/usr/sbin/php-fpm*"), Args: []string{"-n", "-R", "-F", "-y", conf}, Dir: dir, Ready: addr, Stop: syscall.SIGTERM})
	return addr, script
}

// newest finds a program whose name ends in its version.
func newest(t testing.TB, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no %s; deploy/test-packages.sh installs what tests need", pattern)
	}
	return found[len(found)-1]
}

func fpmByNginx(t testing.TB) string {
	addr := Addr(t)
	fpm, script := FPM(t)
	// As loose as nginx can be set.
	Nginx(t, addr, fmt.Sprintf(`ignore_invalid_headers off; underscores_in_headers on;
server { listen %s; location / { fastcgi_pass %s; fastcgi_param SCRIPT_FILENAME %s; fastcgi_param REQUEST_METHOD $request_method; fastcgi_param REQUEST_URI $request_uri; } }`, addr, fpm, script))
	return addr
}

func fpmByCaddy(t testing.TB) string {
	addr := Addr(t)
	fpm, script := FPM(t)
	Caddy(t, addr, fmt.Sprintf("http://%s {\n\troot * %s\n\trewrite * /index.php\n\tphp_fastcgi %s\n}", addr, filepath.Dir(script), fpm))
	return addr
}

func fpmByHAProxy(t testing.TB) string {
	addr := Addr(t)
	fpm, script := FPM(t)
	HAProxy(t, addr, fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend f
  bind %s
  http-request set-path /index.php
  default_backend php
backend php
  use-fcgi-app php
  server php %s proto fcgi
fcgi-app php
  docroot %s
  index index.php
  no option keep-conn
`, addr, fpm, filepath.Dir(script)))
	return addr
}

// program writes a CGI program.
func program(t testing.TB, dir string) string {
	t.Helper()
	path := write(t, dir, "show.cgi", shellScript)
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func lighttpd(t testing.TB) string {
	addr, dir := Addr(t), t.TempDir()
	program(t, dir)
	_, port, _ := strings.Cut(addr, ":")
	conf := write(t, dir, "lighttpd.conf", fmt.Sprintf(`server.modules = ("mod_rewrite", "mod_cgi")
server.document-root = %q
server.bind = "127.0.0.1"
server.port = %s
url.rewrite-once = ("" => "/show.cgi")
cgi.assign = (".cgi" => "")
`, dir, port))
	Start(t, Process{Path: Program(t, "lighttpd"), Args: []string{"-D", "-f", conf}, Dir: dir, Ready: addr})
	return addr
}

func fcgiwrap(t testing.TB) string {
	addr, wrap, dir := Addr(t), Addr(t), t.TempDir()
	path := program(t, dir)
	Start(t, Process{Path: Program(t, "fcgiwrap"), Args: []string{"-s", "tcp:" + wrap}, Dir: dir, Ready: wrap})
	Nginx(t, addr, fmt.Sprintf(`ignore_invalid_headers off; underscores_in_headers on;
server { listen %s; location / { fastcgi_pass %s; fastcgi_param SCRIPT_FILENAME %s; fastcgi_param REQUEST_METHOD $request_method; } }`, addr, wrap, path))
	return addr
}

func goCGI(t testing.TB) string {
	dir := t.TempDir()
	s := httptest.NewServer(&cgi.Handler{Path: program(t, dir), Dir: dir})
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func wsgi(t testing.TB) string {
	addr, dir := Addr(t), t.TempDir()
	_, port, _ := strings.Cut(addr, ":")
	path := write(t, dir, "app.py", `import sys
from wsgiref.simple_server import make_server
def app(env, start):
    start("200 OK", [("Content-Type", "text/plain")])
    return ["".join("%s=%s\n" % (k, v) for k, v in env.items() if isinstance(v, str)).encode("utf-8", "replace")]
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
`)
	Start(t, Process{Path: Program(t, "/usr/bin/python3"), Args: []string{path, port}, Dir: dir, Ready: addr})
	return addr
}

// Variables reads what an [Application] answered: the variables that it made of
// headers.
func Variables(body string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(body) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if ok && strings.HasPrefix(name, "HTTP_") {
			out[name] = value
		}
	}
	return out
}
