package approval

import "testing"

// All who listen for one request are told when it is answered, those who gave up before take
// nothing from the others, nobody is told of another one, and nothing is left of them.
func TestWhoListensIsTold(t *testing.T) {
	b := withBells(t)
	s := b.Settlements
	told := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	first, forgetFirst := s.Listen(7)
	second, forgetSecond := s.Listen(7)
	third, forgetThird := s.Listen(7)
	other, forgetOther := s.Listen(8)
	forgetSecond()
	s.tell(topicOf(7))
	for what, c := range map[string]struct {
		c    <-chan struct{}
		want bool
	}{"the first": {first, true}, "who gave up": {second, false}, "the third": {third, true}, "another": {other, false}} {
		if told(c.c) != c.want {
			t.Errorf("%s: told %t", what, !c.want)
		}
	}
	forgetFirst()
	forgetThird()
	if len(s.waiting) != 1 {
		t.Errorf("%d are waited for", len(s.waiting))
	}
	if forgetOther(); len(s.waiting) != 0 {
		t.Errorf("%d are waited for still", len(s.waiting))
	}
}
