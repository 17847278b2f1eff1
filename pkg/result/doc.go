// Package result is the record of a load run: what was asked, what happened,
// what it cost. A [File] holds one [Run] for each row of the printed tables and
// is the only thing that the output formats read.
//
// The JSON form carries the name [Schema]. Durations are integers in
// nanoseconds and say so in their names; sizes are bytes; shares are percent of
// one core. What could not be known is null, never zero: such figures are
// pointers here. docs/result.schema.json describes the form to other programs;
// [Read] asks for the name of the schema and tolerates fields it does not know.
//
// Failures are counted by class: "refused", "timed out", "reset", "unreachable",
// "dns", "tls", "proxy", "status" followed by a space and the code, "content type",
// "closed early", "protocol", "ended", "no ports", "no files" and "other". A
// class is in a map only when it occurred.
package result
