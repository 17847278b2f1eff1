package observe

import (
	"fmt"
	"sync"
	"time"
)

// Tree is a process and all its descendants, observed as one thing. A process
// that was once seen in the tree stays in it until it ends, even if its parent
// ends first. A Tree holds nothing open and needs no closing. It is safe for
// concurrent use.
type Tree struct {
	pid  int
	name *string

	mu      sync.Mutex
	proc    prober
	members []member // alive at the last look; the root, while alive, is first
	last    reading
	rooted  bool // the root was alive at the last look

	// CPU time of processes that have ended is known from two sides: what the
	// watched ones had used when last seen, and what their parents were
	// credited with for children they waited for. The first misses the
	// children that came and went between two looks, the second those that
	// nobody waited for. Both only grow and so does the larger of the two.
	seen     int64
	credited int64
	credit   int64 // held by the members at the last look
	total    int64

	filesSince time.Time
}

// member is one process of a tree.
type member struct {
	pid   int
	start uint64 // when it started, in the system's own unit; tells a reused pid
	cpu   int64  // its own, nanoseconds
	kids  int64  // of children it waited for, nanoseconds
	rss   opt
	files opt
}

// NewTree begins to observe the process pid with all its descendants. The error
// wraps [ErrNoProcess] when there is no such process.
func NewTree(pid int) (*Tree, error) {
	t := &Tree{pid: pid}
	if pid <= 0 {
		return nil, fmt.Errorf("observe process %d: %w", pid, ErrNoProcess)
	}
	root, err := t.proc.open(pid)
	if err != nil {
		return nil, fmt.Errorf("observe process %d: %w", pid, err)
	}
	t.members = []member{root}
	t.rooted = true
	t.name = t.proc.name(pid)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read()
	return t, nil
}

// PID is the number of the topmost process.
func (t *Tree) PID() int { return t.pid }

// Name is the short name of the topmost process when observing began, nil when
// the system did not tell.
func (t *Tree) Name() *string { return t.name }

// Read looks at all processes of the tree now. Once none of them is left it
// gives the last figures again, with Gone set and no processes.
func (t *Tree) Read() Usage { return t.readNow().usage() }

// Gone tells whether the topmost process had ended at the last look.
func (t *Tree) Gone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.rooted
}

// read requires t.mu.
func (t *Tree) read() reading {
	if len(t.members) == 0 {
		return t.last
	}
	t.members = t.proc.descendants(t.members)

	r := reading{at: time.Now(), rss: known(0), files: known(0)}
	countFiles := t.filesSince.IsZero() || t.proc.cheapFiles || r.at.Sub(t.filesSince) >= fileCounts
	if countFiles {
		t.filesSince = r.at
	}
	var own, credit int64
	alive := t.members[:0]
	rooted := false
	for _, m := range t.members {
		ok, coarse := t.proc.look(&m, countFiles)
		if !ok {
			t.seen += m.cpu
			continue
		}
		if m.pid == t.pid {
			rooted = true
		}
		own += m.cpu
		credit += m.kids
		r.coarse = r.coarse || coarse
		r.rss = opt{r.rss.v + m.rss.v, r.rss.ok && m.rss.ok}
		r.files = opt{r.files.v + m.files.v, r.files.ok && m.files.ok}
		alive = append(alive, m)
	}
	t.members, t.rooted = alive, rooted
	// Less credit than before means that a member ended and took its children's
	// time along; either its parent has it now or nobody has. What was counted
	// stays counted. Credit from before the first look is none of our business.
	if !t.last.at.IsZero() {
		t.credited += max(0, credit-t.credit)
	}
	t.credit = credit
	// A child may end between the look at its parent and the look at itself, so
	// that its time is in neither; the next look finds it.
	t.total = max(t.total, own+max(t.seen, t.credited))

	if len(alive) == 0 {
		// Not even the CPU time is brought up to date, since it is not known
		// when it ended.
		t.last.processes, t.last.gone = 0, true
		return t.last
	}
	r.cpu = known(t.total)
	r.processes = len(alive)
	r.gone = !rooted
	t.last = r
	return r
}

func (t *Tree) readNow() reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.read()
}
