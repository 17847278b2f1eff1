package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// rated is a good run of the given server CPU per copy.
func rated(cpu float64) *result.Run {
	r, _ := goodRun()
	r.TargetProcess.CPUPerCopyNS = &cpu
	r.Delivery.RatePerSecond = ptr(1e9 / cpu)
	r.Delivery.Latency = result.Latency{Count: 24, P50NS: ptr(int64(2e6)), P99NS: ptr(int64(30e6))}
	return r
}

// opened is a good run of connecting, in so many milliseconds.
func opened(ms int64) *result.Run {
	r, _ := goodRun()
	r.Delivery = nil
	r.Connect.ElapsedNS = ptr(ms * 1e6)
	r.TargetProcess.BytesPerClient = ptr(1024.0 * float64(ms))
	return r
}

// testContest has five rounds on two loads of 12 clients. r3labs takes twice the CPU of
// the reference server, and loses copies in the second round; in the fourth it dies.
// Nobody knows the CPU of connecting.
func testContest() *contest {
	both := []string{referenceName, "r3labs"}
	c := &contest{rivals: &servers{}, session: session{
		StartedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), ElapsedNS: int64(90 * time.Second),
		Command: []string{"bench", "servers"}, Rounds: 5, Shapes: []shape{
			{Name: "open", What: "opening", Clients: 12, RoomSize: 6, Contenders: both},
			{Name: "full", What: "sending", Clients: 12, RoomSize: 6, Iterations: 2, Contenders: both},
		},
	}}
	for i, ms := range []int64{100, 400, 200, 300, 500} {
		round := i + 1
		c.enter(round, "open", referenceName, opened(ms))
		c.enter(round, "open", "r3labs", opened(3*ms))
		c.enter(round, "full", referenceName, rated(10*float64(ms)))
		theirs := rated(20 * float64(ms))
		switch round {
		case 2:
			*theirs.Delivery.Lost, *theirs.Delivery.Reordered, theirs.Delivery.Received = 1200, 1, 22
		case 4:
			theirs.Aborted, theirs.Connect.Dropped = ptr("the target went away"), 12
		}
		c.enter(round, "full", "r3labs", theirs)
	}
	c.conclude()
	return c
}

// enter adds a trial, with its name for the text of its record.
func (c *contest) enter(round int, name, contender string, r *result.Run) {
	t := bout{outcome: outcome{Round: round, Shape: name, Contender: contender}}
	s := &c.Shapes[slices.IndexFunc(c.Shapes, func(s shape) bool { return s.Name == name })]
	t.read(&result.File{Runs: []result.Run{*r}}, fmt.Appendf(nil, "%s in round %d", contender, round), s)
	c.trials = append(c.trials, t)
}

func TestServerTable(t *testing.T) {
	const want = `| load | measure | reference | r3labs |
| :--- | :--- | ---: | ---: |
| opening | time | 300 ms | 900 ms; **3.00 ×** (3.00 – 3.00) |
| opening | server's CPU a client | – | – |
| opening | server's memory a client | 300.00 KiB | 900.00 KiB; **3.00 ×** (3.00 – 3.00) |
| sending | server's CPU per million copies | 3.00 s | 6.00 s; **2.00 ×** (2.00 – 2.00) |
| sending | copies a second | 333,333 | 187,500; **0.50 ×** (0.50 – 0.50) |
| sending | latency p50 | 2.00 ms | 2.00 ms; **1.00 ×** (1.00 – 1.00) |
| sending | latency p99 | 30.00 ms | 30.00 ms; **1.00 ×** (1.00 – 1.00) |
`
	c := testContest()
	if got := c.rivals.tables(c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCounts(t *testing.T) {
	c := testContest()
	// Its third trial left no record, so that its counts are not known.
	i := slices.IndexFunc(c.trials, func(t bout) bool { return t.Shape == "full" && t.Contender == "r3labs" && t.Round == 3 })
	c.trials[i].record, c.trials[i].cut = nil, true
	c.trials[i].Overloaded = ptr("it was")
	const want = `| opening | reference | 0 | 0 |  |  |  |  |  |  |  | 0 | 0 |
| opening | r3labs | 0 | 0 |  |  |  |  |  |  |  | 0 | 0 |
| sending | reference | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0 |
| sending | r3labs | ≥ 0 | ≥ **12** | ≥ **1,200** | ≥ 0 | ≥ **1** | ≥ 0 | ≥ 0 | ≥ 0 | ≥ 0 | **2** | 1 |
`
	head, rows, _ := strings.Cut(c.counts(), "---: |\n")
	if rows != want || !strings.HasPrefix(head, "| load | server | clients failed | clients dropped | copies lost | copies duplicate | copies reordered | copies misrouted | copies late | sends failed |") {
		t.Errorf("got\n%s\n%s\nwant\n%s", head, rows, want)
	}
}

// TestBlame: what a peer does wrong is shown, and what the reference server does
// wrong fails.
func TestBlame(t *testing.T) {
	c := testContest()
	const remarks = "- **wrong**: full, r3labs, round 2: copies lost: 1200; copies reordered: 1; 22 copies of 24\n" +
		"- **wrong**: full, r3labs, round 4: aborted: the target went away; clients dropped: 12\n"
	if got := c.remarks(); got != remarks {
		t.Errorf("got\n%s\nwant\n%s", got, remarks)
	}
	if got, want := c.summary(), "**PASS: trials that went wrong, of 10 each: reference 0, r3labs 2.**"; got != want || !c.fine() {
		t.Errorf("fine %v, %s, want %s", c.fine(), got, want)
	}
	late := rated(1)
	*late.Delivery.Late = 1
	c.enter(5, "full", referenceName, late)
	if got, want := c.summary(), "**FAIL: trials that went wrong, of 11 each: reference 1, r3labs 2.**"; got != want || c.fine() {
		t.Errorf("fine %v, %s, want %s", c.fine(), got, want)
	}
}

// TestMiddle: the record kept is that of the median trial, of those with a figure.
func TestMiddle(t *testing.T) {
	c := testContest()
	for i, want := range map[string]int{referenceName: 4, "r3labs": 3} { // 300 of 5; 200 of 100, 200, 400, 500
		if got := c.middle(&c.Shapes[1], i); got == nil || got.Round != want {
			t.Errorf("%s: %+v, want round %d", i, got, want)
		}
	}
	for i := range c.trials {
		c.trials[i].cut = true
	}
	if got := c.middle(&c.Shapes[1], "r3labs"); got != nil {
		t.Errorf("of trials cut short: %+v", got)
	}
}

func TestServerPage(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new", "servers")
	c := testContest()
	if err := c.write(out); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(out, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"# The reference server beside two others\n",
		c.summary() + " 2026-11-23 12:00:00 UTC · 5 rounds in 1m30s · machine and commit unknown",
		c.rivals.tables(c), c.counts(), c.remarks(),
		"- sending: [reference](full-reference.json), [r3labs](full-r3labs.json)\n",
	} {
		if part == "" || !strings.Contains(string(page), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if strings.Contains(string(page), "%!") {
		t.Errorf("a verb went wrong in\n%s", page)
	}
	wrote := func(name, want string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || string(text) != want {
			t.Errorf("%s: %q, %v, want %q", name, text, err, want)
		}
	}
	wrote("full-reference.json", "reference in round 4")
	wrote("full-r3labs.json", "r3labs in round 3")
	// Measured again, r3labs never came to an end: its old record must not stay.
	for i := range c.trials {
		c.trials[i].cut = c.trials[i].Contender == "r3labs"
	}
	if err := c.write(out); err != nil {
		t.Fatal(err)
	}
	wrote("full-reference.json", "reference in round 4")
	if _, err := os.Stat(filepath.Join(out, "full-r3labs.json")); !os.IsNotExist(err) {
		t.Errorf("the record of a trial that there is none of is there: %v", err)
	}
	if !strings.Contains(c.page(), "- sending: [reference](full-reference.json), r3labs: none\n") {
		t.Errorf("the page is\n%s", c.page())
	}
}
