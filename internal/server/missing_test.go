package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"countersign/internal/config"
)

// The promise: an address that another program has is one sentence, which names the address,
// how to find the program, and the setting.
func TestBusyPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_, err = openPort("listen", l.Addr().String())
	if err == nil || !strings.HasPrefix(err.Error(), "another program has the address "+l.Addr().String()+",") || !strings.Contains(err.Error(), "'sport = :"+port+"'") || !strings.Contains(err.Error(), "set listen to") {
		t.Errorf("%v", err)
	}
	if _, err := openPort("metrics", "192.0.2.1:9100"); err == nil || !strings.Contains(err.Error(), "does not have the address 192.0.2.1:9100: set metrics to") {
		t.Errorf("%v", err)
	}
	in, err := Assemble(t.Context(), local(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.DB.Close()
	_, err = in.Listen(map[string][]string{"radius": {udp.LocalAddr().String()}})
	if err == nil || !strings.Contains(err.Error(), "another program has the address "+udp.LocalAddr().String()) || !strings.Contains(err.Error(), "set radius.listen to") {
		t.Errorf("%v", err)
	}
}

func local(t *testing.T) Settings {
	t.Helper()
	file := config.Default()
	file.Data = t.TempDir()
	s, err := SettingsOf(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A start says what is not set that people will expect, and nothing where all is.
func TestMissing(t *testing.T) {
	file := config.Default()
	if got := missing(file); !strings.Contains(got, "set public_url") || !strings.Contains(got, "Mail is off") {
		t.Errorf("%s", got)
	}
	file.PublicURL, file.Mail.Server, file.Mail.From = "https://login.example.org", "127.0.0.1:25", "a@example.org"
	if got := missing(file); got != "" {
		t.Errorf("nothing is missing, and it says %s", got)
	}
}

// The promise: the ranges of the reference are those that a start keeps to.
func TestReferencesRanges(t *testing.T) {
	var b bytes.Buffer
	if err := config.WriteExample(&b); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(b.String(), "#limits:")
	text, _, _ = strings.Cut(text, "#push:")
	text = regexp.MustCompile(`\n  # (\S)`).ReplaceAllString(text, " $1") // a wrapped line
	tried := 0
	for _, m := range regexp.MustCompile(`(?:(\d+) to (\d+)|(\d+[dm]) at most)[^#]*#(\w+):`).FindAllStringSubmatch(text, -1) {
		least, most, longest, key := m[1], m[2], m[3], m[4]
		good, bad := []string{least, most}, []string{}
		if longest != "" {
			good, bad = []string{longest}, []string{strings.NewReplacer("365d", "366d", "30d", "31d", "15m", "16m").Replace(longest)}
		} else {
			n, _ := strconv.Atoi(most)
			bad = append(bad, strconv.Itoa(n+1))
		}
		for i, v := range append(good, bad...) {
			file, err := config.Parse(fmt.Appendf(nil, "limits: {%s: %s}\n", key, v))
			if err == nil {
				err = Check(file, slog.New(slog.DiscardHandler))
			}
			if (err == nil) != (i < len(good)) {
				t.Errorf("limits.%s: %s: %v", key, v, err)
			}
		}
		tried++
	}
	if tried != 14 {
		t.Errorf("%d ranges were tried: the test has lost its way", tried)
	}
}

// An application by RADIUS is told to be unheard until its socket is open, here by the commands
// themselves, and one behind a proxy never is.
func TestUnheardUntilItListens(t *testing.T) {
	in, err := Assemble(t.Context(), local(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.DB.Close()
	if !in.unheard("radius") || in.unheard("forward-auth") || in.unheard("yubico") {
		t.Error("before anything listens, RADIUS alone is unheard")
	}
	sockets, err := in.Listen(map[string][]string{"radius": {"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := ServeSockets(ctx, sockets, func(error) {})
	stop()
	<-stopped
	if in.unheard("radius") {
		t.Error("RADIUS is served, and told to be unheard")
	}
}
