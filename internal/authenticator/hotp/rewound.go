package hotp

import "time"

// Rewound gives the key up: nothing tells how far its device has gone on, so
// every code that it showed since could be given again. Who has the seed and the
// device's counter imports it anew.
func (a *Authenticator) Rewound([]byte, time.Time) (next []byte, usable bool, err error) {
	return nil, false, nil
}
