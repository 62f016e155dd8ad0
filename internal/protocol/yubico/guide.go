package yubico

import (
	"strconv"
	"strings"

	"countersign/deploy/examples"
	"countersign/internal/application"
	"countersign/internal/failure"
	"countersign/internal/protocol"
)

// guides are the programs, each with its file of deploy/examples.
func guides() []protocol.Guide {
	return []protocol.Guide{guide("pam", "pam_yubico", "/etc/pam.d/ID", "pam_yubico.txt", "id=7 ", "id=NUMBER "), guide("ykclient", "ykclient, to try it once", "a shell", "ykclient.txt", "the-client-key 7 ", "the-client-key NUMBER ")}
}

func guide(name, title, path, example, number, written string) protocol.Guide {
	return protocol.Guide{Name: name, Title: title, Document: "yubico.md", Write: func(app application.Application, at protocol.Place) ([]protocol.Ready, error) {
		s, err := parseSettings(app.Settings)
		if err != nil {
			return nil, err
		}
		for _, c := range s.Clients {
			if at.Client != "" && c.Name != at.Client {
				continue
			}
			key := "KEY-OF-" + strings.ToUpper(protocol.Identifier(c.Name))
			own := strings.NewReplacer("NUMBER", strconv.Itoa(c.ID), "the-client-key", key)
			pairs := []string{number, own.Replace(written), "https://login.example.org", at.Public.Scheme + "://" + at.Public.Host}
			if !strings.Contains(number, "the-client-key") {
				pairs = append(pairs, "the-client-key", key)
			}
			text, err := protocol.Fill(examples.Files, example, []string{c.Name + " asks Countersign about " + protocol.Identifier(app.Name) + ". Write the client's key where " + key + " stands; nothing shows it again.", "/etc/yubikeys says whose key it is, a line such as ada:ccccccdkfjhi for each."}, pairs...)
			return []protocol.Ready{{Path: strings.ReplaceAll(path, "ID", protocol.Identifier(app.Name)), Text: text}}, err
		}
		return nil, failure.New(failure.Invalid, "The application has no client %q.", at.Client)
	}}
}
