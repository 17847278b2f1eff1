package load

import "testing"

func TestOrder(t *testing.T) {
	var never *order
	if never.none(1, 2) {
		t.Error("a sender that never had two messages under way has them without an order")
	}
	// 3 is under way when 4 begins, and answered before 5 does, which 4 is not. Then
	// two are always under way, and each is answered before the one after the next.
	o := &order{since: 3, begun: 3}
	o.begin(4, 0)
	o.answer(3)
	for seq := uint32(5); seq < 20; seq++ {
		o.begin(seq, 0)
		o.answer(seq - 1)
	}
	for _, c := range []struct {
		low, high uint32
		want      bool
	}{
		{1, 2, false}, {2, 3, false}, {1, 9, false}, // before it knew
		{3, 4, true}, {3, 5, false}, {4, 5, true}, {4, 6, false}, {10, 11, true}, {10, 12, false}, {3, 19, false},
		{18, 19, true}, {19, 20, true}, // 19 is still under way
	} {
		if got := o.none(c.low, c.high); got != c.want {
			t.Errorf("no order between %d and %d: %v, want %v", c.low, c.high, got, c.want)
		}
	}
	// An answer that comes after ever so many others are under way.
	for seq := uint32(20); seq < 60; seq++ {
		o.begin(seq, 0)
	}
	o.answer(19)
	if !o.none(19, 59) || o.none(19, 60) {
		t.Error("19 was answered between 59 and 60")
	}
	// What is forgotten is not held against anybody.
	for seq := uint32(60); seq < 200; seq++ {
		o.begin(seq, 0)
		o.answer(seq)
	}
	o.answer(25) // too late to be remembered
	if !o.none(19, 150) || !o.none(25, 26) || o.none(198, 199) || !o.none(2+200-uint32(len(o.answered))-3, 199) {
		t.Error("what is forgotten, or remembered, is told wrongly")
	}
}

// TestBegunAt: when a message began is known of the sender's latest one, and of those
// before that overlapped.
func TestBegunAt(t *testing.T) {
	s := &shard{clients: make([]client, 1)}
	due := func(seq uint32) marker { return marker{seq: seq, nanos: int64(seq)} }
	s.begins(0, 1, 1000)
	if got := s.begunAt(0, due(1)); got != 1000 {
		t.Errorf("the latest one began at %d", got)
	}
	s.ends(0, 1, true)
	s.begins(0, 2, 2000)
	if got := s.begunAt(0, due(1)); got != 1 {
		t.Errorf("one that was answered before the next began, began at %d, want when it was due", got)
	}
	s.begins(0, 3, 3000)
	s.begins(0, 4, 4000)
	for seq, want := range map[uint32]int64{2: 2000, 3: 3000, 4: 4000} {
		if got := s.begunAt(0, due(seq)); got != want {
			t.Errorf("message %d began at %d, want %d", seq, got, want)
		}
	}
}
