package stream

// fifo is a queue. What was taken out makes room again, so that it stays as large
// as what waits in it. The zero value is empty.
type fifo[T any] struct {
	queue []T
	head  int // of what waits
}

// fifoSlack is up to how many entries the memory of a queue is left alone.
const fifoSlack = 1024

func (q *fifo[T]) len() int { return len(q.queue) - q.head }

// waiting is what waits, the oldest first. It is valid until the next push or pop.
func (q *fifo[T]) waiting() []T { return q.queue[q.head:] }

func (q *fifo[T]) push(v T) { q.queue = append(q.queue, v) }

// pop takes out the oldest entry.
func (q *fifo[T]) pop() (v T, ok bool) {
	if q.len() == 0 {
		return v, false
	}
	v = q.queue[q.head]
	q.head++
	switch {
	case q.len() == 0 && cap(q.queue) > fifoSlack:
		q.queue, q.head = nil, 0
	case q.len() == 0:
		q.queue, q.head = q.queue[:0], 0
	case q.head > fifoSlack && q.head > len(q.queue)/2:
		q.queue, q.head = q.queue[:copy(q.queue, q.waiting())], 0
	}
	return v, true
}
