package password

import "strings"

// stems are words that the commonest passwords are made of, from public
// analyses of leaked lists; common also refuses them with digits and signs
// before or behind.
var stems = strings.Fields(`password passwort passw0rd p@ssword p@ssw0rd qwerty qwertz azerty asdfgh zxcvbn
	letmein welcome admin administrator login iloveyou monkey dragon football baseball basketball superman batman
	master sunshine princess shadow michael jordan trustno1 starwars whatever computer internet secret changeme
	default guest summer winter spring autumn charlie jennifer hunter killer soccer hockey freedom flower
	hello testing test1234 company corporate countersign`)

// common reports whether a folded password is one that is guessed first: a
// repetition, a row of the keyboard, or a common word with ornaments.
func common(folded string) bool {
	for _, row := range []string{"01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujm"} {
		if strings.Contains(row, folded) {
			return true
		}
	}
	if strings.Count(folded, folded[:1]) == len(folded) {
		return true
	}
	bare := strings.TrimFunc(folded, func(r rune) bool { return r < 'a' })
	for _, s := range stems {
		if bare == s || folded == s || bare == s+s {
			return true
		}
	}
	return false
}
