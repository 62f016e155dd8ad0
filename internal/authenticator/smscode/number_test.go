package smscode

import "testing"

// A number is taken as it is written or copied, or refused; it is never another one.
func TestNumbersAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]Number{
		"+49 30 123456":                             "+4930123456",
		"+1 (212) 555-0100":                         "+12125550100",
		"+49 (0)30 123456":                          "+4930123456",
		"+49(0)30/12 34 56":                         "+4930123456",
		"+49 ( 0 ) 171-1234567":                     "+491711234567",
		"+44 (0) 20 7946 0000":                      "+442079460000",
		"+353-(0)1-234 5678":                        "+35312345678",
		"\u202d+49\u00a030\u202f123\u2009456\u202c": "+4930123456",
		"＋４９　３０　１２３４５６":                             "+4930123456",
		"+49\u201330\u2011123\u2212456":             "+4930123456",
		"+39 06 1234 5678":                          "+390612345678",
		// What could be two numbers is none.
		"+39 (0)6 1234 5678":  "",
		"+49 (030) 123456":    "",
		"+49 30 (0) 123456":   "",
		"+49 (0)(0)30 123456": "",
		"(0)30 123456":        "",
		"0049 30 123456":      "",
		"030 123456":          "",
		"++49 30 123456":      "",
		"+49 30 12３456x":      "",
		"+0 30 123456":        "",
		"+49\u200b30123456":   "", // an invisible letter between digits
	} {
		if got, ok := ReadNumber(text); got != want || ok != (want != "") {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
