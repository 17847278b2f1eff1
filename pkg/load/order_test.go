package load

import (
	"testing"

	"github.com/sseload/sseload/pkg/stream"
)

func TestOrder(t *testing.T) {
	var never *order
	if never.none(1, 2) {
		t.Error("a sender that never had two messages under way has them without an order")
	}
	// 3 is under way when 4 begins, and answered before 5 does, which 4 is not. Then
	// two are always under way, and each is answered before the one after the next.
	o := &order{since: 3, begun: 3}
	o.begin(4)
	o.answer(3, 1)
	for seq := uint32(5); seq < 20; seq++ {
		o.begin(seq)
		o.answer(seq-1, 1)
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
		o.begin(seq)
	}
	o.answer(19, 1)
	if !o.none(19, 59) || o.none(19, 60) {
		t.Error("19 was answered between 59 and 60")
	}
	// What is forgotten is not held against anybody.
	for seq := uint32(60); seq < 200; seq++ {
		o.begin(seq)
		o.answer(seq, 1)
	}
	o.answer(25, 1) // too late to be remembered
	if !o.none(19, 150) || !o.none(25, 26) || o.none(198, 199) || !o.none(2+200-uint32(len(o.answered))-3, 199) {
		t.Error("what is forgotten, or remembered, is told wrongly")
	}
}

// TestAnsweredAt: when a message was answered is known of the sender's latest one, and of
// those before that overlapped.
func TestAnsweredAt(t *testing.T) {
	s := &shard{p: &Population{clock: stream.NewClock()}, clients: make([]client, 1)}
	began := s.p.clock.Now()
	check := func(seq uint32, answered, exactly bool) {
		t.Helper()
		at, ok := s.answeredAt(0, marker{seq: seq, nanos: int64(seq)})
		if ok != answered || ok && (at >= began) != exactly {
			t.Errorf("message %d: answered %v, at %d", seq, ok, at)
		}
	}
	s.begins(0, 1)
	check(1, false, false)
	s.ends(0, 1, true)
	check(1, true, true)
	s.begins(0, 2)
	check(1, true, false) // when it was due
	check(2, false, false)
	s.begins(0, 3)
	s.begins(0, 4)
	s.ends(0, 3, true)
	check(2, false, false)
	check(3, true, true)
	check(4, false, false)
	s.ends(0, 4, false)
	check(4, false, false)
	s.ends(0, 2, true)
	check(2, true, true)
}
