package tokenfile_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"countersign/internal/tokenfile"
)

const (
	key20b32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // ascii in base32
	seed64   = seed32 + seed32
)

// wide is a text in UTF-16 with its mark.
func wide(text string, little bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		if little {
			b.Write([]byte{byte(u), byte(u >> 8)})
		} else {
			b.Write([]byte{byte(u >> 8), byte(u)})
		}
	}
	return b.String()
}

// The attack: the columns of a file are shifted, so that any cell is a secret, and somebody
// reads what the import complains of. The promise: nothing of it quotes a cell.
func TestComplaintsQuoteNoCell(t *testing.T) {
	secrets := []string{seed20, seed32, key20b32, strings.ToLower(key20b32), "0e8e37b0e38b314a56748c030f58d21d", base64.StdEncoding.EncodeToString([]byte(ascii)), "123456789"}
	for _, format := range tokenfile.Formats() {
		if format == "pskc" || format == "privacyidea" {
			continue
		}
		for _, secret := range secrets {
			for at := range 7 {
				cells := []string{"12345", strings.Repeat("ff", 20), "totp", "6", "30", "sha1", ""}
				cells[at] = secret
				for _, line := range []string{strings.Join(cells, ","), strings.Join(cells[at:], ";"), strings.Repeat(secret+",", at+1)} {
					tokens, report := read(t, line+"\n"+line+"\n", tokenfile.Options{Format: format})
					for _, said := range append(texts(report.Problems), texts(report.Forgiven)...) {
						if strings.Contains(strings.ToLower(said), strings.ToLower(secret[:9])) {
							t.Errorf("%s, %s: %s", format, line, said)
						}
					}
					for _, k := range tokens {
						if k.Serial == secret && len(secret) > 9 && !strings.HasSuffix(secret, "=") { // no table has base64
							t.Errorf("%s, %s: the serial number is the secret", format, line)
						}
					}
				}
			}
		}
	}
	three := example(t, "figure3.xml")
	for _, old := range []string{"987654321", "urn:ietf:params:xml:ns:keyprov:pskc:hotp", "DECIMAL", `Length="8"`, ">0<"} {
		changed := strings.Replace(three, old, strings.Replace(old, strings.Trim(old, `><Length="`), key20b32+"&#x9;x", 1), 1)
		if _, report := read(t, changed, tokenfile.Options{Format: "pskc"}); report.OK() || strings.Contains(fmt.Sprint(report), key20b32) {
			t.Errorf("%s: %v", old, report)
		}
	}
	for name, part := range map[string]string{"policy": "<Policy><" + key20b32 + "/></Policy>", "mode": `<Policy><PINPolicy PINUsageMode="` + key20b32 + `"/></Policy>`} {
		changed := strings.Replace(three, "</Data>", "</Data>"+part, 1)
		if _, report := read(t, changed, tokenfile.Options{Format: "pskc"}); report.OK() || strings.Contains(fmt.Sprint(report), key20b32) {
			t.Errorf("%s: %v", name, report)
		}
	}
}

func texts[T fmt.Stringer](all []T) (out []string) {
	for _, one := range all {
		out = append(out, one.String())
	}
	return out
}

// What spreadsheets, editors and other servers do to a file is taken, and said.
func TestForgivenInTables(t *testing.T) {
	const one, none = "1 totp /T1 SHA1 6 30 0 " + ascii, "-"
	line := "T1," + seed20 + ",totp,6,30"
	head := "upn,serial number,secret key,time interval,manufacturer,model\n"
	for name, c := range map[string]struct{ format, text, want, forgiven string }{
		"UTF-16":                    {"oath-csv", wide(line, true), one, "the file is in UTF-16"},
		"UTF-16, big end first":     {"oath-csv", wide(line, false), one, "the file is in UTF-16"},
		"UTF-16 without its mark":   {"oath-csv", wide(line, true)[2:], one, "the file is in UTF-16"},
		"UTF-8 with its mark":       {"oath-csv", "\ufeff" + line, one, none},
		"Windows-1252":              {"multiotp", "T1;M\xfcller GmbH;TOTP;" + seed20 + ";6;30", "1 totp Müller GmbH/T1 SHA1 6 30 0 " + ascii, "line 1: the line was read as Windows-1252"},
		"a maker's umlaut":          {"multiotp", "T1;Müller GmbH;TOTP;" + seed20 + ";6;30", "1 totp Müller GmbH/T1 SHA1 6 30 0 " + ascii, none},
		"cells at the end":          {"oath-csv", line + ",,,,", one, "line 1: the line has empty cells at its end"},
		"rows without cells":        {"oath-csv", ",,,,\n;;\n" + line, "3" + one[1:], "line 1 and 1 more: the row is empty"},
		"a seed in groups":          {"oath-csv", "T1,3132 3334-3536:3738 3930 3132 3334 3536 3738 3930,totp", one, "line 1: the secret is in groups"},
		"a key in groups":           {"entra-csv", "a,T1,gezd gnbv gy3t qojq gezd gnbv gy3t qojq,30,,", one, "line 1: the secret is in groups"},
		"semicolons":                {"oath-csv", strings.ReplaceAll(line, ",", ";"), one, "line 1: another character than usual is between the cells"},
		"tabs":                      {"oath-csv", strings.ReplaceAll(line, ",", "\t"), one, "line 1: another character than usual is between the cells"},
		"a heading":                 {"oath-csv", "Serial,Secret,Type\n" + line, "2" + one[1:], none},
		"two files":                 {"entra-csv", head + "\ufeff" + head + "a,T1," + key20b32 + ",30,M,K", "3 totp M/T1 SHA1 6 30 0 " + ascii, "line 2: a second file begins here|line 2: a second heading is in the file"},
		"two logs":                  {"yubico-csv", "LOGGING START,12.12.13 08:41\n508326,,0," + seed20 + ",,,\nLOGGING END\nLOGGING START,12.12.13 08:42\n", "2 hotp Yubico/508326 SHA1 6 0 0 " + ascii, none},
		"no owner":                  {"entra-csv", "T1," + key20b32 + ",30,Contoso,K", "1 totp Contoso/T1 SHA1 6 30 0 " + ascii, "line 1: there is no column for the owner, which is not used"},
		"no owner in the heading":   {"entra-csv", "serial number,secret key,time interval,manufacturer,model\nT1," + key20b32 + ",60,Contoso,K", "2 totp Contoso/T1 SHA1 6 60 0 " + ascii, "line 2: there is no column for the owner, which is not used"},
		"another order":             {"entra-csv", "secret key,serial number,upn\n" + key20b32 + ",T1,a", "2" + one[1:], none},
		"cells without owner, more": {"entra-csv", "serial number,secret key\nT1," + key20b32 + ",,,,,,", "2" + one[1:], "line 2: the line has empty cells at its end|line 2: there is no column for the owner, which is not used"},
		"the model left out":        {"entra-csv", "a,T1," + key20b32 + ",30,Contoso", "line 1: the secret must have 16 to 128 bytes, not 1|line 1: the secret is not base32", "*"},
		"a rounded serial":          {"oath-csv", "1.23457E+11," + seed20, "line 1: a spreadsheet rounded the serial number: export the file again with serial numbers as text", none},
		"columns swapped":           {"oath-csv", seed20 + "," + seed20, "line 1: the serial number or the manufacturer has the form of a secret: the columns must be in another order", none},
		"a control in the maker":    {"multiotp", "T1;M\u202eX;TOTP;" + seed20 + ";6;30", "line 1: the manufacturer must have 64 printable characters at most", none},
		"a long maker":              {"multiotp", "T1;" + strings.Repeat("ü", 65) + ";TOTP;" + seed20 + ";6;30", "line 1: the manufacturer must have 64 printable characters at most", none},
	} {
		tokens, report := read(t, c.text, tokenfile.Options{Format: c.format})
		got := strings.Join(texts(report.Problems), "|")
		if len(tokens) == 1 && report.OK() {
			got = show(tokens[0])
		}
		if !strings.Contains("|"+c.want+"|", "|"+got+"|") {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if said := strings.Join(texts(report.Forgiven), "|"); c.forgiven != "*" && said != strings.Trim(c.forgiven, "-") {
			t.Errorf("%s: forgiven %q, want %q", name, said, c.forgiven)
		}
	}
}

// No secret of 32 or 64 bytes gets a hash without a word: it is named, refused, or taken
// from the length and said.
func TestHashIsNeverGuessedSilently(t *testing.T) {
	const ask, length = "ask its maker", "it was taken from the length"
	key32, key64 := (ascii + ascii)[:32], strings.Repeat((ascii + ascii)[:32], 2)
	for name, c := range map[string]struct{ format, text, algorithm, want, says string }{
		"20 bytes":                     {"oath-csv", "T1," + seed20 + ",totp", "", "1 totp /T1 SHA1 6 30 0 " + ascii, ""},
		"32 bytes":                     {"oath-csv", "T1," + seed32 + ",totp", "", "", ask},
		"64 bytes":                     {"oath-csv", "T1," + seed64 + ",totp", "", "", ask},
		"32 bytes, named":              {"oath-csv", "T1," + seed32 + ",totp,6,30,sha1", "", "1 totp /T1 SHA1 6 30 0 " + key32, ""},
		"32 bytes, said":               {"oath-csv", "T1," + seed32 + ",totp", "SHA1", "1 totp /T1 SHA1 6 30 0 " + key32, ""},
		"64 bytes, said otherwise":     {"oath-csv", "T1," + seed64 + ",totp,6,30,sha256", "SHA512", "1 totp /T1 SHA256 6 30 0 " + key64, ""},
		"LinOTP, 32 bytes":             {"linotp", "T1," + seed32 + ",totp", "", "1 totp /T1 SHA256 6 30 0 " + key32, length},
		"privacyIDEA, 32 bytes":        {"privacyidea-csv", "T1," + seed32 + ",totp,6,30", "", "1 totp /T1 SHA256 6 30 0 " + key32, length},
		"privacyIDEA, 64 bytes":        {"privacyidea-csv", "H1," + seed64 + ",hotp,6,7", "", "1 hotp /H1 SHA512 6 0 7 " + key64, length},
		"privacyIDEA, said":            {"privacyidea-csv", "T1," + seed32 + ",totp,6,30", "SHA1", "1 totp /T1 SHA1 6 30 0 " + key32, ""},
		"version 2":                    {"privacyidea-csv", "# version: 2\nada,ldap,example.org,T1," + seed20 + ",totp,8,60", "", "2 totp /T1 SHA1 8 60 0 " + ascii, "the owner is not used"},
		"version 2, as OATH":           {"oath-csv", "# version: 2\n,,,T1," + seed20 + ",totp,8,60", "", "2 totp /T1 SHA1 8 60 0 " + ascii, "the owner is not used"},
		"version 3":                    {"privacyidea-csv", "# version: 3\nada,T1," + seed20, "", "", "only 1 and 2"},
		"version 2, too short":         {"privacyidea-csv", "# version: 2\nada,ldap,example.org", "", "", "3 cells for the owner"},
		"the janitor":                  {"privacyidea-csv", "ada@example.org, H1, " + seed20 + ", hotp, 6", "", "1 hotp /H1 SHA1 6 0 0 " + ascii, "the counter is not in the file"},
		"the janitor, in base32":       {"privacyidea-csv", "n/a, T1, " + key20b32 + ", totp, 8, 60", "", "1 totp /T1 SHA1 8 60 0 " + ascii, "the owner is not used"},
		"the janitor, without period":  {"privacyidea-csv", "n/a, T1, " + key20b32 + ", totp, 8, None", "", "1 totp /T1 SHA1 8 30 0 " + ascii, "30 seconds were taken"},
		"the janitor, 32 bytes":        {"privacyidea-csv", "n/a, T1, " + seed32 + ", totp, 8", "", "1 totp /T1 SHA256 8 30 0 " + key32, length},
		"the janitor, hex or base32":   {"privacyidea-csv", "n/a, T1, " + strings.Repeat("2345", 10) + ", totp, 8", "", "", "may be hexadecimal or base32"},
		"the janitor, neither of them": {"privacyidea-csv", "n/a, T1, gezd" + key20b32 + ", totp, 8", "", "", "neither hexadecimal"},
	} {
		tokens, report := read(t, c.text, tokenfile.Options{Format: c.format, Algorithm: c.algorithm})
		said := strings.Join(append(texts(report.Problems), texts(report.Forgiven)...), "|")
		if c.want == "" && report.OK() || c.want != "" && (len(tokens) != 1 || !report.OK() || show(tokens[0]) != c.want) {
			t.Errorf("%s: %v, %s; want %s", name, tokens, said, c.want)
		}
		if !strings.Contains(said, c.says) || c.says == "" && said != "" {
			t.Errorf("%s: says %q, want %q", name, said, c.says)
		}
	}
}

// What makers do to PSKC.
func TestForgivenInPSKC(t *testing.T) {
	three, seven := example(t, "figure3.xml"), example(t, "figure7.xml")
	const want, none = "5 hotp Manufacturer/987654321 SHA1 8 0 0 " + ascii, "-"
	umlaut := strings.Replace(want, "Manufacturer/", "Müller GmbH/", 1)
	policy := func(text string) string {
		return strings.Replace(three, "</Data>", "</Data><Policy>"+text+"</Policy>", 1)
	}
	device := func(text string) string { return strings.Replace(three, "</SerialNo>", "</SerialNo>"+text, 1) }
	long := base64.StdEncoding.EncodeToString([]byte((ascii + ascii)[:32]))
	longer := strings.Replace(three, base64.StdEncoding.EncodeToString([]byte(ascii)), long, 1)
	for name, c := range map[string]struct{ text, want, says string }{
		"a byte order mark":      {"\ufeff" + three, want, none},
		"UTF-16":                 {wide(strings.Replace(three, "UTF-8", "UTF-16", 1), true), want, "the file is in UTF-16"},
		"Windows-1252":           {strings.NewReplacer("UTF-8", "windows-1252", ">Manufacturer<", ">M\xfcller GmbH<").Replace(three), umlaut, "the file is in Windows-1252"},
		"ISO 8859-1":             {strings.NewReplacer("UTF-8", "ISO-8859-1", ">Manufacturer<", ">M\xfcller GmbH<").Replace(three), umlaut, "the file is in Windows-1252"},
		"a maker's umlaut":       {strings.Replace(three, ">Manufacturer<", ">Müller GmbH<", 1), umlaut, none},
		"the device expired":     {device("<ExpiryDate>2020-01-01T00:00:00Z</ExpiryDate>"), want, "line 5: the date at which the device expires has passed"},
		"a day":                  {device("<ExpiryDate>2030-01-01</ExpiryDate>"), want, none},
		"the key expired":        {policy("<ExpiryDate>2020-01-01</ExpiryDate>"), "", "it expired on 2020-01-01; take it out of the file"},
		"a long secret":          {longer, strings.Replace(want, ascii, (ascii + ascii)[:32], 1), "SHA1 was taken"},
		"a long secret, named":   {strings.Replace(longer, "<AlgorithmParameters>", "<AlgorithmParameters><Suite>HMAC-SHA256</Suite>", 1), strings.Replace(strings.Replace(want, ascii, (ascii + ascii)[:32], 1), "SHA1", "SHA256", 1), none},
		"the derivation's hash":  {strings.Replace(seven, "<PRF/>", "<PRF>hmac-SHA1</PRF>", 1), "*", "is a text and not an attribute"},
		"another hash":           {strings.Replace(seven, "<PRF/>", "<PRF>hmac-SHA256</PRF>", 1), "", "the key or the password is not the file's"},
		"a hash that is unknown": {strings.Replace(seven, "<PRF/>", "<PRF>hmac-md5</PRF>", 1), "", "a hash that is not known"},
		"not what it names":      {wide(strings.Replace(three, "UTF-8", "windows-1252", 1), true), "", "not in the one that it names"},
	} {
		tokens, report := read(t, c.text, tokenfile.Options{Format: "pskc", Password: []byte("qwerty"), Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
		said := strings.Join(append(texts(report.Problems), texts(report.Forgiven)...), "|")
		if c.want == "" && report.OK() || c.want != "" && (len(tokens) != 1 || !report.OK() || c.want != "*" && show(tokens[0]) != c.want) {
			t.Errorf("%s: %v, %s; want %s", name, tokens, said, c.want)
		}
		if !strings.Contains(said, strings.Trim(c.says, "-")) || c.says == none && said != "" {
			t.Errorf("%s: says %q, want %q", name, said, c.says)
		}
	}
	folded := strings.ToLower(strings.Replace(three, base64.StdEncoding.EncodeToString([]byte(ascii)), "@", 1))
	folded = strings.NewReplacer("@", long, `"decimal"`, `"DECIMAL"`).Replace(folded)
	if _, report := read(t, folded, tokenfile.Options{Format: "privacyidea"}); !strings.Contains(fmt.Sprint(report.Problems), "ask its maker") {
		t.Errorf("an old export of privacyIDEA: %v", report)
	}
	if tokens, report := read(t, folded, tokenfile.Options{Format: "privacyidea", Algorithm: "SHA256"}); len(tokens) != 1 || tokens[0].Algorithm != "SHA256" {
		t.Errorf("an old export of privacyIDEA, with its hash: %v", report)
	}
}
