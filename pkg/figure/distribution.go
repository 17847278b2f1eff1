package figure

import (
	"github.com/sseload/sseload/pkg/result"
)

// Distribution is what the figure is a quantile of, and which share of it, in [0,1], it
// bounds. The distribution of a run that has none is nil. ok is false for figures that
// are no quantiles.
func (f Figure) Distribution() (of func(*result.Run) *result.Latency, q float64, ok bool) {
	path, q, ok := parseQuantile(f.Name)
	d, known := table().distributions[path]
	return d.of, q, ok && known
}
