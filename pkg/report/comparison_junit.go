package report

import (
	"io"
	"strings"

	"github.com/sseload/sseload/pkg/compare"
)

// comparisonJUnit is a suite for each new side: a case for each limit in each row, then
// one for each row: whether anything got worse there.
//
// What is red there and what the exit code says are one: an exceeded limit is a failure,
// one that cannot be judged an error. One that was exceeded, but perhaps by chance, is
// "skipped", and so is a row in which something got worse: it is for limits to say what
// is too much.
type comparisonJUnit struct{}

func (comparisonJUnit) Name() string { return "junit" }

func (comparisonJUnit) Description() string {
	return "JUnit XML: limits and rows as test cases, for CI systems"
}

func (comparisonJUnit) RenderComparisons(w io.Writer, all []*compare.Comparison, _ Options) error {
	suites := junitSuites{Name: "sseload compare", Time: junitSeconds(0)}
	names := numbered{}
	for _, c := range all {
		s := junitSuite{
			Name: names.next(clean(c.New.Name + " against " + c.Base.Name)), Time: junitSeconds(0),
			Properties: []junitProperty{{"base", clean(c.Base.Name)}, {"new", clean(c.New.Name)}, {"confidence", percents(100*c.Confidence) + " %"}},
		}
		for _, text := range c.Warnings {
			s.Properties = append(s.Properties, junitProperty{"warning", clean(text)})
		}
		for i := range c.Findings {
			s.Cases = append(s.Cases, findingCase(&c.Findings[i]))
		}
		for i := range c.Rows {
			s.Cases = append(s.Cases, rowCase(&c.Rows[i]))
		}
		suites.add(s)
	}
	return suites.write(w)
}

// findingCase is what became of a limit.
func findingCase(f *compare.Finding) junitCase {
	k := junitCase{Name: f.Limit, Time: junitSeconds(0)}
	if f.Row != "" {
		k.Name += " in " + f.Row
	}
	k.Name = clean(k.Name)
	switch text := FindingText(f); f.State {
	case compare.Held:
		k.Out = clean(text)
	case compare.Suspected:
		k.Skipped = explained("skipped", "", "it may be chance: "+text)
	case compare.Exceeded:
		k.Failure = explained("failure", "limit", text)
	default:
		k.Error = explained("error", "unjudged", text)
	}
	return k
}

// rowCase is whether anything in a row got worse, limited or not.
func rowCase(row *compare.Row) junitCase {
	k := junitCase{Name: clean("nothing got worse in " + row.Name), Time: junitSeconds(0)}
	worse, about := []string{}, []string{rowText(row)}
	for i := range row.Changes {
		if c := &row.Changes[i]; c.Verdict == compare.Worse {
			worse = append(worse, c.Label+" "+changeText(c))
		}
	}
	for _, r := range rowRemarks(row) {
		about = append(about, r.String())
	}
	text := strings.Join(about, "; ")
	if len(worse) == 0 {
		k.Out = clean(text)
		return k
	}
	k.Skipped = explained("skipped", "", strings.Join(worse, ", ")+"; "+text)
	return k
}
