// Package threshold judges runs: a threshold is what a figure of the record is to be,
// such as "delivery.p99 < 100ms".
//
// [Parse] reads one, and [Threshold.Judge] holds a run's record against it. Whether a run
// can have the figure at all is known before it begins, [Threshold.Check], and that it
// cannot hold any more often before the run ends, [Threshold.Broken].
//
// A count that is a part of another, such as the lost copies of those expected, may be
// asked for as a share: "delivery.lost < 0.1%".
package threshold
