package ocra

import (
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"strconv"
	"strings"
	"time"

	"countersign/internal/authenticator/otp"
)

// Suite says how responses are computed (RFC 6287 section 6).
type Suite struct {
	// Algorithm is that of the HMAC, Digits how many a response has: 4 to 10, or 0
	// for the whole HMAC in hexadecimal.
	Algorithm otp.Algorithm
	Digits    int
	Counter   bool
	// Format is what the question is made of, A letters and digits, N digits, H
	// hexadecimal digits, and Length how many it may have: 4 to 64.
	Format byte
	Length int
	// PIN is the hash of the PIN, or empty; Session how many bytes are said of the
	// session, 0 to 512; Step the length of a time step, or 0.
	PIN     otp.Algorithm
	Session int
	Step    time.Duration
}

var errSuite = errors.New("an OCRA suite looks like OCRA-1:HOTP-SHA1-6:QN08 (RFC 6287 section 6)")

// ParseSuite reads a suite in the one spelling that [Suite.String] writes: the
// suite itself is part of what is hashed.
func ParseSuite(text string) (Suite, error) {
	var s Suite
	parts := strings.Split(text, ":")
	if len(text) > 64 || len(parts) != 3 || parts[0] != "OCRA-1" {
		return Suite{}, errSuite
	}
	function := strings.Split(parts[1], "-")
	if len(function) != 3 || function[0] != "HOTP" {
		return Suite{}, errSuite
	}
	s.Algorithm = otp.Algorithm(function[1])
	newHash, _ := s.Algorithm.Hash()
	digits, ok := decimal(function[2])
	if s.Digits = digits; !ok || newHash == nil || digits != 0 && (digits < 4 || digits > 10) {
		return Suite{}, errSuite
	}
	inputs := strings.Split(parts[2], "-")
	for _, read := range []func(s *Suite, input string) bool{(*Suite).counter, (*Suite).question, (*Suite).pin, (*Suite).session, (*Suite).time} {
		if len(inputs) > 0 && read(&s, inputs[0]) {
			inputs = inputs[1:]
		}
	}
	if len(inputs) > 0 || s.Length == 0 || s.String() != text {
		return Suite{}, errSuite
	}
	return s, nil
}

// decimal reads a number of one to three digits.
func decimal(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 10)
	return int(n), err == nil
}

func (s *Suite) counter(input string) bool {
	s.Counter = input == "C"
	return s.Counter
}

func (s *Suite) question(input string) bool {
	if len(input) != 4 || input[0] != 'Q' || !strings.Contains("ANH", input[1:2]) {
		return false
	}
	n, ok := decimal(input[2:])
	if !ok || n < 4 || n > 64 {
		return false
	}
	s.Format, s.Length = input[1], n
	return true
}

func (s *Suite) pin(input string) bool {
	name, ok := strings.CutPrefix(input, "P")
	if newHash, _ := otp.Algorithm(name).Hash(); !ok || newHash == nil {
		return false
	}
	s.PIN = otp.Algorithm(name)
	return true
}

func (s *Suite) session(input string) bool {
	name, ok := strings.CutPrefix(input, "S")
	n, number := decimal(name)
	if !ok || !number || n < 1 || n > 512 {
		return false
	}
	s.Session = n
	return true
}

// steps are the units of time and how many of each a step may have.
var steps = []struct {
	letter string
	unit   time.Duration
	most   int
}{{"S", time.Second, 59}, {"M", time.Minute, 59}, {"H", time.Hour, 48}}

func (s *Suite) time(input string) bool {
	for _, u := range steps {
		name, ok := strings.CutPrefix(input, "T")
		count, unit := strings.CutSuffix(name, u.letter)
		n, number := decimal(count)
		if ok && unit && number && n >= 1 && n <= u.most {
			s.Step = time.Duration(n) * u.unit
			return true
		}
	}
	return false
}

// String writes the suite.
func (s Suite) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "OCRA-1:HOTP-%s-%d:", s.Algorithm, s.Digits)
	if s.Counter {
		b.WriteString("C-")
	}
	fmt.Fprintf(&b, "Q%c%02d", s.Format, s.Length)
	if s.PIN != "" {
		b.WriteString("-P" + string(s.PIN))
	}
	if s.Session > 0 {
		fmt.Fprintf(&b, "-S%03d", s.Session)
	}
	if s.Step > 0 {
		b.WriteString("-T" + stepText(s.Step))
	}
	return b.String()
}

// stepText writes a step in the largest unit that it is whole in and may be
// written in.
func stepText(d time.Duration) string {
	for _, u := range []int{2, 1, 0} {
		if n := d / steps[u].unit; d%steps[u].unit == 0 && int(n) <= steps[u].most {
			return strconv.Itoa(int(n)) + steps[u].letter
		}
	}
	return ""
}

// Input is what a response is computed of. What the suite does not name is left
// out.
type Input struct {
	Counter  uint64
	Question string
	PINHash  []byte
	Session  []byte
	Time     uint64 // in steps since 1970
}

// questionSize is the room for the question, in bytes (RFC 6287 section 5.1).
const questionSize = 128

// Response computes a response (RFC 6287 section 5). A question may be two in a
// row, as the mutual mode has it.
func (s Suite) Response(secret []byte, in Input) (string, error) {
	c, err := s.begin(secret, in)
	if err != nil {
		return "", err
	}
	return string(c.response(in.Counter, in.Time)), nil
}

// computation computes many responses that differ in counter and time alone.
type computation struct {
	suite   Suite
	mac     hash.Hash
	message []byte
	sum     []byte
	out     []byte
}

func (s Suite) begin(secret []byte, in Input) (*computation, error) {
	message, err := s.message(in)
	if err != nil {
		return nil, err
	}
	newHash, size := s.Algorithm.Hash()
	return &computation{suite: s, mac: hmac.New(newHash, secret), message: message, sum: make([]byte, 0, size), out: make([]byte, s.Digits)}, nil
}

// response is good until the next one.
func (c *computation) response(counter, time uint64) []byte {
	if c.suite.Counter {
		at := len(c.message) - c.suite.size()
		binary.BigEndian.PutUint64(c.message[at:], counter)
	}
	if c.suite.Step > 0 {
		binary.BigEndian.PutUint64(c.message[len(c.message)-8:], time)
	}
	c.mac.Reset()
	c.mac.Write(c.message)
	sum := c.mac.Sum(c.sum)
	if c.suite.Digits == 0 {
		return hex.AppendEncode(nil, sum)
	}
	otp.Truncate(sum, c.out)
	return c.out
}

// size is how many bytes follow the suite and its zero byte.
func (s Suite) size() int {
	_, n := s.PIN.Hash()
	n += questionSize + s.Session
	if s.Counter {
		n += 8
	}
	if s.Step > 0 {
		n += 8
	}
	return n
}

// message is the data input (RFC 6287 section 5.1).
func (s Suite) message(in Input) ([]byte, error) {
	b := append([]byte(s.String()), 0)
	if s.Counter {
		b = binary.BigEndian.AppendUint64(b, in.Counter)
	}
	q, err := s.encode(in.Question)
	if err != nil {
		return nil, err
	}
	b = append(b, q...)
	if s.PIN != "" {
		if _, size := s.PIN.Hash(); len(in.PINHash) != size {
			return nil, fmt.Errorf("ocra: the hash of the PIN must have %d bytes, not %d", size, len(in.PINHash))
		}
		b = append(b, in.PINHash...)
	}
	if s.Session > 0 {
		if len(in.Session) > s.Session {
			return nil, fmt.Errorf("ocra: what is said of the session must have %d bytes at most", s.Session)
		}
		b = append(b, make([]byte, s.Session-len(in.Session))...)
		b = append(b, in.Session...)
	}
	if s.Step > 0 {
		b = binary.BigEndian.AppendUint64(b, in.Time)
	}
	return b, nil
}

// encode writes a question into its 128 bytes: letters as they are, a number as
// the hexadecimal digits of its value, from the left.
func (s Suite) encode(question string) ([]byte, error) {
	bad := func() ([]byte, error) { return nil, fmt.Errorf("ocra: that is no question of the form %c", s.Format) }
	if len(question) < 1 || len(question) > questionSize {
		return bad()
	}
	room := make([]byte, questionSize)
	if s.Format == 'A' {
		for i := range len(question) {
			if c := question[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return bad()
			}
		}
		copy(room, question)
		return room, nil
	}
	digits := question
	if s.Format == 'N' {
		if strings.Trim(question, "0123456789") != "" {
			return bad()
		}
		n, _ := new(big.Int).SetString(question, 10)
		digits = n.Text(16)
	}
	if len(digits)%2 != 0 {
		digits += "0"
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return bad()
	}
	copy(room, raw)
	return room, nil
}
