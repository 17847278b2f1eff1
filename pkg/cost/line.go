package cost

import "math"

// point is one run: how many there were, and what it cost.
type point struct{ x, y float64 }

// line is a straight line through points.
type line struct {
	slope, base float64
	slopeError  float64 // half the width of the 95 % confidence interval
}

// fit draws the line through points that leaves the least squares. ok is false
// when there are fewer than three, or not three different x: scatter along the line
// and scatter around it could then not be told apart.
func fit(points []point) (l line, ok bool) {
	n := float64(len(points))
	var meanX, meanY float64
	different := map[float64]bool{}
	for _, p := range points {
		meanX += p.x / n
		meanY += p.y / n
		different[p.x] = true
	}
	if len(different) < 3 {
		return line{}, false
	}
	var xx, xy float64
	for _, p := range points {
		xx += (p.x - meanX) * (p.x - meanX)
		xy += (p.x - meanX) * (p.y - meanY)
	}
	l.slope = xy / xx
	l.base = meanY - l.slope*meanX
	var rest float64
	for _, p := range points {
		d := p.y - l.base - l.slope*p.x
		rest += d * d
	}
	l.slopeError = student95(len(points)-2) * math.Sqrt(rest/(n-2)/xx)
	return l, true
}

// student95 is how many standard errors to either side hold 95 % of Student's t
// distribution with so many degrees of freedom, at least 1.
func student95(freedom int) float64 {
	if freedom <= len(students) {
		return students[freedom-1]
	}
	// The first terms of the expansion around the normal distribution, Abramowitz
	// and Stegun 26.7.5.
	const z = 1.959964
	nu := float64(freedom)
	return z + z*(z*z+1)/(4*nu) + z*(5*z*z*z*z+16*z*z+3)/(96*nu*nu)
}

//nolint:gochecknoglobals // a constant table
var students = [...]float64{12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281}
