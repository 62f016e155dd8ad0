package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Roundcube is Debian's Roundcube on PHP's own server, with the configuration and the plugin of
// deploy/examples.
type Roundcube struct {
	// Base is its address, and Redirect where it wants people sent back to.
	Base, Redirect string
	// Log is what PHP says, Errors the file in which Roundcube does.
	Log    *Log
	Errors string
}

// roundcubeAt is where Debian has it.
const roundcubeAt = "/usr/share/roundcube"

// roundcubeRouter serves what lies beside Roundcube's pages, and its pages for everything else.
const roundcubeRouter = `<?php
define('INSTALL_PATH', __DIR__ . '/');
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (preg_match('!^/(skins|program/js|program/resources|plugins)/!', $path)) { return false; }
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = '/index.php';
if (preg_match('!^/index\.php(/.+)$!', $path, $m)) { $_SERVER['PATH_INFO'] = $m[1]; }
chdir(__DIR__);
require __DIR__ . '/index.php';
`

// NewRoundcube starts one in front of a mail server, which signs people in at a Countersign.
// Submission is where it sends. More is PHP that follows its configuration.
func NewRoundcube(t testing.TB, m *Mailboxes, submission, countersign, secret, more string) *Roundcube {
	t.Helper()
	dir, addr := shortDir(t), Addr(t)
	r := &Roundcube{Base: "http://" + addr, Redirect: "http://" + addr + "/index.php/login/oauth", Errors: filepath.Join(dir, "logs", "errors.log")}
	if _, err := os.Stat(roundcubeAt); err != nil {
		t.Fatal("there is no Roundcube; deploy/test-packages.sh installs what tests need")
	}
	for _, name := range []string{"config", "logs", "temp", "plugins/countersign"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	theirs, err := filepath.Glob(filepath.Join(roundcubeAt, "plugins", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(theirs, filepath.Join(roundcubeAt, "program"), filepath.Join(roundcubeAt, "skins")) {
		name, err := filepath.Rel(roundcubeAt, path)
		if err == nil {
			err = os.Symlink(path, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/roundcube/defaults.inc.php", filepath.Join(dir, "config", "defaults.inc.php")); err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(roundcubeAt, "index.php"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "index.php", string(index)) // it finds the rest beside itself
	write(t, filepath.Join(dir, "plugins/countersign"), "countersign.php", Example(t, "roundcube-countersign.txt"))
	database := filepath.Join(dir, "roundcube.db")
	schema, err := os.Open(filepath.Join(roundcubeAt, "SQL", "sqlite.initial.sql"))
	if err != nil {
		t.Fatal(err)
	}
	defer schema.Close()
	make := exec.Command(Program(t, "sqlite3"), database)
	make.Stdin = schema
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	conf := Example(t, "roundcube.conf", "mail.example.org:993", m.IMAPS, "mail.example.org:587", submission, "THE-ROUNDCUBE-SECRET", secret, "https://login.example.org", countersign)
	write(t, filepath.Join(dir, "config"), "config.inc.php", conf+fmt.Sprintf(`$config['db_dsnw'] = 'sqlite:///%s?mode=0640';
$config['des_key'] = 'DvD+2/CjUp8jKrPsuyKbthyX';
$config['skin'] = 'elastic';
$config['log_dir'] = '%s';
$config['temp_dir'] = '%s';
$config['imap_conn_options'] = $config['smtp_conn_options'] = $config['managesieve_conn_options'] = ['ssl' => ['cafile' => '%s', 'peer_name' => 'localhost']];
$config['enable_spellcheck'] = false;
`, database, filepath.Join(dir, "logs"), filepath.Join(dir, "temp"), m.Certificate)+more)
	router := write(t, dir, "router.php", roundcubeRouter)
	r.Log = Start(t, Process{Path: Program(t, "php"), Args: []string{"-S", addr, "-t", dir, router}, Dir: dir, Ready: addr, Stop: syscall.SIGTERM, Env: []string{"PHP_CLI_SERVER_WORKERS=4"}})
	return r
}
