package throttle

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"countersign/internal/assurance"
	"countersign/internal/keyring"
)

// BrowserLife is how long a browser is remembered after its owner was let in there.
const BrowserLife = 30 * day

func encodeMAC(mac []byte) string { return base64.RawURLEncoding.EncodeToString(mac) }

func browserFields(account, unix int64) *keyring.Fields {
	return keyring.NewFields().Int(account).Int(unix)
}

// remembers reports whether a browser is one in which this account was let in, by what it
// keeps.
func (k *places) remembers(browser string, account assurance.AccountID) bool {
	parts := strings.Split(browser, ".")
	if len(parts) != 3 || account == 0 {
		return false
	}
	whose, err := strconv.ParseInt(parts[0], 10, 64)
	unix, err2 := strconv.ParseInt(parts[1], 10, 64)
	mac, err3 := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || err2 != nil || err3 != nil || assurance.AccountID(whose) != account || !k.keys.VerifyMAC(keyring.Browser, browserFields(whose, unix), mac) {
		return false
	}
	age := k.now().Sub(time.Unix(unix, 0))
	return age >= -time.Minute && age < BrowserLife
}

// browserOf is what a browser keeps that belongs to an account.
func (k *places) browserOf(account assurance.AccountID) string {
	now := k.now().Unix()
	mac := k.keys.MAC(keyring.Browser, browserFields(int64(account), now))
	return strconv.FormatInt(int64(account), 10) + "." + strconv.FormatInt(now, 10) + "." + encodeMAC(mac)
}
