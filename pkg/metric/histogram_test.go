package metric

import (
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestEmpty(t *testing.T) {
	var h, other Histogram
	if _, ok := h.Quantile(0.5); ok {
		t.Error("an empty histogram has a median")
	}
	if _, ok, err := h.Summary(); ok || err != nil {
		t.Errorf("an empty histogram has a summary (%v, %v)", ok, err)
	}
	h.Merge(&other)
	if h.h != nil {
		t.Error("merging nothing took memory")
	}
}

func TestSummaryAgreesWithSortedValues(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var parts [3]Histogram
	var all []int64
	var sum float64
	for i := range 30_000 {
		v := int64(1 + random.ExpFloat64()*float64(time.Millisecond))
		parts[i%3].Record(v)
		all = append(all, v)
		sum += float64(v)
	}
	slices.Sort(all)
	var h Histogram
	for i := range parts {
		h.Merge(&parts[i])
	}
	s, ok, err := h.Summary()
	if !ok || err != nil {
		t.Fatalf("no summary: %v", err)
	}
	if s.Count != int64(len(all)) || s.Min != all[0] || s.Max != all[len(all)-1] || s.Capped != 0 {
		t.Errorf("count %d min %d max %d capped %d, want %d %d %d 0", s.Count, s.Min, s.Max, s.Capped, len(all), all[0], all[len(all)-1])
	}
	if mean := sum / float64(len(all)); s.Mean < mean*0.999999 || s.Mean > mean*1.000001 {
		t.Errorf("mean %f, want %f", s.Mean, mean)
	}
	for q, got := range map[float64]int64{0.5: s.P50, 0.9: s.P90, 0.95: s.P95, 0.99: s.P99, 0.999: s.P999} {
		want := all[int(q*float64(len(all)))-1]
		if diff := float64(got-want) / float64(want); diff < -0.002 || diff > 0.002 {
			t.Errorf("quantile %g is %d, want %d within 0.2 %%", q, got, want)
		}
	}
}

func TestOutOfRangeIsCappedAndCounted(t *testing.T) {
	var h Histogram
	for _, v := range []int64{-5, 0, 7, int64(2 * time.Hour)} {
		h.Record(v)
	}
	s, _, err := h.Summary()
	if err != nil {
		t.Fatal(err)
	}
	if s.Count != 4 || s.Capped != 2 || s.Min != -5 || s.Max != int64(2*time.Hour) {
		t.Errorf("count %d capped %d min %d max %d, want 4 2 -5 %d", s.Count, s.Capped, s.Min, s.Max, int64(2*time.Hour))
	}
}

func TestHDRRoundTrips(t *testing.T) {
	var h Histogram
	for i := range int64(1000) {
		h.Record(i * 1000)
	}
	s, _, err := h.Summary()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := base64.StdEncoding.DecodeString(s.HDR); err != nil {
		t.Errorf("not base64: %v", err)
	}
	back, err := hdrhistogram.Decode([]byte(s.HDR))
	if err != nil {
		t.Fatal(err)
	}
	if back.TotalCount() != 1000 || !back.Equals(h.h) {
		t.Errorf("decoded %d values, not those encoded", back.TotalCount())
	}
}

func TestReservedIsStillEmpty(t *testing.T) {
	var h, other Histogram
	h.Reserve()
	if _, ok, err := h.Summary(); ok || err != nil || h.Count() != 0 {
		t.Errorf("a reserved histogram has a summary (%v, %v)", ok, err)
	}
	other.Record(7)
	h.Merge(&other)
	if s, _, _ := h.Summary(); s.Count != 1 || s.Min != 7 || s.Max != 7 {
		t.Errorf("count %d min %d max %d, want 1 7 7", s.Count, s.Min, s.Max)
	}
	var fresh Histogram
	fresh.Reserve()
	if n := testing.AllocsPerRun(1, func() { fresh.Record(1) }); n != 0 {
		t.Errorf("%v allocations after Reserve", n)
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	var h Histogram
	h.Record(1)
	if n := testing.AllocsPerRun(1000, func() { h.Record(123456) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Record(int64(i % 1_000_000))
	}
}
