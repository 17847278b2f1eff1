//go:build !linux

package profile

import "context"

// Perf is a process of this machine, seen through Linux' perf. On this system it
// is not to be had: that is a problem, and nothing else happens.
func Perf(int) Source { return noPerf{} }

type noPerf struct{}

func (noPerf) Name() string { return "perf" }

func (noPerf) kinds() []Kind { return []Kind{CPU} }

func (noPerf) close() {}

func (noPerf) begin(_ context.Context, _ []Kind, n *notes) recording {
	n.tell("perf profiles are of Linux alone")
	return noPerf{}
}

func (noPerf) end(context.Context) []capture { return nil }
