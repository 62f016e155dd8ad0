package radius

import (
	"encoding/json"
	"slices"
)

// Clash says what two applications both claim, as a network of equipment, or empty.
// Shut says that a packet from there would be either's; otherwise the narrower
// network takes from the wider.
func Clash(a, b json.RawMessage) (what string, shut bool, err error) {
	ours, err := parseSettings(a)
	if err != nil {
		return "", false, err
	}
	theirs, err := parseSettings(b)
	if err != nil || !meet(ours.Ports, theirs.Ports) {
		return "", false, nil //nolint:nilerr // settings that cannot be read answer nobody
	}
	for _, one := range ours.Clients {
		for _, other := range theirs.Clients {
			if distinct(one.NASIdentifiers, other.NASIdentifiers) {
				continue
			}
			for _, x := range one.Networks {
				for _, y := range other.Networks {
					p, errP := parseNetwork(x)
					q, errQ := parseNetwork(y)
					switch {
					case errP != nil || errQ != nil:
					case p == q:
						return "equipment at " + p.String(), true, nil
					case p.Overlaps(q) && what == "":
						what = "equipment at " + p.String() + ", which overlaps " + q.String()
					}
				}
			}
		}
	}
	return what, false, nil
}

// meet reports whether two lists of ports have one in common; an empty one is all.
func meet(a, b []int) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(p int) bool { return slices.Contains(b, p) })
}
