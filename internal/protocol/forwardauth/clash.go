package forwardauth

import "encoding/json"

// Clash says what two applications both claim, as a host, or empty. Shut says that
// neither would have it any more; otherwise one takes it from what the other's
// wildcard covers.
func Clash(a, b json.RawMessage) (what string, shut bool, err error) {
	ours, err := parse(a)
	if err != nil {
		return "", false, err
	}
	theirs, err := parse(b)
	if err != nil {
		return "", false, nil //nolint:nilerr // settings that cannot be read open no host
	}
	for _, one := range ours.Hosts {
		for _, other := range theirs.Hosts {
			x, errX := settingsHost(one)
			y, errY := settingsHost(other)
			switch {
			case errX != nil || errY != nil:
			case x == y:
				return "the host " + x, true, nil
			case (wildcard(x) == y || wildcard(y) == x) && what == "":
				what = "the host " + longer(x, y)
			}
		}
	}
	return what, false, nil
}

// longer is the exact one of a host and the wildcard that covers it.
func longer(x, y string) string {
	if wildcard(x) == y {
		return x
	}
	return y
}
