package text

import (
	"testing"
	"time"
)

// Each time names its zone, in winter and in summer, also where a zone has no letters.
func TestMomentNamesItsZone(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 5, 0, time.UTC)
	for zone, want := range map[string]string{"UTC": "1 July 2026, 12:00 UTC", "Europe/Berlin": "1 July 2026, 14:00 CEST", "America/Sao_Paulo": "1 July 2026, 09:00 UTC-03", "Asia/Kathmandu": "1 July 2026, 17:45 UTC+0545"} {
		l, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		if got := Moment(at.In(l)); got != want || Zone(l) != zone {
			t.Errorf("in %s it is %q (%s), not %q", zone, got, Zone(l), want)
		}
	}
	if got := Hour(at); got != "12:00:05 UTC" {
		t.Errorf("the hour is %q", got)
	}
	if Zone(time.Local) == "Local" {
		t.Error("the zone of the machine is named Local")
	}
}
