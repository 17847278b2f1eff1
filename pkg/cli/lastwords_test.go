package cli

import (
	"strings"
	"testing"
)

func TestTheEndOfWhatWasSaid(t *testing.T) {
	for said, want := range map[string]string{
		"":                                       "",
		"one":                                    "one",
		"\n one\r\n\n\ttwo \n":                   "one; two",
		strings.Repeat("x", 2*mostEnd):           strings.Repeat("x", mostEnd),
		strings.Repeat("x", 2*mostEnd) + "\nend": "end",
		strings.Repeat("a line of 18 bytes\n", 60): strings.Repeat("a line of 18 bytes; ", 52) + "a line of 18 bytes",
	} {
		w := &lastWords{}
		if _, err := w.Write([]byte(said)); err != nil {
			t.Fatal(err)
		}
		if got := w.end(); got != want {
			t.Errorf("end of %.40q… of %d bytes: %.40q… of %d, want %d", said, len(said), got, len(got), len(want))
		}
	}
}
