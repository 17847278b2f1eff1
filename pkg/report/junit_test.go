package report

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/result"
)

// parsedSuites is JUnit XML as those who read it have it: GitLab asks a case for name,
// classname, time and which of failure, error and skipped it has.
type parsedSuites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     float64  `xml:"time,attr"`
	Suites   []struct {
		Name     string  `xml:"name,attr"`
		Tests    int     `xml:"tests,attr"`
		Failures int     `xml:"failures,attr"`
		Errors   int     `xml:"errors,attr"`
		Skipped  int     `xml:"skipped,attr"`
		Time     float64 `xml:"time,attr"`
		Cases    []struct {
			Name    string   `xml:"name,attr"`
			Class   string   `xml:"classname,attr"`
			Time    float64  `xml:"time,attr"`
			Failure []parsed `xml:"failure"`
			Error   []parsed `xml:"error"`
			Skipped []parsed `xml:"skipped"`
			Out     string   `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

type parsed struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func readJUnit(t *testing.T, f *result.File) parsedSuites {
	t.Helper()
	return parseJUnit(t, render(t, "junit", f, Options{}))
}

func parseJUnit(t *testing.T, text string) parsedSuites {
	t.Helper()
	var all parsedSuites
	if err := xml.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// notPassed are the cases with an outcome, each in a line.
func (all parsedSuites) notPassed() []string {
	var lines []string
	for _, s := range all.Suites {
		for _, c := range s.Cases {
			for i, texts := range [][]parsed{c.Failure, c.Error, c.Skipped} {
				for _, p := range texts {
					lines = append(lines, fmt.Sprintf("%s %s: %s: %s", []string{"failure", "error", "skipped"}[i], s.Name, c.Name, p.Text))
				}
			}
		}
	}
	return lines
}

// The numbers of a suite are those of its cases, and no two cases are the same to a
// reader that tells them apart by class and name.
func TestJUnitAddsUp(t *testing.T) {
	fs := fixtures()
	fs["pipeline"] = pipeline()
	for name, f := range fs {
		all := readJUnit(t, f)
		if len(all.Suites) != len(f.Runs) {
			t.Fatalf("%s: %d suites of %d runs", name, len(all.Suites), len(f.Runs))
		}
		addsUp(t, name, all)
	}
	twice := comparedAll(t)
	twice[1].New.Name = twice[0].New.Name
	addsUp(t, "comparison", parseJUnit(t, renderComparisons(t, "junit", twice)))
}

func addsUp(t *testing.T, name string, all parsedSuites) {
	t.Helper()
	seen := map[string]bool{}
	total, sum := [4]int{}, 0.0
	for _, s := range all.Suites {
		n, took := [4]int{}, 0.0
		for _, c := range s.Cases {
			key := c.Class + "/" + c.Name
			if seen[key] || c.Class != s.Name || c.Name == "" {
				t.Errorf("%s: case %q, of suite %q", name, key, s.Name)
			}
			seen[key] = true
			took += c.Time
			n[0]++
			for i, texts := range [][]parsed{c.Failure, c.Error, c.Skipped} {
				n[1+i] += len(texts)
				for _, p := range texts {
					if p.Message == "" || p.Text != p.Message {
						t.Errorf("%s: %q says %q and %q", name, key, p.Message, p.Text)
					}
				}
			}
			if len(c.Failure)+len(c.Error)+len(c.Skipped) > 1 {
				t.Errorf("%s: %q has several outcomes", name, key)
			}
		}
		if want := [4]int{s.Tests, s.Failures, s.Errors, s.Skipped}; n != want {
			t.Errorf("%s: suite %q says %v, has %v", name, s.Name, want, n)
		}
		if diff := took - s.Time; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("%s: suite %q took %v, its cases %v", name, s.Name, s.Time, took)
		}
		for i := range n {
			total[i] += n[i]
		}
		sum += s.Time
	}
	if want := [4]int{all.Tests, all.Failures, all.Errors, all.Skipped}; total != want {
		t.Errorf("%s: says %v, has %v", name, want, total)
	}
	if diff := sum - all.Time; diff > 0.001*float64(len(all.Suites)) || diff < -0.001*float64(len(all.Suites)) {
		t.Errorf("%s: took %v, its suites %v", name, all.Time, sum)
	}
}

// A limit is red where the exit code is: when it was exceeded for sure, or cannot be
// judged. What got worse without a limit is seen, but not red.
func TestComparisonJUnitOutcomes(t *testing.T) {
	got := parseJUnit(t, renderComparisons(t, "junit", comparedAll(t))).notPassed()
	want := []string{
		"failure after.json against before.json: delivery.p99 +10% in rooms 600 × 10: limit delivery.p99 +10%: delivery.p99 of rooms 600 × 10 rose from 1.20 ms to 21.4 ms, +1,683 % (+1,500 to +1,917 %)",
		"skipped after.json against before.json: delivery.p99 +10% in rooms 1200 × 10: it may be chance: limit delivery.p99 +10%: delivery.p99 of rooms 1200 × 10 fell from 400 µs to 390 µs, ~ (-5.0 to +3.8 %)",
		"error after.json against before.json: target.cpu_per_copy +5µs in rooms 600 × 10: limit target.cpu_per_copy +5µs: target.cpu_per_copy of rooms 600 × 10 is 5.00 µs in the base and – in the new",
		"error after.json against before.json: iteration.p99 +5%: limit iteration.p99 +5%: no run of either side knows iteration.p99",
		"skipped after.json against before.json: nothing got worse in rooms 600 × 10: latency p99 +1,683 % (+1,500 to +1,917 %), lost +3 (+1 to +4); rooms 600 × 10: 5 runs in the base, 5 in the new",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What is red is what the exit code says: thresholds that failed, runs that ended
// early. Everything else that did not hold is skipped, with what would judge it.
func TestJUnitOutcomes(t *testing.T) {
	for _, test := range []struct {
		name string
		file *result.File
		want []string
	}{
		{"pipeline", pipeline(), []string{
			"failure smoke & <fire>: rooms 600 × 10, repetition 2: delivery.p99 < 5ms: delivery.latency.p99 was 8.00 ms, the limit is 5.00 ms",
			"failure smoke & <fire>: rooms 600 × 10, repetition 2: delivery.lost == 0: delivery.lost was 3, the limit is 0",
			"failure smoke & <fire>: rooms 600 × 10, repetition 2: generator.read_lag.p99 < 1ms: generator.read_lag.p99 is not known: the run did not get to measure it, or has no such figure",
			"skipped smoke & <fire>: rooms 600 × 10, repetition 2: every copy was delivered: 3 lost of 6,000 expected copies; judged by the threshold delivery.lost == 0",
		}},
		{"failed and dropped", connectFailing(), []string{
			"skipped connect 5000: all clients opened: 4,900 of 5,000 clients opened; failed: refused 100; no threshold judges it, --threshold 'connect.failed == 0' would",
			"skipped connect 5000: no client was dropped: 12 of 4,900 open clients ended before the run did: closed early 12; no threshold judges it, --threshold 'connect.dropped == 0' would",
			"skipped connect 6000: all clients opened: 0 of 6,000 clients opened; failed: content type 6,000; no threshold judges it, --threshold 'connect.failed == 0' would",
			"error connect 6000: the run came to its end: no client opened",
		}},
		{"interrupted", interrupted(), []string{
			"skipped rooms 4000 × 100 #2: every copy was delivered: 10 lost of 148,000 expected copies; no threshold judges it, --threshold 'delivery.lost == 0' would",
			"error rooms 4000 × 100 #2: the run came to its end: interrupted: figures are partial, after 37 of 100 iterations",
		}},
		{"unknown", func() *result.File {
			f := timestamp()
			f.Runs = f.Runs[1:]
			f.Runs[0].Generator.Overloaded = nil
			return f
		}(), []string{
			"skipped rooms 1000 × 10: every copy was delivered: not known: the payload carries no sequence",
			"skipped rooms 1000 × 10: no copy came twice: not known: the payload carries no sequence",
			"skipped rooms 1000 × 10: no copy came out of order: not known: the payload carries no sequence",
			"skipped rooms 1000 × 10: no copy came to another room: not known: the payload carries no sequence",
			"skipped rooms 1000 × 10: the generator was not overloaded: not known: neither its lag nor its CPU could be measured",
		}},
		{"overloaded", func() *result.File { f := behind(); f.Runs = f.Runs[1:]; f.Runs[0].Interrupted = false; return f }(), []string{
			"skipped rooms 600 @ 500/s: the generator was not overloaded: the generator fell behind, take the figures as a bound: dispatch lag p99 was 8.0 ms, the bound is 1 ms",
		}},
		{"perfect", roomsMatrix(), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := readJUnit(t, test.file).notPassed(); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// XML 1.0, section 2.2: no control characters but tab and line ends, not even escaped.
func TestJUnitHasNoControlCharacters(t *testing.T) {
	f := hostile()
	f.Runs[0].Aborted = new("bell \a escape \x1b[1m bad \xff end \ufffe")
	f.Runs[0].Thresholds = []result.Verdict{{Threshold: "a\x00b < 1 & \"c\"", Figure: "x\x01", Unit: "count"}}
	out := render(t, "junit", f, Options{})
	for _, r := range out {
		if r < 0x20 && r != '\n' || r == 0xfffe || r == 0xffff {
			t.Errorf("there is a %q", r)
		}
	}
	if strings.Contains(out, "&#x0") || strings.Contains(out, "&#x1") {
		t.Error("a control character is escaped")
	}
	got := readJUnit(t, f).Suites[0].Cases[0].Name
	if want := `a b < 1 & "c"`; got != want {
		t.Errorf("the threshold is %q, want %q", got, want)
	}
}

// TestNotDone expects what did not come to a run to be red in the formats of pipelines,
// beside runs that went well and without any.
func TestNotDone(t *testing.T) {
	fine := roomsOne()
	for _, f := range []*result.File{fine, file("connect")} {
		failed := []NotDone{{Step: "se*cond", Reason: "no\x01 <way>"}, {Step: "third", Reason: "not begun"}}
		all := parseJUnit(t, render(t, "junit", f, Options{Failed: failed}))
		if before := readJUnit(t, f); all.Errors != before.Errors+2 || all.Tests != before.Tests+2 {
			t.Errorf("%d errors of %d cases, without it %d of %d", all.Errors, all.Tests, before.Errors, before.Tests)
		}
		s := all.Suites[len(f.Runs)]
		if s.Name != "se*cond" || s.Tests != 1 || s.Errors != 1 || len(s.Cases) != 1 || len(s.Cases[0].Error) != 1 || !strings.Contains(s.Cases[0].Error[0].Text, "<way>") {
			t.Errorf("its suite is %+v", s)
		}
		text := render(t, "github", f, Options{Failed: failed})
		if head, _, _ := strings.Cut(text, "\n"); !strings.HasPrefix(head, "### ❌ ") || !strings.HasSuffix(head, ": 2 steps were not carried out") {
			t.Errorf("the headline is %q", head)
		}
		if !strings.Contains(text, "\n- ❌ **third**: not begun\n") {
			t.Errorf("it does not list them:\n%.400s", text)
		}
	}
	if head, _, _ := strings.Cut(render(t, "github", pipeline(), Options{Failed: []NotDone{{Reason: "x"}}}), "\n"); head != "### ❌ sseload rooms: 3 of 12 thresholds failed, not carried out" {
		t.Errorf("beside what failed: %q", head)
	}
}

func TestNumbered(t *testing.T) {
	names := numbered{}
	var got []string
	for _, name := range []string{"a", "a #2", "a", "a", "b", "a #2"} {
		got = append(got, names.next(name))
	}
	if want := []string{"a", "a #2", "a #3", "a #4", "b", "a #2 #2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
