package scenarios

import (
	"context"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/result"
)

// strange is a scenario that does not say how much there is to do.
type strange struct{}

func (strange) Name() string                                   { return "strange" }
func (strange) Run(context.Context, *Env) (*result.Run, error) { return nil, nil }

func TestExtent(t *testing.T) {
	const s = time.Second
	of := Load{Clients: 600, RoomSize: 6}
	slow := of
	slow.Ramp = load.Ramp{Rate: 100}
	for _, test := range []struct {
		name string
		of   Scenario
		want Extent
	}{
		{"connect", Connect{Load: of}, Extent{Clients: 600}},
		{"connect at a rate, and hold", Connect{Load: slow, Hold: 30 * s}, Extent{Clients: 600, Connecting: 6 * s, Lasts: 30 * s}},
		{"iterations", Rooms{Load: of, Iterations: 10}, Extent{Clients: 600, Copies: 6000}},
		{"iterations of all", Rooms{Load: of, Iterations: 10, Senders: load.AllInRoom}, Extent{Clients: 600, Copies: 36_000}},
		{"with pauses", Rooms{Load: of, Iterations: 10, Interval: s}, Extent{Clients: 600, Copies: 6000, Lasts: 9 * s}},
		{"for some time", Rooms{Load: of, Duration: 20 * s}, Extent{Clients: 600, Lasts: 20 * s}},
		{"whatever is over first", Rooms{Load: of, Iterations: 10, Duration: 20 * s}, Extent{Clients: 600, Copies: 6000, Most: 20 * s}},
		{"an arrival rate", Rooms{Load: of, Duration: 20 * s, Arrivals: &load.Arrivals{Rate: 500}}, Extent{Clients: 600, Lasts: 20 * s}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := ExtentOf(test.of); !ok || got != test.want {
				t.Errorf("%+v, %t, want %+v", got, ok, test.want)
			}
		})
	}
	if got, ok := ExtentOf(strange{}); ok {
		t.Errorf("it says %+v of what does not say", got)
	}
}
