package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/sseload/sseload/pkg/result"
)

// costs are tables of what one more client and one more copy cost, for the series
// that the table shows, each with a line that says how that is known.
func (t table) costs(f *result.File, escape func(string) string) ([]string, error) {
	var out []string
	for i := range f.Costs {
		c := &f.Costs[i]
		if len(c.Runs) == 0 || c.Runs[0] >= len(f.Runs) || !t.has(&f.Runs[c.Runs[0]]) {
			continue
		}
		text, err := costGrid(c).render(escape)
		if err != nil {
			return nil, err
		}
		out = append(out, text, t.fitted(f, c))
	}
	return out, nil
}

func (t table) has(run *result.Run) bool {
	return slices.ContainsFunc(t.rows, func(r row) bool { return r.run == run })
}

// fitted says what a series' costs were fitted to.
func (t table) fitted(f *result.File, c *result.Costs) string {
	which := ""
	if len(c.Runs) < len(t.rows) {
		for _, r := range t.rows {
			if slices.ContainsFunc(c.Runs, func(i int) bool { return i < len(f.Runs) && &f.Runs[i] == r.run }) {
				which += ", " + r.name
			}
		}
		which = " (" + which[2:] + ")"
	}
	through := strconv.Itoa(len(c.Runs))
	for _, s := range slopes(c) {
		if s != nil && s.Runs != len(c.Runs) {
			through = "at most " + strconv.Itoa(len(c.Runs)) // some do not know all figures
		}
	}
	return fmt.Sprintf("Slopes of lines through %s runs%s, ± half the 95 %% confidence interval. Kernel: sockets of both ends.\n", through, which)
}

func slopes(c *result.Costs) []*result.Slope {
	return []*result.Slope{
		c.TargetBytesPerClient, c.TargetCPUPerConnectNS, c.TargetCPUPerCopyNS,
		c.GeneratorBytesPerClient, c.GeneratorCPUPerConnectNS, c.GeneratorCPUPerCopyNS, c.SocketBytesPerClient,
	}
}

func costGrid(c *result.Costs) grid {
	g := grid{columns: []column{
		{head: "One more"}, {head: "target", right: true}, {head: "generator", right: true}, {head: "kernel", right: true},
	}}
	for _, r := range []struct {
		name                      string
		target, generator, kernel *result.Slope
		form                      func(v, plusMinus float64) string
	}{
		{"client: memory", c.TargetBytesPerClient, c.GeneratorBytesPerClient, c.SocketBytesPerClient, sizeWithin},
		{"client: CPU to connect", c.TargetCPUPerConnectNS, c.GeneratorCPUPerConnectNS, nil, durationWithin},
		{"copy: CPU", c.TargetCPUPerCopyNS, c.GeneratorCPUPerCopyNS, nil, durationWithin},
	} {
		if r.target == nil && r.generator == nil && r.kernel == nil {
			continue
		}
		cells := []string{r.name}
		for _, s := range []*result.Slope{r.target, r.generator, r.kernel} {
			cells = append(cells, known(s, func(s result.Slope) string { return r.form(s.Value, s.Error) }))
		}
		if r.kernel == nil {
			cells[3] = "" // its time is in that of the two
		}
		g.rows = append(g.rows, cells)
	}
	return g
}

// sizeWithin writes bytes with how far off they may be, in one unit.
func sizeWithin(v, plusMinus float64) string {
	return within(v, plusMinus, 1024, 100, "B", "KiB", "MiB", "GiB")
}

// durationWithin writes nanoseconds with how far off they may be, in one unit.
func durationWithin(v, plusMinus float64) string {
	return within(v, plusMinus, 1000, 1000, "ns", "µs", "ms", "s")
}

// within writes v ± plusMinus in the unit that suits the larger, in steps of step
// from the first, which is left at first. The error has two digits, and v as many
// decimals as that.
func within(v, plusMinus, step, first float64, units ...string) string {
	most := max(math.Abs(v), plusMinus)
	unit, limit := 0, first
	for unit < len(units)-1 && most >= limit {
		v, plusMinus, most = v/step, plusMinus/step, most/step
		unit++
		limit = 1000
	}
	decimals := min(2, max(0, 1-exponent(plusMinus, 2)))
	if plusMinus == 0 {
		decimals = 2
	}
	form := func(v float64) string {
		if math.Abs(v) < 0.5*math.Pow10(-decimals) {
			v = 0 // not -0
		}
		return strconv.FormatFloat(v, 'f', decimals, 64)
	}
	return form(v) + " ± " + form(plusMinus) + " " + units[unit]
}
