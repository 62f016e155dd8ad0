package language

import (
	"fmt"
	"slices"
	"time"

	"countersign/internal/text"
)

// Sentence is an English text of the sources with its arguments, until somebody reads it in
// their language. The zero Sentence says nothing.
type Sentence struct {
	// Format is the text, formatted as by [Language.Text].
	Format string `json:"format,omitempty"`
	// Args may be sentences, words and moments, which are translated too.
	Args []any `json:"args,omitempty"`
	// One is the text for the number 1, where Format counts Number of something.
	One    string `json:"one,omitempty"`
	Number int    `json:"number,omitempty"`
}

// Say is the sentence of a text with its arguments. The tests find the texts by this call.
func Say(format string, args ...any) Sentence { return Sentence{Format: format, Args: args} }

// Counted is the sentence for a number of things: one and many are the English forms.
func Counted(n int, one, many string) Sentence { return Sentence{Format: many, One: one, Number: n} }

// Together is several sentences one after the other; those that say nothing are left out.
func Together(all ...Sentence) Sentence {
	all = slices.DeleteFunc(all, func(s Sentence) bool { return s.IsZero() })
	if len(all) == 0 {
		return Sentence{}
	}
	out := all[0]
	for _, s := range all[1:] {
		out = Say("%s %s", out, s)
	}
	return out
}

// IsZero reports whether it says nothing.
func (s Sentence) IsZero() bool { return s.Format == "" }

// String is the sentence in English.
func (s Sentence) String() string { return English().Tell(s) }

// Tell is a sentence in this language; a text without arguments is one as well, and any other
// value is written as it is.
func (l *Language) Tell(v any) string {
	switch v := v.(type) {
	case Sentence:
		if v.One != "" {
			return l.Count(v.Number, v.One, v.Format)
		}
		return l.Text(v.Format, v.Args...)
	case string:
		return l.Format(v)
	case Word:
		return l.Format(string(v))
	case At:
		return l.Moment(time.Time(v))
	}
	return fmt.Sprint(v)
}

// Word is an argument of a text that is itself a text of the sources, and is translated with it.
type Word string

// At is an argument that is a moment, in the zone in which it is written.
type At time.Time

// String is the moment in English.
func (a At) String() string { return text.Moment(time.Time(a)) }

// Args are the arguments of a text with those translated that are sentences, words or moments.
func (l *Language) Args(args []any) []any {
	out := slices.Clone(args)
	for i, a := range out {
		switch a.(type) {
		case Sentence, Word, At:
			out[i] = l.Tell(a)
		}
	}
	return out
}

// Listed is "a, b and c" of words, as a sentence.
func Listed(words []string) Sentence {
	switch len(words) {
	case 0:
		return Sentence{}
	case 1:
		return Say(words[0])
	}
	var rest any = Word(words[0])
	for _, w := range words[1 : len(words)-1] {
		rest = Say("%s, %s", rest, Word(w))
	}
	return Say("%s and %s", rest, Word(words[len(words)-1]))
}
