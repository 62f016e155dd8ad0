package wire

import (
	"crypto/md5"
	"encoding/binary"
	"slices"
	"testing"
)

func FuzzReply(f *testing.F) {
	f.Add([]byte{2, 1, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	packet := ask{name: "ada", password: "secret", secret: "shared"}.packet()
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parse(b, packet, "shared"); err == nil && r.code != silence && len(b) < 20 {
			t.Error("a short answer was believed")
		}
	})
}

// answer is an Access-Accept with these attributes; one of 80 that holds zeros is signed.
func answer(packet []byte, secret string, attributes ...[]byte) []byte {
	b := append([]byte{accessAccept, packet[1], 0, 0}, packet[4:20]...)
	for _, a := range attributes {
		b = append(b, a...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	for at := 20; at+18 <= len(b); at += int(b[at+1]) {
		if b[at] == messageAuthenticator && slices.Equal(b[at+2:at+18], make([]byte, 16)) {
			copy(b[at+2:], sign(b, secret))
		}
	}
	sum := md5.Sum(append(slices.Clone(b), secret...))
	copy(b[4:], sum[:])
	return b
}

// What is wrong with the Message-Authenticator of an answer is seen, though its Response
// Authenticator is right.
func TestForgeableAnswers(t *testing.T) {
	packet := ask{name: "ada", password: "secret", secret: "shared"}.packet()
	blank := attribute(nil, messageAuthenticator, make([]byte, 16))
	text := attribute(nil, replyMessage, []byte("welcome"))
	for what, x := range map[string]struct {
		answer []byte
		fault  string
	}{
		"right":      {answer(packet, "shared", blank, text), ""},
		"none":       {answer(packet, "shared", text), "it has no Message-Authenticator"},
		"nothing":    {answer(packet, "shared"), "it has no Message-Authenticator"},
		"not first":  {answer(packet, "shared", text, blank), "its Message-Authenticator is not its first attribute"},
		"wrong":      {answer(packet, "shared", attribute(nil, messageAuthenticator, []byte("0123456789abcdef"))), "its Message-Authenticator is wrong"},
		"too short":  {answer(packet, "shared", attribute(nil, messageAuthenticator, []byte("0123"))), "its Message-Authenticator has another length than 16"},
		"other zero": {answer(packet, "shared", blank, attribute(nil, proxyState, []byte{1})), ""},
	} {
		r, err := parse(x.answer, packet, "shared")
		if err != nil || r.fault != x.fault || r.code != accessAccept {
			t.Errorf("%s: %q %v", what, r.fault, err)
		}
	}
	if r, _ := parse(answer(packet, "shared", blank, attribute(nil, proxyState, []byte("b")), attribute(nil, proxyState, []byte("a"))), packet, "shared"); len(r.proxies) != 2 || string(r.proxies[0]) != "b" {
		t.Errorf("%q", r.proxies)
	}
}

// Who knows the secret reads what was typed, and nobody else does.
func TestReveal(t *testing.T) {
	for _, typed := range []string{"", "123456", "a password, longer than one block of sixteen octets,123456"} {
		packet := ask{name: "ada", password: typed, secret: "shared"}.packet()
		if got, ok := reveal(packet, "shared"); !ok || got != typed {
			t.Errorf("%q: %q", typed, got)
		}
		if got, _ := reveal(packet, "other"); got == typed {
			t.Errorf("%q was read under another secret", typed)
		}
	}
}
