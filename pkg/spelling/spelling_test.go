package spelling

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"clients", "clients", 0}, {"cleints", "clients", 2},
		{"client", "clients", 1}, {"iteration", "iterations", 1}, {"kitten", "sitting", 3},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("from %q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"clients", "client-ids", "rooms", "url", "n"}
	for name, want := range map[string]string{
		"cleints": "clients",
		"client":  "clients",
		"room":    "rooms",
		"kitten":  "",
		"ur":      "url",
		"u":       "", // all of it would have to be changed
		"":        "",
	} {
		if got := Nearest(name, names); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
