package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// setting is what stood around the trials.
type setting struct {
	options options
	at      time.Time
	sseload string // what sseload version says
	tcpdump string // what tcpdump --version says
}

// columns of the table; all but the first three and the last are numbers.
var columns = []string{ //nolint:gochecknoglobals // a constant table
	"run", "#", "latency from",
	"copies: packets", "report",
	"p50 µs: packets", "report", "difference",
	"p99 µs: packets", "report", "difference",
	"max µs: packets", "report",
	"",
}

// table shows two rows for a trial, for the two beginnings that a latency may
// have; the one that the report means bears the verdict.
func table(trials []trial) string {
	var b strings.Builder
	row := func(cells ...string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	row(columns...)
	rule := make([]string, len(columns))
	for i := range rule {
		rule[i] = "---:"
		if i == 0 || i == 2 || i == len(rule)-1 {
			rule[i] = ":---"
		}
	}
	row(rule...)
	for _, t := range trials {
		judged := 0
		if t.report.open() {
			judged = 1
		}
		for i, seen := range []latencies{t.testimony.fromSend, t.testimony.fromDue} {
			verdict := ""
			if i == judged {
				verdict = t.verdict()
			}
			row(t.cells(i, seen, verdict)...)
		}
	}
	return b.String()
}

// verdict is not that of a limit's latencies, which have none.
func (t trial) verdict() string {
	switch {
	case len(t.wrong) > 0:
		return "**FAIL**"
	case t.limit:
		return "(limit)"
	}
	return "**PASS**"
}

func (t trial) cells(beginning int, seen latencies, verdict string) []string {
	reported := t.report.Delivery.Latency
	cells := []string{
		"`" + t.spec + "`", fmt.Sprint(t.number), [...]string{"packet of the send", "due time"}[beginning],
		fmt.Sprint(t.testimony.copies), fmt.Sprint(reported.Count),
	}
	unknown := len(seen) == 0
	for _, q := range []struct {
		share    float64
		reported int64
		compared bool
	}{{0.5, *reported.P50, true}, {0.99, *reported.P99, true}, {1, *reported.Max, false}} {
		witnessed, difference := "–", "–"
		if !unknown {
			value := seen.quantile(q.share)
			witnessed, difference = number(value, ""), number(q.reported-value, "+")
		}
		cells = append(cells, witnessed, number(q.reported, ""))
		if q.compared {
			cells = append(cells, difference)
		}
	}
	return append(cells, verdict)
}

// number writes nanoseconds as a number of microseconds.
func number(ns int64, sign string) string {
	return fmt.Sprintf("%"+sign+".1f", float64(ns)/1e3)
}

// page is the README of the results.
func page(s setting, trials []trial) string {
	program := shown(s.options.sseload)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# The latencies of sseload against the packets\n")
	line("Made by `make witness`, which is `go run ./cmd/witness` after a build. Each row is a")
	line("run of `sseload rooms` whose traffic tcpdump captured on the loopback interface. The")
	line("witness, which shares no code with sseload, finds each message in the packets, where")
	line("it was sent and where each copy of it arrived, and compares with sseload's record:\n")
	line("- sends, and copies received, lost, duplicate, reordered and misrouted, must be as many;")
	line("- p50, p90, p95, p99, p99.9, maximum and mean may differ by %v and 0.1 %%, the digits", s.options.tolerance)
	line("  that the report's histogram keeps; those that are not in the table are listed under")
	line("  it when they differ by more;")
	line("- no message may be due after the packet that it is in, and with a constant arrival")
	line("  rate R the due times must lie on a schedule, 1/R apart, with no place left empty;")
	line("- tcpdump must not have missed a packet.\n")
	line("**%s**, %s · %s\n", summary(trials), s.at.Format("2006-01-02 15:04:05 UTC"), machine(trials))
	line("%s · %s\n", firstLine(s.sseload), firstLine(s.tcpdump))
	b.WriteString(table(trials))
	if list := findings(trials); list != "" {
		b.WriteString("\n" + list)
	}
	line("\nThe difference is report minus packets. The row with the verdict begins where the")
	line("report's latency does, the other is there to compare.\n")
	line("## What is independent here, and what is not\n")
	line("- **The end** of a latency is the arrival of the packet that holds the last byte of the")
	line("  event. Both sides have the kernel's stamp for that, of the same packet: the witness")
	line("  from the capture, sseload from `recvmsg`. So this checks which packet sseload took,")
	line("  and that its own delay in reading is in no latency, not the kernel's clock.")
	line("- **The start in the closed model**, with iterations, is the packet of the send, which")
	line("  owes nothing to sseload. The report's clock starts just before the request is")
	line("  written, so it reads a little more: by the time until the write becomes a packet.")
	line("- **The start in the open model**, with an arrival rate, is when the send was due. No")
	line("  packet shows that. It is taken from the message itself, and the witness checks it")
	line("  against the schedule: evenly 1/R apart, none after its packet. A generator that")
	line("  called due what is only when it came to send would not pass. (With `--arrivals")
	line("  poisson` there is no schedule to check.) Between due and packet lie the generator's")
	line("  own dispatch and the wait for a connection; the row \"packet of the send\" has the")
	line("  latency without them.")
	line("- **Segments that are queued in one socket** when sseload reads it share the stamp of")
	line("  the last. So where many messages come to one client at once the report reads more")
	line("  than the packets, never less. Rows marked (limit) show by how much with every client")
	line("  a sender: their counts must agree, their latencies are not judged.\n")
	line("## Commands of a run\n")
	line("With a free port and a fresh server each time:\n")
	line("```sh")
	line("tcpdump %s > capture.pcap", strings.Join(tcpdumpArguments(s.options.snaplen, "PORT"), " "))
	line("%s %s", program, strings.Join(serveArguments("PORT"), " "))
	for _, shape := range s.options.shapes() {
		line("%s %s", program, strings.Join(roomsArguments(shape.spec, "PORT", "record.json"), " "))
	}
	line("```")
	return b.String()
}

func summary(trials []trial) string {
	text := fmt.Sprintf("PASS: all %d runs agree", len(trials))
	if n := passed(trials); n < len(trials) {
		text = fmt.Sprintf("FAIL: %d of %d runs agree", n, len(trials))
	}
	limits := 0
	for _, t := range trials {
		if t.limit {
			limits++
		}
	}
	if limits > 0 {
		text += fmt.Sprintf("; limits among them, judged by their counts alone: %d", limits)
	}
	return text
}

func passed(trials []trial) int {
	n := 0
	for _, t := range trials {
		if len(t.wrong) == 0 {
			n++
		}
	}
	return n
}

// findings lists what differs, and what is worth a remark, as items of a list.
func findings(trials []trial) string {
	var b strings.Builder
	for _, t := range trials {
		for _, wrong := range t.wrong {
			fmt.Fprintf(&b, "- FAIL: `%s`, #%d: %s\n", t.spec, t.number, wrong)
		}
		if len(t.beyond) > 0 {
			fmt.Fprintf(&b, "- (limit): `%s`, #%d: %s\n", t.spec, t.number, strings.Join(t.beyond, "; "))
		}
		for _, remark := range t.testimony.remarks() {
			fmt.Fprintf(&b, "- `%s`, #%d: %s\n", t.spec, t.number, remark)
		}
	}
	return b.String()
}

// machine is where it was, as the record says.
func machine(trials []trial) string {
	if len(trials) == 0 {
		return "nowhere"
	}
	h := trials[0].host
	words := []string{h.OS + "/" + h.Arch}
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
	return strings.Join(words, " · ")
}

// shown is a path as it may be shown: never one that only this machine has.
func shown(path string) string {
	if filepath.IsLocal(path) {
		return filepath.ToSlash(filepath.Clean(path))
	}
	return filepath.Base(path)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}
