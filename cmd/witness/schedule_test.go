package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// offered is a capture of messages that were due at these times. One came to the
// server 1 ms later, and its copy to its one client again 1 ms later.
func offered(t *testing.T, dues ...int64) testimony {
	t.Helper()
	var segments []wire
	in, out := uint32(100), uint32(1)
	for i, due := range dues {
		text := note(i+1, int(due))
		body := "data: " + text + "\n\n"
		segments = append(segments, post(due+ms, in, text), event(due+2*ms, alice, out, body))
		in, out = in+uint32(len(text)), out+uint32(len(body))
	}
	return listen(t, segments...)
}

// evenly is when ten messages are due at 100/s.
func evenly() []int64 {
	var dues []int64
	for k := range int64(10) {
		dues = append(dues, 5*ms+k*10*ms)
	}
	return dues
}

// truth is what to report of messages that were offered.
func truth(t *testing.T, attempted int) report {
	t.Helper()
	r := parsed(t, `{"clients":1,"room_size":1}`, fmt.Sprintf(`{"sends":{"attempted":%[1]d,"called_off":0,"failed":0},
		"expected":%[1]d,"received":%[1]d,"lost":0,"duplicate":0,"reordered":0,"unordered":0,"misrouted":0,
		"latency":{"count":%[1]d,"mean_ns":2000000,"p50_ns":2000000,"p90_ns":2000000,"p95_ns":2000000,
			"p99_ns":2000000,"p999_ns":2000000,"max_ns":2000000}}`, attempted)).Runs[0]
	r.Connect.Opened = 1
	atRate(&r, 100, "constant", 100*time.Millisecond)
	return r
}

func TestSchedule(t *testing.T) {
	without := func(dues []int64, i int) []int64 { return slices.Delete(dues, i, i+1) }
	late := func(i int, by int64) []int64 {
		dues := evenly()
		dues[i] += by
		return dues
	}
	for _, test := range []struct {
		name   string
		dues   []int64
		doctor func(*report)
		want   []string
	}{
		{"on time", evenly(), func(*report) {}, nil},
		{"off by the reading of a clock", late(4, -1000), func(*report) {}, nil},
		{"in another order", append(evenly()[5:], evenly()[:5]...), func(*report) {}, nil},

		// Coordinated omission: due is when it came to send.
		{"one when it was sent", late(4, 1001), func(*report) {}, []string{"1 of 10 messages say that they were due when none is at 100/s: up to 1.0 µs"}},
		{"all when they were sent", []int64{5 * ms, 15*ms + 40_000, 25*ms + 20_000, 48 * ms, 48 * ms, 55 * ms, 65 * ms, 75 * ms, 85 * ms, 95 * ms}, func(*report) {},
			[]string{"4 of 10 messages say that they were due when none is at 100/s: up to 3000.0 µs"}},
		{"two at once", late(4, 10*ms), func(*report) {},
			[]string{"1 of 10 messages say that they were due when none is at 100/s: up to 10000.0 µs"}},
		{"the last a place too late", late(9, 10*ms), func(*report) {}, []string{"1 places of the schedule of 100/s are empty, for 0 messages"}},
		{"at another rate", evenly(), func(r *report) { *r.Params.Rate, *r.Params.DurationNS = 50, int64(200*time.Millisecond) },
			[]string{"5 of 10 messages say"}},

		{"one called off", without(evenly(), 4), func(r *report) { r.Delivery.Sends.CalledOff = 1 }, nil},
		{"one called off, and one place more is empty", without(without(append(evenly(), 105*ms), 4), 6), func(r *report) { r.Delivery.Sends.CalledOff = 1 },
			[]string{"2 places of the schedule of 100/s are empty, for 1 messages"}},
		{"one failed that never left", without(evenly(), 4), func(r *report) {
			r.Delivery.Sends.Attempted, r.Delivery.Sends.Failed = 10, 1
			r.Delivery.Expected, *r.Delivery.Lost = 10, 1
		}, nil},
		{"one never due", evenly()[:9], func(*report) {}, []string{"9 messages attempted or called off in the report, 10 are due at 100/s for 100ms"}},

		{"at random", late(4, 3*ms), func(r *report) { *r.Params.Arrivals = "poisson" }, nil},
		{"no rate", evenly(), func(r *report) { r.Params.Rate = nil }, []string{"without rate"}},
		{"no arrivals", evenly(), func(r *report) { r.Params.Arrivals = nil }, []string{"without rate, arrivals"}},
		{"no duration", evenly(), func(r *report) { r.Params.DurationNS = nil }, []string{"without rate, arrivals and duration"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trial := trial{shape: shape{spec: "--arrivals poisson"}, testimony: offered(t, test.dues...), report: truth(t, len(test.dues))}
			test.doctor(&trial.report)
			trial.judge(100 * time.Microsecond)
			match(t, trial.wrong, test.want)
		})
	}
}

// A report cannot excuse itself from the schedule.
func TestArrivalsNotAskedFor(t *testing.T) {
	trial := trial{shape: shape{spec: "--rate 100/s"}, testimony: offered(t, evenly()...), report: truth(t, 10)}
	*trial.report.Params.Arrivals = "poisson"
	trial.judge(100 * time.Microsecond)
	match(t, trial.wrong, []string{"arrivals are poisson in the report, which was not asked for"})
}

// However odd the rate, the times of a schedule are on it, and as many as planned.
func TestPlanned(t *testing.T) {
	for _, test := range []struct {
		rate     float64
		duration time.Duration
		want     int64
	}{
		{500, 10 * time.Second, 5000},
		{0.3, 10 * time.Second, 3},
		{0.1, time.Second, 1},
		{2.5, time.Second, 3},
		{333.3, 2500 * time.Millisecond, 834},
		{7, 3 * time.Second, 21},
	} {
		if got := planned(test.rate, test.duration); got != test.want {
			t.Errorf("%v/s for %v: %d, want %d", test.rate, test.duration, got, test.want)
		}
		var dues []int64
		for k := range test.want {
			dues = append(dues, 1_700_000_000_000_000_000+int64(float64(k)/test.rate*1e9))
		}
		if found := lay(dues, test.rate); found != (placing{}) {
			t.Errorf("%v/s: %+v", test.rate, found)
		}
	}
}
