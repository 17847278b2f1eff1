package stream

import (
	"slices"
	"testing"
)

func TestFIFO(t *testing.T) {
	var q fifo[int]
	in, out := 0, 0
	push := func(n int) {
		for range n {
			q.push(in)
			in++
		}
	}
	pop := func(n int) {
		t.Helper()
		for range n {
			if got, ok := q.pop(); !ok || got != out {
				t.Fatalf("%d, %v; want %d", got, ok, out)
			}
			out++
		}
	}
	if _, ok := q.pop(); ok {
		t.Error("something came out of an empty queue")
	}
	push(3)
	pop(1)
	if got := q.waiting(); !slices.Equal(got, []int{1, 2}) || q.len() != 2 {
		t.Errorf("%v wait, %d; want 1 and 2", got, q.len())
	}
	pop(2)
	if q.len() != 0 || len(q.waiting()) != 0 {
		t.Errorf("%v wait, want nothing", q.waiting())
	}
	// While there is always something in it, it does not grow with what passes.
	push(10)
	for range 100_000 {
		push(7)
		pop(7)
	}
	if c := cap(q.queue); c > 4*fifoSlack {
		t.Errorf("it has room for %d, with 10 in it", c)
	}
	push(100 * fifoSlack)
	pop(q.len())
	if c := cap(q.queue); c > fifoSlack {
		t.Errorf("it has room for %d, with nothing in it", c)
	}
}

func TestFIFOAllocatesNothing(t *testing.T) {
	var q fifo[Tag]
	for range fifoSlack / 2 {
		q.push(0)
	}
	if n := testing.AllocsPerRun(10, func() {
		for q.len() > 0 {
			q.pop()
		}
		for range fifoSlack / 2 {
			q.push(1)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
