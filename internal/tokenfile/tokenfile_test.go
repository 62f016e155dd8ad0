package tokenfile_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/internal/tokenfile"
)

// ascii is the secret of the RFC's examples.
const ascii = "12345678901234567890"

var sharedKey, _ = hex.DecodeString("12345678901234567890123456789012")

func read(t testing.TB, text string, o tokenfile.Options) ([]tokenfile.Token, tokenfile.Report) {
	t.Helper()
	var out []tokenfile.Token
	report, err := tokenfile.Read(strings.NewReader(text), o, func(t tokenfile.Token) error { out = append(out, t); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out, report
}

func example(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func show(t tokenfile.Token) string {
	if t.Suite != "" {
		t.Kind += " " + t.Suite
	}
	return fmt.Sprintf("%d %s %s/%s %s %d %d %d %s", t.Line, t.Kind, t.Manufacturer, t.Serial, t.Algorithm, t.Digits, t.Period, t.Counter, t.Secret)
}

// The RFC's own examples, those that can be used and those that cannot.
func TestExamplesOfRFC6030(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     tokenfile.Options
		token string
		says  string
	}{
		{"figure2.xml", tokenfile.Options{}, "", `line 5: the secret must have 16 to 128 bytes, not 4`},
		{"figure3.xml", tokenfile.Options{}, "5 hotp Manufacturer/987654321 SHA1 8 0 0 " + ascii, ""},
		{"figure4.xml", tokenfile.Options{}, "", `line 5: the file holds no secret for it, only how a device derives one`},
		{"figure5.xml", tokenfile.Options{}, "5 hotp Manufacturer/987654321 SHA1 8 0 0 " + ascii, ""},
		{"figure6.xml", tokenfile.Options{Key: sharedKey}, "20 hotp Manufacturer/987654321 SHA1 8 0 0 " + ascii, ""},
		{"figure6.xml", tokenfile.Options{}, "", "the file is encrypted with a key that was agreed on beforehand: give it, 16, 24 or 32 bytes"},
		{"figure7.xml", tokenfile.Options{Password: []byte("qwerty")}, "38 hotp TokenVendorAcme/987654321 SHA1 8 0 0 " + ascii, ""},
		{"figure7.xml", tokenfile.Options{}, "", "the file is encrypted with a password: give it"},
		{"figure8.xml", tokenfile.Options{}, "", "the file is encrypted for a certificate, which cannot be read; ask for one with a key or a password"},
	} {
		c.o.Format = "pskc"
		tokens, report := read(t, example(t, c.name), c.o)
		if c.says != "" {
			if len(report.Problems) != 1 || report.Problems[0].String() != c.says {
				t.Errorf("%s: %v, want %s", c.name, report.Problems, c.says)
			}
			continue
		}
		if len(tokens) != 1 || !report.OK() || show(tokens[0]) != c.token {
			t.Errorf("%s: %v, %v; want %s", c.name, tokens, report.Problems, c.token)
		}
	}
	if _, report := read(t, example(t, "figure5.xml"), tokenfile.Options{Format: "pskc"}); report.Left != 1 {
		t.Errorf("the PIN of figure 5 was not passed over: %+v", report)
	}
}

// Files of another implementation, and the shape of another server's export.
func TestExamplesOfOthers(t *testing.T) {
	for name, o := range map[string]tokenfile.Options{
		"pskc-tools-key.xml":      {Key: sharedKey},
		"pskc-tools-password.xml": {Password: []byte("correct horse")},
	} {
		o.Format = "pskc"
		tokens, report := read(t, example(t, name), o)
		if !report.OK() || len(tokens) != 2 {
			t.Fatalf("%s: %v", name, report.Problems)
		}
		for i, want := range []string{"totp oath.Test/T-1 SHA256 8 60 0 " + (ascii + ascii)[:32], "totp oath.Test/T-2 SHA512 8 30 0 " + strings.Repeat(ascii, 4)[:64]} {
			if _, got, _ := strings.Cut(show(tokens[i]), " "); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	tokens, report := read(t, example(t, "privacyidea.xml"), tokenfile.Options{Format: "privacyidea", Key: sharedKey})
	if !report.OK() || len(tokens) != 1 || show(tokens[0]) != "12 totp imported/TOTP0001A2B3 SHA256 8 60 0 "+ascii {
		t.Errorf("privacyIDEA: %v, %v", tokens, report.Problems)
	}
	if _, report := read(t, example(t, "privacyidea.xml"), tokenfile.Options{Format: "pskc", Key: sharedKey}); report.OK() {
		t.Error("names in lower case pass as RFC 6030")
	}
}

// The attacker changes an encrypted file on its way. Nothing of it is used.
func TestChangedFile(t *testing.T) {
	six, seven := example(t, "figure6.xml"), example(t, "figure7.xml")
	key := tokenfile.Options{Format: "pskc", Key: sharedKey}
	wrong := slices.Clone(sharedKey)
	wrong[0] ^= 1
	for name, c := range map[string]struct {
		text string
		o    tokenfile.Options
	}{
		"a bit of the secret": {strings.Replace(six, "AAECAwQFBgcICQoLDA0OD+cI", "AQECAwQFBgcICQoLDA0OD+cI", 1), key},
		"a bit of the MAC":    {strings.Replace(six, "Su+Nvt", "Tu+Nvt", 1), key},
		"no MAC of the value": {cutOut(six, "<ValueMAC>", "</ValueMAC>"), key},
		"no MAC at all":       {cutOut(cutOut(six, "<MACMethod", "</MACMethod>"), "<ValueMAC>", "</ValueMAC>"), key},
		"a plain secret":      {strings.Replace(cutOut(six, "<EncryptedValue>", "</ValueMAC>"), "<Secret>", "<Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue>", 1), key},
		"another key":         {six, tokenfile.Options{Format: "pskc", Key: wrong}},
		"another password":    {seven, tokenfile.Options{Format: "pskc", Password: []byte("qwertz")}},
		"a second key":        {strings.Replace(six, "<MACMethod", "<EncryptionKey/><MACMethod", 1), key},
		"another cipher":      {strings.ReplaceAll(six, "aes128-cbc", "tripledes-cbc"), key},
		"endless derivation":  {strings.Replace(seven, ">1000<", ">2000000000<", 1), tokenfile.Options{Format: "pskc", Password: []byte("qwerty")}},
		"a key for nothing":   {cutOut(six, "<EncryptionKey>", "</EncryptionKey>"), key},
	} {
		if _, report := read(t, c.text, c.o); report.OK() {
			t.Errorf("%s: the file is used", name)
		} else if strings.Contains(fmt.Sprint(report.Problems), ascii) {
			t.Errorf("%s: the secret is in the report", name)
		}
	}
}

func cutOut(text, from, to string) string {
	before, rest, ok := strings.Cut(text, from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		panic("there is no " + from)
	}
	return before + after
}

// XML that means harm, and XML that is not a container.
func TestHostileXML(t *testing.T) {
	three := example(t, "figure3.xml")
	declaration := `<?xml version="1.0" encoding="UTF-8"?>`
	for name, c := range map[string]struct{ text, says string }{
		"a bomb": {strings.Replace(three, declaration, declaration+`<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>`, 1), "document type"},
		"a file of the machine": {strings.Replace(strings.Replace(three, declaration, declaration+`<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]>`, 1),
			"Manufacturer<", "&x;<", 1), "document type"},
		"an entity":            {strings.Replace(three, ">Manufacturer<", ">&x;<", 1), "well-formed"},
		"an instruction":       {strings.Replace(three, declaration, declaration+`<?do it?>`, 1), "processing instructions"},
		"another encoding":     {strings.Replace(three, "UTF-8", "UTF-16", 1), "UTF-8"},
		"too deep":             {strings.Replace(three, "<KeyPackage>", "<KeyPackage>"+strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100), 1), "too deep"},
		"too many":             {strings.Replace(three, "<KeyPackage>", "<KeyPackage>"+strings.Repeat("<a/>", 1000), 1), "too large"},
		"too long":             {strings.Replace(three, ">Manufacturer<", ">"+strings.Repeat("M", 1<<20)+"<", 1), "too large"},
		"a name without end":   {strings.Replace(three, "<KeyPackage>", "<"+strings.Repeat("K", 1<<20), 1), "longer"},
		"cut off":              {three[:len(three)-60], "well-formed"},
		"something after":      {three + "<a/>", "something follows"},
		"two containers":       {three + strings.Replace(three, declaration, "", 1), "something follows"},
		"another version":      {strings.Replace(three, `Version="1.0"`, `Version="2.0"`, 1), "version"},
		"another namespace":    {strings.Replace(three, "keyprov:pskc\"", "keyprov:pskd\"", 1), "not a PSKC file"},
		"no XML":               {"hello", "not a PSKC file"},
		"nothing":              {"", "not a PSKC file"},
		"no token":             {cutOut(three, "<KeyPackage>", "</KeyPackage>"), "no token"},
		"text in between":      {strings.Replace(three, "<KeyPackage>", "hello<KeyPackage>", 1), "text between"},
		"an unknown element":   {strings.Replace(three, "<KeyPackage>", "<Other/><KeyPackage>", 1), "not one of RFC 6030"},
		"letters":              {strings.Replace(three, `"DECIMAL"`, `"ALPHANUMERIC"`, 1), "DECIMAL"},
		"9 digits":             {strings.Replace(three, `Length="8"`, `Length="9"`, 1), "6 to 8 digits"},
		"MD5":                  {strings.Replace(three, "<AlgorithmParameters>", "<AlgorithmParameters><Suite>HMAC-MD5</Suite>", 1), "algorithm"},
		"an unknown policy":    {strings.Replace(three, "</Data>", "</Data><Policy><OnlyOnMondays/></Policy>", 1), "not known"},
		"not for codes":        {strings.Replace(three, "</Data>", "</Data><Policy><KeyUsage>Encrypt</KeyUsage></Policy>", 1), "one-time codes"},
		"expired":              {strings.Replace(three, "</Data>", "</Data><Policy><ExpiryDate>2020-01-01T00:00:00Z</ExpiryDate></Policy>", 1), "expired on 2020-01-01"},
		"a PIN that we ask":    {strings.Replace(three, "</Data>", `</Data><Policy><PINPolicy PINUsageMode="Prepend"/></Policy>`, 1), "PIN"},
		"a negative counter":   {strings.Replace(three, "<PlainValue>0<", "<PlainValue>-1<", 1), "not a number"},
		"the same serial":      {strings.Replace(three, "</KeyContainer>", three[strings.Index(three, "<KeyPackage>"):], 1), "that of line 5"},
		"a bell in the serial": {strings.Replace(three, "987654321", "98&#x9;21", 1), "printable"},
	} {
		_, report := read(t, c.text, tokenfile.Options{Format: "pskc", Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
		if len(report.Problems) != 1 || !strings.Contains(report.Problems[0].String(), c.says) {
			t.Errorf("%s: %v, want %q", name, report.Problems, c.says)
		}
	}
}

const ocraSuite = "OCRA-1:HOTP-SHA1-8:C-QN08"

// challengeToken is figure 3 as a maker of challenge tokens writes it.
func challengeToken(t testing.TB) string {
	three := strings.Replace(example(t, "figure3.xml"), "keyprov:pskc:hotp", "keyprov:pskc:ocra", 1)
	return strings.Replace(three, "<AlgorithmParameters>", "<AlgorithmParameters><Suite>"+ocraSuite+`</Suite><ChallengeFormat Encoding="DECIMAL" Min="8" Max="8"/>`, 1)
}

// Challenge tokens: the suite beside the algorithm or in it, and files that say two
// things, or what nobody understands.
func TestChallengeTokensInPSKC(t *testing.T) {
	file := challengeToken(t)
	const want = "5 ocra " + ocraSuite + " Manufacturer/987654321 SHA1 8 0 0 " + ascii
	bare := cutOut(cutOut(file, "<Suite>", "</Suite>"), "<ChallengeFormat", "/>")
	for name, c := range map[string]struct{ text, says string }{
		"beside the algorithm":     {file, want},
		"in the algorithm":         {strings.Replace(bare, "pskc:ocra", "pskc#"+ocraSuite, 1), want},
		"in both":                  {strings.Replace(file, "pskc:ocra", "pskc:"+ocraSuite, 1), want},
		"the name with its number": {strings.Replace(file, "pskc:ocra", "pskc:OCRA-1", 1), want},
		"for challenge-response":   {strings.Replace(file, "</Data>", "</Data><Policy><KeyUsage>CR</KeyUsage></Policy>", 1), want},
		"a PIN that is hashed": {strings.Replace(strings.Replace(file, "C-QN08", "C-QN08-PSHA1", 1), "</Data>", `</Data><Policy><PINPolicy PINUsageMode="Algorithmic"/></Policy>`, 1),
			"5 ocra OCRA-1:HOTP-SHA1-8:C-QN08-PSHA1 Manufacturer/987654321 SHA1 8 0 0 " + ascii},
		"no suite":              {bare, "an OCRA suite looks like"},
		"two suites":            {strings.Replace(file, "pskc:ocra", "pskc:OCRA-1:HOTP-SHA1-6:QN08", 1), "different things"},
		"another length":        {strings.Replace(file, `Length="8"`, `Length="6"`, 1), "format of the response"},
		"another challenge":     {strings.Replace(file, `Max="8"`, `Max="6"`, 1), "format of the challenge"},
		"letters in it":         {strings.Replace(file, `ChallengeFormat Encoding="DECIMAL"`, `ChallengeFormat Encoding="ALPHANUMERIC"`, 1), "format of the challenge"},
		"base64 in it":          {strings.Replace(file, `ChallengeFormat Encoding="DECIMAL"`, `ChallengeFormat Encoding="BASE64"`, 1), "format of the challenge"},
		"a check digit":         {strings.Replace(file, `Max="8"`, `Max="8" CheckDigits="true"`, 1), "check digit"},
		"a hash of its own":     {strings.Replace(file, "HOTP-SHA1", "HOTP-SHA3", 1), "algorithm must be"},
		"a suite without end":   {strings.Replace(file, ocraSuite, ocraSuite+strings.Repeat("-T1M", 40), 1), "a suite such as"},
		"a bell in the suite":   {strings.Replace(file, ocraSuite, ocraSuite+"&#x9;1", 1), "a suite such as"},
		"not for challenges":    {strings.Replace(file, "</Data>", "</Data><Policy><KeyUsage>OTP</KeyUsage></Policy>", 1), "challenge-response"},
		"a PIN that it hides":   {strings.Replace(file, "</Data>", `</Data><Policy><PINPolicy PINUsageMode="Algorithmic"/></Policy>`, 1), "PIN"},
		"a PIN in front":        {strings.Replace(file, "</Data>", `</Data><Policy><PINPolicy PINUsageMode="Prepend"/></Policy>`, 1), "PIN"},
		"another alphabet":      {strings.Replace(bare, "pskc:ocra", "pskc:OCRA-1:\u0130\u0130", 1), "an OCRA suite looks like"},
		"a bomb":                {strings.Replace(file, "?>", `?><!DOCTYPE b [<!ENTITY a "OCRA-1:">]>`, 1), "document type"},
		"an entity in its name": {strings.Replace(file, "pskc:ocra", "pskc:&ocra;", 1), "well-formed"},
		"a suite too deep":      {strings.Replace(file, "<Suite>", "<Suite>"+strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100), 1), "too deep"},
	} {
		tokens, report := read(t, c.text, tokenfile.Options{Format: "pskc", Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
		got := fmt.Sprint(report.Problems)
		if len(tokens) == 1 && report.OK() {
			got = show(tokens[0])
		}
		if !strings.Contains(got, c.says) {
			t.Errorf("%s: %s, want %q", name, got, c.says)
		}
	}
}

// Encrypted challenge tokens, and one whose secret somebody changed on its way. A
// caller's own check is heard line by line.
func TestEncryptedChallengeTokens(t *testing.T) {
	six := strings.NewReplacer("keyprov:pskc:hotp", "keyprov:pskc:ocra", "<AlgorithmParameters>", "<AlgorithmParameters><Suite>"+ocraSuite+"</Suite>").Replace(example(t, "figure6.xml"))
	o := tokenfile.Options{Format: "pskc", Key: sharedKey}
	if tokens, report := read(t, six, o); !report.OK() || len(tokens) != 1 || show(tokens[0]) != "20 ocra "+ocraSuite+" Manufacturer/987654321 SHA1 8 0 0 "+ascii {
		t.Errorf("%v, %v", tokens, report.Problems)
	}
	for name, text := range map[string]string{
		"a bit of the secret": strings.Replace(six, "AAECAwQFBgcICQoLDA0OD+cI", "AQECAwQFBgcICQoLDA0OD+cI", 1),
		"a bit of the MAC":    strings.Replace(six, "Su+Nvt", "Tu+Nvt", 1),
		"no MAC":              cutOut(six, "<ValueMAC>", "</ValueMAC>"),
	} {
		if tokens, report := read(t, text, o); report.OK() || len(tokens) > 0 {
			t.Errorf("%s: the file is used", name)
		}
	}
	o.Check = func(tokenfile.Token) error { return errors.New("not that one") }
	if _, report := read(t, six, o); report.OK() || report.Problems[0].String() != `line 20: not that one` {
		t.Errorf("the caller's own check: %v", report.Problems)
	}
}

const seed20, seed32 = "3132333435363738393031323334353637383930", "3132333435363738393031323334353637383930313233343536373839303132"

// Every table, with a line that is right and others that are not.
func TestTables(t *testing.T) {
	for _, c := range []struct{ format, line, want string }{
		{"oath-csv", "H1," + seed20, "1 hotp /H1 SHA1 6 0 0 " + ascii},
		{"oath-csv", " H2 , " + seed20 + " , HOTP , 8 , 17", "1 hotp /H2 SHA1 8 0 17 " + ascii},
		{"oath-csv", "T1," + seed32 + ",totp,8,60,sha256", "1 totp /T1 SHA256 8 60 0 " + (ascii + ascii)[:32]},
		{"oath-csv", "O1," + seed20 + ",ocra,OCRA-1:HOTP-SHA1-6:QN08", "1 ocra OCRA-1:HOTP-SHA1-6:QN08 /O1 SHA1 6 0 0 " + ascii},
		{"oath-csv", "O2," + seed20 + ",OCRA,OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1,17", "1 ocra OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1 /O2 SHA256 8 0 17 " + ascii},
		{"linotp", "O1," + seed20 + ",ocra,OCRA-1:HOTP-SHA1-6:QN08", "1 ocra OCRA-1:HOTP-SHA1-6:QN08 /O1 SHA1 6 0 0 " + ascii},
		{"oath-csv", "O1," + seed20 + ",ocra", `line 1: a line for ocra must have 4 or 5 cells: serial, secret, ocra, suite, counter`},
		{"oath-csv", "O1," + seed20 + ",ocra,OCRA-1:HOTP-SHA1-6:QN08,1,sha1", `line 1: a line for ocra must have 4 or 5 cells: serial, secret, ocra, suite, counter`},
		{"oath-csv", "O1,xyz,ocra,OCRA-1:HOTP-SHA1-6:QN08", `line 1: the secret is not hexadecimal`},
		{"oath-csv", "O1," + seed20 + ",ocra,6", `line 1: an OCRA suite looks like OCRA-1:HOTP-SHA1-6:QN08`},
		{"oath-csv", "O1," + seed20 + ",ocra,OCRA-1:HOTP-SHA1-4:QN08", `line 1: codes must have 6 to 8 digits, not 4`},
		{"oath-csv", "O1," + seed20 + ",ocra,OCRA-1:HOTP-MD5-6:QN08", `line 1: the algorithm must be SHA1, SHA256 or SHA512`},
		{"oath-csv", "O1," + seed20[:20] + ",ocra,OCRA-1:HOTP-SHA1-6:QN08", `line 1: the secret must have 16 to 128 bytes, not 10`},
		{"oath-csv", "O1," + seed20 + ",motp", `line 1: "motp" tokens cannot be used; only hotp, totp and ocra`},
		{"multiotp", "26002;Feitian;OCRA;" + seed20 + ";6;7", `line 1: a token of the type ocra, and no other, must have a suite such as OCRA-1:HOTP-SHA1-6:QN08`},
		{"oath-csv", "T1," + seed20 + ",totp,6,45", `line 1: the period must be 30 or 60 seconds, not 45`},
		{"oath-csv", "T1,xyz", `line 1: the secret is not hexadecimal`},
		{"oath-csv", "T1", `line 1: a line must have 2 to 6 cells: serial, secret, type, digits, counter or period, algorithm`},
		{"oath-csv", "T1," + seed20 + ",totp,six", `line 1: a number was expected`},
		{"oath-csv", "T1,\"" + seed20, "line 1: the line is not comma-separated values"},
		{"linotp", "T1," + seed32 + ",totp,6,30", "1 totp /T1 SHA256 6 30 0 " + (ascii + ascii)[:32]},
		{"linotp", "H1," + seed20 + ",hotp,6,30,sha512", "1 hotp /H1 SHA512 6 0 0 " + ascii},
		{"yubico-csv", "508326,,0," + seed20 + ",,2013-12-12T08:41:07,", "1 hotp Yubico/508326 SHA1 6 0 0 " + ascii},
		{"yubico-csv", "508326,cccccccccccc,83cebdfb7b93,a47c5bf9c152202f577be6721c0113af,,2013-12-12T08:43:17,",
			"1 yubico-otp Yubico/508326  0 0 0 \xa4\x7c\x5b\xf9\xc1\x52\x20\x2f\x57\x7b\xe6\x72\x1c\x01\x13\xaf"},
		{"yubico-csv", "508326,cccccccccccx,83cebdfb7b93,a47c5bf9c152202f577be6721c0113af,,,",
			`line 1: the public id must be 2 to 32 characters of modhex (cbdefghijklnrtuv)`},
		{"yubico-csv", "508326,,83cebdfb7b93,a47c5bf9c152202f577be6721c0113af,,,",
			`line 1: the public id must be 2 to 32 characters of modhex (cbdefghijklnrtuv)`},
		{"yubico-csv", "508326,cccccccccccc,83cebdfb7b,a47c5bf9c152202f577be6721c0113af,,,", `line 1: the private id must be 12 hexadecimal digits`},
		{"yubico-csv", "508326,cccccccccccc,static,a47c5bf9c152202f577be6721c0113af,,,", `line 1: the private id is not hexadecimal`},
		{"yubico-csv", "508326,cccccccccccc,83cebdfb7b93," + seed20 + ",,,", `line 1: the secret key must be 32 hexadecimal digits`},
		{"yubico-csv", "OATH-HOTP,11.12.13 18:55,1,cccccccccccc,," + seed20 + ",,,0,0,0,6,0,0,0,0,0,0",
			"line 1: the traditional format has no serial numbers; choose the Yubico format when logging"},
		{"entra-csv", "upn,serial number,secret key,time interval,manufacturer,model\nada@example.org,2308,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,60,Contoso,HardwareKey",
			"2 totp Contoso/2308 SHA1 6 60 0 " + ascii},
		{"multiotp", "serial_number;manufacturer;algorithm;seed;digits;interval_or_event\r\n26001;Feitian;TOTP;" + seed20 + ";6;60", "2 totp Feitian/26001 SHA1 6 60 0 " + ascii},
		{"multiotp", "26002;Feitian;HOTP;" + seed20 + ";6;7", "1 hotp Feitian/26002 SHA1 6 0 7 " + ascii},
		{"authelia", "issuer,username,algorithm,digits,period,secret\nAuthelia,john,SHA256,6,30,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "2 totp Authelia/authelia-john SHA256 6 30 0 " + ascii},
		{"authelia", "issuer,username,algorithm,digits,period,secret", "there is no token in the file"},
	} {
		tokens, report := read(t, "\ufeff"+c.line, tokenfile.Options{Format: c.format})
		got := fmt.Sprint(report.Problems)
		if len(tokens) == 1 && report.OK() {
			got = show(tokens[0])
		}
		if strings.Trim(got, "[]") != c.want {
			t.Errorf("%s, %s:\n%s, want\n%s", c.format, c.line, got, c.want)
		}
	}
}

// One fault in the middle refuses the file, and is found by its line.
func TestReportNamesEachLine(t *testing.T) {
	text := "# tokens\nA," + seed20 + "\n\nB,nothex\nC," + seed20 + "\nA," + seed20 + "\nD," + seed20[:20] + "\n"
	tokens, report := read(t, text, tokenfile.Options{Format: "oath-csv"})
	want := []string{`line 4: the secret is not hexadecimal`, `line 6: the serial number is that of line 2`, `line 7: the secret must have 16 to 128 bytes, not 10`}
	var got []string
	for _, p := range report.Problems {
		got = append(got, p.String())
	}
	if !slices.Equal(got, want) || report.OK() || len(tokens) != 2 {
		t.Errorf("%q", got)
	}
	_, report = read(t, strings.Repeat("B,nothex\n", 250), tokenfile.Options{Format: "oath-csv"})
	if len(report.Problems) != 100 || report.More != 150 {
		t.Errorf("%d problems and %d more", len(report.Problems), report.More)
	}
	_, report = read(t, "A,"+strings.Repeat("3", 1<<20), tokenfile.Options{Format: "oath-csv"})
	if report.OK() || report.Problems[0].Text != "the line is longer than 65536 bytes" {
		t.Errorf("a line without end: %v", report.Problems)
	}
}

// An error of the reader is not a fault of the file, nor a file that is complete.
func TestBrokenReader(t *testing.T) {
	broken := errors.New("broken")
	for _, format := range tokenfile.Formats() {
		text := map[bool]string{true: example(t, "figure3.xml")[:300], false: "A," + seed20 + "\n"}[format == "pskc" || format == "privacyidea"]
		_, err := tokenfile.Read(io.MultiReader(strings.NewReader(text), brokenReader{broken}), tokenfile.Options{Format: format}, func(tokenfile.Token) error { return nil })
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", format, err)
		}
	}
	if _, err := tokenfile.Read(strings.NewReader(""), tokenfile.Options{Format: "xlsx"}, nil); err == nil {
		t.Error("read a format that there is not")
	}
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

// Whatever is in a file, a token that comes out of it is within the bounds, and
// serials come out once.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"figure2.xml", "figure3.xml", "figure5.xml", "figure6.xml", "figure7.xml", "figure8.xml", "privacyidea.xml", "pskc-tools-key.xml"} {
		f.Add(0, []byte(example(f, name)))
	}
	for i, line := range []string{"", "H2," + seed20 + ",HOTP,8,17", "508326,,0," + seed20 + ",,2013-12-12T08:41:07,", "a@b,2308,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,60,C,H", "",
		"T1," + seed32 + ",totp,6,30", "26001;Feitian;TOTP;" + seed20 + ";6;60", "Authelia,john,SHA256,6,30,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"} {
		f.Add(i, []byte(line))
	}
	f.Add(1, []byte("O1,"+seed20+",ocra,OCRA-1:HOTP-SHA1-6:QN08,7"))
	f.Add(0, []byte(challengeToken(f)))
	f.Add(0, []byte(strings.Replace(challengeToken(f), "pskc:ocra", "pskc#OCRA-1:HOTP-SHA1-8:C-QN08", 1)))
	f.Fuzz(func(t *testing.T, which int, b []byte) {
		formats := tokenfile.Formats()
		o := tokenfile.Options{Format: formats[uint(which)%uint(len(formats))], Key: sharedKey, Password: []byte("qwerty")}
		if bytes.Contains(b, []byte("IterationCount")) && !bytes.Contains(b, []byte(">1000<")) {
			return // work, and nothing new
		}
		seen := map[string]bool{}
		report, err := tokenfile.Read(bytes.NewReader(b), o, func(k tokenfile.Token) error {
			if k.Digits < 6 || k.Digits > 8 || len(k.Secret) < 16 || len(k.Secret) > 128 || k.Serial == "" || len(k.Serial) > 64 || seen[k.Serial] || k.Line < 1 ||
				(k.Kind == tokenfile.TOTP) != (k.Period == 30 || k.Period == 60) || (k.Kind == tokenfile.OCRA) != strings.HasPrefix(k.Suite, "OCRA-1:") {
				t.Fatalf("%+v", k)
			}
			seen[k.Serial] = true
			return nil
		})
		if err != nil || report.Tokens != len(seen) || report.OK() && len(seen) == 0 {
			t.Fatalf("%v, %+v", err, report)
		}
	})
}
