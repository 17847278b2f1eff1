package report

import "github.com/sseload/sseload/pkg/result"

// pipeline has runs with thresholds: of every unit, some of which failed, in a series
// that was repeated, of a plan.
func pipeline() *result.File {
	f := file("rooms", "-c", "600", "-n", "10", "--threshold", "delivery.p99 < 5ms")
	for i, p50 := range []int64{412 * us, 2 * ms} {
		run := roomsRun(600, 10, p50, 3*s)
		run.Repetition, run.Step = new(i+1), new("smoke & <fire>")
		failed := p50*4 >= 5*ms
		run.Thresholds = []result.Verdict{
			{Threshold: "delivery.p99 < 5ms", Figure: "delivery.latency.p99", Unit: "ns", Limit: 5e6, Actual: new(float64(p50 * 4)), Held: !failed},
			{Threshold: "delivery.lost == 0", Figure: "delivery.lost", Unit: "count", Actual: new(float64(i * 3)), Held: i == 0},
			{Threshold: "target.rss < 64MiB", Figure: "target_process.rss", Unit: "bytes", Limit: 64 << 20, Actual: new(20e6), Held: true},
			{Threshold: "target.cpu < 80%", Figure: "target_process.cpu", Unit: "percent", Limit: 80, Actual: new(6.6), Held: true},
			{Threshold: "delivery.rate > 1000", Figure: "delivery.rate", Unit: "per second", Limit: 1000, Actual: new(2135.0), Held: true},
			{Threshold: "generator.read_lag.p99 < 1ms", Figure: "generator.read_lag.p99", Unit: "ns", Limit: 1e6, Held: i == 0},
		}
		if i == 0 {
			run.Thresholds[5].Actual = new(38_000.0)
		} else {
			run.Delivery.Lost, run.Delivery.Received = new(int64(3)), run.Delivery.Expected-3
			run.Delivery.Latency = spread(run.Delivery.Received, p50)
			run.Delivery.ClientsAffected = new(3)
		}
		run.Samples = secondly(8, p50)
		f.Runs = append(f.Runs, run)
	}
	return f
}

// secondly are the samples of a run that received copies for so many seconds.
func secondly(n int, p50 int64) []result.Sample {
	all := []result.Sample{{Phase: "connect"}}
	for i := range int64(n) {
		wave := p50 + p50/4*(i%4)
		all = append(all, result.Sample{AtNS: (i + 1) * s, Phase: "send", Open: 600, Received: 6000 * (i + 1) / int64(n), Away: new(int64(0)), Sent: new(100 * (i + 1)),
			LatencyP50NS: new(wave), LatencyP99NS: new(wave * 4), LatencyMaxNS: new(wave * 11), TargetCPUPercent: new(6.6)})
	}
	return all
}
