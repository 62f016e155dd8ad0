package events

import (
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged is how many bytes the other machine has not acknowledged yet.
func unacknowledged(conn net.Conn) (int, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var left int
	var inner error
	if err := raw.Control(func(fd uintptr) { left, inner = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		return 0, err
	}
	return left, inner
}
