package testbed

import (
	"bytes"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// OATHTool computes a code as the device of an otpauth address would, with OATH Toolkit: at a
// moment, or for a counter.
func OATHTool(t testing.TB, uri string, now time.Time, counter int) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal("the picture does not hold an address")
	}
	q := u.Query()
	args := []string{"--totp=" + strings.ToLower(q.Get("algorithm")), "--time-step-size=" + q.Get("period") + "s", "--now=" + now.UTC().Format("2006-01-02 15:04:05 UTC")}
	if u.Host == "hotp" {
		args = []string{"--hotp", "--counter=" + fmt.Sprint(counter)}
	}
	cmd := exec.Command(Program(t, "oathtool"), append(args, "--base32", "--digits="+q.Get("digits"), "-")...)
	cmd.Stdin = strings.NewReader(q.Get("secret"))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("oathtool: %v", err)
	}
	return string(bytes.TrimSpace(out))
}
