package observe

import (
	"bytes"
	"strconv"
)

// runQueue adds up for how long the threads of this process have been ready to
// run and waited for a core. It is not safe for concurrent use.
//
// The kernel tells it of each thread, and the file of the whole process is that
// of its first thread alone. A thread that ends takes its figure away: what it
// was last seen with stays in the sum, which therefore never goes back, and what
// it waited after that is missing. Go seldom ends a thread.
type runQueue struct {
	proc    prober
	dir     string        // of threads; "" stands for this process' own
	threads map[int]int64 // what each thread was last seen with, nanoseconds
	ended   int64         // of threads that are no more
}

// read gives nanoseconds since the process began; unknown where the kernel keeps
// no account, or when any thread's could not be read.
func (q *runQueue) read() opt {
	dir := q.dir
	if dir == "" {
		dir = "/proc/self/task"
	}
	var ids []int
	if err := q.proc.eachName(dir, func(name []byte) {
		if name[0] >= '1' && name[0] <= '9' {
			ids = append(ids, int(number(name)))
		}
	}); err != nil {
		return opt{}
	}
	seen := make(map[int]int64, len(ids))
	counted := false
	for _, id := range ids {
		b, err := q.proc.slurp(dir + "/" + strconv.Itoa(id) + "/schedstat")
		if ended(err) {
			continue
		}
		if err != nil {
			return opt{}
		}
		ran, waited, ok := parseSchedstat(b)
		if !ok {
			return opt{}
		}
		seen[id] = waited
		counted = counted || ran > 0
	}
	// A kernel that was told to keep no account writes zeros. A thread that has
	// not run yet does too, but this one has.
	if !counted {
		return opt{}
	}
	return known(q.add(seen))
}

// add takes in what all threads have now. A thread that has less than before is
// another one of the same number.
func (q *runQueue) add(seen map[int]int64) int64 {
	for id, before := range q.threads {
		if now, ok := seen[id]; !ok || now < before {
			q.ended += before
		}
	}
	q.threads = seen
	sum := q.ended
	for _, waited := range seen {
		sum += waited
	}
	return sum
}

// parseSchedstat reads the nanoseconds that a thread spent on a core and those it
// waited for one; "Documentation/scheduler/sched-stats.rst" of the kernel. The
// third number, of time slices, is not used but must be there.
func parseSchedstat(b []byte) (ran, waited int64, ok bool) {
	words := bytes.Fields(b)
	if len(words) != 3 {
		return 0, 0, false
	}
	var values [3]int64
	for i, word := range words {
		v, err := strconv.ParseInt(string(word), 10, 64)
		if err != nil || v < 0 {
			return 0, 0, false
		}
		values[i] = v
	}
	return values[0], values[1], true
}
