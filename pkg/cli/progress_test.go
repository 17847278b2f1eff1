package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/scenarios"
)

func TestProgressLine(t *testing.T) {
	for _, test := range []struct {
		name        string
		before, now scenarios.Progress
		want        string
	}{
		{
			"connecting",
			scenarios.Progress{},
			scenarios.Progress{Phase: "connect", Clients: 1000, Elapsed: 1234 * time.Millisecond, Live: load.Live{Open: 7}},
			"connect: 7/1000 connected, 1.2s",
		},
		{
			"failed and dropped",
			scenarios.Progress{},
			scenarios.Progress{Phase: "hold", Clients: 10, Elapsed: time.Minute, Live: load.Live{Open: 5, Failed: 3, Dropped: 2}},
			"hold: 5/10 connected, 3 failed, 2 dropped, 1m0s",
		},
		{
			"first iterations: no rate yet",
			scenarios.Progress{Phase: "connect", Elapsed: time.Second},
			scenarios.Progress{Phase: "send", Clients: 10, Iteration: 3, Iterations: 100, Elapsed: 2 * time.Second, Live: load.Live{Open: 10, Received: 30}},
			"send: 10/10 connected, iteration 3/100, 30 copies, 2s",
		},
		{
			"a rate since the line before",
			scenarios.Progress{Phase: "send", Iteration: 3, Elapsed: 2 * time.Second, Live: load.Live{Received: 30}},
			scenarios.Progress{Phase: "send", Clients: 10, Iteration: 5, Iterations: 100, Elapsed: 2500 * time.Millisecond, Live: load.Live{Open: 10, Received: 50}},
			"send: 10/10 connected, iteration 5/100, 50 copies, 40/s, 2.5s",
		},
		{
			"without a number of iterations",
			scenarios.Progress{},
			scenarios.Progress{Phase: "send", Clients: 10, Iteration: 5, Live: load.Live{Open: 10, Received: 50}},
			"send: 10/10 connected, iteration 5, 50 copies, 0s",
		},
		{
			"no time has passed",
			scenarios.Progress{Iteration: 5, Elapsed: time.Second},
			scenarios.Progress{Phase: "send", Clients: 10, Iteration: 5, Elapsed: time.Second, Live: load.Live{Open: 10}},
			"send: 10/10 connected, iteration 5, 0 copies, 1s",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := progressLine(test.before, test.now); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct {
		in      string
		columns int
		want    string
	}{{"abcdef", 10, "abcdef"}, {"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcde"}, {"abcdef", 0, ""}, {"abcdef", -1, ""}} {
		if got := fit(test.in, test.columns); got != test.want {
			t.Errorf("fit(%q, %d) = %q, want %q", test.in, test.columns, got, test.want)
		}
	}
}

// TestNoProgressWithoutTerminal: what is not a terminal gets no progress.
func TestNoProgressWithoutTerminal(t *testing.T) {
	if (&App{Stderr: &bytes.Buffer{}}).observers() != nil {
		t.Error("progress would be shown on a buffer")
	}
}

// TestProgressOnTerminal watches the line come and go.
func TestProgressOnTerminal(t *testing.T) {
	if !canTerminal() {
		t.Skip("how to make a terminal is known for Linux only")
	}
	ours, theirs, err := openTerminal(30)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer func() { _ = theirs.Close() }()
	if (&App{Stderr: theirs, quiet: true}).observers() != nil {
		t.Error("progress would be shown to who asked for quiet")
	}
	watchers := (&App{Stderr: theirs}).observers()
	if len(watchers) != 1 {
		t.Fatal("no progress on a terminal")
	}
	asked := make(chan struct{}, 100)
	watchers[0].Begin(scenarios.Going{Progress: func() scenarios.Progress {
		asked <- struct{}{}
		return scenarios.Progress{Phase: "connect", Clients: 1000000, Live: load.Live{Open: 123456, Failed: 7}}
	}})
	<-asked
	<-asked // so that the first line is written
	watchers[0].End(nil)
	_ = theirs.Close()
	text, _ := io.ReadAll(ours) // it ends with EIO, for nobody has the other end
	got := string(text)
	if want := "\r\x1b[Kconnect: 123456/1000000 conne\r"; !strings.HasPrefix(got, want) {
		t.Errorf("it wrote %q, want %q first, cut to 29 columns", got, want)
	}
	if !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("it wrote %q, and did not clear the line", got)
	}
}
