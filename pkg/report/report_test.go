package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/result/resulttest"
)

// update is the one flag of this test binary.
var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	for _, test := range []struct {
		format   string
		width    int
		suffix   string
		fixtures []string // nil: all
	}{
		{"findings", 0, ".findings", nil},
		{"findings", 80, "-80.findings", nil},
		{"markdown", 0, ".md", nil},
		{"csv", 0, ".csv", []string{"connect", "trouble", "timestamp", "merged", "empty", "open", "slow", "faults", "backends", "thresholds"}},
		{"json", 0, ".json", []string{"trouble", "empty"}},
		{"histogram", 0, ".histogram", []string{"connect", "rooms-one", "open", "behind", "slow", "cluster", "merged", "empty"}},
		{"histogram", 64, "-64.histogram", []string{"slow"}},
		{"junit", 0, ".junit.xml", []string{"rooms-one", "trouble", "interrupted", "timestamp", "merged", "hostile", "empty"}},
		{"github", 0, ".github.md", []string{"connect", "rooms-one", "trouble", "merged", "profiled", "hostile", "empty"}},
		{"hgrm", 0, ".hgrm", []string{"rooms-one", "slow", "open", "empty"}},
		{"hlog", 0, ".hlog", []string{"open", "empty"}},
		{"samples", 0, ".jsonl", []string{"connect", "trouble", "merged", "empty"}},
		{"against-2014", 0, "-against-2014.md", []string{"connect", "rooms-matrix", "connect-fail", "cluster", "merged", "empty", "open", "faults"}},
	} {
		fs := fixtures()
		if test.fixtures == nil {
			test.fixtures = slices.Sorted(maps.Keys(fs))
		}
		for _, name := range test.fixtures {
			golden := filepath.Join("testdata", name+test.suffix)
			t.Run(filepath.Base(golden), func(t *testing.T) {
				got := render(t, test.format, fs[name], Options{Width: test.width})
				matchGolden(t, golden, got)
			})
		}
	}
}

// matchGolden holds got against the file golden, or makes that file of it with -update.
func matchGolden(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew):\n%s", golden, firstDifference(got, string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return "got  " + a + "\nwant " + b
		}
	}
	return ""
}

func render(t *testing.T, name string, f *result.File, o Options) string {
	t.Helper()
	format, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := format.Render(&b, f, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func encode(t *testing.T, f *result.File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFixturesAreRecords(t *testing.T) {
	for name, f := range fixtures() {
		t.Run(name, func(t *testing.T) { resulttest.Validate(t, encode(t, f)) })
	}
}

func TestLookup(t *testing.T) {
	if want := []string{"findings", "markdown", "csv", "json", "against-2014", "histogram", "junit", "samples", "github", "hgrm", "hlog"}; !slices.Equal(Names(), want) {
		t.Errorf("names %q, want %q", Names(), want)
	}
	for i, f := range All() {
		if f.Name() != Names()[i] || f.Description() == "" {
			t.Errorf("format %d is %q: %q", i, f.Name(), f.Description())
		}
		if got, err := Lookup(f.Name()); err != nil || got != f {
			t.Errorf("looked %q up: %v, %v", f.Name(), got, err)
		}
	}
	_, err := Lookup("yaml")
	if want := `unknown output format "yaml": known are findings, markdown, csv, json, against-2014, histogram, junit, samples, github, hgrm, hlog`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRenderLeavesTheRecordAlone(t *testing.T) {
	for name, f := range fixtures() {
		before := encode(t, f)
		for _, format := range Names() {
			render(t, format, f, Options{Width: 80})
			if !bytes.Equal(encode(t, f), before) {
				t.Fatalf("%s changed %s", format, name)
			}
		}
	}
}

var errFull = errors.New("disk full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestRenderReturnsTheWritersError(t *testing.T) {
	for _, f := range All() {
		if err := f.Render(failingWriter{}, roomsOne(), Options{}); !errors.Is(err, errFull) {
			t.Errorf("%s: got %v", f.Name(), err)
		}
	}
}

// The tables are those of the findings document: its header words in its order,
// its alignment and the forms of its cells.
func TestFindingsTablesAreTheDocuments(t *testing.T) {
	number := `\d+(\.\d+)?`
	for _, test := range []struct {
		file   *result.File
		header string
		right  []bool
		cells  string
	}{
		{
			connectSeries(),
			"Type | Test | Machine | Number Clients | Time in seconds | Protocol | Env",
			[]bool{false, false, false, true, false, false, false},
			`Normal\|Create Clients\|roundrobin\|\d+\|` + number + ` S\|EventSource\|Local`,
		},
		{
			roomsMatrix(),
			"Type | Test | Machine | Senders | Clients | Iterat. | Avg Time | Total | CPU Avg | #Msg",
			[]bool{false, false, false, false, true, true, true, true, true, true},
			`Normal\|Send Msg\|roundrobin\|1 per room\|\d+\|\d+\|` + number + ` s\|` + number + ` s\|` + number + ` %\|\d+`,
		},
	} {
		lines := strings.Split(render(t, "findings", test.file, Options{}), "\n")
		if got := strings.Join(splitRow(lines[0]), " | "); got != test.header {
			t.Errorf("header %q, want %q", got, test.header)
		}
		for i, c := range splitRow(lines[1]) {
			if !regexp.MustCompile(`^:?-+:?$`).MatchString(c) || strings.HasSuffix(c, ":") != test.right[i] {
				t.Errorf("column %d: alignment %q, to the right: %t", i, c, test.right[i])
			}
		}
		for i := range test.file.Runs {
			row := strings.Join(splitRow(lines[2+i]), "|")
			if !regexp.MustCompile("^" + test.cells + "$").MatchString(row) {
				t.Errorf("row %q, want %s", row, test.cells)
			}
			if len(lines[2+i]) != len(lines[0]) {
				t.Errorf("row %d is not as wide as the header:\n%s\n%s", i, lines[0], lines[2+i])
			}
		}
		if lines[2+len(test.file.Runs)] != "" {
			t.Errorf("more rows than runs: %q", lines[2+len(test.file.Runs)])
		}
	}
}

// splitRow takes a table line apart at the pipes that are not escaped (GitHub
// Flavored Markdown, section 4.10).
func splitRow(line string) []string {
	var cells []string
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line):
			b.WriteString(line[i : i+2])
			i++
		case line[i] == '|':
			cells = append(cells, strings.TrimSpace(b.String()))
			b.Reset()
		default:
			b.WriteByte(line[i])
		}
	}
	return cells[1:] // before the first pipe there is nothing
}

func TestOutputFitsTheTerminal(t *testing.T) {
	fs := fixtures()
	fs["long"] = longSeries()
	for _, limit := range []int{80, 100} {
		for name, f := range fs {
			for _, format := range []string{"findings", "histogram"} {
				for line := range strings.Lines(render(t, format, f, Options{Width: limit})) {
					if w := width(line); w > limit {
						t.Errorf("%s of %s: %d columns in a terminal of %d: %s", format, name, w, limit, line)
					}
				}
			}
		}
	}
}

func TestDetailsFit80ColumnsEverywhere(t *testing.T) {
	fs := fixtures()
	fs["long"] = longSeries()
	for name, f := range fs {
		for _, table := range tables(f) {
			blocks, err := table.details(0, plain)
			if err != nil {
				t.Fatal(err)
			}
			runs := 0
			for _, b := range blocks {
				if w := width(b); w > 80 {
					t.Errorf("%s: a detail table of %d columns:\n%s", name, w, b)
				}
				header, _, _ := strings.Cut(b, "\n")
				n := len(splitRow(header)) - 1
				if n > 5 {
					t.Errorf("%s: %d runs side by side", name, n)
				}
				runs += n
			}
			if runs != len(table.rows) {
				t.Errorf("%s: details of %d runs, there are %d", name, runs, len(table.rows))
			}
		}
	}
}

func TestWideTerminalGetsTheFullTable(t *testing.T) {
	f := connectSeries()
	full := render(t, "findings", f, Options{})
	if got := render(t, "findings", f, Options{Width: 200}); got != full {
		t.Errorf("the table changed:\n%s", firstDifference(got, full))
	}
	narrow := render(t, "findings", f, Options{Width: 80})
	if caption := "Type Normal · Test Create Clients · Machine roundrobin · Protocol EventSource ·\n  Env Local\n\n|"; !strings.HasPrefix(narrow, caption) {
		t.Errorf("no caption above the table:\n%s", narrow)
	}
}

func TestLoudRemarksComeFirst(t *testing.T) {
	out := render(t, "findings", trouble(), Options{})
	tables := strings.LastIndex(out, "\n|")
	last := tables
	for _, want := range []string{
		"\naborted: the target went away: ",
		"\noverloaded: the generator fell behind, take the figures as a bound: read lag p99 was 3.1 ms, the bound is 1 ms\n",
		"\nfailed: 10 of 600 clients did not open: status 503 7, refused 2, timed out 1\n",
		"\ndropped: 4 of 590 open clients ended before the run did: reset 3, closed early 1\n",
		"\nsends failed: 3 of 1,000: status 500 2, timed out 1\n",
		"\ndelivery: 40 lost, 12 duplicate, 5 reordered, 6 misrouted, 9 late of 5,882 expected copies; clients affected: 31\n",
		"\nincomplete: 1 of 10 iterations did not get every copy that was due\n",
		"\nexample of refused: ", "\nexample of timed out: ", "\nexample of status 503: ", "\nexample of reset: ",
		"\nworst clients: client 2 in room 0: 9 lost, 1 duplicate of 10 expected copies\n",
		"\nworst clients: client 26 in room 4: 5 lost of 10 expected copies\n",
		"\nworst clients: 2 more in the JSON record\n",
		"\nnote: the target runs on another machine",
	} {
		at := strings.Index(out, want)
		if at < last {
			t.Errorf("not found, or not in its place: %q", want)
			continue
		}
		last = at
	}
	if strings.Contains(out, "client 32") {
		t.Error("more worst clients than were to be named")
	}

	md := render(t, "markdown", trouble(), Options{})
	if at := strings.Index(md, "**overloaded**"); at < 0 || at > strings.Index(md, "\n|") {
		t.Error("the markdown document does not begin with what is loud")
	}
}

func TestPerfectRunHasNoRemarks(t *testing.T) {
	if got := remarks(roomsMatrix()); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestRemarksNameTheirRuns(t *testing.T) {
	var got []string
	for _, r := range remarks(connectFailing()) {
		got = append(got, r.about())
	}
	want := []string{"aborted (6000)", "failed (5000)", "dropped (5000)", "failed (6000)", "example of refused",
		"example of content type", "note (5000)", "note"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if r := remarks(interrupted()); len(r) != 2 || r[0].String() != "interrupted (4000 × 100 #2): figures are partial, after 37 of 100 iterations" ||
		r[1].String() != "delivery (4000 × 100 #2): 10 lost of 148,000 expected copies" {
		t.Errorf("got %v", r)
	}
}

// What goes wrong with sending is loud once it is more than one send in a hundred,
// and says whose doing it was.
func TestSendsBehind(t *testing.T) {
	for _, test := range []struct {
		name          string
		n             int64
		lag, dispatch *result.Latency
		connections   *int
		crowded       int64
		loud          bool
		want          string
	}{
		{"one in a hundred", 100, new(spread(10_000, us)), new(spread(10_000, us)), new(64), 90, false,
			"100 of 10,000 began more than 1 ms after they were due, by up to 11.0 µs: 90 messages came due when each connection had one, of 64; the server "},
		{"more", 101, new(spread(10_000, 2*ms)), new(spread(10_000, us)), nil, 0, true,
			"101 of 10,000 began more than 1 ms after they were due, by 8.00 ms at p99 of all sends: a connection had to be made for them first"},
		{"the generator", 500, new(spread(10_000, 2*ms)), new(spread(10_000, ms)), new(64), 0, true,
			"by 8.00 ms at p99 of all sends: the generator itself came late to them, by 4.00 ms at p99 of all sends"},
		{"both", 500, new(spread(10_000, 4*ms)), new(spread(10_000, ms)), new(64), 0, true,
			"the generator itself came late to them, by 4.00 ms at p99 of all sends, and they waited for a connection"},
		{"a few, the generator", 5, new(spread(10_000, 100*us)), new(spread(10_000, 100*us)), new(64), 0, false,
			"by up to 1.10 ms: the generator itself came late to them, by up to 1.10 ms"},
		{"nobody knows", 5, nil, nil, new(64), 0, false, "5 of 10,000 began more than 1 ms after they were due"},
		{"nothing of the generator", 500, new(spread(10_000, 2*ms)), &result.Latency{}, new(64), 0, true, "due, by 8.00 ms at p99 of all sends"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := file("rooms")
			f.Runs = []result.Run{openRun(600, 500, 20*s, 412*us)}
			f.Runs[0].Delivery.Sends.Behind = &test.n
			f.Runs[0].Generator.SendLag, f.Runs[0].Generator.DispatchLag = test.lag, test.dispatch
			f.Runs[0].Params.SendConnections = test.connections
			f.Runs[0].Delivery.Sends.Crowded = &test.crowded
			got := remarks(f)
			if len(got) != 1 || got[0].tag != "sends behind" || got[0].loud() != test.loud || !strings.Contains(got[0].text+"$", test.want) {
				t.Errorf("got %+v, want %q, loud: %t", got, test.want, test.loud)
			}
		})
	}
}

func TestRemarksOfTheOpenModel(t *testing.T) {
	var got []string
	for _, r := range remarks(behind()) {
		got = append(got, r.String())
	}
	for _, want := range []string{
		"interrupted (600 @ 500/s #2): figures are partial, after 12.0 s of 30.0 s",
		"sends called off (600 @ 500/s): 800 were due, but could not begin before the run ended",
		"delivery (600 @ 500/s): 37 late of 85,200 expected copies; clients affected: 0; late is more than 30.0 s after the send was due",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("not said: %q\nin %q", want, got)
		}
	}
	f := file("rooms")
	f.Runs = []result.Run{openRun(600, 500, 20*s, 412*us)}
	if got := remarks(f); len(got) != 0 {
		t.Errorf("there is nothing to say of a perfect run, but %v", got)
	}
}

func TestRemarksOfWhatWasAskedToGoWrong(t *testing.T) {
	var got []string
	for _, f := range []*result.File{slowReading(), faulty(), spreadOut()} {
		for _, r := range remarks(f) {
			got = append(got, r.String())
		}
	}
	for _, want := range []string{
		"dropped (1200 × 100 #2): 12 of 1,200 open clients ended before the run did: reset 12; 12 of them were slow readers",
		"slow readers (1200 × 100): 60 at 1.00 KiB/s: p99 ≥ 4.12 s; ordinary clients in a room with one: p99 1.76 ms; " +
			"all ordinary clients: p99 1.65 ms; 240 were read only once the sending was over, and would have taken longer",
		"slow readers (1200 × 100 #2): 30 at 64 B/s: p99 2.80 s; all ordinary clients: p99 1.65 ms; " +
			"1,100 of 3,000 copies for slow readers were lost; the server dropped 12 of 30 slow readers",
		"faults injected (600 × 10): drop,every=7: 857; delay,by=5ms,room=3: –",
		"rooms that span several backends (600 × 10): 97 of 100, by the header X-Server; 2,990 of 3,000 lost copies are theirs",
		"rooms that span several backends (600 × 10 #2): none of 100, by the header X-Server",
		"rooms that span several backends (600 × 10 #3): 100 of 100, by the cookie SRV; clients that came back to another backend: 3; " +
			"clients whose backend does not show: 12; 256 backends are told apart, there are more",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("not said: %q\nin %q", want, got)
		}
	}
}

func TestListenQueueIsNamed(t *testing.T) {
	f := connectSeries()
	f.Runs[1].Machine.ListenOverflows, f.Runs[1].Machine.ListenDrops = new(int64(1312)), new(int64(1313))
	f.Runs[2].Machine.ListenDrops = new(int64(4))
	var got []string
	for _, r := range remarks(f) {
		if r.tag == "listen queue" && r.loud() {
			got = append(got, r.String())
		}
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], "listen queue (2000): 1,312 connection requests found the queue of a listener full, 1,313 were dropped;") ||
		!strings.HasPrefix(got[1], "listen queue (3000): 4 connection requests were dropped, though no queue was full") {
		t.Errorf("%q", got)
	}
}

func TestMemoryThatAServerKeptIsNamed(t *testing.T) {
	for _, test := range []struct {
		kind    string
		command *string
		per     *float64
		want    bool
	}{
		{"url", nil, new(0.4), true}, {"url", nil, nil, true}, {"url", nil, new(9830.0), false},
		{"reference", nil, new(0.4), false}, {"url", new("node server.js"), new(0.4), false},
	} {
		f := connectSeries()
		for i := range f.Runs {
			f.Runs[i].Target.Kind, f.Runs[i].Target.Command, f.Runs[i].TargetProcess.BytesPerClient = test.kind, test.command, test.per
		}
		said := slices.ContainsFunc(remarks(f), func(r remark) bool { return r.tag == "memory kept" })
		if said != test.want {
			t.Errorf("%s, %v a client: said %v", test.kind, test.per, said)
		}
	}
}

// A fault that was asked for twice is one row, with all that was done of it.
func TestInjectedFaultsAddUp(t *testing.T) {
	run := result.Run{Target: result.Target{Faults: []result.Fault{
		{Fault: "a", Injected: new(int64(2))}, {Fault: "b"}, {Fault: "a", Injected: new(int64(3))}, {Fault: "b", Injected: new(int64(1))},
	}}}
	for name, want := range map[string]string{"a": "5", "b": unknown, "c": unknown} {
		if got := known(injected(&run, name), count); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if *run.Target.Faults[0].Injected != 2 {
		t.Error("the record changed")
	}
	f := file("rooms")
	f.Runs = []result.Run{run}
	if out := render(t, "findings", f, Options{}); strings.Count(out, "| injected: ") != 2 {
		t.Errorf("not one row a fault:\n%s", out)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	for _, format := range []string{"findings", "markdown", "against-2014", "csv", "histogram"} {
		out := render(t, format, hostile(), Options{})
		for _, r := range out {
			if r != '\n' && (r != '\r' || format != "csv") && !unicode.IsPrint(r) || r == utf8.RuneError {
				t.Errorf("%s: prints %U", format, r)
			}
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "# heading") || strings.HasPrefix(line, "rm ") {
				t.Errorf("%s: a line broke out: %q", format, line)
			}
		}
	}
	for _, format := range []string{"findings", "markdown"} {
		var tableLines []string
		for line := range strings.Lines(render(t, format, hostile(), Options{})) {
			if strings.HasPrefix(line, "| Normal") {
				tableLines = append(tableLines, strings.TrimSuffix(line, "\n"))
			}
		}
		machine := `a\|b\\\|c [31m  <script>`
		if format == "markdown" {
			machine = `a\|b\\\|c \[31m  \<script>`
		}
		if len(tableLines) != 1 || len(splitRow(tableLines[0])) != 7 || splitRow(tableLines[0])[2] != machine {
			t.Errorf("%s: rows %q", format, tableLines)
		}
	}
	md := render(t, "markdown", hostile(), Options{})
	if !strings.Contains(md, "````sh\nsseload connect -c 10 --label 'machine=``` rm -rf $HOME'\n````\n") {
		t.Errorf("the command's fence can be left:\n%s", md)
	}
	for _, bad := range []string{" <script>", " <b>", " [this]", "> *now"} {
		if strings.Contains(md, bad) {
			t.Errorf("markup in the document: %q", bad)
		}
	}
}

func TestCSV(t *testing.T) {
	out := render(t, "csv", trouble(), Options{})
	if strings.Count(out, "\r\n") != 2 || strings.Count(out, "\n") != 2 {
		t.Errorf("lines do not end as RFC 4180 says: %q", out)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll() // refuses rows of unequal length
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for i, name := range rows[0] {
		if !regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`).MatchString(name) {
			t.Errorf("column %q is not in snake case", name)
		}
		if _, twice := at[name]; twice {
			t.Errorf("column %q is there twice", name)
		}
		at[name] = rows[1][i]
	}
	for name, want := range map[string]string{
		"tool_version": "v0.1.0", "host_name": "roundrobin", "host_cores": "2", "scenario": "rooms",
		"started_at": "2026-11-23T10:00:00Z",
		"command":    "sseload rooms 'http://10.0.0.7/events/{room}' --send-url 'http://10.0.0.7/publish/{room}' -c 600 -n 10 -H 'X-Team: it'\\''s us'",
		"labels_env": "Netw", "labels_extra": `build=42;why=a\=b\;c`, "params_clients": "600", "params_duration_ns": "",
		"connect_failures": "refused=2;status 503=7;timed out=1", "connect_open_latency_p99_ns": "36800000",
		"connect_first_event_latency_count": "590", "delivery_lost": "40", "delivery_sends_failures": "status 500=2;timed out=1",
		"delivery_latency_mean_ns": "2200000", "generator_overloaded": "true", "generator_send_lag_p99_ns": "",
		"target_process_observed": "false", "target_process_cpu_percent": "", "interrupted": "false",
		"aborted": "the target went away: connection refused while sending iteration 10 of 10",
	} {
		if got, ok := at[name]; !ok || got != want {
			t.Errorf("column %s is %q (there: %t), want %q", name, got, ok, want)
		}
	}
	for _, gone := range []string{"connect_open_latency_hdr", "samples", "phases", "delivery_clients", "connect_examples"} {
		if _, ok := at[gone]; ok {
			t.Errorf("there is a column %q", gone)
		}
	}
}

// Columns keep their places: what came later stands behind the rest.
func TestCSVAddsColumnsAtTheEnd(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(render(t, "csv", behind(), Options{}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	notes := slices.Index(rows[0], "notes") // the last field of a run
	first := slices.Index(rows[0], "params_model")
	if first < 0 || first != notes+1 {
		t.Errorf("column %d is the first of the new ones, %d the last of the old", first, notes)
	}
	for _, prefix := range csvAdded {
		found := false
		for i, name := range rows[0] {
			if strings.HasPrefix(name, prefix) {
				found = true
				if i < first {
					t.Errorf("column %s stands among the old ones", name)
				}
			}
		}
		if !found {
			t.Errorf("no column is %s", prefix)
		}
	}
	for name, want := range map[string]string{
		"params_model": "open", "params_rate": "500", "params_arrivals": "constant", "params_send_connections": "64",
		"params_iterations": "", "delivery_iterations": "", "delivery_incomplete": "", "iteration_time_count": "",
		"delivery_sends_behind": "1012", "generator_send_lag_p99_ns": "800000000", "generator_dispatch_lag_p99_ns": "76000",
		"generator_gc_pause_max_ns": "80000", "generator_gc_cycles": "3", "generator_run_queue_ns": "41000000",
		"traffic_comments": "0", "traffic_events": "90000", "clock_kind": "monotonic", "clock_offset_ns": "",
		"delivery_slow_latency_p99_ns": "", "delivery_slow_dropped": "", "target_faults": "",
	} {
		if i := slices.Index(rows[0], name); i < 0 || rows[1][i] != want {
			t.Errorf("column %s is %d, want %q there: %q", name, i, want, rows[1])
		}
	}
	rows, err = csv.NewReader(strings.NewReader(render(t, "csv", faulty(), Options{}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rows[1][slices.Index(rows[0], "target_faults")], `drop,every\=7=857;delay,by\=5ms,room\=3=`; got != want {
		t.Errorf("faults are %q, want %q", got, want)
	}
}

func TestCSVRowsOfDifferentRunsLineUp(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(render(t, "csv", merged(), Options{}))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	if len(rows) != 1+5+12+1 {
		t.Fatalf("%d rows", len(rows))
	}
	connect, last := rows[1], rows[len(rows)-1]
	for _, name := range rows[0] {
		if (strings.HasPrefix(name, "delivery_") || strings.HasPrefix(name, "iteration_time_")) && connect[column(name)] != "" {
			t.Errorf("a run that sent nothing has %s = %q", name, connect[column(name)])
		}
	}
	if connect[column("total_ns")] != "63423000" || connect[column("host_name")] != "roundrobin" ||
		last[column("host_name")] != "ci-7" || last[column("host_kernel")] != "" || last[column("interrupted")] != "true" {
		t.Errorf("cells moved:\n%q\n%q", connect, last)
	}
}

func TestJSONIsTheRecord(t *testing.T) {
	for name, f := range fixtures() {
		out := render(t, "json", f, Options{})
		if out != string(encode(t, f)) {
			t.Errorf("%s: not what Write writes", name)
		}
		resulttest.Validate(t, []byte(out))
	}
}

func TestAgainst2014(t *testing.T) {
	out := render(t, "against-2014", roomsMatrix(), Options{})
	var row []string
	n := 0
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "| 1 per room") {
			continue
		}
		n++
		if c := splitRow(line); c[1] == "1000" && c[2] == "100" {
			row = c
		}
	}
	if n != 12 { // ten of 2014, two of which nothing is known from then
		t.Errorf("%d rows", n)
	}
	want := []string{"1 per room", "1000", "100", "0.01 s", "0.000453 s", "22 ×", "108.67 s", "100.9 s", "1.1 ×", "5.41 %", "0.42 %", "101240", "100000"}
	if !slices.Equal(row, want) {
		t.Errorf("got %q, want %q", row, want)
	}
	if !strings.Contains(out, "1.00 s in the new runs") || !strings.Contains(out, source2014) {
		t.Errorf("the comparison does not say of what:\n%s", out)
	}

	// Six senders a room were not measured then: such a run stands alone.
	out = render(t, "against-2014", cluster(), Options{})
	for line := range strings.Lines(out) {
		if c := strings.HasPrefix(line, "| 6 per room"); c && splitRow(line)[3] != unknown {
			t.Errorf("compared with another measurement: %s", line)
		}
	}
	if strings.Count(out, "| 6 per room") != 3 {
		t.Errorf("runs are missing:\n%s", out)
	}
}

// Every format must cope with a run of which nothing but its name is known.
func TestEmptyRun(t *testing.T) {
	for _, scenario := range []string{"connect", "rooms", "something new"} {
		f := &result.File{Runs: []result.Run{{Scenario: scenario}}}
		for _, format := range All() {
			if err := format.Render(io.Discard, f, Options{Width: 80}); err != nil {
				t.Errorf("%s, %s: %v", format.Name(), scenario, err)
			}
		}
		if out := render(t, "findings", f, Options{}); strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
			t.Errorf("%s:\n%s", scenario, out)
		}
	}
	out := render(t, "findings", &result.File{Runs: []result.Run{{Scenario: "something new"}}}, Options{})
	if !strings.Contains(out, "something new") {
		t.Errorf("the table does not say which test it was:\n%s", out)
	}
}

// Every format must cope with any figure of a run being unknown.
func TestAnyFigureMayBeUnknown(t *testing.T) {
	run := everything()
	f := &result.File{Runs: []result.Run{run}}
	unset := 0
	for ; ; unset++ {
		name, restore := unsetPointer(reflect.ValueOf(&f.Runs[0]).Elem(), "run", new(unset))
		if restore == nil {
			break
		}
		for _, format := range All() {
			t.Run(name+"/"+format.Name(), func(t *testing.T) {
				var b strings.Builder
				if err := format.Render(&b, f, Options{Width: 80}); err != nil {
					t.Error(err)
				}
				// An encoded histogram may spell anything.
				if out := b.String(); format.Name() != "json" && regexp.MustCompile("NaN|Inf|nil|%!").MatchString(out) {
					t.Errorf("prints\n%s", out)
				}
			})
		}
		restore()
	}
	if unset < 100 {
		t.Errorf("only %d figures were made unknown", unset)
	}
}

// everything is a run with something in every field that can be null.
func everything() result.Run {
	run := trouble().Runs[0]
	slow, late := slowReading().Runs[1], behind().Runs[1]
	run.Params = late.Params
	run.Params.SlowClients, run.Params.SlowRate = slow.Params.SlowClients, slow.Params.SlowRate
	run.Delivery.Slow = slow.Delivery.Slow
	// Short durations: a histogram takes longer to read the further it goes.
	run.Delivery.Latency = spread(6000, us)
	run.Delivery.Slow.Latency, run.Delivery.Slow.Neighbours = spread(1900, us), spread(300, us)
	run.Delivery.Sends.Behind = new(int64(400))
	run.Generator = late.Generator
	run.TargetProcess = slow.TargetProcess
	run.Target.Faults = faulty().Runs[0].Target.Faults
	run.Interrupted = true
	return run
}

// unsetPointer makes the pointer at place n of those in v nil, until it is
// restored. Without such a one restore is nil.
func unsetPointer(v reflect.Value, path string, n *int) (name string, restore func()) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "", nil
		}
		if *n == 0 {
			old := reflect.ValueOf(v.Interface())
			v.SetZero()
			return path, func() { v.Set(old) }
		}
		*n--
		return unsetPointer(v.Elem(), path, n)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return "", nil
		}
		for i := range v.NumField() {
			if name, restore := unsetPointer(v.Field(i), path+"."+v.Type().Field(i).Name, n); restore != nil {
				return name, restore
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if name, restore := unsetPointer(v.Index(i), path+"."+strconv.Itoa(i), n); restore != nil {
				return name, restore
			}
		}
	}
	return "", nil
}

// What came out the same everywhere has one row, the others one a run, and where that is
// too wide there is a table for each of those.
func TestThresholds(t *testing.T) {
	f := judged()
	wide, err := tables(f)[0].thresholds(0, plain)
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	for _, text := range wide {
		if w := width(text); w > detailWidth {
			t.Errorf("%d columns:\n%s", w, text)
		}
		head, _, _ := strings.Cut(text, "\n")
		heads = append(heads, splitRow(head)[0])
	}
	if want := []string{"delivery.p99 < 4ms", "target.rss < 64MiB", "Threshold, in all runs"}; !slices.Equal(heads, want) {
		t.Errorf("tables %q, want %q", heads, want)
	}
	for i := range f.Runs {
		f.Runs[i].Thresholds[2].Threshold = "connect.failed <= 0.5%"
	}
	one, err := tables(f)[0].thresholds(0, plain)
	if err != nil || len(one) != 1 || width(one[0]) > detailWidth {
		t.Fatalf("%d tables, %v", len(one), err)
	}
	rows := map[string]int{}
	for line := range strings.Lines(one[0]) {
		rows[splitRow(line)[0]]++
	}
	n := len(f.Runs)
	for name, want := range map[string]int{"delivery.lost == 0": 1, "connect.failed <= 0.5%": 1, "delivery.p99 < 4ms": n, "target.rss < 64MiB": n} {
		if rows[name] != want {
			t.Errorf("%s has %d rows, want %d:\n%s", name, rows[name], want, one[0])
		}
	}
	for _, want := range []string{`\| all +\| +0 \| held `, `\| all +\| 0\.5001 % \| FAILED `, `\| +– \| unknown `, `\| 80\.0 MiB \| FAILED `} {
		if !regexp.MustCompile(want).MatchString(one[0]) {
			t.Errorf("no row is %s:\n%s", want, one[0])
		}
	}
	f.Runs = f.Runs[:1]
	if single, err := tables(f)[0].thresholds(0, plain); err != nil || len(single) != 1 || !strings.HasPrefix(single[0], "| Threshold ") || strings.Contains(single[0], "all") {
		t.Errorf("one run, %v: %q", err, single)
	}
	if none, err := tables(roomsOne())[0].thresholds(0, plain); err != nil || none != nil {
		t.Errorf("no thresholds: %v, %v", none, err)
	}
}

func TestAmounts(t *testing.T) {
	for _, c := range []struct {
		v, limit float64
		unit     string
		want     string
	}{
		{52.14e6, 10e6, "ns", "52.1 ms"}, {100.04e6, 100e6, "ns", "100.04ms"}, {100e6, 100e6, "ns", "100 ms"},
		{80 << 20, 64 << 20, "bytes", "80.0 MiB"}, {64<<20 + 1, 64 << 20, "bytes", "67,108,865 B"},
		{0.5001, 0.5, "percent", "0.5001 %"}, {12.34, 0.5, "percent", "12.3 %"},
		{1234.5, 500, "per second", "1,235/s"}, {500.25, 500, "per second", "500.25/s"},
		{12345, 0, "count", "12,345"}, {1.5, 0, "count", "1.50"}, {2.0001, 2.0002, "count", "2.0001"},
	} {
		v := result.Verdict{Actual: &c.v, Limit: c.limit, Unit: c.unit}
		if got := Actual(&v); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	if got := Actual(&result.Verdict{Unit: "ns"}); got != unknown {
		t.Errorf("what is not known is %q", got)
	}
}
