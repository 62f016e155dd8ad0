//go:build ha

package fault

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/testbed"

	"github.com/jackc/pgx/v5"
)

// patroni is a cluster of three PostgreSQL servers under Patroni and etcd, as Debian has
// them, each a folder and a few ports of this machine.
type patroni struct {
	t       testing.TB
	folder  string
	etcd    string
	who     *syscall.Credential
	members []*member
}

// member is one PostgreSQL server with its Patroni.
type member struct {
	name, folder   string
	postgres, rest string // addresses
	cmd            *exec.Cmd
	done           chan struct{}
}

// replication is whether a commit waits for a standby.
type replication string

const (
	synchronous  replication = "true"
	asynchronous replication = "false"
)

// awkward is a password that a URL must escape.
const awkward = "zebra7@quokka/numbat:ocelot"

// newPatroni starts the cluster and waits until it has a primary and two standbys.
func newPatroni(t testing.TB, how replication) *patroni {
	t.Helper()
	for _, name := range []string{"patroni", "etcd"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is not installed: apt install patroni etcd-server", name)
		}
	}
	p := &patroni{t: t}
	folder, err := os.MkdirTemp("", "countersign-ha-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	p.folder = folder
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		p.who = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	p.own(folder)
	p.etcd = testbed.Addr(t)
	peers := "http://" + testbed.Addr(t)
	testbed.Start(t, testbed.Process{Path: "/usr/bin/etcd", Dir: folder, Ready: p.etcd, User: p.who, Args: []string{"--data-dir=" + filepath.Join(folder, "etcd"), "--log-level=error",
		"--listen-client-urls=http://" + p.etcd, "--advertise-client-urls=http://" + p.etcd, "--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers, "--initial-cluster=default=" + peers}})
	for i := range 3 {
		m := &member{name: fmt.Sprintf("pg%d", i+1), postgres: testbed.Addr(t), rest: testbed.Addr(t)}
		m.folder = filepath.Join(folder, m.name)
		if err := os.Mkdir(m.folder, 0o700); err != nil {
			t.Fatal(err)
		}
		p.own(m.folder)
		p.configure(m, how)
		p.members = append(p.members, m)
		p.start(m)
	}
	p.settled()
	return p
}

func (p *patroni) own(folder string) {
	if p.who != nil {
		if err := os.Chown(folder, int(p.who.Uid), int(p.who.Gid)); err != nil {
			p.t.Fatal(err)
		}
	}
}

// configure writes a member's configuration: the shortest times that Patroni accepts for its
// lease, so that a run does not take minutes.
func (p *patroni) configure(m *member, how replication) {
	text := fmt.Sprintf(`scope: countersign
name: %[1]s
restapi: {listen: "%[2]s", connect_address: "%[2]s"}
etcd3: {host: "%[3]s"}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 2
    retry_timeout: 6
    synchronous_mode: %[4]s
    postgresql:
      use_pg_rewind: true
      parameters: {max_connections: 300, shared_buffers: 32MB, wal_keep_size: 128MB, unix_socket_directories: "%[6]s"}
  initdb: [{encoding: UTF8}, {locale: C}, data-checksums]
  pg_hba:
  - host all all 127.0.0.1/32 scram-sha-256
  - host replication all 127.0.0.1/32 scram-sha-256
postgresql:
  listen: "%[5]s"
  connect_address: "%[5]s"
  data_dir: "%[6]s/data"
  bin_dir: "%[7]s"
  pgpass: "%[6]s/pgpass"
  authentication:
    superuser: {username: postgres, password: of-the-superuser}
    replication: {username: replicator, password: of-the-replicator}
    rewind: {username: rewinder, password: of-the-rewinder}
  parameters: {unix_socket_directories: "%[6]s"}
`, m.name, m.rest, p.etcd, how, m.postgres, m.folder, binaries(p.t))
	if err := os.WriteFile(filepath.Join(m.folder, "patroni.yml"), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// binaries is the folder of the newest PostgreSQL server that is installed.
func binaries(t testing.TB) string {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(all) == 0 {
		t.Fatal("PostgreSQL is not installed: apt install postgresql")
	}
	return filepath.Dir(all[len(all)-1])
}

// start starts a member's Patroni, which starts its PostgreSQL.
func (p *patroni) start(m *member) {
	p.t.Helper()
	log, err := os.Create(filepath.Join(p.folder, m.name+".log"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	m.cmd, m.done = exec.Command("patroni", filepath.Join(m.folder, "patroni.yml")), make(chan struct{})
	m.cmd.Dir, m.cmd.Stdout, m.cmd.Stderr = m.folder, log, log
	m.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=" + m.folder}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	if err := m.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, done := m.cmd, m.done
	go func() { cmd.Wait(); close(done) }()
	p.t.Cleanup(func() {
		p.kill(m)
		if text, err := os.ReadFile(log.Name()); err == nil && p.t.Failed() {
			p.t.Logf("log of %s:\n%s", m.name, tail(string(text), 40))
		}
	})
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kill ends a member at once, as the loss of its machine does: Patroni, which would start
// PostgreSQL again, and every process of PostgreSQL.
func (p *patroni) kill(m *member) {
	if m.cmd == nil {
		return
	}
	m.cmd.Process.Kill()
	<-m.done
	m.cmd = nil
	for _, pid := range p.processes(m) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// is asks a member's Patroni whether it has a role: primary, replica, synchronous.
func (m *member) is(role string) bool {
	client := http.Client{Timeout: 2 * time.Second}
	r, err := client.Get("http://" + m.rest + "/" + role)
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// settled waits until there are a primary and two standbys that stream, one of them
// synchronous if that is asked for, and returns the primary.
func (p *patroni) settled() (primary *member) {
	p.t.Helper()
	for until := time.Now().Add(3 * time.Minute); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		standbys := 0
		primary = nil
		for _, m := range p.members {
			if m.is("primary") {
				primary = m
			} else if m.is("replica") {
				standbys++
			}
		}
		if primary != nil && standbys == len(p.members)-1 && p.streams(primary) == standbys {
			return primary
		}
	}
	p.t.Fatal("the cluster does not get a primary and two standbys")
	return nil
}

// streams is how many standbys a primary has that keep up.
func (p *patroni) streams(primary *member) (n int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, "postgres://postgres:of-the-superuser@"+primary.postgres+"/postgres?sslmode=disable")
	if err != nil {
		return 0
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, "select count(*) from pg_stat_replication where state = 'streaming'").Scan(&n); err != nil {
		return 0
	}
	return n
}

// url is the database's, with all members as hosts.
func (p *patroni) url() string {
	var hosts []string
	for _, m := range p.members {
		hosts = append(hosts, m.postgres)
	}
	escaped := strings.NewReplacer("@", "%40", "/", "%2F", ":", "%3A").Replace(awkward)
	return "postgres://countersign:" + escaped + "@" + strings.Join(hosts, ",") + "/countersign?sslmode=disable&target_session_attrs=read-write"
}

// make makes the user and the database, and waits until every standby has them: the driver
// takes a missing database for an answer and does not try the next host.
func (p *patroni) make(primary *member) {
	p.t.Helper()
	conn, err := pgx.Connect(context.Background(), "postgres://postgres:of-the-superuser@"+primary.postgres+"/postgres?sslmode=disable")
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, s := range []string{"create role countersign login password '" + awkward + "'", "create database countersign owner countersign"} {
		if _, err := conn.Exec(context.Background(), s); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, m := range p.members {
		for until := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			conn, err := pgx.Connect(context.Background(), "postgres://postgres:of-the-superuser@"+m.postgres+"/countersign?sslmode=disable")
			if err == nil {
				conn.Close(context.Background())
				break
			}
			if time.Now().After(until) {
				p.t.Fatal(err)
			}
		}
	}
}

// cutOff stops the processes of a primary that send to its standbys.
func (p *patroni) cutOff(primary *member) {
	p.t.Helper()
	n := 0
	for _, pid := range p.processes(primary) {
		title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(title), "walsender") {
			syscall.Kill(pid, syscall.SIGSTOP)
			n++
		}
	}
	if n == 0 {
		p.t.Fatal("the primary sends to nobody")
	}
}

// processes are those of a member's PostgreSQL, the first of them last.
func (p *patroni) processes(m *member) (all []int) {
	text, err := os.ReadFile(filepath.Join(m.folder, "data", "postmaster.pid"))
	if err != nil {
		return nil // it never ran
	}
	first, _, _ := strings.Cut(string(text), "\n")
	root, err := strconv.Atoi(first)
	if err != nil || root <= 1 {
		return nil
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", root, root))
	for word := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(word); err == nil {
			all = append(all, pid)
		}
	}
	return append(all, root)
}
