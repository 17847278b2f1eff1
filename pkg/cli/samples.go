package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/scenarios"
)

// mostLines is how many lines may wait for a reader that is slower than they come: with
// one a second, more than an hour's.
const mostLines = 4096

// lastLines is how long a reader is waited for once the runs are over.
const lastLines = 5 * time.Second

// liveLines writes the lines of a [report.Live] format while the runs go on. The run
// does not wait for whoever reads them: a line that cannot be written is counted.
type liveLines struct {
	format report.Live
	to     io.Writer
	// empty makes way for the first line.
	empty func() error

	number int         // of the run that goes on, from 1
	run    *result.Run // likewise

	lines    chan []byte
	done     chan struct{} // closed when nothing will be written any more
	finished sync.Once
	outcome  error

	mu      sync.Mutex
	count   int // lines written
	missed  int // lines that were not
	failure error
}

// live are the observers that write outputs while runs go on. It may be called for each
// series of runs: the numbers of runs go on.
func (all outputs) live() []scenarios.Observer {
	var observers []scenarios.Observer
	for _, o := range all {
		format, ok := o.format.(report.Live)
		if !ok {
			continue
		}
		if o.live == nil {
			to := o.w
			if o.path == "" {
				to = o.above
			}
			o.live = newLiveLines(format, to, o.empty)
		}
		observers = append(observers, o.live)
	}
	return observers
}

func newLiveLines(format report.Live, to io.Writer, empty func() error) *liveLines {
	l := &liveLines{format: format, to: to, empty: empty, lines: make(chan []byte, mostLines), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.write()
	}()
	return l
}

// Begin implements [scenarios.Observer].
func (l *liveLines) Begin(g scenarios.Going) {
	l.number++
	l.run = g.Run
}

// Sample implements [scenarios.Observer].
func (l *liveLines) Sample(s result.Sample) { l.put(l.format.Sample(l.number, l.run, s)) }

// End implements [scenarios.Observer].
func (l *liveLines) End(run *result.Run) { l.put(l.format.End(l.number, run)) }

// put has a line written, without waiting.
func (l *liveLines) put(line []byte, err error) {
	if err != nil {
		l.miss(err)
		return
	}
	select {
	case l.lines <- line:
	default:
		l.miss(errors.New("whoever reads them is too slow"))
	}
}

// miss counts a line that was not written. The first reason is kept.
func (l *liveLines) miss(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missed++
	if l.failure == nil {
		l.failure = why
	}
}

// write writes lines until there are no more. After the first that fails, the others
// would stand behind half a line: they are counted only.
func (l *liveLines) write() {
	// A reader of stdout that has gone would end the program, and the run with it.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	var failure error
	for line := range l.lines {
		if failure == nil {
			failure = l.writeOne(line)
		}
		if failure != nil {
			l.miss(failure)
		}
	}
}

func (l *liveLines) writeOne(line []byte) error {
	if !l.wrote() {
		if err := l.empty(); err != nil {
			return err
		}
	}
	if _, err := l.to.Write(line); err != nil {
		return err
	}
	l.mu.Lock()
	l.count++
	l.mu.Unlock()
	return nil
}

// wrote tells whether any line has been written.
func (l *liveLines) wrote() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count > 0
}

// finish waits until all lines are written, or nobody has read any for a while. Its
// error says how many are missing, and why; it is the same each time.
func (l *liveLines) finish() error {
	l.finished.Do(func() {
		close(l.lines)
		l.outcome = l.wait()
	})
	return l.outcome
}

func (l *liveLines) wait() error {
	patience := time.NewTimer(lastLines)
	defer patience.Stop()
	stuck := false
	select {
	case <-l.done:
	case <-patience.C:
		stuck = true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	missed, why := l.missed, l.failure
	if stuck {
		missed += len(l.lines) + 1
		why = errors.New("nobody reads them")
	}
	if missed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d lines could not be written: %w", missed, l.count+missed, why)
}
