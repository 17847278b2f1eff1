package cli

import (
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
