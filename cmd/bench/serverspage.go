package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// peers is the table of all servers.
func (c *contest) peers() string { return c.beside((*shape).serverMeasures, c.comparisons) }

// counts is the table of what went wrong, summed over the rounds.
func (c *contest) counts() string {
	names := flawNames(true)
	var text strings.Builder
	header(&text, []string{"load", "server"}, append(slices.Clone(names), "trials cut short", "trials overloaded")...)
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
func total(trials []*serverTrial, name string, applies bool) string {
	if !applies {
		return ""
	}
	sum, told := int64(0), 0
	for _, t := range trials {
		if t.run == nil {
			continue
		}
		for _, f := range flaws(t.run) {
			if f.name == name && f.count != nil {
				sum, told = sum+*f.count, told+1
			}
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

// summary says of all servers in how many trials they were wrong.
func (c *contest) summary() string {
	var words []string
	each := 0
	for _, s := range c.Shapes {
		each += len(c.of(&s, referenceName))
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

func (c *contest) tables() string {
	return parts(c.summary()+"\n", c.peers(), c.counts(), c.remarks())
}

// page is the README of the results.
func (c *contest) page() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("%s\n", c.title("The reference server beside two others"))
	line("Made by `make servers`, which is `go run ./cmd/bench servers` after a build%s.\n", c.flags())
	line("%s %s\n", c.summary(), c.setting())
	line("%s", c.peers())
	line("%s", serversHow)
	line("## What went wrong\n")
	line("%s", c.counts())
	line("%s", serversWrong)
	if said := c.remarks(); said != "" {
		line("%s", said)
	} else {
		line("No trial went wrong, and in none was sseload overloaded.\n")
	}
	line("## Records\n")
	line("Of each load and server the trial that has the median of the load's first row above.\n")
	for i := range c.Shapes {
		line("- %s: %s", c.Shapes[i].What, c.links(&c.Shapes[i]))
	}
	line("\n## Commands of a trial\n")
	line("One server, fresh, and one load, with the server's address in place of PORT:\n")
	line("```sh")
	line("bin/sseload %s", strings.Join(serveArguments(), " "))
	line("bin/peer nethttp")
	line("bin/peer r3labs")
	for i := range c.Shapes {
		line("bin/sseload %s", strings.Join(c.Shapes[i].sseload("http://127.0.0.1:PORT", serverEngine), " "))
	}
	text.WriteString("```\n")
	return text.String()
}

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

const serversHow = `A cell is the median of the rounds, then that of the ratios to the reference server in
the same round, with the smallest and the largest of these. Unknown is –.

The reference server is ` + "`sseload serve`" + `. The other two, in testserver/peer, are what one
would write first: plain net/http handlers, and the server of r3labs/sse. Each trial has a
fresh process of its server, on the same machine as the load, with which it shares the
cores. In each of the rounds another server comes first. CPU is user and system time of the
server's process, that of taking the messages in included; memory is its resident memory
with all clients connected, less that before the first. Latency runs from when a message
is sent, at full speed, or is due, at a rate, to when its copy was received.
`

const serversWrong = `Sums over the rounds of what should be 0. A trial cut short was aborted, or one of its
programs failed: its figures are in no median, but its counts are here. Those of any other
trial are used, also where copies or clients are missing. An empty cell is for a load that
sends nothing, and ≥ stands before a sum to which not every trial told its share.
`
