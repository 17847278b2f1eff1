package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/result"
)

// transported is a run of 12 clients on the bundled server, which took the generator
// and the server so many nanoseconds for each client and copy.
func transported(generator, server float64) *result.Run {
	r := rated(server)
	r.Connect.ElapsedNS = ptr(int64(generator) * 1e6)
	r.Generator.CPUPerConnectNS, r.Generator.CPUPerCopyNS = &generator, &generator
	r.TargetProcess.CPUPerConnectNS = &server
	return r
}

// testTransports are five rounds of two transports and two loads. A client costs the
// first 512 bytes, but in the first round less than nothing, and the other 10 KiB. The
// server's memory is known of the first alone.
func testTransports() *contest {
	pair := []string{"epoll", "h2-100"}
	c := &contest{rivals: transports{}, session: session{Rounds: 5, Command: []string{"bench", "transports"}, Shapes: []shape{
		{Name: "open", What: "opening", Clients: 12, RoomSize: 6, Before: []int{3, 6}, Contenders: pair},
		{Name: "full", What: "sending", Clients: 12, RoomSize: 6, Iterations: 2, Contenders: pair},
	}}}
	for round := 1; round <= 5; round++ {
		ns := float64(100 * round)
		memory := 512.0
		if round == 1 {
			memory = -1
		}
		c.enterSeries(round, "epoll", ns, result.Costs{GeneratorBytesPerClient: &result.Slope{Value: memory}, TargetBytesPerClient: &result.Slope{Value: 2048}})
		c.enterSeries(round, "h2-100", 4*ns, result.Costs{GeneratorBytesPerClient: &result.Slope{Value: 10240}})
		c.enter(round, "full", "epoll", transported(ns, 2*ns))
		c.enter(round, "full", "h2-100", transported(3*ns, 10*ns))
	}
	c.conclude()
	return c
}

// enterSeries adds a trial of three runs, the first two of which took far less.
func (c *contest) enterSeries(round int, contender string, ns float64, costs result.Costs) *bout {
	f := &result.File{Costs: []result.Costs{costs}}
	for i, clients := range c.Shapes[0].runs() {
		r := transported(ns, ns)
		if i < 2 {
			r = transported(1, 1)
		}
		r.Connect.Opened, r.Delivery = clients, nil
		f.Runs = append(f.Runs, *r)
	}
	t := bout{outcome: outcome{Round: round, Shape: "open", Contender: contender}}
	t.read(f, []byte(contender), &c.Shapes[0])
	c.trials = append(c.trials, t)
	return &c.trials[len(c.trials)-1]
}

// TestTransportTables: the figures are those of the series' last run, but for memory,
// which is the slope through all of it and has no ratio to next to nothing.
func TestTransportTables(t *testing.T) {
	const want = `**opening**

| transport | time | CPU a client | server's CPU a client | memory a client | server's memory a client |
| :--- | ---: | ---: | ---: | ---: | ---: |
| epoll | 300 ms | 0.3 µs | 0.3 µs | 0.50 KiB | 2.00 KiB |
| h2-100 | 1200 ms; **4.00 ×** (4.00 – 4.00) | 1.2 µs; **4.00 ×** (4.00 – 4.00) | 1.2 µs; **4.00 ×** (4.00 – 4.00) | 10.00 KiB | – |

**sending**

| transport | CPU per million copies | server's CPU per million copies | latency p50 | latency p99 |
| :--- | ---: | ---: | ---: | ---: |
| epoll | 0.30 s | 0.60 s | 2.00 ms | 30.00 ms |
| h2-100 | 0.90 s; **3.00 ×** (3.00 – 3.00) | 3.00 s; **5.00 ×** (5.00 – 5.00) | 2.00 ms; **1.00 ×** (1.00 – 1.00) | 30.00 ms; **1.00 ×** (1.00 – 1.00) |
`
	c := testTransports()
	if got := c.rivals.tables(c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := c.summary(), "**PASS: trials that went wrong, of 10 each: epoll 0, h2-100 0.**"; got != want || !c.fine() {
		t.Errorf("fine %v, %s, want %s", c.fine(), got, want)
	}
}

// TestSeries: what is wrong in any of a series' runs is wrong, and a trial without
// lines through its runs tells nothing of memory.
func TestSeries(t *testing.T) {
	c := testTransports()
	trial := c.enterSeries(5, "h2-100", 1, result.Costs{})
	for _, m := range []measure{addedMemory, serverAddedMemory} {
		if v, ok := trial.figure(m); ok {
			t.Errorf("%s is %v where no line was drawn", m, v)
		}
	}
	trial.record.Costs = nil
	if v, ok := trial.figure(addedMemory); ok {
		t.Errorf("memory is %v without costs", v)
	}
	if v, ok := trial.figure(latencyP50); ok {
		t.Errorf("latency is %v where nothing was sent", v)
	}
	if _, ok := trial.figure(connectTime); !ok {
		t.Error("the time of connecting is not known")
	}

	record := trial.record
	record.Runs[0].Connect.Opened, record.Runs[0].Connect.Failed = 2, 1
	record.Runs[2].Connect.Failed = 1
	again := bout{outcome: outcome{Round: 5, Shape: "open", Contender: "h2-100"}}
	again.read(record, nil, &c.Shapes[0])
	if got, want := strings.Join(again.Wrong, "; "), "2 clients of 3 opened; clients failed: 1; clients failed: 1"; got != want || again.cut {
		t.Errorf("cut %v, wrong is %q, want %q", again.cut, got, want)
	}
	if n, ok := again.count("clients failed"); n != 2 || !ok {
		t.Errorf("%d clients failed, known %v, want 2", n, ok)
	}
	c.trials = append(c.trials, again)
	if c.fine() {
		t.Error("a transport that failed a client passes")
	}
	record.Runs[1].Aborted = ptr("the target went away")
	again.read(record, nil, &c.Shapes[0])
	if _, ok := again.figure(connectTime); ok || !again.cut {
		t.Errorf("cut %v, figures %v of a series that was cut short", again.cut, ok)
	}
}

// TestTake: what a program leaves behind that failed is not taken for figures.
func TestTake(t *testing.T) {
	s := &shape{Name: "open", Clients: 12, RoomSize: 6}
	var failed bout
	if record, err := failed.take(attempt{err: errors.New("exit status 2: no such flag")}, s); record != nil || err != nil ||
		!failed.cut || !slices.Equal(failed.Wrong, []string{"exit status 2: no such flag"}) {
		t.Errorf("got %+v, %v, %v", failed, record, err)
	}
	var silent bout
	if _, err := silent.take(attempt{}, s); err == nil {
		t.Error("a program that ends well and wrote no record goes unnoticed")
	}
}

func TestTransportArguments(t *testing.T) {
	shapes := transports{}.shapes(false)
	var got []string
	for i := range shapes {
		got = append(got, strings.Join(shapes[i].sseload("", "FLAGS"), " "))
	}
	want := []string{
		"connect -c 250,500,1000 FLAGS -o json=- -q",
		"rooms -c 600 --room-size 6 --rate 500/s --duration 2s FLAGS -o json=- -q",
		"rooms -c 600 --room-size 6 -n 50 FLAGS -o json=- -q",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTransportPage: all that it takes to make a trial again, and no table of counts
// that are all nought.
func TestTransportPage(t *testing.T) {
	c := testTransports()
	page := c.page()
	for _, part := range []string{
		"# What a client costs by transport\n",
		"Made by `make transports`, which is `go run ./cmd/bench transports` after a build.\n",
		c.summary(), c.rivals.tables(c),
		"that of the ratios to epoll in the same round",
		"| h2-100 | HTTP/2, a connection for each 100 | `--http 2 --serve-tls --streams-per-connection 100` |\n",
		"No trial went wrong",
		"- opening: [epoll](open-epoll.json), [h2-100](open-h2-100.json)\n",
		"bin/sseload connect -c 3,6,12 FLAGS -o json=- -q\n",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
	for _, part := range []string{"%!", "copies misrouted", "here with"} {
		if strings.Contains(page, part) {
			t.Errorf("the page has %q:\n%s", part, page)
		}
	}
	if said := c.told(); strings.Contains(said, "copies misrouted") || !strings.Contains(said, c.rivals.tables(c)) {
		t.Errorf("it prints\n%s", said)
	}
}
