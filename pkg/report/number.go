package report

import (
	"math"
	"strconv"
	"strings"
)

// unknown stands in a cell whose figure is not known.
const unknown = "–"

// significant writes v in plain decimal form with n significant digits, and
// never drops a digit before the point.
func significant(v float64, n int) string {
	return strconv.FormatFloat(v, 'f', max(0, n-1-exponent(v, n)), 64)
}

// exponent is the decimal exponent of v once it is rounded to n digits.
func exponent(v float64, n int) int {
	e := strconv.FormatFloat(v, 'e', n-1, 64)
	x, err := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if err != nil {
		return 0 // NaN and the infinities have none
	}
	return x
}

// seconds writes nanoseconds as a bare number of seconds, for the findings
// tables: four digits from one second up, three below.
func seconds(ns float64) string {
	s := ns / 1e9
	switch {
	case s == 0:
		return "0"
	case exponent(s, 3) < 0:
		return significant(s, 3)
	default:
		return significant(s, 4)
	}
}

// percent writes a share in percent of one core: one decimal, which is as much
// as the sampling of CPU time carries, but two digits below one percent.
func percent(v float64) string {
	if v != 0 && math.Abs(v) < 0.95 {
		return significant(v, 2) + " %"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " %"
}

// duration writes nanoseconds with three digits in the unit that suits them.
func duration(ns float64) string {
	if exponent(ns, 3) < 3 {
		return strconv.FormatFloat(ns, 'f', 0, 64) + " ns"
	}
	v := ns
	for _, unit := range []string{"µs", "ms"} {
		v /= 1e3
		if exponent(v, 3) < 3 {
			return significant(v, 3) + " " + unit
		}
	}
	v /= 1e3
	if v >= 1e3 {
		return count(int64(math.Round(v))) + " s"
	}
	return significant(v, 3) + " s"
}

// size writes bytes with at most three digits, in KiB and up: the memory of a
// client is compared with budgets in KiB.
func size(bytes float64) string {
	if math.Abs(bytes) < 100 {
		return strconv.FormatFloat(bytes, 'f', 0, 64) + " B"
	}
	v := bytes / 1024
	unit := "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if v < 1000 {
			break
		}
		v /= 1024
		unit = next
	}
	decimals := min(2, max(0, 2-exponent(v, 3)))
	return strconv.FormatFloat(v, 'f', decimals, 64) + " " + unit
}

// count writes a whole number in groups of three.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// rate writes a number per second: three digits, whole from a hundred up.
func rate(v float64) string {
	switch {
	case v == 0:
		return "0"
	case exponent(v, 3) < 2:
		return significant(v, 3)
	default:
		return count(int64(math.Round(v)))
	}
}

// perSecond writes a rate that was asked for, as it was asked for.
func perSecond(v float64) string {
	digits := -1
	if v < 1e6 { // 1/m would go on for ever
		digits = 6
	}
	return strconv.FormatFloat(v, 'g', digits, 64) + "/s"
}

// ratio writes how many times one figure is another: two digits, whole from ten
// up.
func ratio(v float64) string {
	if exponent(v, 2) < 1 {
		return significant(v, 2) + " ×"
	}
	return count(int64(math.Round(v))) + " ×"
}

// known applies a form to a figure that may be unknown.
func known[T any](v *T, form func(T) string) string {
	if v == nil {
		return unknown
	}
	return form(*v)
}

func durationNS(ns int64) string   { return duration(float64(ns)) }
func sizeBytes(bytes int64) string { return size(float64(bytes)) }
