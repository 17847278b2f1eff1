package report

import (
	"strconv"

	"github.com/sseload/sseload/pkg/result"
)

// inUnit writes a figure in the unit that a verdict names.
func inUnit(v float64, unit string) string {
	switch unit {
	case "ns":
		return duration(v)
	case "bytes":
		return size(v)
	case "percent":
		return percent(v)
	case "per second":
		return rate(v) + "/s"
	default:
		if whole := int64(v); float64(whole) == v {
			return count(whole)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
}

// actual is what a threshold's figure was.
func actual(v *result.Verdict) string {
	return known(v.Actual, func(x float64) string { return inUnit(x, v.Unit) })
}

// verdicts counts the thresholds of all runs, and those that did not hold.
func verdicts(f *result.File) (all, failed int) {
	for i := range f.Runs {
		for _, v := range f.Runs[i].Thresholds {
			all++
			if !v.Held {
				failed++
			}
		}
	}
	return all, failed
}
