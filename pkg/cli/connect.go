package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/threshold"
	"github.com/sseload/sseload/scenarios"
)

type connectOptions struct {
	load loadFlags
	hold time.Duration
}

func (a *App) connectCommand() loadCommand {
	var o connectOptions
	cmd := &cobra.Command{
		Use:   "connect [URL]",
		Short: "How long does it take to connect N clients?",
		Long: `Connects N EventSource clients and says how long that took, what failed and what
it cost. A client is connected when it has read status 200 and the content type
text/event-stream. Without a URL the bundled server is started for each run.`,
		Example: `  sseload connect --clients 5000
  sseload connect --clients 1000,2000,3000,4000,5000
  sseload connect http://127.0.0.1:8123 -c 2000 --hold 30s
  sseload connect 'https://example.test/events/{room}' -c 500 --bearer TOKEN --connect-rate 100/s`,
		Args: atMostOneURL,
	}
	flags := cmd.Flags()
	most := threshold.Anything()
	most.Sends = false
	o.load.add(flags, "for a client to open", most)
	flags.DurationVar(&o.hold, "hold", 0, "keep the clients this long and count those that are dropped")
	return a.typed(loadCommand{Command: cmd, prepare: func(args []string) (*campaign, error) { return o.prepare(a, args) }})
}

func (o *connectOptions) prepare(a *App, args []string) (*campaign, error) {
	if err := o.load.check(); err != nil {
		return nil, err
	}
	if o.hold < 0 {
		return nil, usagef("write for example --hold 30s", "--hold: %s is less than nothing", o.hold)
	}
	asked := o.load.figures()
	asked.Hold = o.hold > 0
	if err := o.load.thresholds.check(asked); err != nil {
		return nil, err
	}
	server, _, err := o.load.server(a, args, true, &sendFlags{})
	if err != nil {
		return nil, err
	}
	return &campaign{flags: &o.load, server: server, sends: noSends, all: o.scenarios}, nil
}

// noSends is how many connections the sends of a scenario without any take.
func noSends(bool) int { return 0 }

func (o *connectOptions) scenarios(at place, l result.Labels) []scenarios.Scenario {
	var all []scenarios.Scenario
	for _, n := range o.load.clients {
		all = append(all, scenarios.Connect{Load: o.load.asked(n, at.sources, l), Hold: o.hold})
	}
	return all
}
