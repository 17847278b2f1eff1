package cli

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/report"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/scenarios"
)

func samplesTo(t *testing.T, to io.Writer) *liveLines {
	t.Helper()
	format, err := report.Lookup("samples")
	if err != nil {
		t.Fatal(err)
	}
	l := newLiveLines(format.(report.Live), to, func() error { return nil })
	t.Cleanup(func() { _ = l.finish() })
	return l
}

// play has an observer told of a run with so many samples.
func play(o scenarios.Observer, n int) {
	run := &result.Run{Scenario: "rooms"}
	o.Begin(scenarios.Going{Run: run})
	for i := range n {
		o.Sample(result.Sample{AtNS: int64(i)})
	}
	o.End(run)
}

// Each line is out as soon as it is taken: who reads them need not wait for the end.
func TestLinesComeAsTheyAreTaken(t *testing.T) {
	r, w := io.Pipe()
	l := samplesTo(t, w)
	lines := bufio.NewScanner(r)
	l.Begin(scenarios.Going{Run: &result.Run{Scenario: "rooms"}})
	for _, want := range []string{`"at_ns":7,`, `"at_ns":8,`} {
		at := int64(want[8] - '0')
		l.Sample(result.Sample{AtNS: at})
		if !lines.Scan() || !strings.Contains(lines.Text(), want) || !strings.HasPrefix(lines.Text(), `{"type":"sample","run":1,`) {
			t.Fatalf("got %q, want %s", lines.Text(), want)
		}
	}
	l.End(&result.Run{Scenario: "rooms"})
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), `{"type":"run","run":1,`) {
		t.Fatalf("got %q", lines.Text())
	}
	if err := l.finish(); err != nil {
		t.Error(err)
	}
}

// A full disk, and a reader that has gone, are told once, with the number of lines.
func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	t.Run("reader gone", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		l := samplesTo(t, w)
		play(l, 4)
		want := "5 of 5 lines could not be written: "
		if err := l.finish(); err == nil || !strings.HasPrefix(err.Error(), want) || runtime.GOOS != "windows" && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("got %v, want %s…", err, want)
		}
		if first, again := l.finish(), l.finish(); first != again {
			t.Errorf("%v, then %v", first, again)
		}
	})
	t.Run("disk full", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip("there is no device that is always full")
		}
		defer full.Close()
		l := samplesTo(t, full)
		play(l, 2)
		if err := l.finish(); err == nil || !strings.HasPrefix(err.Error(), "3 of 3 lines could not be written: ") || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("after a while", func(t *testing.T) {
		w := &failingAfter{left: 2}
		l := samplesTo(t, w)
		play(l, 5)
		if err := l.finish(); err == nil || err.Error() != "4 of 6 lines could not be written: no more" {
			t.Errorf("got %v", err)
		}
		if w.calls != 3 {
			t.Errorf("it was tried %d times: what comes after half a line is garbage", w.calls)
		}
	})
}

type failingAfter struct{ left, calls int }

func (w *failingAfter) Write(b []byte) (int, error) {
	w.calls++
	if w.left == 0 {
		return 0, errors.New("no more")
	}
	w.left--
	return len(b), nil
}

// A reader that does not read holds up nobody: what does not fit is counted.
func TestLinesWaitForNobody(t *testing.T) {
	w := &stuck{until: make(chan struct{})}
	l := samplesTo(t, w)
	play(l, mostLines+100)
	close(w.until)
	err := l.finish()
	var missed, all int64
	if err == nil || !strings.HasSuffix(err.Error(), " lines could not be written: whoever reads them is too slow") {
		t.Fatal(err)
	}
	l.mu.Lock()
	missed, all = int64(l.missed), int64(l.count+l.missed)
	l.mu.Unlock()
	// One more may have been taken out of the queue before the reader got stuck.
	if all != mostLines+101 || missed < 100 || missed > 101 || w.lines.Load() != all-missed {
		t.Errorf("%d of %d lines are missing, %d were read", missed, all, w.lines.Load())
	}
}

type stuck struct {
	until chan struct{}
	lines atomic.Int64
}

func (w *stuck) Write(b []byte) (int, error) {
	<-w.until
	w.lines.Add(1)
	return len(b), nil
}

// The reader of stdout goes after the first line: the run goes on to its end, its record
// is written, and it is told once what is missing.
func TestRunOutlivesTheReaderOfItsSamples(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a broken pipe is no signal there")
	}
	record := filepath.Join(t.TempDir(), "run.json")
	cmd := exec.Command("sseload", "rooms", "-c", "12", "-n", "3", "--interval", "700ms", "-o", "samples", "-o", "json="+record)
	cmd.Env = withoutSettings(os.Environ())
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()
	line, err := bufio.NewReaderSize(out, 16).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, `{"type":"sample"`) {
		t.Errorf("got %q, %v", line, err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitError {
		t.Errorf("it ended with %v", err)
	}
	if got := said.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "sseload: error: output samples: ") ||
		!strings.Contains(got, " lines could not be written: write ") || !strings.Contains(got, "broken pipe") {
		t.Errorf("it said %q", got)
	}
	f, err := result.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if run := f.Runs[0]; run.Delivery == nil || run.Delivery.Received != 36 || run.Interrupted || run.Aborted != nil {
		t.Errorf("the run did not come to its end: %+v", run.Delivery)
	}
}
