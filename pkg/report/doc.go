// Package report renders records of runs. A [Format] turns a [result.File] into
// text and reads nothing else; [Lookup] finds one by its name. Adding a format
// is one new file and one line in the list in report.go.
//
//   - findings: the tables of the 2014 findings, column for column, then the
//     details, one metric a row and one run a column, then the lines a reader
//     must not miss. The default of the commands.
//   - markdown: the same as a document, for the summary of a CI job.
//   - csv: one row a run, for spreadsheets and scripts.
//   - json: the record itself.
//   - against-2014: the findings' own rows beside the new ones.
//   - histogram: each run's latencies as bars, for the shape that quantiles hide.
//
// # Numbers
//
// The two findings tables keep the document's units: seconds and percent, with
// three or four digits that carry meaning. Details choose the unit that suits
// the value. What is unknown is "–", never 0. Text from outside (labels, errors
// of servers) is stripped of control characters before it is printed.
//
// # CSV
//
// The form is RFC 4180, with CRLF line ends and a header. The columns are the
// fields of the record in its order, their names joined with underscores, units
// and all: connect.open_latency.p99_ns is the column connect_open_latency_p99_ns,
// an integer in nanoseconds. Before them stand the tool, command and host that
// made the run. An empty cell is unknown. Failures by class are one cell,
// "refused=3;reset=1"; other labels, clients by backend and the faults injected likewise, a fault
// whose number is unknown with nothing behind its "="; a backslash stands before
// what would separate. Thresholds are "delivery.p99 < 4ms=held", with FAILED or unknown
// where they did not hold; notes are joined with "; ". The lists within a run (phases,
// samples, worst clients, failure examples) and the encoded histograms are only in
// the JSON record. Columns that come with later figures are added at the end.
//
// # Histograms
//
// The rows go up in steps of 1, 2, 5, 10 from the smallest duration to the
// largest. The record keeps durations to a thousandth of their value, so that one
// as near to a step may stand on its other side. A bar's length is in proportion
// to its count, the longest fills the column, and no row that holds anything is
// without a mark.
package report
