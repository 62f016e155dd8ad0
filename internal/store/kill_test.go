package store_test

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"countersign/internal/store"
	"countersign/internal/store/storetest"

	"golang.org/x/mod/sumdb/note"
)

// The environment of the process that is killed.
const (
	victimDSN  = "COUNTERSIGN_TEST_VICTIM_DSN"
	victimKeys = "COUNTERSIGN_TEST_VICTIM_KEYS" // MAC in hex, signing key, public key; by spaces
	victimName = "COUNTERSIGN_TEST_VICTIM_NAME"
	victimKeep = "COUNTERSIGN_TEST_VICTIM_KEEP" // the folder of what it remembers
)

// victim changes and says what was confirmed, until it is killed.
func victim() {
	db, err := store.Open(ctx, store.Options{DSN: os.Getenv(victimDSN), Remember: os.Getenv(victimKeep)})
	if err != nil {
		panic(err)
	}
	if err := db.UseAuditKeys(ctx, parseKeys(os.Getenv(victimKeys))); err != nil {
		panic(err)
	}
	var mu sync.Mutex
	for c := range 16 {
		go func() {
			for i := 0; ; i++ {
				row := fmt.Sprint(os.Getenv(victimName), "/", c, "/", i)
				if err := change(db, row); err != nil {
					panic(err)
				}
				mu.Lock()
				fmt.Println(row)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// makeKeys makes keys in a form that another process can be given.
func makeKeys() string {
	skey, vkey, err := note.GenerateKey(rand.Reader, "countersign.test/victim")
	if err != nil {
		panic(err)
	}
	mac := make([]byte, 32)
	rand.Read(mac)
	return hex.EncodeToString(mac) + " " + skey + " " + vkey
}

func parseKeys(text string) store.AuditKeys {
	words := strings.Fields(text)
	mac, err := hex.DecodeString(words[0])
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(words[1])
	if err != nil {
		panic(err)
	}
	verifier, err := note.NewVerifier(words[2])
	if err != nil {
		panic(err)
	}
	return store.AuditKeys{MAC: mac, Signer: signer, Verifier: verifier, Origin: signer.Name(), Fresh: true}
}

// kill -9 under load, several times: whatever was confirmed is there, whatever
// is there has its entry, the log verifies, and what was remembered agrees with it.
func TestKilledUnderLoad(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := makeKeys()
		confirmed, folder := make(map[string]bool), filepath.Join(t.TempDir(), "remembered")
		for round := range 3 {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), victimDSN+"="+dsn, victimKeys+"="+keys, victimName+"="+key(round), victimKeep+"="+folder)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for n := 0; lines.Scan(); n++ {
				if n == 200*(round+1) {
					cmd.Process.Kill()
				}
				confirmed[lines.Text()] = true
			}
			cmd.Wait()
		}
		db := storetest.OpenWith(t, store.Options{DSN: dsn, Remember: folder}, parseKeys(keys))
		rows := spent(t, db)
		for row := range confirmed {
			if strings.Count(row, "/") == 2 && !rows[row] {
				t.Errorf("%s was confirmed and is not there", row)
			}
		}
		t.Logf("%d confirmed, %d there", len(confirmed), len(rows))
		verify(t, db)
		eventually(t, "the log is read", func() bool { return db.View().CaughtUp() && store.ReadTo(db) >= int64(len(rows)) })
		if err := db.Condition().Halted(); err != nil {
			t.Error(err)
		}
		storetest.Quiet(t, db)
	})
}
