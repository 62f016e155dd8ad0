package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"countersign/internal/failure"

	"filippo.io/age"
)

var sample = []byte(strings.Repeat("a row that matters\n", 100))

func contents(db []byte) Contents {
	sum := sha256.Sum256(db)
	return Contents{RootKey: []byte("the root key\n"), Database: bytes.NewReader(db), Manifest: Manifest{Version: "test", Schema: 1,
		Made: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Log: "log", Entries: 7, Root: "root", Size: int64(len(db)), SHA256: hex.EncodeToString(sum[:])}}
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func written(t testing.TB, to age.Recipient, c Contents) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, []age.Recipient{to}, c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	id := identity(t)
	for _, rootKey := range []string{"", "the root key\n"} {
		c := contents(sample)
		c.RootKey = []byte(rootKey)
		var db bytes.Buffer
		m, key, err := Read(bytes.NewReader(written(t, id.Recipient(), c)), []age.Identity{id}, &db)
		if err != nil || string(key) != rootKey || m.RootKey != (rootKey != "") || !bytes.Equal(db.Bytes(), sample) {
			t.Errorf("with the root key %q: %+v, %q, %d bytes, %v", rootKey, m, key, db.Len(), err)
		}
	}
}

// refused reads a file that must be refused with one sentence.
func refused(t testing.TB, what string, file []byte, with age.Identity) {
	t.Helper()
	_, key, err := Read(bytes.NewReader(file), []age.Identity{with}, io.Discard)
	if failure.ClassOf(err) != failure.Invalid || !strings.HasSuffix(failure.Public(err), ".") {
		t.Errorf("%s: %v", what, err)
	}
	if err == nil || key != nil && strings.Contains(err.Error(), string(key)) {
		t.Errorf("%s: the error shows the root key", what)
	}
}

// The attacker holds the file and not the key: whichever byte he changes, cuts
// off or adds, nothing is restored.
func TestTampered(t *testing.T) {
	id := identity(t)
	file := written(t, id.Recipient(), contents(sample))
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		if _, _, err := Read(bytes.NewReader(bad), []age.Identity{id}, io.Discard); err == nil {
			t.Fatalf("byte %d of %d was changed, and it was read", i, len(file))
		}
	}
	for n := range file {
		refused(t, "cut off", file[:n], id)
	}
	refused(t, "with more after it", append(bytes.Clone(file), 'x'), id)
	refused(t, "two in one", append(bytes.Clone(file), file...), id)
	refused(t, "somebody else's key", file, identity(t))
	refused(t, "nothing", nil, id)
	refused(t, "a database as it is", sample, id)
}

func TestPassphrase(t *testing.T) {
	to, err := age.NewScryptRecipient("a long passphrase of some words")
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(10)
	file := written(t, to, contents(sample))
	right, _ := age.NewScryptIdentity("a long passphrase of some words")
	if _, _, err := Read(bytes.NewReader(file), []age.Identity{right}, io.Discard); err != nil {
		t.Error(err)
	}
	wrong, _ := age.NewScryptIdentity("a long passphrase of other words")
	refused(t, "the wrong passphrase", file, wrong)
}

var errFull = errors.New("no space left on device")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// A full disk is not a bad backup.
func TestFullDisk(t *testing.T) {
	id := identity(t)
	if err := Write(full{}, []age.Recipient{id.Recipient()}, contents(sample)); !errors.Is(err, errFull) {
		t.Errorf("writing: %v", err)
	}
	_, _, err := Read(bytes.NewReader(written(t, id.Recipient(), contents(sample))), []age.Identity{id}, full{})
	if !errors.Is(err, errFull) || failure.ClassOf(err) == failure.Invalid {
		t.Errorf("reading: %v", err)
	}
}

// The attacker knows the recipient and writes the archive himself.
func TestForged(t *testing.T) {
	good := func() []member {
		var b bytes.Buffer
		if err := pack(&b, contents(sample)); err != nil {
			t.Fatal(err)
		}
		return members(t, b.Bytes())
	}
	for what, change := range map[string]func([]member) []member{
		"another hash": func(m []member) []member { m[2].body = bytes.ToUpper(m[2].body); return m },
		"another size": func(m []member) []member {
			var said Manifest
			if err := json.Unmarshal(m[0].body, &said); err != nil {
				t.Fatal(err)
			}
			said.Size++
			m[0].body, _ = json.Marshal(said)
			return m
		},
		"a longer database":      func(m []member) []member { m[2].body = append(m[2].body, 0); return m },
		"no root key":            func(m []member) []member { return append(m[:1], m[2]) },
		"no database":            func(m []member) []member { return m[:2] },
		"no manifest":            func(m []member) []member { return m[1:] },
		"another order":          func(m []member) []member { m[1], m[2] = m[2], m[1]; return m },
		"one more":               func(m []member) []member { return append(m, member{"../../etc/passwd", []byte("x")}) },
		"a name with a way up":   func(m []member) []member { m[2].name = "../countersign.db"; return m },
		"a huge root key":        func(m []member) []member { m[1].body = make([]byte, maxRoot+1); return m },
		"a huge manifest":        func(m []member) []member { m[0].body = make([]byte, maxManifest+1); return m },
		"a manifest of nonsense": func(m []member) []member { m[0].body = []byte("{}"); return m },
	} {
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		archive := tar.NewWriter(zip)
		for _, m := range change(good()) {
			if err := archive.WriteHeader(&tar.Header{Name: m.name, Mode: 0o600, Size: int64(len(m.body))}); err != nil {
				t.Fatal(err)
			}
			if _, err := archive.Write(m.body); err != nil {
				t.Fatal(err)
			}
		}
		archive.Close()
		zip.Close()
		if _, _, err := unpack(&b, io.Discard); failure.ClassOf(err) != failure.Invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

type member struct {
	name string
	body []byte
}

func members(t testing.TB, b []byte) (out []member) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zip)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, member{h.Name, body})
	}
}

func FuzzUnpack(f *testing.F) {
	var b bytes.Buffer
	if err := pack(&b, contents(sample)); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()/2])
	f.Fuzz(func(t *testing.T, file []byte) {
		var db bytes.Buffer
		m, _, err := unpack(bytes.NewReader(file), &db)
		if err != nil {
			return
		}
		if sum := sha256.Sum256(db.Bytes()); int64(db.Len()) != m.Size || hex.EncodeToString(sum[:]) != m.SHA256 {
			t.Fatal("a database was accepted that is not the manifest's")
		}
	})
}
