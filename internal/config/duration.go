package config

import (
	"countersign/internal/text"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Duration is a length of time as people write it: 90s, 15m, 8h, 30d. "none" is
// minus one, for limits that can be switched off. Zero takes the default.
type Duration time.Duration

// UnmarshalYAML reads one, and says by its line what is wrong with it.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	if n.Value == "none" {
		*d = -1
		return nil
	}
	v, err := text.Duration(n.Value)
	if err != nil || v <= 0 {
		return fmt.Errorf("line %d: %q is not a length of time such as 90s, 15m, 8h or 30d", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

func (d Duration) String() string {
	switch v := time.Duration(d); {
	case v < 0:
		return "none"
	case v == 0:
		return ""
	case v%day == 0:
		return strconv.Itoa(int(v/day)) + "d"
	default:
		s := v.String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		return s
	}
}
