package store

import "strings"

// ordinal writes "?" for each "$n" of a statement that has them in order, each
// once. The driver looks up every other parameter by its name, at each run.
func ordinal(query string) string {
	var b strings.Builder
	rest := query
	for n := 1; ; n++ {
		at := strings.IndexByte(rest, '$')
		if at < 0 {
			b.WriteString(rest)
			return b.String()
		}
		number, after := digits(rest[at+1:])
		if number != n || strings.ContainsAny(rest[:at], "'\"?") {
			return query
		}
		b.WriteString(rest[:at])
		b.WriteByte('?')
		rest = after
	}
}

// digits reads a number from the front of a text; 0 where there is none.
func digits(s string) (n int, rest string) {
	for s != "" && s[0] >= '0' && s[0] <= '9' && n < 1000 {
		n, s = n*10+int(s[0]-'0'), s[1:]
	}
	return n, s
}
