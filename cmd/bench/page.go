package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// shown writes v of a unit.
func shown(v float64, u unit) string {
	switch u {
	case floors:
		return fmt.Sprintf("%.2f ×", v)
	case bytesPerClient:
		return fmt.Sprintf("%.2f KiB", v/1024)
	case bytesPerSecond:
		return fmt.Sprintf("%.2f GB/s", v/1e9)
	}
	return fmt.Sprintf("%.4g", v)
}

// shown writes v, a figure of m.
func (m measure) shown(v float64) string {
	switch m {
	case connectTime, sendTime:
		return fmt.Sprintf("%.0f ms", v/1e6)
	case connectCPU, serverConnectCPU:
		return fmt.Sprintf("%.1f µs", v/1e3)
	case deliveryCPU, serverDeliveryCPU:
		return fmt.Sprintf("%.2f s", v/1e9)
	case clientMemory, addedMemory, serverMemory, serverAddedMemory:
		return shown(v, bytesPerClient)
	case copiesASecond:
		return grouped(int(math.Round(v)))
	case latencyP50, latencyP99:
		return fmt.Sprintf("%.2f ms", v/1e6)
	}
	return fmt.Sprint(v)
}

// name is m in words, with what the figure is of.
func (m measure) name() string {
	switch m {
	case connectTime, sendTime:
		return "time"
	case connectCPU:
		return "CPU a client"
	case deliveryCPU:
		return "CPU per million copies"
	case clientMemory, addedMemory:
		return "memory a client"
	case serverConnectCPU:
		return "server's CPU a client"
	case serverDeliveryCPU:
		return "server's CPU per million copies"
	case serverMemory, serverAddedMemory:
		return "server's memory a client"
	case copiesASecond:
		return "copies a second"
	case latencyP50:
		return "latency p50"
	case latencyP99:
		return "latency p99"
	}
	return string(m)
}

func row(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// header is a table's head; all columns but those on the left have numbers.
func header(b *strings.Builder, left []string, right ...string) {
	row(b, append(left[:len(left):len(left)], right...)...)
	rule := make([]string, len(left)+len(right))
	for i := range rule {
		rule[i] = "---:"
		if i < len(left) {
			rule[i] = ":---"
		}
	}
	row(b, rule...)
}

// budgets is the table of verdicts.
func (b *book) budgets() string {
	var text strings.Builder
	header(&text, []string{"what"}, "budget", "measured", "smallest to largest", "verdict")
	for _, v := range b.Verdicts {
		measured, between, said := "–", "–", v.Verdict
		if v.Measured != nil {
			measured = "**" + shown(v.Measured.Median, v.Unit) + "**"
			between = fromTo(v.Measured, func(f float64) string { return shown(f, v.Unit) })
			if v.Measured.Rounds < b.Rounds {
				between += fmt.Sprintf(", of %d of %d rounds", v.Measured.Rounds, b.Rounds)
			}
		}
		if said == missed || said == notMeasured {
			said = "**" + said + "**"
		}
		row(&text, v.What, v.limit(), measured, between, said)
	}
	return text.String()
}

// limit is the budget as one writes it.
func (v *verdict) limit() string {
	sign := "≤ "
	if v.AtLeast {
		sign = "≥ "
	}
	switch v.Unit {
	case floors:
		return fmt.Sprintf("%s%v × the floor", sign, v.Budget)
	case bytesPerClient:
		return fmt.Sprintf("%s%v KiB", sign, v.Budget/1024)
	case bytesPerSecond:
		return fmt.Sprintf("%s%v GB/s", sign, v.Budget/1e9)
	}
	return fmt.Sprint(v.Budget) // none at all
}

func fromTo(s *spread, shown func(float64) string) string {
	return shown(s.Min) + " – " + shown(s.Max)
}

// beside is the table of all contenders.
func (s *session) beside(measures func(*shape) []measure, comparisons []comparison) string {
	var contenders []string
	for _, one := range s.Shapes {
		if len(one.Contenders) > len(contenders) {
			contenders = one.Contenders
		}
	}
	if len(contenders) == 0 {
		return ""
	}
	cells := cellsOf(comparisons)
	var text strings.Builder
	header(&text, []string{"load", "measure"}, contenders...)
	for i := range s.Shapes {
		one := &s.Shapes[i]
		for _, m := range measures(one) {
			line := []string{one.What, m.name()}
			for _, contender := range contenders {
				line = append(line, cells[cellOf{one.Name, m, contender}])
			}
			row(&text, line...)
		}
	}
	return text.String()
}

// below is the table of one shape's contenders, a row each.
func below(s *shape, noun string, measures []measure, comparisons []comparison) string {
	var names []string
	for _, m := range measures {
		names = append(names, m.name())
	}
	cells := cellsOf(comparisons)
	var text strings.Builder
	header(&text, []string{noun}, names...)
	for _, contender := range s.Contenders {
		line := []string{contender}
		for _, m := range measures {
			line = append(line, cells[cellOf{s.Name, m, contender}])
		}
		row(&text, line...)
	}
	return text.String()
}

type cellOf struct {
	shape     string
	measure   measure
	contender string
}

func cellsOf(comparisons []comparison) map[cellOf]string {
	cells := map[cellOf]string{}
	for _, c := range comparisons {
		cells[cellOf{c.Shape, c.Measure, c.Contender}] = c.cell()
	}
	return cells
}

// peers is the table of sseload's engines beside the floor.
func (b *book) peers() string { return b.beside((*shape).measures, b.Comparisons) }

// cell is the median, and the ratio to the first contender with its range.
func (c *comparison) cell() string {
	if c.Value == nil {
		return "–"
	}
	text := c.Measure.shown(c.Value.Median)
	if c.Ratio != nil {
		text += fmt.Sprintf("; **%s** (%s)", shown(c.Ratio.Median, floors), fromTo(c.Ratio, func(f float64) string { return fmt.Sprintf("%.2f", f) }))
	}
	return text
}

// scanned is a line on the decoder beside the scan for line ends; empty when it was
// not measured.
func (b *book) scanned() string {
	var speeds, scans, shares []float64
	for _, d := range b.Decodings {
		speeds, scans = append(speeds, d.BytesPerSecond), append(scans, d.ScanBytesPerSecond)
		if d.ScanBytesPerSecond > 0 {
			shares = append(shares, d.BytesPerSecond/d.ScanBytesPerSecond)
		}
	}
	speed, scan, share := spreadOf(speeds), spreadOf(scans), spreadOf(shares)
	if speed == nil || share == nil {
		return ""
	}
	return fmt.Sprintf("Decoder: %s; a plain scan for line ends over such bytes: %s; the decoder's share of that speed: %.0f %% (%.0f – %.0f %%).\n",
		shown(speed.Median, bytesPerSecond), shown(scan.Median, bytesPerSecond), 100*share.Median, 100*share.Min, 100*share.Max)
}

// remarks lists the trials that went wrong, as what that makes them, and where sseload
// was overloaded.
func (s *session) remarks(wrong string, trials []outcome) string {
	var text strings.Builder
	for _, t := range trials {
		if !t.good() {
			fmt.Fprintf(&text, "- **%s**: %s, %s, round %d: %s\n", wrong, t.Shape, t.Contender, t.Round, strings.Join(t.Wrong, "; "))
		}
	}
	for _, one := range s.Shapes {
		for _, contender := range one.Contenders {
			count, reason := 0, ""
			for _, t := range trials {
				if t.Shape == one.Name && t.Contender == contender && t.good() && t.Overloaded != nil {
					count, reason = count+1, *t.Overloaded
				}
			}
			if count > 0 {
				fmt.Fprintf(&text, "- overloaded, used: %s, %s, in %d of %d rounds; in the last of them %s\n", one.Name, contender, count, s.Rounds, reason)
			}
		}
	}
	return text.String()
}

func (b *book) remarks() string {
	var trials []outcome
	for _, t := range b.Trials {
		trials = append(trials, t.outcome)
	}
	return b.session.remarks("wrong, not used", trials)
}

func (b *book) told() string {
	return parts(b.budgets(), b.peers(), b.scanned(), b.remarks())
}

// parts puts those that are not empty below each other.
func parts(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(part string) bool { return part == "" }), "\n")
}

// title is a page's first line.
func (s *session) title(text string) string {
	if !s.enough() {
		text += fmt.Sprintf(" (not judged: %s, and it takes %d)", rounds(s.Rounds), leastRounds)
	}
	return "# " + text
}

func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// page is the README of the results.
func (b *book) page() string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("%s\n", b.title("What sseload costs"))
	line("Made by `make bench`, which is `go run ./cmd/bench` after a build%s.", b.flags(0))
	line("The figures of every trial are in bench.json.\n")
	line("%s %s\n", b.summary(), b.setting())
	line("<!-- budgets: begin -->")
	text.WriteString(b.budgets())
	line("<!-- budgets: end -->\n")
	line(measuredHow, b.Rounds)
	if peers := b.peers(); peers != "" {
		line("%s", besides)
		line("%s", peers)
	}
	if said := b.scanned(); said != "" {
		line("%s", said)
	}
	line("## Remarks\n")
	if said := b.remarks(); said != "" {
		line("%s", said)
	} else {
		line("No trial went wrong, and in none was sseload overloaded.\n")
	}
	line("## Commands of a trial\n")
	line("Each against a fresh server, with its address in place of PORT:\n")
	line("```sh")
	line("bin/sseload %s", strings.Join(serveArguments(), " "))
	for i := range b.Shapes {
		s := &b.Shapes[i]
		line("bin/floor %s", strings.Join(s.floor("127.0.0.1:PORT"), " "))
		line("bin/sseload %s", strings.Join(s.sseload("http://127.0.0.1:PORT", "--engine", judged), " "))
	}
	text.WriteString("```\n")
	return text.String()
}

const besides = `## Beside other clients

All but floor are engines of sseload (--engine), which account for every copy in the same
way. A cell is the median of the rounds, then that of the ratios to the floor of the same
round, with the smallest and the largest of these.
`

// measuredHow says what the figures are of; the number is that of the rounds.
const measuredHow = `## What was measured, and how

The floor is cmd/floor: an epoll loop on raw non-blocking system calls, without garbage
collection, that opens the streams, sends the messages and counts bytes. It parses
nothing, accounts for nothing and measures no latency, so it is what a client on this
kernel must pay at least. sseload proves and times every copy. Ratios are to the floor,
and of one round: both ran within a minute of each other. In each of the rounds, %d here,
another contender comes first. A budget is held against the median of the rounds, five at
least, the one of allocations against each of them. Each trial is a process of its own, against a
reference server of its own, on the same machine, with which it shares the cores.

- **Time of connecting** runs from the first dial to the last open, 384 clients connecting
  at a time. An open client has read its response's head; the floor only its first bytes.
  15,000 clients come from two addresses of the machine in both, as one has too few ports
  for finding a free one to be quick.
- **CPU per million copies** is user and system time of the client's process from the
  first message until the last copy. **Sending is part of it**, with one sender a room, a
  message for each 6 copies in rooms of 6, and so is reading the server's answers. At a
  rate, messages are due on a schedule (the open model), and much of the cost is waking
  up. At full speed a round of one message a room begins when the copies of the one
  before are in (sseload's iterations; the floor does the same), 8 sends at a time.
- **User memory a client** is the resident memory of the process with all clients
  connected, less that before the first, divided by the clients. Memory of the kernel is
  not in it.
- **Decoding** is the benchmark "100 B" of pkg/sse: events of 100 bytes, framing included.

A trial that lost, doubled or reordered a copy, failed or dropped a client, or ended with
an error is listed under remarks, its figures are not used, and the benchmark fails. One
in which sseload found itself overloaded is used, and listed there too: on a machine that
client and server share, full speed is as fast as the two together can be.
`

// flags are those that it ran with, behind the program and the words for the mode.
func (s *session) flags(modes int) string {
	if len(s.Command) < 2+modes {
		return ""
	}
	return ", here with `" + strings.Join(s.Command[1+modes:], " ") + "`"
}

func (b *book) summary() string {
	said := map[string]int{}
	for _, v := range b.Verdicts {
		said[v.Verdict]++
	}
	switch {
	case !b.enough() && b.Passed:
		return "**Not judged.**"
	case !b.enough():
		return "**FAIL: a trial went wrong.**"
	}
	verdict := "PASS"
	if !b.Passed {
		verdict = "FAIL"
	}
	return fmt.Sprintf("**%s: %d of %d budgets kept.**", verdict, said[kept], len(b.Verdicts))
}

// setting is when, how long, on which machine and of which program, the latter two as
// far as a record of sseload told.
func (s *session) setting() string {
	words := []string{
		s.StartedAt.Format("2006-01-02 15:04:05 UTC"),
		fmt.Sprintf("%s in %v", rounds(s.Rounds), time.Duration(s.ElapsedNS).Round(time.Second)),
	}
	if s.Tool == nil || s.Host == nil {
		return strings.Join(append(words, "machine and commit unknown: no record of sseload"), " · ")
	}
	h := s.Host
	words = append(words, h.OS+"/"+h.Arch)
	if h.Kernel != nil {
		words = append(words, "kernel "+*h.Kernel)
	}
	if h.CPUModel != nil {
		words = append(words, *h.CPUModel)
	}
	words = append(words, fmt.Sprintf("%d cores", h.Cores))
	if h.MemoryBytes != nil {
		words = append(words, fmt.Sprintf("%.1f GiB", float64(*h.MemoryBytes)/(1<<30)))
	}
	words = append(words, fmt.Sprintf("sseload %s, commit %s, %s", s.Tool.Version, s.Tool.Commit, s.Tool.Go))
	return strings.Join(words, " · ")
}
