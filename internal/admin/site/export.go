package site

import (
	"bytes"
	"context"
	"strconv"

	"go.yaml.in/yaml/v3"

	applications "countersign/internal/application"
	"countersign/internal/directory"
)

const heading = `Groups, applications, identity providers, provisioning, signals and the policy of Countersign. "countersign apply -f FILE" makes them so.
A part that is left out is not changed. "(hidden)" leaves a secret as it is.`

// export writes the installation as a file: what apply makes of it changes nothing.
func (a *desk) export(ctx context.Context) (string, error) {
	groups, err := a.Groups.All(ctx, a.DB)
	if err != nil {
		return "", err
	}
	apps, err := a.Applications.All(ctx)
	if err != nil {
		return "", err
	}
	d, err := a.Policy.Latest(ctx, a.DB)
	if err != nil {
		return "", err
	}
	root := block("countersign", number(Version), "groups", writeGroups(groups))
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, app := range apps {
		n, err := a.writeApplication(app)
		if err != nil {
			return "", err
		}
		all.Content = append(all.Content, n)
	}
	body := scalar(d.Body)
	body.Style = yaml.LiteralStyle
	root.Content = append(root.Content, scalar("applications"), all)
	for _, p := range parts {
		n, err := a.writeOthers(ctx, p)
		if err != nil {
			return "", err
		}
		root.Content = append(root.Content, scalar(p.key), n)
	}
	root.Content = append(root.Content, scalar("policy"), body)
	root.HeadComment = heading
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	err = enc.Encode(root)
	return out.String(), err
}

func writeGroups(groups []directory.Group) *yaml.Node {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, g := range groups {
		if g.OfPartner() {
			continue // it comes and goes with its partner
		}
		n := block("name", scalar(g.Name))
		if g.Display != "" {
			n.Content = append(n.Content, scalar("display"), scalar(g.Display))
		}
		if g.Privileged {
			n.Content = append(n.Content, scalar("privileged"), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"})
		}
		all.Content = append(all.Content, n)
	}
	return all
}

func (a *desk) writeApplication(app applications.Application) (*yaml.Node, error) {
	n := block("name", scalar(app.Name), "title", scalar(app.Title), "kind", scalar(app.Kind), "tier", scalar(app.Tier), "protocol", scalar(app.Protocol))
	if app.Vouches != "" {
		n.Content = append(n.Content, scalar("vouches"), scalar(app.Vouches))
	}
	shown, err := a.Application.Shown(app.Settings)
	if err != nil {
		return nil, err
	}
	settings, err := asYAML(shown)
	n.Content = append(n.Content, scalar("settings"), settings)
	return n, err
}

// asYAML is JSON as people write it.
func asYAML(shown []byte) (*yaml.Node, error) {
	var doc yaml.Node // JSON is YAML, and keeps its order and its numbers
	if err := yaml.Unmarshal(shown, &doc); err != nil {
		return nil, err
	}
	unquote(doc.Content[0])
	return doc.Content[0], nil
}

// unquote writes JSON as people write YAML: a line each, and quotes where they are needed.
func unquote(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		n.SetString(n.Value)
	}
	for _, c := range n.Content {
		unquote(c)
	}
}

func block(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			n.Content = append(n.Content, scalar(p))
		case *yaml.Node:
			n.Content = append(n.Content, p)
		}
	}
	return n
}

func scalar(s string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(s)
	return n
}

func number(i int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(i)}
}
