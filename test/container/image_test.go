package container

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"countersign/internal/config"
	"countersign/internal/testbed"
)

// built builds the image, and returns the folder that it is in and its digest.
func built(t *testing.T) (dir, digest string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(testbed.Root(t), "deploy/container/build-image.sh"), dir)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1796040000", "VERSION=test")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(string(out))
	if m == "" {
		t.Fatalf("it says no digest:\n%s", out)
	}
	return dir, m
}

// The promise: two builds of the same sources give the same image, bit for bit; it runs as
// nobody's root, has one static program and no shell, and a volume for its data.
func TestImage(t *testing.T) {
	umoci := testbed.Program(t, "umoci")
	if testing.Short() {
		t.Skip("-short: it builds the program twice")
	}
	dir, digest := built(t)
	again, same := built(t)
	if digest != same {
		t.Errorf("two builds: %s and %s", digest, same)
	}
	if one, other := read(t, dir+"/countersign-image.tar"), read(t, again+"/countersign-image.tar"); one != other {
		t.Error("two builds have other archives")
	}
	bundle := filepath.Join(t.TempDir(), "bundle")
	if out, err := exec.CommandContext(t.Context(), umoci, "unpack", "--rootless", "--image", dir+"/countersign.oci:latest", bundle).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var has []string
	err := filepath.WalkDir(bundle+"/rootfs", func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			has = append(has, strings.TrimPrefix(path, bundle+"/rootfs"))
			if info, err := d.Info(); err == nil && info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
				t.Errorf("%s has a mode of its own: %v", path, info.Mode())
			}
		}
		return err
	})
	if want := []string{"/etc/group", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/usr/bin/countersign"}; err != nil || !slices.Equal(has, want) {
		t.Errorf("it has %q: %v", has, err)
	}
	if info, err := os.Stat(bundle + "/rootfs/var/lib/countersign"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the data: %v %v", info, err)
	}
	static(t, bundle+"/rootfs/usr/bin/countersign")
	var c struct {
		Process struct {
			User struct{ UID, GID int }
			Args []string
		}
	}
	if err := json.Unmarshal([]byte(read(t, bundle+"/config.json")), &c); err != nil || !slices.Equal(c.Process.Args, []string{"/usr/bin/countersign", "serve"}) {
		t.Errorf("%v %v", c, err)
	}
	if conf := configOf(t, dir+"/countersign.oci"); conf.Config.User != "65532:65532" || len(conf.Config.Volumes) != 1 || conf.Created != "2026-11-30T12:00:00Z" {
		t.Errorf("%+v", conf)
	}
	starts(t, bundle+"/rootfs")
}

type imageConfig struct {
	Created string
	Config  struct {
		User    string
		Volumes map[string]any
	}
}

// configOf follows the digests of a layout to the configuration of its image.
func configOf(t *testing.T, layout string) (c imageConfig) {
	t.Helper()
	var index struct{ Manifests []struct{ Digest string } }
	var manifest struct{ Config struct{ Digest string } }
	blob := func(digest string) string {
		return read(t, filepath.Join(layout, "blobs", strings.Replace(digest, ":", "/", 1)))
	}
	for _, err := range []error{json.Unmarshal([]byte(read(t, layout+"/index.json")), &index), json.Unmarshal([]byte(blob(index.Manifests[0].Digest)), &manifest), json.Unmarshal([]byte(blob(manifest.Config.Digest)), &c)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// static demands a program that asks for no other file.
func static(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program asks for a loader")
		}
	}
}

// starts runs the image's program in its own file system, as its user. Root is needed for that.
func starts(t *testing.T, root string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Log("not root: the program was not started in its file system")
		return
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/countersign", "--version")
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	for dir := root; dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755) //nolint:errcheck // folders of the test, on the way
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "test") {
		t.Errorf("it does not start in its file system: %v\n%s", err, out)
	}
}

// The promise: the compose file has only what the compose specification has for a service, the
// container is closed, and the server reads the configuration that it mounts.
func TestCompose(t *testing.T) {
	var file struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Restart     string            `yaml:"restart"`
			ReadOnly    bool              `yaml:"read_only"`
			CapDrop     []string          `yaml:"cap_drop"`
			SecurityOpt []string          `yaml:"security_opt"`
			User        string            `yaml:"user"`
			Ports       []string          `yaml:"ports"`
			Volumes     []string          `yaml:"volumes"`
			Tmpfs       []string          `yaml:"tmpfs"`
			Environment map[string]string `yaml:"environment"`
			Healthcheck struct {
				Test        []string `yaml:"test"`
				Interval    string   `yaml:"interval"`
				Timeout     string   `yaml:"timeout"`
				Retries     int      `yaml:"retries"`
				StartPeriod string   `yaml:"start_period"`
			} `yaml:"healthcheck"`
			StopGracePeriod string `yaml:"stop_grace_period"`
			MemLimit        string `yaml:"mem_limit"`
			PidsLimit       int    `yaml:"pids_limit"`
		} `yaml:"services"`
		Volumes map[string]*struct{} `yaml:"volumes"`
	}
	d := yaml.NewDecoder(strings.NewReader(deployed(t, "container/compose.yaml")))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	s := file.Services["countersign"]
	if !s.ReadOnly || s.User != "65532:65532" || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") || !slices.Equal(s.Healthcheck.Test, []string{"CMD", "/usr/bin/countersign", "ready"}) {
		t.Errorf("%+v", s)
	}
	for _, v := range s.Volumes {
		from, to, _ := strings.Cut(v, ":")
		if _, named := file.Volumes[from]; !named && !strings.HasPrefix(from, "./") || !strings.HasPrefix(to, "/") {
			t.Errorf("no volume is called %q", v)
		}
	}
	if _, err := config.Parse([]byte(deployed(t, "container/countersign.yaml"))); err != nil {
		t.Error(err)
	}
}
