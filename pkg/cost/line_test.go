package cost

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestFitFindsALine(t *testing.T) {
	l, ok := fit([]point{{1000, 13}, {2000, 23}, {5000, 53}})
	if !ok || math.Abs(l.slope-0.01) > 1e-12 || math.Abs(l.base-3) > 1e-9 || l.slopeError > 1e-12 {
		t.Errorf("%+v, %v", l, ok)
	}
	// Worked by hand: slope 1, residuals 1/3, -2/3, 1/3, so that the standard error is
	// the root of 2/3 over 1 over 2, and one degree of freedom makes it 12.7062 of those.
	l, ok = fit([]point{{1, 1}, {2, 1}, {3, 3}})
	if !ok || math.Abs(l.slope-1) > 1e-12 || math.Abs(l.slopeError-12.7062*math.Sqrt(1.0/3)) > 1e-9 {
		t.Errorf("%+v, %v", l, ok)
	}
}

func TestFitNeedsThreeDifferentRuns(t *testing.T) {
	for _, points := range [][]point{nil, {{1, 1}, {2, 2}}, {{1, 1}, {1, 2}, {1, 3}}, {{1, 1}, {2, 2}, {2, 3}}} {
		if l, ok := fit(points); ok {
			t.Errorf("%v gave %+v", points, l)
		}
	}
}

// TestTheIntervalHoldsTheTruth: of many series with noise, 95 % have the true slope
// within their error.
func TestTheIntervalHoldsTheTruth(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	const all = 20000
	held := 0
	for range all {
		var points []point
		for x := 1.0; x <= 5; x++ {
			points = append(points, point{x, 7 + 2*x + noise.NormFloat64()})
		}
		if l, _ := fit(points); math.Abs(l.slope-2) <= l.slopeError {
			held++
		}
	}
	if share := float64(held) / all; share < 0.945 || share > 0.955 {
		t.Errorf("%.1f %% of the intervals hold the true slope", 100*share)
	}
}

// TestStudent95 integrates the density to either side.
func TestStudent95(t *testing.T) {
	for _, nu := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 100} {
		a, _ := math.Lgamma(float64(nu+1) / 2)
		b, _ := math.Lgamma(float64(nu) / 2)
		scale := math.Exp(a-b) / math.Sqrt(float64(nu)*math.Pi)
		edge := student95(nu)
		const steps = 100_000
		width := edge / steps
		held := 0.0
		for i := range steps {
			x := (float64(i) + 0.5) * width
			held += 2 * width * scale * math.Pow(1+x*x/float64(nu), -float64(nu+1)/2)
		}
		if math.Abs(held-0.95) > 2e-4 {
			t.Errorf("with %d degrees of freedom %.4f hold %.5f", nu, edge, held)
		}
	}
}
