package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/scenarios"
)

// fullPicture is one with all that can be in it.
func fullPicture() *picture {
	p := &picture{
		title: "smoke: rooms, run 3 of 9, 4,000 clients × 100 → http://a-server-with-a-long-name.example.test:8123/events?room={room}",
		left:  "12s left", seriesLeft: "1m20s left",
		standing: standing{of: scenarios.Extent{Clients: 4000, Copies: 400_000}},
	}
	p.standing.Progress = scenarios.Progress{
		Phase: "send", Clients: 4000, Iteration: 26, Iterations: 100, Elapsed: 5 * time.Second, PhaseElapsed: 4 * time.Second,
		Live: load.Live{Open: 3990, Opened: 3993, Away: 2, Failed: 7, Dropped: 1, Received: 100_000, Begun: 17_000, Unsent: 5},
	}
	for i := range int64(20) {
		p.recent.add(result.Sample{
			AtNS: i * 1e9, Received: 100_000 + i*i*1000, LatencyP50NS: new(int64(3_350_000)), LatencyP99NS: new(i * 1e6), LatencyMaxNS: new(int64(36_900_000)),
			TargetCPUPercent: new(93.2), GeneratorCPUPercent: new(61.7), MachineCPUPercent: new(171.0),
		})
	}
	return p
}

func texts(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

func TestPicture(t *testing.T) {
	p := fullPicture()
	want := `smoke: rooms, run 3 of 9, 4,000 clients × 100 → http://a-server-with-a-long-name.example.test:8123/events?room={room}
send     ██████░░░░░░░░░░░░░░░░░░  25 %  5s  12s left  series 1m20s left
clients  3,990 open of 4,000  2 away  iteration 26 of 100
copies   100,000    37,000/s  ▂▂▃▃▄▄▅▅▅▆▆▇▇███
latency  p50 3.35 ms  p99 19.0 ms  max 36.9 ms  ▂▃▃▃▄▄▅▅▆▆▆▇▇███
cpu      target 93 %  generator 62 %  machine 171 %
trouble  7 failed to open  1 dropped  5 sends failed
`
	if got := texts(p.lines(80, 24)); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
	// What does not fit is left out whole, and lines by what matters least.
	want = `send     ██▎░░░░░░  25 %  5s  12s left
copies   100,000    37,000/s
trouble  7 failed to open  1 dropped
`
	if got := texts(p.lines(42, 3)); got != want {
		t.Errorf("in 3 lines of 42 columns it is\n%s\nwant\n%s", got, want)
	}
	for _, l := range p.lines(80, 24) {
		if bad := strings.HasPrefix(l.text, "trouble"); bad != (l.style == report.Bad) {
			t.Errorf("%q stands out: %t", l.text, l.style == report.Bad)
		}
	}
}

// TestPictureOfLittle expects nothing of what is not known.
func TestPictureOfLittle(t *testing.T) {
	p := picture{title: "connect, 1,000 clients → http://x"}
	p.standing.Progress = scenarios.Progress{Clients: 1000}
	if got, want := texts(p.lines(80, 24)), "connect, 1,000 clients → http://x\nbegin    0s\nclients  0 open of 1,000\n"; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
	p.standing.Progress = scenarios.Progress{Phase: "connect", Clients: 1000, Live: load.Live{Open: 1000, Opened: 1000}}
	if got, want := texts(p.lines(80, 24)), "connect, 1,000 clients → http://x\nconnect  ████████████████████████ 100 %  0s\nclients  1,000 open\n"; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
}

func TestTitle(t *testing.T) {
	for _, test := range []struct {
		params result.Params
		number int
		of     int
		step   *string
		want   string
	}{
		{result.Params{Clients: 5000}, 1, 1, nil, "s, 5,000 clients → u"},
		{result.Params{Clients: 5000, HoldNS: 9e10}, 2, 3, nil, "s, run 2 of 3, 5,000 clients for 1m30s → u"},
		{result.Params{Clients: 12, Iterations: new(100)}, 1, 1, new("small"), "small: s, 12 clients × 100 → u"},
		{result.Params{Clients: 12, Iterations: new(100), DurationNS: new(int64(2e10))}, 1, 1, nil, "s, 12 clients × 100 for 20s → u"},
		{result.Params{Clients: 12, Rate: new(500.0), DurationNS: new(int64(500e6))}, 1, 1, nil, "s, 12 clients, 500/s for 500ms → u"},
		{result.Params{Clients: 12, DurationNS: new(int64(72e11))}, 1, 1, nil, "s, 12 clients for 2h → u"},
	} {
		run := &result.Run{Scenario: "s", Params: test.params, Step: test.step, Target: result.Target{URL: "u"}}
		if got := titleOf(scenarios.Going{Number: test.number, Of: test.of, Run: run}); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// watchedTerminal is a terminal, the program's end of it, and what it shows.
type watchedTerminal struct {
	ours, theirs *os.File
	shows        watched[vt]
	done         chan struct{}
}

func newTerminal(t *testing.T, columns int) *watchedTerminal {
	t.Helper()
	if !canTerminal() {
		t.Skip("how to make a terminal is known for Linux only")
	}
	ours, theirs, err := openTerminal(columns)
	if err != nil {
		t.Fatal(err)
	}
	w := &watchedTerminal{ours: ours, theirs: theirs, done: make(chan struct{})}
	w.shows.update(func(v *vt) { v.columns = columns })
	go func() {
		defer close(w.done)
		_, _ = io.Copy(w, ours) // it ends with EIO, for nobody has the other end
	}()
	t.Cleanup(func() {
		w.hangUp()
		ours.Close()
	})
	return w
}

func (w *watchedTerminal) Write(text []byte) (n int, err error) {
	w.shows.update(func(v *vt) { n, err = v.Write(text) })
	return n, err
}

// hangUp closes the program's end, and waits until all that it wrote has been seen.
func (w *watchedTerminal) hangUp() {
	_ = w.theirs.Close()
	<-w.done
}

// await waits until what shows is good.
func (w *watchedTerminal) await(t *testing.T, good func(*vt) bool) {
	t.Helper()
	if err := w.shows.await(good); err != nil {
		w.shows.read(func(v *vt) { t.Fatalf("%v; after %d frames it shows\n%s", err, v.frames, v.text()) })
	}
}

// going is a run that has come as far as p says.
func going(progress func() scenarios.Progress) scenarios.Going {
	return scenarios.Going{
		Number: 1, Of: 2, Progress: progress, Latencies: func() load.Latencies { return load.Latencies{} },
		Run: &result.Run{Scenario: "rooms", Params: result.Params{Clients: 4000, Iterations: new(100)}, Target: result.Target{URL: "http://a-server-with-a-long-name.example.test/"}},
	}
}

// TestDisplay watches the display come, be written over, and go, in terminals of
// several widths.
func TestDisplay(t *testing.T) {
	for _, columns := range []int{40, 80, 200} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			w := newTerminal(t, columns)
			a := &App{Stderr: w.theirs}
			a.tell("before")
			observers := a.observers()
			if len(observers) != 1 {
				t.Fatal("no progress on a terminal")
			}
			foresee(observers, []scenarios.Scenario{scenarios.Rooms{Load: scenarios.Load{Clients: 4000, RoomSize: 6}, Iterations: 100}})
			d := observers[0]
			p := fullPicture()
			began := time.Now()
			d.Begin(going(func() scenarios.Progress { return p.standing.Progress }))
			d.Sample(*p.recent.last)
			w.await(t, func(v *vt) bool { return v.frames >= 4 && !v.inFrame })
			if took := time.Since(began); took < 4*time.Second/5 {
				t.Errorf("4 frames in %s are more than five a second", took)
			}
			a.log().Warn("something happened")
			a.tell("and %s", "more")
			var told string
			w.await(t, func(v *vt) bool {
				told = v.text()
				return strings.Contains(told, "more\nrooms, run 1 of 2, 4,000 clients") && !v.inFrame
			})
			lines := strings.Split(told, "\n")
			if len(lines) < 9 || lines[0] != "sseload: before" {
				t.Fatalf("it shows\n%s", told)
			}
			if lines[len(lines)-7] != lines[3] && columns > 40 {
				t.Errorf("a block of 7 lines is to stand below what was told:\n%s", told)
			}
			for _, want := range []string{"\nsend     █", "\nclients  3,990 open of 4,000", "\ncopies   100,000", "\ncpu      target 93 %", "\ntrouble  7 failed to open"} {
				if !strings.Contains(told, want) || strings.Count(told, "\nclients") != 1 {
					t.Errorf("%q is not in it once:\n%s", want, told)
				}
			}
			d.End(&result.Run{})
			a.screen.clear()
			a.tell("after")
			w.hangUp()
			w.shows.read(func(v *vt) {
				// What was told is as wide as it is.
				v.wrapped = nil
				if err := v.fault(); err != nil {
					t.Error(err)
				}
				if v.colors == 0 {
					t.Error("what went wrong does not stand out")
				}
				got := v.text()
				if !strings.HasPrefix(got, "sseload: before\n") || !strings.HasSuffix(got, "sseload: and more\nsseload: after") ||
					strings.Contains(got, "clients") || v.column != 0 {
					t.Errorf("in the end it shows, with the cursor in column %d,\n%s", v.column, got)
				}
			})
		})
	}
}

// TestScreenFollowsTheTerminal expects lines to be cut to what the terminal is now, and
// as many of them as it has rows for.
func TestScreenFollowsTheTerminal(t *testing.T) {
	w := newTerminal(t, 60)
	var s screen
	block := []line{{text: strings.Repeat("0123456789", 30)}, {text: "second", style: report.Bad}, {text: "third\x1b[2J"}}
	s.show(w.theirs, block)
	w.await(t, func(v *vt) bool { return v.frames == 1 })
	w.shows.read(func(v *vt) {
		rows := strings.Split(v.text(), "\n")
		if len(rows) != 3 || len([]rune(rows[0])) != 59 || !strings.HasSuffix(rows[0], "…") || rows[1] != "second" || rows[2] != "third [2J" {
			t.Errorf("it shows %q", rows)
		}
		if err := v.fault(); err != nil {
			t.Error(err)
		}
	})
	if err := resize(w.ours, 30, 3); err != nil {
		t.Fatal(err)
	}
	// Lines of 59, 6 and 9 columns: a terminal of 30 has broken the first in two.
	if got, want := s.erasure(30), "\r\x1b[4A"; got != want {
		t.Errorf("to go up it writes %q, want %q", got, want)
	}
	if got, want := s.erasure(90), "\r\x1b[3A"; got != want {
		t.Errorf("to go up in a wider one it writes %q, want %q", got, want)
	}
	w.shows.update(func(v *vt) { *v = vt{columns: 30, rows: [][]rune{nil, nil, nil, nil, nil}, row: 4} })
	s.show(w.theirs, block)
	w.await(t, func(v *vt) bool { return v.frames == 1 })
	w.shows.read(func(v *vt) {
		rows := strings.Split(v.text(), "\n")
		if len(rows) != 2 || len([]rune(rows[0])) != 29 || rows[1] != "second" || v.row != 2 {
			t.Errorf("it shows %q, the cursor in row %d", rows, v.row)
		}
		if err := v.fault(); err != nil {
			t.Error(err)
		}
	})
	s.clear()
	s.clear() // of nothing
	w.await(t, func(v *vt) bool { return v.frames == 2 })
	w.shows.read(func(v *vt) {
		if v.text() != "" || v.row != 0 {
			t.Errorf("it shows %q, the cursor in row %d", v.text(), v.row)
		}
	})
}

// TestWhatHasNoNewlineGetsOne: else the block would begin in the middle of a line.
func TestWhatHasNoNewlineGetsOne(t *testing.T) {
	w := newTerminal(t, 60)
	var s screen
	s.show(w.theirs, []line{{text: "block"}})
	if _, err := io.WriteString(s.over(w.theirs), "half a line"); err != nil {
		t.Fatal(err)
	}
	w.hangUp()
	w.shows.read(func(v *vt) {
		if got, want := v.text(), "half a line\nblock"; got != want {
			t.Errorf("it shows %q, want %q", got, want)
		}
	})
	var b strings.Builder
	if s.over(&b) != io.Writer(&b) {
		t.Error("what is no terminal is not written to directly")
	}
}

func TestRecently(t *testing.T) {
	var r recently
	r.add(result.Sample{AtNS: 0, Received: 5})
	r.add(result.Sample{AtNS: 2e9, Received: 105, LatencyP99NS: new(int64(7))})
	r.add(result.Sample{AtNS: 2e9 + 1e8, Received: 1000}) // too short to tell
	if fmt.Sprint(r.rates, r.p99s) != "[50] [7]" || r.last.Received != 105 {
		t.Errorf("%v, %v, %+v", r.rates, r.p99s, r.last)
	}
	for i := range int64(100) {
		r.add(result.Sample{AtNS: 3e9 + i*1e9, Received: 105})
	}
	if len(r.rates) != displayHistory || r.rates[0] != 0 || r.p99s[0] != 0 {
		t.Errorf("%d seconds are kept: %v", len(r.rates), r.rates)
	}
}

func TestProgressModes(t *testing.T) {
	w := newTerminal(t, 80)
	var b strings.Builder
	for _, test := range []struct {
		name  string
		asked string
		to    io.Writer
		env   map[string]string
		quiet bool
		want  string
		color bool
	}{
		{name: "a terminal", asked: "auto", to: w.theirs, want: "live", color: true},
		{name: "a pipe", asked: "auto", to: &b, want: "none"},
		{name: "a terminal that nobody watches", asked: "auto", to: w.theirs, env: map[string]string{"CI": "true"}, want: "none", color: true},
		{name: "told that it is not", asked: "auto", to: w.theirs, env: map[string]string{"CI": "false"}, want: "live", color: true},
		{name: "a dumb terminal", asked: "auto", to: w.theirs, env: map[string]string{"TERM": "dumb"}, want: "none"},
		{name: "live all the same", asked: "live", to: w.theirs, env: map[string]string{"CI": "true"}, want: "live", color: true},
		{name: "live where it cannot be", asked: "live", to: &b, want: "plain"},
		{name: "live on a dumb terminal", asked: "live", to: w.theirs, env: map[string]string{"TERM": "dumb"}, want: "plain"},
		{name: "plain on a terminal", asked: "plain", to: w.theirs, want: "plain", color: true},
		{name: "plain on a pipe", asked: "plain", to: &b, want: "plain"},
		{name: "none", asked: "none", to: w.theirs, want: "none", color: true},
		{name: "quiet", asked: "plain", to: w.theirs, quiet: true, want: "none", color: true},
		{name: "no colour", asked: "auto", to: w.theirs, env: map[string]string{"NO_COLOR": "0"}, want: "live"},
		{name: "an empty NO_COLOR is none", asked: "auto", to: w.theirs, env: map[string]string{"NO_COLOR": ""}, want: "live", color: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &App{Stderr: test.to, quiet: test.quiet, Env: func(name string) (string, bool) {
				value, ok := test.env[name]
				return value, ok
			}}
			if err := a.progress.Set(test.asked); err != nil {
				t.Fatal(err)
			}
			if got := a.progressHere(); got.String() != test.want {
				t.Errorf("it is %s, want %s", &got, test.want)
			}
			if n := len(a.observers()); (n == 1) != (test.want != "none") {
				t.Errorf("%d observers", n)
			}
			if got := a.coloured(test.to); got != test.color {
				t.Errorf("colours: %t, want %t", got, test.color)
			}
			a.noColor = true
			if a.coloured(test.to) {
				t.Error("colours for who asked for none")
			}
		})
	}
}
