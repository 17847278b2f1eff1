package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// runTable reads the trials that .ci/servers made, TRIALS/ROUND/LOAD-SERVER.json with
// rounds from 1, and writes the table and the record of each load's median trial.
func runTable(args []string) error {
	flags := flag.NewFlagSet("peer table", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it
	out := flags.String("out", "", "`DIR` to write to")
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("peer table: no --out; " + usage)
	}
	trials, err := readTrials(flags.Arg(0))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	for name, text := range trials.files() {
		if err := os.WriteFile(filepath.Join(*out, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// record is what the table needs of an sseload record (docs/result.schema.json).
// Numbers that may be unknown are pointers.
type record struct {
	Tool struct{ Version, Commit, Go string }
	Host struct {
		OS, Arch string
		Kernel   *string
		CPUModel *string `json:"cpu_model"`
		Cores    int
	}
	Command   []string
	StartedAt string `json:"started_at"`
	Runs      []outcome

	text []byte // as it was read
}

type outcome struct {
	Connect struct {
		Failed    float64
		ElapsedNS *float64 `json:"elapsed_ns"`
	}
	Delivery struct {
		Lost          *float64
		RatePerSecond *float64 `json:"rate_per_second"`
		Sends         struct{ Failed float64 }
		Latency       struct {
			P50NS *float64 `json:"p50_ns"`
			P99NS *float64 `json:"p99_ns"`
		}
	}
	TargetProcess struct {
		BytesPerClient  *float64 `json:"bytes_per_client"`
		CPUPerConnectNS *float64 `json:"cpu_per_connect_ns"`
		CPUPerCopyNS    *float64 `json:"cpu_per_copy_ns"`
	} `json:"target_process"`
	Generator   struct{ Overloaded *bool }
	Interrupted bool
	Aborted     *string
}

// figure is a row of a table.
type figure struct {
	name string
	of   func(*outcome) *float64
	unit float64 // the figure is shown in this many of its record's units
	sum  bool    // over the rounds; else it is their median, which has a ratio
}

// load is one of the loads, and its table.
type load struct {
	name, title string
	figures     []figure // the first says which trial is the median one
}

// servers are those compared, the one that the others are measured by first.
func servers() []string { return []string{"reference", "nethttp", "r3labs"} }

func loads() []load {
	overloaded := figure{name: "trials with an overloaded generator", sum: true, of: func(r *outcome) *float64 {
		switch {
		case r.Generator.Overloaded == nil:
			return nil
		case *r.Generator.Overloaded:
			return new(1.0)
		}
		return new(0.0)
	}}
	failed := figure{name: "clients that failed", sum: true, of: func(r *outcome) *float64 { return &r.Connect.Failed }}
	delivery := []figure{
		{name: "server's CPU a copy, µs", unit: 1e3, of: func(r *outcome) *float64 { return r.TargetProcess.CPUPerCopyNS }},
		{name: "copies a second", unit: 1, of: func(r *outcome) *float64 { return r.Delivery.RatePerSecond }},
		{name: "latency p50, ms", unit: 1e6, of: func(r *outcome) *float64 { return r.Delivery.Latency.P50NS }},
		{name: "latency p99, ms", unit: 1e6, of: func(r *outcome) *float64 { return r.Delivery.Latency.P99NS }},
		{name: "copies lost", sum: true, of: func(r *outcome) *float64 { return r.Delivery.Lost }},
		{name: "sends that failed", sum: true, of: func(r *outcome) *float64 { return &r.Delivery.Sends.Failed }},
		failed, overloaded,
	}
	return []load{
		{"connect", "Connecting", []figure{
			{name: "time to connect all, ms", unit: 1e6, of: func(r *outcome) *float64 { return r.Connect.ElapsedNS }},
			{name: "server's CPU a connect, µs", unit: 1e3, of: func(r *outcome) *float64 { return r.TargetProcess.CPUPerConnectNS }},
			{name: "server's memory a client, KiB", unit: 1 << 10, of: func(r *outcome) *float64 { return r.TargetProcess.BytesPerClient }},
			failed, overloaded,
		}},
		{"rooms", "Sending as fast as it is delivered", delivery},
		{"rate", "Sending at a rate", delivery},
	}
}

// trials are the records by load and server, a round each.
type trials map[string][]*record

func trialName(l load, server string) string { return l.name + "-" + server + ".json" }

func readTrials(dir string) (trials, error) {
	t := make(trials)
	for round := 1; ; round++ {
		folder := filepath.Join(dir, strconv.Itoa(round))
		if _, err := os.Stat(folder); err != nil {
			if errors.Is(err, os.ErrNotExist) && round > 1 {
				return t, nil
			}
			return nil, fmt.Errorf("round %d: %w", round, err)
		}
		for _, l := range loads() {
			for _, server := range servers() {
				name := trialName(l, server)
				rec, err := readRecord(filepath.Join(folder, name))
				if err != nil {
					return nil, err
				}
				t[name] = append(t[name], rec)
			}
		}
	}
}

func readRecord(path string) (*record, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rec := &record{text: text}
	if err := json.Unmarshal(text, rec); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch {
	case len(rec.Runs) != 1:
		return nil, fmt.Errorf("%s: %d runs, not one", path, len(rec.Runs))
	case rec.Runs[0].Aborted != nil:
		return nil, fmt.Errorf("%s: the run was aborted: %s", path, *rec.Runs[0].Aborted)
	case rec.Runs[0].Interrupted:
		return nil, fmt.Errorf("%s: the run was interrupted", path)
	}
	return rec, nil
}

// files are the page and the records it links to, by name.
func (t trials) files() map[string][]byte {
	files := map[string][]byte{"README.md": []byte(t.page())}
	for _, l := range loads() {
		for _, server := range servers() {
			name := trialName(l, server)
			files[name] = t.middle(name, l.figures[0]).text
		}
	}
	return files
}

// middle is the trial that has the median of a figure; one without it is last.
func (t trials) middle(name string, f figure) *record {
	sorted := slices.SortedStableFunc(slices.Values(t[name]), func(a, b *record) int {
		x, y := f.of(&a.Runs[0]), f.of(&b.Runs[0])
		switch {
		case x == nil || y == nil:
			return unknownLast(x) - unknownLast(y)
		case *x < *y:
			return -1
		case *x > *y:
			return 1
		}
		return 0
	})
	return sorted[(len(sorted)-1)/2]
}

func unknownLast(v *float64) int {
	if v == nil {
		return 1
	}
	return 0
}

func (t trials) page() string {
	first := t[trialName(loads()[0], servers()[0])]
	var b strings.Builder
	b.WriteString(`# The reference server beside two others

Made by ` + "`make servers`" + `. The same load against the reference server (` + "`sseload serve`" + `) and
against two other ways to write it, both in ` + "`testserver/peer`" + `: plain ` + "`net/http`" + ` handlers, and
the server of ` + "`r3labs/sse`" + `. Each trial has a fresh process of its server on the same machine as
the load.

`)
	fmt.Fprintf(&b, "%s\n\n", about(first[0]))
	fmt.Fprintf(&b, "Figures are medians of %d rounds, in which the servers took turns, but for counts, which are\n"+
		"sums. × is the median of the ratios to the reference server in the same round, with the least\n"+
		"and the greatest of them. Unknown is –. Each server's name links to the record of the trial that\n"+
		"is the median in the table's first row.\n", len(first))
	for _, l := range loads() {
		t.table(&b, l)
	}
	return b.String()
}

// about says what made a record, and on what.
func about(r *record) string {
	h := r.Host
	parts := []string{h.OS + "/" + h.Arch}
	if h.Kernel != nil {
		parts = append(parts, "kernel "+*h.Kernel)
	}
	if h.CPUModel != nil {
		parts = append(parts, *h.CPUModel)
	}
	parts = append(parts, fmt.Sprintf("%d cores", h.Cores),
		fmt.Sprintf("sseload %s (commit %s, %s)", r.Tool.Version, r.Tool.Commit, r.Tool.Go), r.StartedAt)
	return strings.Join(parts, " · ")
}

// command is a record's, without where its server was and its outputs went.
func command(r *record) string {
	var words []string
	for i := 0; i < len(r.Command); i++ {
		switch word := r.Command[i]; {
		case word == "-q":
		case word == "-o":
			i++
		case strings.HasPrefix(word, "http://"):
			words = append(words, "URL")
		default:
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func (t trials) table(b *strings.Builder, l load) {
	reference := t[trialName(l, servers()[0])]
	fmt.Fprintf(b, "\n## %s\n\n```text\n$ %s\n```\n\n| |", l.title, command(reference[0]))
	for i, server := range servers() {
		fmt.Fprintf(b, " [%s](%s) |", server, trialName(l, server))
		if i > 0 {
			b.WriteString(" × |")
		}
	}
	b.WriteString("\n|:--|" + strings.Repeat("--:|", 2*len(servers())-1) + "\n")
	for _, f := range l.figures {
		fmt.Fprintf(b, "| %s |", f.name)
		for i, server := range servers() {
			own := t[trialName(l, server)]
			fmt.Fprintf(b, " %s |", f.shown(own))
			if i > 0 {
				fmt.Fprintf(b, " %s |", f.ratio(own, reference))
			}
		}
		b.WriteString("\n")
	}
}

// shown is a cell: the figure over the rounds.
func (f figure) shown(rounds []*record) string {
	var values []float64
	for _, r := range rounds {
		if v := f.of(&r.Runs[0]); v != nil {
			values = append(values, *v)
		}
	}
	switch {
	case len(values) == 0 || f.sum && len(values) < len(rounds):
		return "–"
	case f.sum:
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		return strconv.FormatFloat(sum, 'f', 0, 64)
	}
	return significant(median(values) / f.unit)
}

// ratio is a cell: what the figure is of the reference server's, round by round.
func (f figure) ratio(own, reference []*record) string {
	if f.sum {
		return ""
	}
	var ratios []float64
	for i := range own {
		x, y := f.of(&own[i].Runs[0]), f.of(&reference[i].Runs[0])
		if x != nil && y != nil && *y > 0 {
			ratios = append(ratios, *x / *y)
		}
	}
	if len(ratios) == 0 {
		return "–"
	}
	text := significant(median(ratios))
	if len(ratios) > 1 {
		text += fmt.Sprintf(" (%s…%s)", significant(slices.Min(ratios)), significant(slices.Max(ratios)))
	}
	return text
}

// median sorts values, of which there is one at least.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// significant shows about three digits.
func significant(v float64) string {
	decimals := 0
	switch {
	case v < 10:
		decimals = 2
	case v < 100:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
