package language

import (
	"errors"
	"fmt"

	"golang.org/x/text/language"
)

// Shelf is the languages of an installation. It does not change.
type Shelf struct {
	all     []*Language // the one for whoever says nothing is first
	matcher language.Matcher
}

// NewShelf puts English and German beside further languages; one with the tag of another
// takes its place. First is the tag of the language for people who ask for none that is there,
// and of mails to people who chose none; empty is English.
func NewShelf(first string, more ...*Language) (*Shelf, error) {
	all := []*Language{English(), German()}
	for _, l := range more {
		i := at(all, l.Tag())
		switch {
		case l.Tag() == "en":
			return nil, errors.New("English is the language of the texts themselves, and has no file")
		case i < 0:
			all = append(all, l)
		default:
			all[i] = l
		}
	}
	if first == "" {
		first = "en"
	}
	i := at(all, first)
	if i < 0 {
		return nil, fmt.Errorf("there is no language %q here; name its file in languages", first)
	}
	s := &Shelf{all: append([]*Language{all[i]}, append(all[:i:i], all[i+1:]...)...)}
	var tags []language.Tag
	for _, l := range s.all {
		tags = append(tags, l.tag)
	}
	s.matcher = language.NewMatcher(tags)
	return s, nil
}

func at(all []*Language, tag string) int {
	for i, l := range all {
		if l.Tag() == tag {
			return i
		}
	}
	return -1
}

// All are the languages, the installation's own at the front.
func (s *Shelf) All() []*Language { return s.all }

// First is the language for whoever asks for none that is there.
func (s *Shelf) First() *Language { return s.all[0] }

// By is the language of a tag, and whether it is there; the first one where it is not.
func (s *Shelf) By(tag string) (*Language, bool) {
	if i := at(s.all, tag); i >= 0 {
		return s.all[i], true
	}
	return s.all[0], false
}

// For is the language by its tag, and the installation's own where it is not there. A nil Shelf
// has English alone.
func (s *Shelf) For(tag string) *Language {
	if s == nil {
		return English()
	}
	l, _ := s.By(tag)
	return l
}

// maxAccept is how much of an Accept-Language header is read, in bytes: browsers send less
// than a tenth of it.
const maxAccept = 1000

// Pick is the language for a browser: the chosen tag where it is there, then what the header
// Accept-Language asks for (RFC 9110 section 12.5.4), then the first.
func (s *Shelf) Pick(chosen, accept string) *Language {
	if l, ok := s.By(chosen); ok {
		return l
	}
	if len(accept) > maxAccept {
		return s.all[0]
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return s.all[0]
	}
	_, i, _ := s.matcher.Match(wanted...)
	return s.all[i]
}

// Tags are the tags of all languages, the first one's first.
func (s *Shelf) Tags() []string {
	var out []string
	for _, l := range s.all {
		out = append(out, l.Tag())
	}
	return out
}

// Match is the language that the first of these tags that has one asks for: of de-AT it is German.
// It is not ok where none of them is there.
func (s *Shelf) Match(tags []string) (*Language, bool) {
	for _, text := range tags {
		tag, err := language.Parse(text)
		if err != nil {
			continue
		}
		if _, i, sure := s.matcher.Match(tag); sure >= language.High {
			return s.all[i], true
		}
	}
	return s.all[0], false
}
