package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// counts is the table of what went wrong, summed over the rounds.
func (c *contest) counts() string {
	names := flawNames(true)
	var text strings.Builder
	header(&text, []string{"load", c.rivals.words().noun}, append(slices.Clone(names), "trials cut short", "trials overloaded")...)
	for i := range c.Shapes {
		s := &c.Shapes[i]
		for _, contender := range s.Contenders {
			trials := c.of(s, contender)
			cells := []string{s.What, contender}
			for _, name := range names {
				cells = append(cells, total(trials, name, slices.Contains(flawNames(s.sends()), name)))
			}
			cut, overloaded := 0, 0
			for _, t := range trials {
				if t.cut {
					cut++
				}
				if t.Overloaded != nil {
					overloaded++
				}
			}
			row(&text, append(cells, loud(int64(cut)), strconv.Itoa(overloaded))...)
		}
	}
	return text.String()
}

// flawNames are those of a run that sends or does not.
func flawNames(sends bool) []string {
	r := &result.Run{}
	if sends {
		r.Delivery = &result.Delivery{}
	}
	var names []string
	for _, f := range flaws(r) {
		names = append(names, f.name)
	}
	return names
}

// total is the cell of one flaw: empty where there can be none, and at least what is
// known where a trial does not tell.
func total(trials []*bout, name string, applies bool) string {
	if !applies {
		return ""
	}
	sum, told := int64(0), 0
	for _, t := range trials {
		if n, ok := t.count(name); ok {
			sum, told = sum+n, told+1
		}
	}
	switch {
	case told == 0:
		return "–"
	case told < len(trials):
		return "≥ " + loud(sum)
	}
	return loud(sum)
}

// count is how many flaws of that name a trial had, if all of its runs tell.
func (t *bout) count(name string) (sum int64, ok bool) {
	if t.record == nil {
		return 0, false
	}
	for i := range t.record.Runs {
		for _, f := range flaws(&t.record.Runs[i]) {
			switch {
			case f.name != name:
			case f.count == nil:
				return 0, false
			default:
				sum, ok = sum+*f.count, true
			}
		}
	}
	return sum, ok
}

// loud is a number that should be 0.
func loud(n int64) string {
	if n == 0 {
		return "0"
	}
	return "**" + grouped(int(n)) + "**"
}

// remarks lists the trials that went wrong, and where sseload was overloaded.
func (c *contest) remarks() string {
	var trials []outcome
	for _, t := range c.trials {
		trials = append(trials, t.outcome)
	}
	return c.session.remarks("wrong", trials)
}

// summary says of all contenders in how many trials they were wrong.
func (c *contest) summary() string {
	var words []string
	each := 0
	for _, s := range c.Shapes {
		each += len(c.of(&s, s.Contenders[0]))
	}
	for _, contender := range c.Shapes[0].Contenders {
		words = append(words, fmt.Sprintf("%s %d", contender, c.wrong(contender)))
	}
	verdict := "PASS"
	switch {
	case !c.fine():
		verdict = "FAIL"
	case !c.enough():
		verdict = "Not judged"
	}
	return fmt.Sprintf("**%s: trials that went wrong, of %d each: %s.**", verdict, each, strings.Join(words, ", "))
}

// told is what the mode prints.
func (c *contest) told() string {
	counts := ""
	if c.rivals.words().wrong != "" {
		counts = c.counts()
	}
	return parts(c.summary()+"\n", c.rivals.tables(c), counts, c.remarks())
}

// page is the README of the results.
func (c *contest) page() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	w := c.rivals.words()
	line("%s\n", c.title(w.title))
	line("Made by `make %s`, which is `go run ./cmd/bench %[1]s` after a build%s.\n", w.mode, c.flags(1))
	line("%s %s\n", c.summary(), c.setting())
	line("%s", c.rivals.tables(c))
	line(contestHow, c.Shapes[0].Contenders[0])
	line("%s", w.how)
	line("## What went wrong\n")
	if w.wrong != "" {
		line("%s", c.counts())
		line("%s", w.wrong)
	}
	if said := c.remarks(); said != "" {
		line("%s", said)
	} else {
		line("No trial went wrong, and in none was sseload overloaded.\n")
	}
	line("## Records\n")
	line("Of each load and %s the trial that has the median of the load's first measure above.\n", w.noun)
	for i := range c.Shapes {
		line("- %s: %s", c.Shapes[i].What, c.links(&c.Shapes[i]))
	}
	line("\n## Commands of a trial\n")
	line("%s\n", w.trial)
	line("```sh")
	for _, command := range c.rivals.commands(c.Shapes) {
		line("%s", command)
	}
	text.WriteString("```\n")
	return text.String()
}

// contestHow says what a cell is; the word is the contender that the ratios are to.
const contestHow = `A cell is the median of the rounds, then that of the ratios to %s in the same round,
with the smallest and the largest of these. Unknown is –.
`

// links are those to the records of a shape.
func (c *contest) links(s *shape) string {
	var words []string
	for _, contender := range s.Contenders {
		if c.middle(s, contender) != nil {
			contender = "[" + contender + "](" + recordName(s, contender) + ")"
		} else {
			contender += ": none"
		}
		words = append(words, contender)
	}
	return strings.Join(words, ", ")
}
