package result_test

import (
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sseload/sseload/pkg/result"
)

// recorded is a distribution of the given values, as far as [result.Latency.Histogram]
// reads it.
func recorded(t *testing.T, values ...int64) result.Latency {
	t.Helper()
	h := hdrhistogram.New(1, 3600e9, 3)
	for _, v := range values {
		if err := h.RecordValue(v); err != nil {
			t.Fatal(err)
		}
	}
	hdr, err := h.EncodeV2()
	if err != nil {
		t.Fatal(err)
	}
	return result.Latency{Count: int64(len(values)), HDR: string(hdr)}
}

func TestHistogramHoldsEveryValue(t *testing.T) {
	values := []int64{0, 0, 1, 1999, 412_345, 412_346, 1_000_000_007, 3600e9}
	l := recorded(t, values...)
	bars, err := l.Histogram()
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for i, b := range bars {
		if b.Count <= 0 || b.ToNS < b.FromNS || i > 0 && b.FromNS <= bars[i-1].ToNS {
			t.Errorf("cell %d is %+v, behind %+v", i, b, bars[max(0, i-1)])
		}
		if wide := b.ToNS - b.FromNS; wide*1000 > b.FromNS {
			t.Errorf("cell %+v is wider than a thousandth of its values", b)
		}
		for range b.Count {
			if next == len(values) || values[next] < b.FromNS || values[next] > b.ToNS {
				t.Fatalf("cell %+v does not hold value %d of %d", b, next, values)
			}
			next++
		}
	}
	if next != len(values) {
		t.Errorf("the cells hold %d of %d values: %+v", next, len(values), bars)
	}
}

func TestHistogramOfNothing(t *testing.T) {
	var l result.Latency
	if bars, err := l.Histogram(); err != nil || len(bars) != 0 {
		t.Errorf("got %v, %v", bars, err)
	}
}

func TestHistogramRefusesWhatIsNone(t *testing.T) {
	good := recorded(t, 1, 2, 3)
	for _, test := range []struct {
		name string
		l    result.Latency
		want string
	}{
		{"empty", result.Latency{Count: 1}, "decode histogram"},
		{"no base64", result.Latency{Count: 1, HDR: "?"}, "decode histogram"},
		{"cut off", result.Latency{Count: 3, HDR: good.HDR[:len(good.HDR)/2/4*4]}, "decode histogram"},
		{"another count", result.Latency{Count: 4, HDR: good.HDR}, "holds 3 durations, the count is 4"},
		{"counted nothing", result.Latency{HDR: good.HDR}, "holds 3 durations, the count is 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if bars, err := test.l.Histogram(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v, want %q", bars, err, test.want)
			}
		})
	}
}
