package threshold

import (
	"strings"

	"github.com/sseload/sseload/pkg/figure"
)

// wholes says of which figure others are a part, by their full names. One that ends
// with a dot stands for all that begin with it.
//
//nolint:gochecknoglobals // a constant table
var wholes = []struct {
	whole string
	parts []string
}{
	{"connect.attempted", []string{"connect.opened", "connect.failed", "connect.failures."}},
	{"connect.opened", []string{
		"connect.dropped", "connect.drops.", "reconnect.clients", "reconnect.gave_up", "reconnect.away",
		"delivery.clients_affected", "affinity.unknown", "affinity.moved",
	}},
	{"delivery.expected", []string{
		"delivery.received", "delivery.lost", "delivery.duplicate", "delivery.reordered", "delivery.misrouted", "delivery.late",
		"delivery.unordered", "reconnect.missed", "reconnect.replayed", "reconnect.replayed_twice",
	}},
	{"delivery.iterations", []string{"delivery.incomplete"}},
	{"delivery.sends.attempted", []string{
		"delivery.sends.failed", "delivery.sends.failures.", "delivery.sends.behind", "delivery.sends.crowded", "delivery.sends.unanswered",
	}},
	{"delivery.slow.clients", []string{"delivery.slow.dropped"}},
	{"delivery.slow.expected", []string{"delivery.slow.received", "delivery.slow.lost", "delivery.slow.drained"}},
	{"delivery.slow.neighbours_expected", []string{"delivery.slow.neighbours_lost"}},
	{"reconnect.attempts", []string{"reconnect.reopened", "reconnect.failures."}},
	{"affinity.rooms", []string{"affinity.rooms_split"}},
	{"machine.memory_total", []string{"machine.memory_used"}},
}

// WholeOf is the figure that f is a part of.
func WholeOf(f figure.Figure) (whole figure.Figure, ok bool) {
	for _, w := range wholes {
		for _, part := range w.parts {
			if f.Name == part || strings.HasSuffix(part, ".") && strings.HasPrefix(f.Name, part) {
				whole, err := figure.Lookup(w.whole)
				return whole, err == nil
			}
		}
	}
	return figure.Figure{}, false
}
