package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// junit is the XML that CI systems read the results of tests from: a suite for each
// run, with a case for each threshold and one for each thing that a run checks by
// itself.
//
// What is red there and what the exit code says are one: a threshold that did not hold
// is a failure, and a run that did not come to its end is an error, as is what did not
// even come to a run ([Options.Failed]), in a suite of its own. Clients that failed
// and messages that were lost are results, which thresholds judge (a run may be made to
// see how many are lost). A check of these that did not hold is "skipped", which is
// neither passed nor red, and its text says what was found and which threshold would
// judge it. So is a check of which nothing is known. Of one thing only the exit code
// speaks: whether a generator that fell behind is to fail the command (--strict) is not in
// the record, so that check is skipped here even where the command ends with 4.
//
// Suites bear the name of the run, which is the class of its cases too: GitLab tells
// cases apart by class and name. The texts stand in the message attribute, which Jenkins
// shows, and in the element, which GitLab shows. The time of a run is that of its case
// "the run came to its end", so that the cases' times add up to the suite's.
type junit struct{}

func (junit) Name() string { return "junit" }

func (junit) Description() string {
	return "JUnit XML: thresholds and checks as test cases, for CI systems"
}

type junitSuites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Time     string   `xml:"time,attr"`
	Suites   []junitSuite
}

type junitSuite struct {
	XMLName    xml.Name        `xml:"testsuite"`
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Hostname   string          `xml:"hostname,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	XMLName xml.Name `xml:"testcase"`
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Time    string   `xml:"time,attr"`
	Failure *junitText
	Error   *junitText
	Skipped *junitText
	Out     string `xml:"system-out,omitempty"`
}

// junitText is why a case did not pass. Its name is that of the element.
type junitText struct {
	XMLName xml.Name
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func (junit) Render(w io.Writer, f *result.File, o Options) error {
	all := junitSuites{Name: "sseload"}
	names := suiteNames(f)
	total := int64(0)
	for i := range f.Runs {
		total += f.Runs[i].TotalNS
		all.add(suiteOf(&f.Runs[i], f.SourceOf(i), names[i]))
	}
	for i := range o.Failed {
		all.add(o.Failed[i].suite(f))
	}
	all.Time = junitSeconds(total)
	return all.write(w)
}

// add takes in a suite.
func (all *junitSuites) add(s junitSuite) {
	s.count()
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Skipped += s.Skipped
	all.Suites = append(all.Suites, s)
}

func (all *junitSuites) write(w io.Writer) error {
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode junit: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s%s\n", xml.Header, text); err != nil {
		return fmt.Errorf("write junit: %w", err)
	}
	return nil
}

// count gives the cases their class and names of their own, and counts what became of
// them.
func (s *junitSuite) count() {
	names := numbered{}
	for i := range s.Cases {
		c := &s.Cases[i]
		c.Class = s.Name
		c.Name = names.next(c.Name) // a threshold may be given twice
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}

// junitTime is the form of ISO 8601 that the format is known by: it has no zone.
const junitTime = "2006-01-02T15:04:05"

func suiteOf(run *result.Run, from result.Source, name string) junitSuite {
	s := junitSuite{
		Name: name, Time: junitSeconds(run.TotalNS), Hostname: clean(from.Host.Name),
		Timestamp: run.StartedAt.UTC().Format(junitTime),
		Properties: []junitProperty{
			{"command", clean(ShellWords(from.Command))}, {"target", clean(run.Target.URL)}, {"engine", clean(run.Engine)},
			{"sseload", clean(from.Tool.Version + " " + from.Tool.Commit)},
		},
	}
	for i := range run.Thresholds {
		s.Cases = append(s.Cases, verdictCase(&run.Thresholds[i]))
	}
	for _, c := range checks(run) {
		s.Cases = append(s.Cases, c.junit(run))
	}
	s.Cases = append(s.Cases, endCase(run))
	return s
}

// suite is an error in a suite of its own, as it belongs to no run.
func (n *NotDone) suite(f *result.File) junitSuite {
	return junitSuite{
		Name: n.name(), Time: junitSeconds(0), Hostname: clean(f.Host.Name), Timestamp: f.StartedAt.UTC().Format(junitTime),
		Cases: []junitCase{{Name: "it was carried out", Time: junitSeconds(0), Error: explained("error", "notdone", n.Reason)}},
	}
}

// junitSeconds writes a duration as the format has it.
func junitSeconds(ns int64) string { return strconv.FormatFloat(float64(ns)/1e9, 'f', 3, 64) }

// suiteNames calls each run by its step, its scenario, what distinguishes it and its
// repetition, with a number where that is not enough.
func suiteNames(f *result.File) []string {
	names := make([]string, len(f.Runs))
	unique := numbered{}
	for i := range f.Runs {
		run := &f.Runs[i]
		name := run.Scenario + " " + shape(run)
		if run.Step != nil {
			name = *run.Step + ": " + name
		}
		if n := run.Repetition; n != nil {
			name += ", repetition " + strconv.Itoa(*n)
		}
		names[i] = unique.next(clean(name))
	}
	return names
}

// numbered tells names apart that are the same: the second gets "#2" behind it, unless
// that is a name of its own.
type numbered map[string]int

func (n numbered) next(name string) string {
	unique := name
	for n[unique] > 0 {
		n[name]++
		unique = name + " #" + strconv.Itoa(n[name])
	}
	n[unique] = 1
	return unique
}

func verdictCase(v *result.Verdict) junitCase {
	c := junitCase{Name: clean(v.Threshold), Time: junitSeconds(0)}
	switch {
	case v.Held:
		c.Out = v.Figure + " was " + Actual(v)
	case v.Actual == nil:
		c.Failure = explained("failure", "threshold", v.Figure+" is not known: the run did not get to measure it, or has no such figure")
	default:
		c.Failure = explained("failure", "threshold", fmt.Sprintf("%s was %s, the limit is %s", v.Figure, Actual(v), Amount(v.Limit, v.Unit)))
	}
	c.Out = clean(c.Out)
	return c
}

func explained(element, kind, text string) *junitText {
	text = clean(text)
	return &junitText{XMLName: xml.Name{Local: element}, Message: text, Type: kind, Text: text}
}

// endCase is whether the run came to its end.
func endCase(run *result.Run) junitCase {
	c := junitCase{Name: "the run came to its end", Time: junitSeconds(run.TotalNS)}
	switch {
	case run.Aborted != nil:
		c.Error = explained("error", "aborted", *run.Aborted)
	case run.Interrupted:
		c.Error = explained("error", "interrupted", "interrupted: figures are partial"+progress(run))
	}
	return c
}

// check is something that a run looks at by itself.
type check struct {
	name   string
	held   *bool  // nil: not known
	text   string // what was found; why it is not known
	figure string // the beginning of the names of the figures that it is about
	judge  string // a threshold that would judge it; empty: none
}

func (c check) junit(run *result.Run) junitCase {
	k := junitCase{Name: c.name, Time: junitSeconds(0)}
	switch {
	case c.held == nil:
		k.Skipped = explained("skipped", "", "not known: "+c.text)
	case *c.held:
		k.Out = clean(c.text)
	default:
		k.Skipped = explained("skipped", "", c.text+c.judged(run))
	}
	return k
}

// judged says which threshold of the run is about what did not hold, or would be.
func (c check) judged(run *result.Run) string {
	if c.judge == "" {
		return ""
	}
	for _, v := range run.Thresholds {
		if strings.HasPrefix(v.Figure, c.figure) {
			return "; judged by the threshold " + v.Threshold
		}
	}
	return "; no threshold judges it, --threshold '" + c.judge + "' would"
}

// checks lists what a run checks by itself. Those of the delivery are left out where
// nothing was to be sent.
func checks(run *result.Run) []check {
	c := &run.Connect
	all := []check{
		{
			name: "all clients opened", held: new(c.Failed == 0 && c.Opened == run.Params.Clients), figure: "connect.fail", judge: "connect.failed == 0",
			text: fmt.Sprintf("%s of %s clients opened%s", count(int64(c.Opened)), count(int64(run.Params.Clients)), classesIn("; failed: ", c.Failures)),
		},
		{
			name: "no client was dropped", held: new(c.Dropped == 0), figure: "connect.drop", judge: "connect.dropped == 0",
			text: fmt.Sprintf("%s of %s open clients ended before the run did%s", count(int64(c.Dropped)), count(int64(c.Opened)), classesIn(": ", c.Drops)),
		},
	}
	if d := run.Delivery; d != nil {
		all = append(all,
			counted(d, "every copy was delivered", d.Lost, "lost"),
			counted(d, "no copy came twice", d.Duplicate, "duplicate"),
			counted(d, "no copy came out of order", d.Reordered, "reordered"),
			counted(d, "no copy came to another room", d.Misrouted, "misrouted"),
		)
	}
	return append(all, overloadCheck(&run.Generator))
}

// counted is a check that none of a kind was counted.
func counted(d *result.Delivery, name string, n *int64, kind string) check {
	c := check{name: name, figure: "delivery." + kind, judge: "delivery." + kind + " == 0"}
	if n == nil {
		c.text = "the payload carries no sequence"
		return c
	}
	c.held = new(*n == 0)
	c.text = fmt.Sprintf("%s %s of %s expected copies", count(*n), kind, count(d.Expected))
	return c
}

func overloadCheck(g *result.Generator) check {
	c := check{name: "the generator was not overloaded", text: "neither its lag nor its CPU could be measured"}
	if g.Overloaded == nil {
		return c
	}
	c.held = new(!*g.Overloaded)
	c.text = "it kept up"
	if *g.Overloaded {
		c.text = "the generator fell behind, take the figures as a bound" + known(g.OverloadReason, func(s string) string { return ": " + s })
	}
	return c
}

func classesIn(before string, counts map[string]int) string {
	if len(counts) == 0 {
		return ""
	}
	return before + classes(counts)
}
