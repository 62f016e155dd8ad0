package main

import (
	"countersign/internal/protocol"
	"countersign/internal/protocol/forwardauth"
	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/yubico"
)

// protocols are all that an application can ask by: who adds one adds its line.
func protocols() protocol.List {
	return protocol.List{
		forwardauth.Description(),
		radius.Description(),
		yubico.Description(),
	}
}
