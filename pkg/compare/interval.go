package compare

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
)

// judged is what two samples say of a change.
type judged struct {
	absolute *Interval // nil: there is no telling
	p        *float64
	real     bool
}

// tells reports whether the rank test over samples of these sizes can find anything at
// the level of significance.
func (t *tester) tells(n, m int) bool {
	return min(n, m) >= LeastRuns && t.criticalOf(n, m) >= 0
}

// exactMost is up to what product of the samples' sizes the exact distribution of the
// rank test is worked out: beyond it, the normal one is as good.
const exactMost = 2500

// criticalOf is the largest U with which the test, from both sides, finds samples of
// these sizes to be different; -1: none is small enough.
func (t *tester) criticalOf(n, m int) int {
	sizes := [2]int{n, m}
	if c, ok := t.critical[sizes]; ok {
		return c
	}
	var c int
	if n*m <= exactMost {
		u := stats.UDist{N1: n, N2: m}
		// The last one for which it holds, as the distribution only grows.
		lo, hi := -1, n*m/2
		for lo < hi {
			mid := lo + (hi-lo+1)/2
			if 2*u.CDF(float64(mid)) <= t.alpha {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		c = lo
	} else {
		size := float64(n * m)
		deviation := math.Sqrt(size * float64(n+m+1) / 12)
		c = int(math.Floor(size/2 + stats.StdNormal.InvCDF(t.alpha/2)*deviation - 0.5))
	}
	t.critical[sizes] = c
	return c
}

// judge compares two samples, both of which have a value.
func (t *tester) judge(base, fresh sample, counts bool) judged {
	if counts && (brokeOut(base.each, fresh.each) || brokeOut(fresh.each, base.each)) {
		return outbreak(base, fresh)
	}
	if !t.tells(len(base.each), len(fresh.each)) {
		return rough(base, fresh, counts)
	}
	ratios := !counts && allPositive(base.each) && allPositive(fresh.each) && *base.value > 0 && *fresh.value > 0
	i := t.shift(base.each, fresh.each, ratios)
	if ratios {
		i = Interval{Lo: *base.value * math.Expm1(i.Lo), Hi: *base.value * math.Expm1(i.Hi)}
	}
	// What is shown is no quantile of one run, nor a difference of pairs: the interval
	// has to hold it all the same.
	i.Value = *fresh.value - *base.value
	i.Lo, i.Hi = min(i.Lo, i.Value), max(i.Hi, i.Value)
	p := t.rankTest(base.each, fresh.each)
	out := judged{absolute: &i, p: &p, real: i.excludesZero() && p <= t.alpha}
	if !out.real { // with ties, the test may find less than the interval
		i.Lo, i.Hi = min(i.Lo, 0), max(i.Hi, 0)
	}
	return out
}

// rankTest is how probable ranks as unlike as these are, were there no difference.
func (t *tester) rankTest(base, fresh []float64) float64 {
	thresholds := &benchmath.Thresholds{CompareAlpha: t.alpha}
	return benchmath.AssumeNothing.Compare(
		benchmath.NewSample(slices.Clone(base), thresholds), benchmath.NewSample(slices.Clone(fresh), thresholds)).P
}

// shift is the interval in which the shift from base to fresh lies, of logarithms if
// they are to be taken as ratios: all shifts that the rank test does not rule out
// (Hodges and Lehmann). It makes no other assumption on how values are distributed than
// that both sides' are alike but for the shift.
func (t *tester) shift(base, fresh []float64, ratios bool) Interval {
	pairs := make([]float64, 0, len(base)*len(fresh))
	for _, a := range base {
		for _, b := range fresh {
			if ratios {
				pairs = append(pairs, math.Log(b/a))
			} else {
				pairs = append(pairs, b-a)
			}
		}
	}
	slices.Sort(pairs)
	c := t.criticalOf(len(base), len(fresh))
	return Interval{Lo: pairs[c], Hi: pairs[len(pairs)-1-c]}
}

// brokeOut reports whether there is something in most runs of one side that no run of
// the other knows. Such counts need no test: a server that loses messages has got
// worse, however few runs show it.
func brokeOut(none, some []float64) bool {
	n := 0
	for _, v := range some {
		if v > 0 {
			n++
		}
	}
	return 2*n > len(some) && !slices.ContainsFunc(none, func(v float64) bool { return v != 0 })
}

// outbreak is the change between sides of which one has none.
func outbreak(base, fresh sample) judged {
	i := Interval{Value: *fresh.value - *base.value}
	all, sign := fresh.each, 1.0
	if brokeOut(fresh.each, base.each) {
		all, sign = base.each, -1
	}
	some := slices.DeleteFunc(slices.Clone(all), func(v float64) bool { return !(v > 0) })
	i.Lo, i.Hi = slices.Min(some), slices.Max(some)
	if sign < 0 {
		i.Lo, i.Hi = -i.Hi, -i.Lo
	}
	i.Lo, i.Hi = min(i.Lo, i.Value), max(i.Hi, i.Value)
	return judged{absolute: &i, real: true}
}

// rough compares samples that are too small for a test, by the bands that their values
// stand for. A change is real when those do not meet.
func rough(base, fresh sample, counts bool) judged {
	one, ok := hull(base.bands)
	other, known := hull(fresh.bands)
	if !ok || !known {
		return judged{}
	}
	i := Interval{Value: *fresh.value - *base.value}
	if counts {
		i.Lo, i.Hi = other.lo-one.hi, other.hi-one.lo
	} else {
		i.Lo, i.Hi = *base.value*(other.lo/one.hi-1), *base.value*(other.hi/one.lo-1)
	}
	i.Lo, i.Hi = min(i.Lo, i.Value), max(i.Hi, i.Value)
	return judged{absolute: &i, real: i.excludesZero()}
}

// hull is what holds all bands; ok is false when one is not known.
func hull(bands []*band) (all band, ok bool) {
	for i, b := range bands {
		if b == nil {
			return band{}, false
		}
		if i == 0 {
			all = *b
		}
		all.lo, all.hi = min(all.lo, b.lo), max(all.hi, b.hi)
	}
	return all, len(bands) > 0
}
