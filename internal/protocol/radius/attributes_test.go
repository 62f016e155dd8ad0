package radius_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/radius/packet"
)

// listed is one attribute of FreeRADIUS' dictionaries.
type listed struct {
	vendor, number, format string
	tagged                 bool
}

// dictionaries reads those of Debian's freeradius-common: attributes by name, values by
// attribute and name. Of vendors that use another layout of numbers nothing is read.
func dictionaries(t *testing.T) (attributes map[string]listed, values map[string]string) {
	t.Helper()
	files, err := filepath.Glob("/usr/share/freeradius/dictionary*")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no dictionaries of FreeRADIUS; deploy/test-packages.sh installs what tests need")
	}
	attributes, values = map[string]listed{}, map[string]string{}
	vendors := map[string]string{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		vendor := "0"
		for lines := bufio.NewScanner(f); lines.Scan(); {
			w := strings.Fields(lines.Text())
			switch {
			case len(w) < 2:
			case w[0] == "VENDOR" && len(w) > 2:
				vendors[w[1]] = w[2]
			case w[0] == "BEGIN-VENDOR":
				vendor = vendors[w[1]]
			case w[0] == "END-VENDOR":
				vendor = "0"
			case w[0] == "ATTRIBUTE" && len(w) > 3:
				attributes[w[1]] = listed{vendor, w[2], strings.ToLower(w[3]), len(w) > 4 && strings.Contains(w[4], "has_tag")}
			case w[0] == "VALUE" && len(w) > 3:
				values[w[1]+" "+w[2]] = w[3]
			}
		}
		f.Close()
	}
	return attributes, values
}

// formats are how FreeRADIUS calls ours.
var formats = map[string][]string{
	"text": {"string", "octets"}, "integer": {"integer"}, "address": {"ipaddr"}, "address6": {"ipv6addr"}, "prefix6": {"ipv6prefix"}, "interface-id": {"ifid"}, "hex": {"octets"},
}

// The promise: every attribute that has a name here has the vendor, number, type and tag that
// FreeRADIUS' dictionaries know, and so have the names of numbers.
func TestNamesAsInDictionaries(t *testing.T) {
	attributes, values := dictionaries(t)
	all := radius.Definitions()
	if len(all) < 150 {
		t.Errorf("only %d attributes have a name", len(all))
	}
	seen := map[string]bool{}
	for _, d := range all {
		l, ok := attributes[d.Name]
		if !ok || l.vendor != fmt.Sprint(d.Vendor) || l.number != fmt.Sprint(d.Number) || l.tagged != d.Tagged || !strings.Contains(strings.Join(formats[d.Format], " "), l.format) {
			t.Errorf("%+v: the dictionaries say %+v, %v", d, l, ok)
		}
		if key := strings.ToLower(d.Name); seen[key] {
			t.Errorf("%s has two definitions", d.Name)
		} else {
			seen[key] = true
		}
		for name, number := range radius.Values(d.Name) {
			if values[d.Name+" "+name] != fmt.Sprint(number) {
				t.Errorf("%s %s is %d here and %q in the dictionaries", d.Name, name, number, values[d.Name+" "+name])
			}
		}
	}
	for _, forbidden := range []string{"state", "proxy-state", "message-authenticator", "eap-message", "user-password", "tunnel-password", "vendor-specific"} {
		if seen[forbidden] {
			t.Errorf("%s may be set", forbidden)
		}
	}
}

// sample is a value of a format, and how radclient prints it.
func sample(d radius.Definition) (value, printed string) {
	switch d.Format {
	case "integer":
		return "16770123", "16770123"
	case "address":
		return "192.0.2.7", "192.0.2.7"
	case "address6":
		return "2001:db8::7", "2001:db8::7"
	case "prefix6":
		return "2001:db8:1::/48", "2001:db8:1::/48"
	case "interface-id":
		return "0:0:0:1", "0:0:0:1"
	case "hex":
		return "0x0001020304050607", "0x0001020304050607"
	}
	if d.Name == "Class" {
		return "a text", "0x612074657874"
	}
	return "a text", `"a text"`
}

// The promise: what an Access-Accept is given by name is read by radclient, a client that is not
// ours, under the same name and with the same value.
func TestRadclientReadsNames(t *testing.T) {
	program, err := exec.LookPath("radclient")
	if err != nil {
		t.Fatal("there is no radclient; deploy/test-packages.sh installs what tests need")
	}
	var all []radius.Attribute
	var want []string
	for _, d := range radius.Definitions() {
		a, printed := radius.Attribute{Name: strings.ToLower(d.Name)}, ""
		if a.Value, printed = sample(d); d.Tagged {
			a.Tag = 3
			d.Name += ":3"
		}
		all, want = append(all, a), append(want, d.Name+" = "+printed)
	}
	add := func(a radius.Attribute, printed string) { all, want = append(all, a), append(want, printed) }
	add(radius.Attribute{Name: "Tunnel-Type", Tag: 1, Value: "VLAN"}, "Tunnel-Type:1 = VLAN")
	add(radius.Attribute{Name: "Tunnel-Medium-Type", Tag: 1, Value: "IEEE-802"}, "Tunnel-Medium-Type:1 = IEEE-802")
	add(radius.Attribute{Name: "Tunnel-Private-Group-Id", Tag: 1, Value: "100"}, `Tunnel-Private-Group-Id:1 = "100"`)
	add(radius.Attribute{Name: "Tunnel-Type", Value: "13"}, "Tunnel-Type:0 = VLAN")
	add(radius.Attribute{Name: "Tunnel-Private-Group-Id", Value: "200"}, `Tunnel-Private-Group-Id:0 = "200"`)
	add(radius.Attribute{Name: "Service-Type", Value: "Administrative-User"}, "Service-Type = Administrative-User")
	add(radius.Attribute{Name: "Egress-VLANID", Value: "0x31000064"}, "Egress-VLANID = 822083684")
	add(radius.Attribute{Name: "Framed-IPv6-Prefix", Value: "2001:db8::/33"}, "Framed-IPv6-Prefix = 2001:db8::/33")
	add(radius.Attribute{Name: "Framed-IPv6-Prefix", Value: "::/0"}, "Framed-IPv6-Prefix = ::/0")
	add(radius.Attribute{Vendor: 9, Type: 1, Value: "shell:priv-lvl=15"}, `Cisco-AVPair = "shell:priv-lvl=15"`)
	add(radius.Attribute{Vendor: 12356, Type: 4, Format: "address6", Value: "2001:db8::1"}, "Fortinet-Client-IPv6-Address = 0x20010db8000000000000000000000001")
	for len(all) > 0 {
		n := min(len(all), 60) // what fits into one reply
		out := toldBy(t, program, all[:n])
		for _, line := range want[:n] {
			if !strings.Contains(out, "\t"+line+"\n") {
				t.Errorf("radclient does not read %s in\n%s", line, out)
			}
		}
		all, want = all[n:], want[n:]
	}
}

// toldBy is what radclient prints of an Access-Accept with these attributes.
func toldBy(t *testing.T, program string, attributes []radius.Attribute) string {
	t.Helper()
	encoded, err := radius.Encode(attributes)
	if err != nil {
		t.Fatal(err)
	}
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, packet.MaxLength)
		n, from, err := server.ReadFrom(buf)
		if err != nil {
			return
		}
		p, err := packet.Parse(buf[:n])
		if err != nil {
			return
		}
		d := packet.Start(nil, packet.AccessAccept, p.Identifier())
		d.AddEncoded(encoded)
		if reply, err := d.Reply(secret, p.Authenticator()); err == nil {
			server.WriteTo(reply, from)
		}
	}()
	c := exec.Command(program, "-x", "-r", "1", "-t", "5", server.LocalAddr().String(), "auth", key)
	c.Stdin = strings.NewReader("User-Name = \"ada\"\nMessage-Authenticator = 0x00\n")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("radclient: %v", err)
	}
	return string(out)
}

// The promise: what cannot be encoded as an attribute wants it is refused with a sentence.
func TestWrongAttributes(t *testing.T) {
	for text, says := range map[string]string{
		`{"name":"Framed-Pol","value":"x"}`:                                                  "there are",
		`{"name":"State","value":"x"}`:                                                       "Unknown reply attribute",
		`{"name":"Message-Authenticator","value":"x"}`:                                       "Unknown reply attribute",
		`{"name":"Framed-IP-Address","value":"2001:db8::1"}`:                                 "IPv4 address",
		`{"name":"Framed-IPv6-Address","value":"192.0.2.1"}`:                                 "IPv6 address",
		`{"name":"Framed-IPv6-Address","value":"fe80::1%eth0"}`:                              "IPv6 address",
		`{"name":"Framed-IPv6-Prefix","value":"2001:db8::1/48"}`:                             "IPv6 prefix",
		`{"name":"Framed-IPv6-Prefix","value":"10.0.0.0/8"}`:                                 "IPv6 prefix",
		`{"name":"Framed-Interface-Id","value":"1:2:3"}`:                                     "interface identifier",
		`{"name":"Tunnel-Type","tag":32,"value":"VLAN"}`:                                     "A tag is 1 to 31",
		`{"name":"Tunnel-Type","value":"16777216"}`:                                          "at most 16777215",
		`{"name":"Tunnel-Type","value":"VLAM"}`:                                              "is a number",
		`{"name":"Tunnel-Private-Group-Id","value":"\u0001x"}`:                               "read as a tag",
		`{"name":"Filter-Id","tag":1,"value":"x"}`:                                           "Tunnel attributes only",
		`{"name":"Mikrotik-Group","vendor":9,"value":"x"}`:                                   "its own vendor",
		`{"name":"Mikrotik-Group","type":3,"value":"x"}`:                                     "its own vendor",
		`{"vendor":9,"type":1,"tag":1,"value":"x"}`:                                          "Tunnel attributes only",
		`{"vendor":9,"type":1,"format":"float","value":"1"}`:                                 "Unknown format",
		`{"name":"Session-Timeout","value":"0x1ffffffff"}`:                                   "is a number",
		`{"name":"Session-Timeout","value":"-1"}`:                                            "is a number",
		`{"name":"Mikrotik-Group","value":"` + strings.Repeat("x", 248) + `"}`:               "1 to 247 bytes",
		`{"name":"Tunnel-Assignment-Id","tag":1,"value":"` + strings.Repeat("x", 253) + `"}`: "1 to 252 bytes",
	} {
		err := radius.CheckSettings([]byte(settings(`"replies":[{"attributes":[` + text + `]}]`)))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.80s: %v", text, err)
		}
	}
}

// The promise: the replies that the document shows can be saved, and it lists every name.
func TestDocumentedReplies(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/radius.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(\"replies\".*?)\n```").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) < 2 {
		t.Fatalf("the document shows %d replies", len(blocks))
	}
	for _, b := range blocks {
		if err := radius.CheckSettings([]byte(settings(b[1]))); err != nil {
			t.Errorf("%v in %s", err, b[1])
		}
	}
	for _, d := range radius.Definitions() {
		if !strings.Contains(string(doc), "`"+d.Name+"`") {
			t.Errorf("the document does not name %s", d.Name)
		}
	}
}
