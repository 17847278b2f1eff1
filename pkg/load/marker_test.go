package load

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMarkerSurvivesEnvelopes(t *testing.T) {
	run := newRunName()
	want := marker{room: 667, sender: 4001, seq: 100, nanos: 1795430400123456789}
	text := string(run.append(nil, want, 0))
	quoted, err := json.Marshal(map[string]string{"from": "a: b", "text": text})
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{text, string(quoted), "x" + text + "y", "sseload: is not one, " + text, text + text} {
		var got marker
		what := nothing
		for rest := []byte(data); what != ours && rest != nil; {
			got, what, rest = run.find(rest)
		}
		if what != ours || got != want {
			t.Errorf("in %q found %+v (%d), want %+v", data, got, what, want)
		}
	}
}

func TestMarkerOfOthers(t *testing.T) {
	run, other := newRunName(), newRunName()
	whole := string(run.append(nil, marker{room: 1, sender: 2, seq: 3, nanos: 4}, 0))
	for data, want := range map[string]finding{
		"":            nothing,
		"hello":       nothing,
		"sseload-run": nothing,
		string(other.append(nil, marker{seq: 1}, 0)):               foreign,
		strings.TrimSuffix(whole, ":"):                             foreign, // cut off
		strings.Replace(whole, ":3:", ":x:", 1):                    foreign,
		strings.Replace(whole, ":3:", ":0:", 1):                    foreign, // sequences start at 1
		strings.Replace(whole, ":3:", "::", 1):                     foreign,
		strings.Replace(whole, ":3:", ":99999999999999999999:", 1): foreign,
		whole: ours,
	} {
		if _, got, _ := run.find([]byte(data)); got != want {
			t.Errorf("in %q found %d, want %d", data, got, want)
		}
	}
}

func TestMarkerLength(t *testing.T) {
	run := newRunName()
	longest := run.append(nil, marker{room: 1<<31 - 1, sender: 1<<31 - 1, seq: 1<<32 - 1, nanos: 1<<63 - 1}, 0)
	if len(longest) != maxMarkerLen {
		t.Errorf("the longest marker has %d bytes, maxMarkerLen says %d", len(longest), maxMarkerLen)
	}
	if padded := run.append([]byte("before"), marker{seq: 1}, 200); len(padded) != 206 {
		t.Errorf("padded to %d bytes, want 200", len(padded)-6)
	}
	for _, c := range longest {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:", rune(c)) {
			t.Errorf("a marker contains %q", c)
		}
	}
}

func TestFindTimestamp(t *testing.T) {
	for data, want := range map[string]int64{
		"1795430400123":              1795430400123,
		`{"at":1795430400123,"n":1}`: 1795430400123,
		"id 12 at 1795430400123":     1795430400123,
		"":                           0,
		"17954304001234":             0,
		"179543040012":               0,
	} {
		if got, ok := findTimestamp([]byte(data)); got != want || ok != (want != 0) {
			t.Errorf("in %q found %d %v, want %d", data, got, ok, want)
		}
	}
}
