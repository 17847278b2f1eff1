package stream

import "sort"

// deadlines are the points in time at which things that all get the same time
// must be done. As the time is the same, nearly all fall due in the order in
// which they were added, so a sorted queue will do. An entry whose thing is done
// is dropped once it is the oldest.
type deadlines struct {
	queue []deadline
	head  int
}

// deadline is when the thing at index must be done, unless its generation has
// moved on.
type deadline struct {
	at         int64
	index, gen int32
}

// add appends d and forgets what is done at the front. done tells by index and
// generation.
func (q *deadlines) add(d deadline, done func(deadline) bool) {
	for q.head < len(q.queue) && done(q.queue[q.head]) {
		q.head++
	}
	if q.head == len(q.queue) {
		q.queue, q.head = q.queue[:0], 0
	} else if q.head > 1024 && q.head > len(q.queue)/2 {
		n := copy(q.queue, q.queue[q.head:])
		q.queue, q.head = q.queue[:n], 0
	}
	q.queue = append(q.queue, d)
	if last := len(q.queue) - 1; last > q.head && q.queue[last-1].at > d.at {
		// A subscription that was redirected keeps its first deadline.
		i := q.head + sort.Search(last-q.head, func(i int) bool { return q.queue[q.head+i].at > d.at })
		copy(q.queue[i+1:], q.queue[i:last])
		q.queue[i] = d
	}
}

// expired takes out the next entry that is due at now and not done.
func (q *deadlines) expired(now int64, done func(deadline) bool) (deadline, bool) {
	for q.head < len(q.queue) {
		d := q.queue[q.head]
		if done(d) {
			q.head++
			continue
		}
		if d.at > now {
			return deadline{}, false
		}
		q.head++
		return d, true
	}
	q.queue, q.head = nil, 0 // nothing waits: hold no memory
	return deadline{}, false
}

// next is when the oldest entry falls due.
func (q *deadlines) next() (int64, bool) {
	if q.head == len(q.queue) {
		return 0, false
	}
	return q.queue[q.head].at, true
}
