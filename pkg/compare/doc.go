// Package compare tells whether one set of runs differs from another by more than
// chance.
//
// [Compare] matches the runs of two sides, the base and the new one, by what was asked
// of them, and gives for each such row and figure the value of either side, the change
// with its confidence interval, and a [Verdict]. The unit of evidence is the run, not
// the message: messages of one run share a process, its memory layout and the moment's
// disturbances, so that a million of them say no more about another run than one does.
//
// The value of a quantile is that of all the side's runs together, from their merged
// histograms; of any other figure, the maximum included, it is the median over runs. A
// change is taken for real when the rank test of Mann, Whitney and Wilcoxon over the
// runs' own values says so at the confidence asked for; the interval is the one that
// Hodges and Lehmann derive from that test, by turning it round, so that the two cannot
// contradict each other. It is widened, where necessary, to hold the change of the
// values shown.
//
// With fewer than [LeastRuns] runs on a side no test can tell. Then the spread of the
// distributions stands in: only what lies outside of all that can reasonably be chance
// is taken for real. docs/decisions/0010-comparing.md has the reasons and the limits.
//
// A [Limit] says how much worse is too much. It is exceeded only when the change is
// real and its whole interval lies beyond.
package compare
