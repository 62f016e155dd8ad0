package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// listener is somebody on the way who keeps what is sent to a server. How says by what.
type listener struct {
	how  string
	mu   sync.Mutex
	all  [][]byte
	stop func()
}

// tapped is how a listener says that it is no real one.
const tapped = "kept by an in-process tap, because "

// listen captures what is sent to the server, by tcpdump on the loopback interface, which
// is where datagrams to an address of this machine go. Where that cannot be done the
// listener keeps nothing, and how says why.
func (s Radius) listen(ctx context.Context) *listener {
	l := &listener{stop: func() {}}
	to, err := net.ResolveUDPAddr("udp", s.Address)
	switch {
	case err != nil:
		l.how = tapped + err.Error()
	case os.Getuid() != 0:
		l.how = tapped + "only root can capture"
	case !ours(to.IP):
		l.how = tapped + "the server is on another machine"
	default:
		if err := l.tcpdump(ctx, to); err != nil {
			l.how = tapped + err.Error()
		}
	}
	return l
}

// ours reports whether an address is one of this machine's.
func ours(ip net.IP) bool {
	at, _ := netip.AddrFromSlice(ip)
	all, _ := addressesHere() // what cannot be told is another machine's
	return ip.IsLoopback() || slices.Contains(all, at.Unmap())
}

// tcpdump begins to capture, and returns when it does.
func (l *listener) tcpdump(ctx context.Context, to *net.UDPAddr) error {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "tcpdump", "-i", "lo", "-U", "--immediate-mode", "-s", "0", "-w", "-",
		"udp", "and", "dst", "host", to.IP.String(), "and", "dst", "port", fmt.Sprint(to.Port))
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return err
	}
	says, err := cmd.StderrPipe()
	if err != nil {
		cancel()
		return err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return err
	}
	words := bufio.NewReader(says)
	if line, err := words.ReadString('\n'); err != nil || !strings.Contains(line, "listening on") {
		cancel()
		cmd.Wait() //nolint:errcheck // it was ended
		return errors.New("tcpdump does not capture: " + strings.TrimSpace(line))
	}
	var reading sync.WaitGroup
	reading.Go(func() { l.read(out) })
	reading.Go(func() { io.Copy(io.Discard, words) })        //nolint:errcheck // what it says at its end
	l.stop = func() { cancel(); reading.Wait(); cmd.Wait() } //nolint:errcheck // it was ended
	l.how = "captured by tcpdump on lo"
	return nil
}

func (l *listener) read(from io.Reader) {
	in := bufio.NewReader(from)
	head := make([]byte, 24)
	if _, err := io.ReadFull(in, head); err != nil {
		return
	}
	order := fileOrder(head)
	for {
		record := make([]byte, 16)
		if _, err := io.ReadFull(in, record); err != nil {
			return
		}
		frame := make([]byte, min(order.Uint32(record[8:]), 1<<16))
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		if datagram := udp(frame); datagram != nil {
			l.mu.Lock()
			l.all = append(l.all, datagram)
			l.mu.Unlock()
		}
	}
}

// fileOrder is the order of octets of a capture file, by its first four (the pcap format,
// draft-ietf-opsawg-pcap section 4).
func fileOrder(head []byte) binary.ByteOrder {
	if head[0] == 0xa1 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// udp is the payload of a UDP datagram in an Ethernet frame; nil for anything else.
func udp(frame []byte) []byte {
	const ethernet = 14
	if len(frame) < ethernet+20 {
		return nil
	}
	at := ethernet
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		at += int(frame[ethernet]&15) * 4
	case 0x86dd:
		at += 40
	default:
		return nil
	}
	if len(frame) < at+8 {
		return nil
	}
	length := int(binary.BigEndian.Uint16(frame[at+4:]))
	if length < 8 || len(frame) < at+length {
		return nil
	}
	return bytes.Clone(frame[at+8 : at+length])
}

// heard are the datagrams that were captured, once there are as many as were sent. A
// listener that captures nothing has those that were sent.
func (l *listener) heard(sent [][]byte) ([][]byte, error) {
	defer l.stop()
	if strings.HasPrefix(l.how, tapped) {
		return sent, nil
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		l.mu.Lock()
		got := append([][]byte{}, l.all...)
		l.mu.Unlock()
		switch {
		case len(got) >= len(sent):
			return got, nil
		case time.Now().After(end):
			return nil, fmt.Errorf("tcpdump captured %d of %d datagrams", len(got), len(sent))
		}
	}
}
