//go:build !linux

package server

import (
	"net"
	"os"
)

// peer trusts the folder's and the socket's own permissions where the system
// does not say who is at the other end.
func peer(net.Conn) (uid int, known bool) { return os.Getuid(), true }
