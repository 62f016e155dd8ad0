package hotp

import "time"

// AfterRollback gives the key up: nothing tells how far its device has gone on, so
// every code that it showed since could be given again. Who has the seed and the
// device's counter imports it anew.
func (a *Authenticator) AfterRollback([]byte, time.Time) (next []byte, usable bool, err error) {
	return nil, false, nil
}
