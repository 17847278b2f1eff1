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
				verdict = "**" + t.verdict() + "**"
			}
			row(t.cells(i, seen, verdict)...)
		}
	}
	return b.String()
}

func (t trial) verdict() string {
	if len(t.wrong) > 0 {
		return "FAIL"
	}
	return "PASS"
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
	line("it was sent and where each copy of it arrived, and compares with sseload's record:")
	line("sends and copies must be as many, p50 and p99 may differ by %v and 0.1 %%, the", s.options.tolerance)
	line("digits that the report's histogram keeps, and tcpdump must not have missed a packet.\n")
	line("**%s**, %s · %s\n", summary(trials), s.at.Format("2006-01-02 15:04:05 UTC"), machine(trials))
	line("%s · %s\n", firstLine(s.sseload), firstLine(s.tcpdump))
	b.WriteString(table(trials))
	if list := findings(trials); list != "" {
		b.WriteString("\n" + list)
	}
	line("\nThe difference is report minus packets; max is for information. A copy arrives with")
	line("the packet that holds the last byte of its event. Both sides have the kernel's time")
	line("for that, the witness from the capture, sseload from `recvmsg`. Events that wait in a")
	line("socket together have the last one's time there, so the report reads more where many")
	line("come to one client at once, never less. The row with the verdict begins where the")
	line("report's latency does, the other is there to compare:\n")
	line("- In iterations, the closed model, that is the packet of the send. The report's clock")
	line("  starts just before the request is written, so it reads a little more: by the time")
	line("  that the write takes to become a packet.")
	line("- With an arrival rate, the open model, it is when the send was due, which no packet")
	line("  shows; it is taken from the message itself. Only the arrival is then the packets'.\n")
	line("Commands of a run, with a free port and a fresh server each time:\n")
	line("```sh")
	line("tcpdump %s > capture.pcap", strings.Join(tcpdumpArguments(s.options.snaplen, "PORT"), " "))
	line("%s %s", program, strings.Join(serveArguments("PORT"), " "))
	for _, spec := range s.options.runs {
		line("%s %s", program, strings.Join(roomsArguments(spec, "PORT", "record.json"), " "))
	}
	line("```")
	return b.String()
}

func summary(trials []trial) string {
	if n := passed(trials); n < len(trials) {
		return fmt.Sprintf("FAIL: %d of %d runs agree", n, len(trials))
	}
	return fmt.Sprintf("PASS: all %d runs agree", len(trials))
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
