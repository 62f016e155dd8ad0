package server

import (
	"countersign/internal/protocol"
	"countersign/internal/protocol/entra"
	"countersign/internal/protocol/forwardauth"
	"countersign/internal/protocol/oidc"
	"countersign/internal/protocol/radius"
	"countersign/internal/protocol/saml"
	"countersign/internal/protocol/yubico"
)

// Protocols are all that an application can ask by: who adds one adds its line.
func Protocols() protocol.List {
	return protocol.List{
		forwardauth.Description(),
		radius.Description(),
		yubico.Description(),
		saml.Description(),
		oidc.Description(),
		entra.Description(),
	}
}
