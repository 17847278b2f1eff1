package report

import (
	"regexp"
	"strings"
	"testing"
)

// color matches what begins or ends a colour.
var color = regexp.MustCompile("\x1b\\[[0-9]+m")

// TestColourChangesNothingElse: what colours hold is what there is without them, in
// every format and for every record.
func TestColourChangesNothingElse(t *testing.T) {
	for name, f := range fixtures() {
		for _, format := range Names() {
			for _, width := range []int{0, 80} {
				plain := render(t, format, f, Options{Width: width})
				colored := render(t, format, f, Options{Width: width, Color: true})
				if strings.Contains(plain, "\x1b") {
					t.Errorf("%s of %s has colours, unasked", format, name)
				}
				if color.ReplaceAllString(colored, "") != plain {
					t.Errorf("%s of %s is another text with colours", format, name)
				}
				if format != "findings" && colored != plain {
					t.Errorf("%s of %s has colours", format, name)
				}
			}
		}
	}
}

func TestWhatWentWrongStandsOut(t *testing.T) {
	o := Options{Width: 80, Color: true}
	got := render(t, "findings", trouble(), o)
	for _, want := range []string{"\x1b[31mdelivery\x1b[0m", "\x1b[31msends failed\x1b[0m", "\x1b[33moverloaded\x1b[0m"} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("no line begins with %q", want)
		}
	}
	if !regexp.MustCompile(`\| lost +\| .*\x1b\[31m[1-9]`).MatchString(got) {
		t.Error("lost copies do not stand out in the table")
	}
	if got := render(t, "findings", roomsOne(), o); strings.Contains(got, "\x1b") {
		t.Error("nothing went wrong, and something stands out")
	}
}

func TestPaintTable(t *testing.T) {
	text, err := grid{
		columns: []column{{head: "Threshold"}, {head: "Verdict"}},
		rows:    [][]string{{"a | FAILED", "held"}, {"FAILED b", "FAILED"}, {"c", "unknown"}, {"", ""}},
	}.render(plain)
	if err != nil {
		t.Fatal(err)
	}
	got := Options{Color: true}.paintTable(text, verdictStyle)
	want := strings.Replace(text, "| FAILED  |", "| \x1b[31mFAILED\x1b[0m  |", 1)
	want = strings.Replace(want, "| unknown |", "| \x1b[33munknown\x1b[0m |", 1)
	if got != want || strings.Count(got, "\x1b") != 4 {
		t.Errorf("it is\n%q\nwant\n%q", got, want)
	}
	if got := (Options{}).paintTable(text, verdictStyle); got != text {
		t.Errorf("without colours it is %q", got)
	}
	if width(got) != width(text) {
		t.Errorf("%d columns with colours, %d without", width(got), width(text))
	}
	if got := Normal.Paint("x") + Good.Paint("") + Good.Paint("y"); got != "x\x1b[32my\x1b[0m" {
		t.Errorf("painted %q", got)
	}
}
