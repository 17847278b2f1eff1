package observe

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
)

// threads is a directory as /proc/self/task is.
type threads struct {
	t   *testing.T
	dir string
}

func (s threads) write(id int, schedstat string) {
	s.t.Helper()
	dir := filepath.Join(s.dir, strconv.Itoa(id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "schedstat"), []byte(schedstat), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s threads) end(id int) {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, strconv.Itoa(id))); err != nil {
		s.t.Fatal(err)
	}
}

func TestRunQueueSumsThreads(t *testing.T) {
	s := threads{t, t.TempDir()}
	q := runQueue{dir: s.dir}
	expect := func(what string, want int64) {
		t.Helper()
		if got := q.read(); got != known(want) {
			t.Errorf("%s: %+v, want %d", what, got, want)
		}
	}
	s.write(10, "5000 100 3\n")
	s.write(11, "0 20 0\n") // has not run yet
	expect("two threads", 120)
	s.write(10, "6000 150 4\n")
	s.write(12, "10 7 1\n")
	expect("one waited, one is new", 177)
	s.end(10)
	expect("the longest waiting ended", 177)
	s.write(12, "20 9 2\n")
	expect("another one waited", 179)
	s.write(11, "3 4 1\n") // another thread of this number
	expect("a number used again", 183)
	if err := os.Mkdir(filepath.Join(s.dir, "13"), 0o700); err != nil {
		t.Fatal(err)
	}
	expect("one ended while it was looked at", 183)
}

func TestRunQueueUnknown(t *testing.T) {
	for name, schedstat := range map[string]string{
		"empty":         "",
		"two numbers":   "5 6\n",
		"four numbers":  "5 6 7 8\n",
		"no number":     "5 x 7\n",
		"negative":      "5 -6 7\n",
		"too large":     "5 99999999999999999999 7\n",
		"switched off":  "0 0 0\n",
		"words instead": "schedstat is off\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := threads{t, t.TempDir()}
			s.write(10, schedstat)
			q := runQueue{dir: s.dir}
			if got := q.read(); got.ptr() != nil {
				t.Errorf("%q: %+v, want unknown", schedstat, got)
			}
			// What could be read of others is not the sum.
			s.write(9, "5 6 7\n")
			if got := q.read(); name != "switched off" && got.ptr() != nil {
				t.Errorf("%q beside a good one: %+v, want unknown", schedstat, got)
			}
		})
	}
	q := runQueue{dir: filepath.Join(t.TempDir(), "none")}
	if got := q.read(); got.ptr() != nil {
		t.Errorf("no directory: %+v, want unknown", got)
	}
}

func TestWatcherKnowsRunQueue(t *testing.T) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("this kernel keeps no account of run queues")
	}
	w := New(Config{Interval: time.Hour})
	begin := w.queue.read()
	w.Phase("contest")
	// More threads at work than cores, so that some wait: for how long is the
	// scheduler's to say.
	var busy sync.WaitGroup
	for range 2 * runtime.NumCPU() {
		busy.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends too
			burn(50 * time.Millisecond)
		})
	}
	busy.Wait()
	w.Phase("peace")
	r := w.Stop()
	end := w.queue.read()
	var sum int64
	for _, p := range r.Phases {
		if p.GeneratorRunQueueNS == nil || *p.GeneratorRunQueueNS < 0 {
			t.Fatalf("phase %s: run queue %v", p.Name, p.GeneratorRunQueueNS)
		}
		sum += *p.GeneratorRunQueueNS
	}
	if !begin.ok || !end.ok || end.v < begin.v || sum > end.v-begin.v {
		t.Errorf("the phases waited %d, all together from %+v to %+v", sum, begin, end)
	}
	if end.v == 0 {
		t.Error("this process has never waited for a core")
	}
}
