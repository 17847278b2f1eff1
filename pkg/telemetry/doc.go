// Package telemetry shows where the runs of a command stand to other systems: to a
// Prometheus that comes for it, to one that is written to, and to an OpenTelemetry
// collector.
//
// There is one definition of the metrics, the table of metrics.go, and three ways out,
// all of them through the official libraries. An [Exporter] is told when a run begins,
// what was sampled, and how it ended; in between it asks the run itself, once for each
// scrape and push. Nothing is counted here, so an event costs nothing more.
//
// # Vocabulary
//
// A [Run] is one run of the command. A [Reading] is where it stands at a moment. A page is
// what all metrics are then. A destination is where pages are pushed to: at an
// interval, when a run ends, and once more at [Exporter.Close].
//
// # Series
//
// Every series of a run has a label with the run's number, so that its counters begin
// at 0 and never go back. Once a run is over its gauges are gone; its counters and
// histograms stay at their last values until the next run is over. A run that is
// shorter than the interval of scrapes may not be seen by them; pushes lose none.
//
// # Histograms
//
// Their buckets are made of those of [metric.Snapshot]: four to a doubling, from 16.4 µs to
// 34 s. The bounds are bounds of the snapshot too, so that every count is exact; they are
// no round numbers, and no bounds of native histograms, for the same reason.
//
// # Remote write
//
// Version 2.0 is spoken, and 1.0 with receivers that turn out to know no other, as those
// before Prometheus 2.54 and VictoriaMetrics do. Gauges that are gone are marked as stale.
//
// # OpenTelemetry
//
// The names are those of Prometheus, and all is cumulative since the run's begin. Of the
// environment the exporter and its resource take OTEL_EXPORTER_OTLP_HEADERS,
// …_CERTIFICATE, …_CLIENT_CERTIFICATE, …_CLIENT_KEY, …_COMPRESSION (gzip unless said),
// …_TIMEOUT, OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME. OTEL_EXPORTER_OTLP_ENDPOINT
// alone has nothing sent, and is not looked at beside Config.OTLP; neither are
// …_PROTOCOL, …_METRICS_TEMPORALITY_PREFERENCE and OTEL_METRIC_EXPORT_INTERVAL.
//
// # Failures
//
// A push that fails ends nothing and holds nothing up: what it had is in the next one,
// as all that is pushed is cumulative. The first is told to Config.Failed, all are
// counted.
package telemetry
