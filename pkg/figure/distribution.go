package figure

import (
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// Distribution is what the figure is a quantile of, and which share of it, in [0,1], it
// bounds. The distribution of a run that has none is nil. ok is false for figures that
// are no quantiles.
func (f Figure) Distribution() (of func(*result.Run) *result.Latency, q float64, ok bool) {
	parts := quantileName.FindStringSubmatch(f.Name)
	if parts == nil {
		return nil, 0, false
	}
	digits := parts[2]
	if len(digits) > 2 && digits[0] == '9' && !strings.Contains(digits, ".") {
		digits = digits[:2] + "." + digits[2:] // p999 is p99.9
	}
	percent, err := strconv.ParseFloat(digits, 64)
	d, known := table().distributions[parts[1]]
	return d.of, percent / 100, known && err == nil
}
