package notify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime"
	"strings"
	"time"

	"countersign/internal/text"
)

// signed puts the organisation's name under a text, behind the line that mail programs know a
// signature by (RFC 3676 section 4.3).
func signed(body, organisation string) string {
	if organisation == "" {
		return body
	}
	return strings.TrimRight(body, "\n") + "\n\n-- \n" + text.Seen(organisation) + "\n"
}

// message writes RFC 5322 with the body in base64, so that no line of it can be
// taken for anything else. The host is the right half of its Message-ID.
func message(from, to mailbox, host string, n Notice) []byte {
	var b strings.Builder
	// The same notice sent twice has the same Message-ID, so that a mail server can
	// tell (RFC 5322 section 3.6.4).
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %s", n.ID, n.Address, n.Subject, n.Body))
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n",
		from.header, to.header, mime.QEncoding.Encode("utf-8", n.Subject), time.Now().Format(time.RFC1123Z), hex.EncodeToString(sum[:16]), helloName(host))
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nAuto-Submitted: auto-generated\r\n\r\n")
	body := base64.StdEncoding.EncodeToString([]byte(n.Body))
	for len(body) > 76 {
		b.WriteString(body[:76] + "\r\n")
		body = body[76:]
	}
	b.WriteString(body + "\r\n")
	return []byte(b.String())
}
