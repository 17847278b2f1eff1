package load

import "testing"

func TestBusyPeriods(t *testing.T) {
	var none *busyPeriods
	if none.unordered(1, 2) {
		t.Error("a sender that never had two messages under way has them unordered")
	}
	var b busyPeriods
	b.busy(3, 4)
	b.busy(3, 5)
	b.busy(8, 9)
	for _, c := range []struct {
		low, high uint32
		want      bool
	}{
		{1, 2, false}, {2, 3, false}, {3, 4, true}, {3, 5, true}, {4, 5, true},
		{5, 6, false}, {5, 8, false}, {4, 9, false}, {8, 9, true}, {9, 10, false},
	} {
		if got := b.unordered(c.low, c.high); got != c.want {
			t.Errorf("%d and %d unordered: %v, want %v", c.low, c.high, got, c.want)
		}
	}
	// What was forgotten is not held against anybody, what is remembered is.
	for i := range uint32(len(b.spans)) {
		b.busy(100+10*i, 101+10*i)
	}
	if !b.unordered(1, 2) || !b.unordered(8, 50) {
		t.Error("what was forgotten counts as ordered")
	}
	last := uint32(100 + 10*(len(b.spans)-1))
	if b.unordered(100, 110) || b.unordered(last-5, last) || !b.unordered(last, last+1) {
		t.Error("what is remembered is told wrongly")
	}
}
