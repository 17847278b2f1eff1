package stream

import "sort"

// deadlines are the points in time at which things that all get the same time
// must be done. As the time is the same, or nearly, most fall due in the order in
// which they were added, so a sorted queue will do. An entry whose thing is done
// is dropped once it is the oldest.
type deadlines struct{ fifo[deadline] }

// deadline is when the thing at index must be done, unless its generation has
// moved on.
type deadline struct {
	at         int64
	index, gen int32
}

// add enters d and forgets what is done at the front. done tells by index and
// generation.
func (q *deadlines) add(d deadline, done func(deadline) bool) {
	for q.len() > 0 && done(q.waiting()[0]) {
		q.pop()
	}
	q.push(d)
	all := q.waiting()
	if last := len(all) - 1; last > 0 && all[last-1].at > d.at {
		// A subscription that was redirected keeps its first deadline, and a slow
		// reader that found little pauses for less.
		i := sort.Search(last, func(i int) bool { return all[i].at > d.at })
		copy(all[i+1:], all[i:last])
		all[i] = d
	}
}

// expired takes out the next entry that is due at now and not done.
func (q *deadlines) expired(now int64, done func(deadline) bool) (deadline, bool) {
	for q.len() > 0 {
		d := q.waiting()[0]
		isDone := done(d)
		if !isDone && d.at > now {
			break
		}
		q.pop()
		if !isDone {
			return d, true
		}
	}
	return deadline{}, false
}

// next is when the oldest entry falls due.
func (q *deadlines) next() (int64, bool) {
	if q.len() == 0 {
		return 0, false
	}
	return q.waiting()[0].at, true
}
