package git

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Git's packs end with it
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"countersign/internal/drill"
)

// said is what the server said to a request of Git's.
type said struct {
	status int
	body   []byte
	words  string
}

// slow is how long whoever does what they should waits.
const slow = 90 * time.Second

// send sends what Git sends: with a name and a password where there are any, and no cookie.
func (r Repository) send(ctx context.Context, p *drill.Play, c credentials, method, path, kind string, body []byte) (said, error) {
	none := said{words: "no answer"}
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, bytes.NewReader(body))
	if err != nil {
		return none, err
	}
	req.Header.Set("User-Agent", "git/2.39.5")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	switch {
	case c.bearer:
		req.Header.Set("Authorization", "Bearer "+c.password)
	case c.name+c.password != "":
		req.SetBasicAuth(c.name, c.password)
	}
	resp, err := r.caller(p, c.owner).Do(req)
	if err != nil {
		return none, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	return said{resp.StatusCode, b, fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}, err
}

// caller connects to where the repository is, from the attacker's address unless its owner asks,
// and follows no redirect.
func (r Repository) caller(p *drill.Play, owner bool) *http.Client {
	d := &net.Dialer{}
	if !owner && p.From.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: p.From.AsSlice()}
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if r.Connect != "" {
			address = r.Connect
		}
		return d.DialContext(ctx, network, address)
	}
	wait := slow
	if p.Down {
		wait = p.Patience
	}
	return &http.Client{Timeout: wait, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// listing is the advertisement of a repository's branches, by name, and what came back in words.
type listing struct {
	refs  map[string]string
	words string
	// head is a commit that can be pushed again: that of any branch.
	head string
}

// refs asks what branches there are, as Git does before it reads or writes (gitprotocol-http).
// No listing is a refusal.
func (r Repository) refs(ctx context.Context, p *drill.Play, c credentials, service string) (listing, error) {
	got, err := r.send(ctx, p, c, http.MethodGet, "/info/refs?service="+url.QueryEscape(service), "", nil)
	out := listing{words: got.words}
	if err != nil || got.status != http.StatusOK {
		return out, err
	}
	lines := packets(got.body)
	if len(lines) == 0 || strings.TrimSpace(lines[0]) != "# service="+service {
		return out, nil
	}
	out.refs = map[string]string{}
	for _, line := range lines[1:] {
		line, _, _ = strings.Cut(line, "\x00")
		if id, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && len(id) == 40 {
			out.refs[name], out.head = id, id
		}
	}
	return out, nil
}

// packets are the lines of Git's framing (gitprotocol-common); what is no framing ends them.
func packets(b []byte) (lines []string) {
	for len(b) >= 4 {
		n, err := strconv.ParseUint(string(b[:4]), 16, 16)
		if err != nil || int(n) > len(b) {
			return lines
		}
		if n < 4 {
			b = b[4:] // a flush, or a delimiter
			continue
		}
		lines, b = append(lines, string(b[4:n])), b[n:]
	}
	return lines
}

func packet(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

const nothing = "0000000000000000000000000000000000000000"

// moves is a push that moves a branch from one commit to another that is there already: it needs
// no new object.
func (r Repository) moves(ctx context.Context, p *drill.Play, c credentials, branch, from, to string) (said, error) {
	body := packet(from+" "+to+" "+branch+"\x00 report-status") + "0000"
	if to != nothing {
		pack := []byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
		sum := sha1.Sum(pack) //nolint:gosec // Git's
		body += string(slices.Concat(pack, sum[:]))
	}
	return r.send(ctx, p, c, http.MethodPost, "/git-receive-pack", "application/x-git-receive-pack-request", []byte(body))
}
