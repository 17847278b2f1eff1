package resulttest

import (
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// Above is how many durations of l are d or longer, to the three digits that a
// record keeps.
func Above(t *testing.T, l result.Latency, d time.Duration) int64 {
	t.Helper()
	bars, err := l.Histogram()
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, b := range bars {
		if b.ToNS >= int64(d) {
			n += b.Count
		}
	}
	return n
}
