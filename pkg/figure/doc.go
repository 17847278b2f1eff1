// Package figure names the numbers of a record, so that thresholds, comparisons and
// exports speak of them in one way.
//
// A figure's name is its path through the record of a run, as
// docs/result.schema.json has it, with dots between and without the unit at its end:
// "delivery.latency.p99" is delivery.latency.p99_ns. What a name says of itself may be
// left out: "delivery.p99", "connect.open.p99", "generator.cpu". Any quantile of a
// distribution can be asked for, "delivery.p99.95". A phase goes by its name,
// "phases.send.target_cpu", a class of failures by its own, "connect.failures.refused",
// and the samples of a run by their extremes, "samples.target_rss.max".
//
// [Lookup] finds a figure, and [Figure.Of] its value in a run. Values are float64 in
// the unit of the figure: nanoseconds, bytes, percent, a number per second, or a count.
package figure
