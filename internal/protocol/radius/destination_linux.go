package radius

import (
	"net"
	"net/netip"
	"os"
	"syscall"
)

// A reply must come from the address that the request went to, or the client
// will not take it. On a socket that is bound to no address the kernel picks
// the one of the route instead, which is another on a machine with several; so
// it is asked which one each datagram came to (ip(7), ipv6(7)).

// wantDestination turns that on and returns how much room the answer takes.
func wantDestination(conn *net.UDPConn, local netip.Addr) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if local.Is4() {
			failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_PKTINFO, 1)
		} else {
			failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
		}
	})
	if err == nil {
		err = os.NewSyscallError("setsockopt", failed)
	}
	return syscall.CmsgSpace(syscall.SizeofInet6Pktinfo), err
}

// replyControl makes the kernel's answer into the request to send from there.
// Which interface a reply leaves by is left to the routes, save for link-local
// addresses, which mean nothing without.
func replyControl(control []byte) []byte {
	if len(control) < syscall.CmsgLen(0) {
		return nil
	}
	data := control[syscall.CmsgLen(0):]
	switch len(control) {
	case syscall.CmsgSpace(syscall.SizeofInet4Pktinfo):
		clear(data[:4]) // ipi_ifindex
	case syscall.CmsgSpace(syscall.SizeofInet6Pktinfo):
		if addr, ok := netip.AddrFromSlice(data[:16]); ok && !addr.IsLinkLocalUnicast() {
			clear(data[16:20]) // ipi6_ifindex
		}
	default:
		return nil
	}
	return control
}
