package servertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/application"
	"countersign/internal/drill"
	"countersign/internal/drill/git"
	"countersign/internal/drill/openid"
	"countersign/internal/drill/web"
	"countersign/internal/testbed"
)

// Forge is a repository behind nginx, by the lines that docs/git.md shows.
type Forge struct {
	// Addr is where nginx listens, and Bare the folder of the repository.
	Addr, Bare string
	log        *testbed.Log
}

var nginxBlock = regexp.MustCompile("(?s)```nginx\n(.*?)```")

// NewForge puts a repository with one commit behind a world. It is reached as the application
// named code, for tokens of the clients that are named.
func NewForge(w *World, tokensOf ...string) *Forge {
	t := w.T
	t.Helper()
	blocks := nginxBlock.FindAllStringSubmatch(testbed.Document(t, "git.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/git.md shows lines for nginx in %d places", len(blocks))
	}
	root := t.TempDir()
	f := &Forge{Addr: testbed.Addr(t), Bare: filepath.Join(root, "tools.git")}
	wrap := testbed.Addr(t)
	testbed.Start(t, testbed.Process{Path: testbed.Program(t, "fcgiwrap"), Args: []string{"-s", "tcp:" + wrap}, Dir: root, Ready: wrap,
		Env: []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}})
	lines := strings.NewReplacer("unix:/run/fcgiwrap.socket", wrap, "/srv/git", root).Replace(blocks[0][1])
	own := strings.Replace(strings.TrimPrefix(w.Base, "http://"), "localhost", "127.0.0.1", 1)
	f.log = testbed.Nginx(t, f.Addr, testbed.Example(t, "nginx.conf", "127.0.0.1:8081", f.Addr, "wiki.example.org", f.Addr, "127.0.0.1:8080", own, "proxy_pass http://127.0.0.1:3000;", lines,
		"    location = /countersign-verify {", strings.NewReplacer("https://id.example.org", w.Base, "127.0.0.1:8080", own).Replace(blocks[1][1])+"    location = /countersign-verify {"))
	PlantApplication(w, application.Application{Name: "code", Kind: "code", Tier: application.Standard, Protocol: "forward-auth"},
		map[string]any{"hosts": []string{f.Addr}, "programs": []string{"access-token"}, "tokens_of": tokensOf})
	plantRepository(t, root, f.Bare)
	return f
}

// plantRepository makes a repository with one commit.
func plantRepository(t testing.TB, root, bare string) {
	t.Helper()
	first := filepath.Join(root, "first")
	for _, args := range [][]string{{"init", "--quiet", "--bare", bare}, {"-C", bare, "config", "http.receivepack", "true"}, {"init", "--quiet", first},
		{"-C", first, "commit", "--quiet", "--allow-empty", "-m", "first"}, {"-C", first, "push", "--quiet", bare, "HEAD:refs/heads/master"}} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Env = []string{"HOME=" + root, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=ada", "GIT_AUTHOR_EMAIL=ada@example.org",
			"GIT_COMMITTER_NAME=ada", "GIT_COMMITTER_EMAIL=ada@example.org"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// nativeClient plants a client on people's own machines, which people reach a kind of thing by.
func nativeClient(w *World, name, kind string, more map[string]any) openid.Client {
	settings := map[string]any{"client_id": name, "authentication": "none", "runs": "native", "redirect_uris": []string{"http://127.0.0.1"}}
	for k, v := range more {
		settings[k] = v
	}
	PlantApplication(w, application.Application{Name: name, Kind: kind, Tier: application.Standard, Protocol: "oidc"}, settings)
	return openid.Client{Application: name, Server: web.Server(w.Base), ID: name, Redirect: "http://127.0.0.1:7", Code: kind == "code"}
}

// code plants a repository behind nginx, and the client whose tokens it takes.
func (b *Bed) code(w *World) []drill.Component {
	client := nativeClient(w, "git", "code", map[string]any{"refresh": "session"})
	other := nativeClient(w, "editor", "web", nil)
	f := NewForge(w, "git")
	b.Repository = "http://" + f.Addr + "/tools.git"
	r := git.Repository{Application: "code", Door: f.Addr, URL: b.Repository, Client: client, Others: []openid.Client{other}, Log: newLines(f.log)}
	return []drill.Component{client.Component(), r.Component()}
}
