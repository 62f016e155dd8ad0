package yubico

import (
	"context"

	"countersign/internal/application"
	"countersign/internal/prompt"
	"countersign/internal/protocol"
)

// Description is what the rest of the server asks of this protocol.
func Description() protocol.Description {
	return protocol.Description{
		Name: Protocol, Way: "by Yubico's protocol", Document: "yubico.md", Plays: prompt.Single,
		CheckSettings: CheckSettings,
		Guides:        guides(),
		Test: func(_ context.Context, t protocol.Trial) []protocol.Finding {
			return t.Overheard(t.Place.Public.String() + "/wsapi/2.0/verify")
		},
		Clash: Clash,
		Exposure: func(app application.Application) (protocol.Exposure, error) {
			return protocol.Exposure{Medium: prompt.Single, Entrances: []string{"the validation protocol for " + app.Name}, Drill: "validation"}, nil
		},
		Form: []protocol.Group{
			{Legend: "Clients", Help: "The programs that may ask.", List: "clients", Row: "client", Abreast: 2, Add: "Add a client", Remove: "Remove this client", Fields: []protocol.Field{
				{Name: "name", Label: "Name", Missing: "Every client needs a name, for the audit log."},
				{Name: "id", Label: "Number", Kind: protocol.Number, Help: "What the program calls itself by, 1 to 2147483647: its client id.", Missing: "Every client needs a number."},
				{Name: "key", Label: "Key", Kind: protocol.Secret, Help: "16 to 64 octets in base64, random: openssl rand -base64 20 makes one. It is never shown again.", Missing: "A new client needs a key."},
			}},
			{Fields: []protocol.Field{{Name: "vouches", Label: "What the programs check themselves", Kind: protocol.Vouches}}},
		},
		Open: func(p protocol.Parts) (protocol.Service, error) {
			return protocol.Service{Handle: New(p).Handle}, nil
		},
	}
}
