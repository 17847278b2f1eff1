package cli

import "testing"

func TestFold(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"fits", "one two\nthree\n", "one two\nthree\n"},
		{"broken at a space", "  one two three four five\n", "  one two three four\n      five\n"},
		{"broken twice", "aaaa bbbb cccc dddd eeee ffff gggg hhhh\n", "aaaa bbbb cccc dddd\n      eeee ffff gggg\n      hhhh\n"},
		{"a long word stays whole", "  a-word-of-more-than-twenty-columns\n", "  a-word-of-more-than-twenty-columns\n"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fold(c.text, 20); got != c.want {
				t.Errorf("got\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}
