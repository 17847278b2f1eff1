package threshold

import (
	"errors"
	"strings"
	"testing"

	"github.com/sseload/sseload/pkg/figure"
	"github.com/sseload/sseload/pkg/result"
)

func parse(t *testing.T, text string) Threshold {
	t.Helper()
	th, err := Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return th
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text, want, figure string
		unit               figure.Unit
		limit              float64
	}{
		{"delivery.p99 < 100ms", "delivery.p99 < 100ms", "delivery.latency.p99", figure.Nanoseconds, 1e8},
		{"delivery.p99<100ms", "delivery.p99 < 100ms", "delivery.latency.p99", figure.Nanoseconds, 1e8},
		{"  delivery.latency.p99.9   <=  1.5 s ", "delivery.latency.p99.9 <= 1.5 s", "delivery.latency.p999", figure.Nanoseconds, 1.5e9},
		{`"delivery.p99 ≤ 100ms"`, "delivery.p99 <= 100ms", "delivery.latency.p99", figure.Nanoseconds, 1e8},
		{"'connect.opened≥1000'", "connect.opened >= 1000", "connect.opened", figure.Count, 1000},
		{"delivery.lost == 0", "delivery.lost == 0", "delivery.lost", figure.Count, 0},
		{"delivery.lost != 1", "delivery.lost != 1", "delivery.lost", figure.Count, 1},
		{"delivery.lost ≠ 1", "delivery.lost != 1", "delivery.lost", figure.Count, 1},
		{"delivery.lost < 0.1%", "delivery.lost < 0.1%", "delivery.lost", figure.Percent, 0.1},
		{"connect.failures.timed out <= 1 %", "connect.failures.timed out <= 1 %", "connect.failures.timed out", figure.Percent, 1},
		{"target.cpu < 90%", "target.cpu < 90%", "target_process.cpu", figure.Percent, 90},
		{"target.rss < 64MiB", "target.rss < 64MiB", "target_process.rss", figure.Bytes, 64 << 20},
		{"machine.memory_used < 80%", "machine.memory_used < 80%", "machine.memory_used", figure.Percent, 80},
		{"delivery.rate > 500/s", "delivery.rate > 500/s", "delivery.rate", figure.PerSecond, 500},
		{"generator.overloaded == false", "generator.overloaded == false", "generator.overloaded", figure.Count, 0},
		{"interrupted != Yes", "interrupted != Yes", "interrupted", figure.Count, 1},
	} {
		th, err := Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if th.String() != c.want || th.figure.Name != c.figure || th.unit() != c.unit || th.limit != c.limit {
			t.Errorf("%q is %q: %s of %v %s; want %q: %s of %v %s", c.text, th, th.figure.Name, th.limit, th.unit(), c.want, c.figure, c.limit, c.unit)
		}
		if again, err := Parse(th.String()); err != nil || again.String() != th.String() || again.limit != th.limit {
			t.Errorf("%q is not itself again: %q, %v", th, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, want, hint string }{
		{"", "there is no operator in it", form},
		{"delivery.p99 100ms", "there is no operator in it", form},
		{"delivery.p99 = 100ms", `"=" is no operator`, "write =="},
		{"delivery.p99 =< 100ms", `"=<" is no operator`, "write <="},
		{"delivery.p99 => 100ms", `"=>" is no operator`, "write >="},
		{"delivery.p99 <> 100ms", `"<>" is no operator`, "write !="},
		{"delivery.p99 <<< 100ms", `"<<<" is no operator`, form},
		{"< 100ms", "there is no figure before the <", form},
		{"delivery.p99 <", "there is no value behind the <", form},
		{"delivery.p99 < 100ms && delivery.lost == 0", `"100ms && delivery.lost == 0" is more than a value`, "write a threshold of its own for each condition"},
		{"0 < delivery.p99 < 1s", `"delivery.p99 < 1s" is more than a value`, "write a threshold of its own for each condition"},
		{"100ms > delivery.p99", `unknown figure "100ms"`, "write the figure first and the value behind the operator"},
		{"delivery.p9x < 100ms", `unknown figure "delivery.p9x"`, "did you mean delivery.p90?"},
		{"latency < 100ms", `unknown figure "latency"`, "did you mean delivery.p99?"},
		{"zzzzzz < 100ms", `unknown figure "zzzzzz"`, ""},
		{"delivery.p99 < 100", `"100" is a number without a unit, not a time`, "write a time, such as 'delivery.p99 < 100ms'"},
		{"delivery.p99 < 5%", `"5%" is a percentage, not a time`, "write a time, such as 'delivery.p99 < 100ms'"},
		{"target.rss < 64", `"64" is a number without a unit, not a size`, "write a size, such as 'target.rss < 64MiB'"},
		{"target.cpu < 90", `"90" is a number without a unit, not a percentage`, "write a percentage, such as 'target.cpu < 90%'"},
		{"delivery.lost < 10ms", `"10ms" is a time, not a count`, "write a count, such as 'delivery.lost < 0', or a share of delivery.expected, such as 'delivery.lost < 0.1%'"},
		{"reconnect.attempts < 5%", `"5%" is a percentage, not a count`, "write a count, such as 'reconnect.attempts < 0'"},
		{"delivery.lost == none", `"none" is not a count`, "write a count, such as 'delivery.lost == 0', or a share of delivery.expected, such as 'delivery.lost == 0.1%'"},
		{"delivery.lost == false", `"false" is not a count`, "write a count, such as 'delivery.lost == 0', or a share of delivery.expected, such as 'delivery.lost == 0.1%'"},
	} {
		_, err := Parse(c.text)
		var bad *Error
		if !errors.As(err, &bad) || bad.Error() != c.want || bad.Hint() != c.hint {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
			if bad != nil {
				t.Errorf("%q: hint %q, want %q", c.text, bad.Hint(), c.hint)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"delivery.p99 < 100ms", "'delivery.lost<0.1%'", "connect.failures.timed out ≤ 3", "\"", "≤", "a<>b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		th, err := Parse(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		if again, err := Parse(th.String()); err != nil || again.String() != th.String() {
			t.Errorf("%q is %q, %v", th, again, err)
		}
	})
}

func TestEveryWholeAndNeedIsAFigure(t *testing.T) {
	known := func(name string) bool {
		if strings.HasSuffix(name, ".") || strings.HasSuffix(name, "_") {
			for _, all := range [][]string{full(figure.Names()), familyNames()} {
				for _, n := range all {
					if strings.HasPrefix(n, name) {
						return true
					}
				}
			}
			return false
		}
		f, err := figure.Lookup(name)
		return err == nil && f.Name == name
	}
	for _, w := range wholes {
		for _, name := range append([]string{w.whole}, w.parts...) {
			if !known(name) {
				t.Errorf("there is no %s", name)
			}
		}
	}
	for _, n := range needs {
		for _, name := range n.of {
			if !known(name) {
				t.Errorf("there is no %s", name)
			}
		}
	}
}

func full(names []string) []string {
	var out []string
	for _, n := range names {
		if f, err := figure.Lookup(n); err == nil {
			out = append(out, f.Name)
		}
	}
	return out
}

func familyNames() []string {
	var out []string
	for _, f := range figure.Families() {
		name := strings.NewReplacer("phases.PHASE", "phases.send").Replace(f.Name)
		out = append(out, name, strings.Replace(name, "phases.send", "phases.drain", 1), strings.Replace(name, "phases.send", "phases.hold", 1),
			strings.Replace(name, ".max|", ".", 1))
	}
	return out
}

func TestJudge(t *testing.T) {
	run := &result.Run{
		Connect:  result.Connect{Attempted: 200, Opened: 150, Failed: 50, Dropped: 3, Failures: map[string]int{"refused": 50}},
		Delivery: &result.Delivery{Expected: 1000, Lost: new(int64(1)), Latency: result.Latency{Count: 5, P99NS: new(int64(5e6))}},
	}
	for _, c := range []struct {
		text   string
		held   bool
		actual *float64
		unit   string
	}{
		{"delivery.p99 < 5ms", false, new(5e6), "ns"},
		{"delivery.p99 <= 5ms", true, new(5e6), "ns"},
		{"delivery.p99 > 5ms", false, new(5e6), "ns"},
		{"delivery.p99 >= 5ms", true, new(5e6), "ns"},
		{"delivery.p99 == 5ms", true, new(5e6), "ns"},
		{"delivery.p99 != 5ms", false, new(5e6), "ns"},
		{"delivery.p99 != 6ms", true, new(5e6), "ns"},
		{"delivery.lost < 0.1%", false, new(0.1), "percent"},
		{"delivery.lost <= 0.1%", true, new(0.1), "percent"},
		{"delivery.lost <= 0", false, new(1.0), "count"},
		{"connect.failed < 30%", true, new(25.0), "percent"},
		{"connect.dropped <= 2%", true, new(2.0), "percent"},
		{"connect.failures.refused <= 25%", true, new(25.0), "percent"},
		{"delivery.late == 0", false, nil, "count"},
		{"delivery.late != 0", false, nil, "count"},
		{"sends.failed < 1%", false, nil, "percent"}, // of none
		{"iteration.p99 < 1s", false, nil, "ns"},
	} {
		v := parse(t, c.text).Judge(run)
		if v.Held != c.held || (v.Actual == nil) != (c.actual == nil) || v.Actual != nil && *v.Actual != *c.actual || v.Unit != c.unit || v.Threshold != c.text {
			t.Errorf("%s: %+v, want held %v", c.text, v, c.held)
		}
	}
}

func TestCheck(t *testing.T) {
	connect := Asked{Named: true, Reconnect: true}
	closed := Asked{Sends: true, Named: true, Reconnect: true}
	open := Asked{Sends: true, Named: true, Reconnect: true, Open: true}
	plain := Asked{Sends: true}
	for _, c := range []struct {
		text string
		of   Asked
		want string
	}{
		{"delivery.p99 < 1ms", connect, "such a run has no delivery.p99: nothing is sent"},
		{"delivery.p99 < 1ms", closed, ""},
		{"phases.send.target_cpu < 1%", connect, "such a run has no phases.send.target_cpu: nothing is sent"},
		{"phases.hold.target_cpu < 1%", connect, "such a run has no phases.hold.target_cpu: clients are not held"},
		{"phases.sent.target_cpu < 1%", closed, "such a run has no phases.sent.target_cpu: there is no such phase"},
		{"phases.connect.target_cpu < 1%", connect, ""},
		{"connect.failed == 0", connect, ""},
		{"samples.latency_p99.max < 1ms", connect, "such a run has no samples.latency_p99.max: nothing is sent"},
		{"iteration.p99 < 1s", open, "such a run has no iteration.p99: with --rate there are no iterations"},
		{"iteration.p99 < 1s", closed, ""},
		{"sends.behind == 0", closed, "such a run has no sends.behind: without --rate no send is late, as none has its time"},
		{"sends.behind == 0", open, ""},
		{"delivery.lost == 0", plain, "such a run has no delivery.lost: copies of a timestamp have no names, so that it cannot be told"},
		{"delivery.p99 < 1s", plain, ""},
		{"reconnect.missed == 0", plain, "such a run has no reconnect.missed: with --no-reconnect no stream is opened again"},
		{"reconnect.missed == 0", connect, "such a run has no reconnect.missed: nothing is sent"},
		{"reconnect.away == 0", connect, ""},
		{"slow.p99 < 1s", closed, "such a run has no slow.p99: no client reads slowly"},
		{"affinity.rooms_split == 0", closed, "such a run has no affinity.rooms_split: it was not asked which backend clients are on"},
		{"connect.connections < 10", closed, "such a run has no connect.connections: over HTTP/1.1 each client has a connection of its own"},
		{"slow.p99 < 1s", Anything(), ""},
		{"iteration.p99 < 1s", Anything(), ""},
	} {
		err := parse(t, c.text).Check(c.of)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.text, err)
			}
			continue
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

func TestAskedOf(t *testing.T) {
	if got, want := AskedOf(&result.Run{}), (Asked{Named: true, Reconnect: true}); got != want {
		t.Errorf("connecting: %+v", got)
	}
	run := &result.Run{
		Delivery: &result.Delivery{}, Affinity: &result.Affinity{},
		Params: result.Params{Model: new("open"), Payload: new("timestamp"), SlowClients: new(1), NoReconnect: true, HTTP: new("2"), HoldNS: 1},
	}
	if got, want := AskedOf(run), (Asked{Sends: true, Open: true, Slow: true, Affinity: true, Shared: true, Hold: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
