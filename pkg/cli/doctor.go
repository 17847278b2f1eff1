package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/observe"
)

type doctorOptions struct {
	clients         count
	sendConnections count
	workers         count
	remote          bool
}

func (a *App) doctorCommand() *cobra.Command {
	o := doctorOptions{clients: 5000, sendConnections: 64, workers: 1}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "What this machine allows, and how to lift it",
		Long: `Shows the limits that bound a load on this machine (file descriptors, local ports,
listen backlog, memory), what so many clients need of each, how many clients fit,
and the command that lifts what is too low. Exit code 1 when they do not fit.`,
		Example: `  sseload doctor
  sseload doctor --clients 15000
  sseload doctor --clients 50000 --remote`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return o.run(a) },
	}
	flags := cmd.Flags()
	flags.VarP(&o.clients, "clients", "c", "number of clients to plan for")
	flags.Var(&o.sendConnections, "send-connections", "connections that carry messages in")
	flags.Var(&o.workers, "workers", "worker processes of the bundled server")
	flags.BoolVar(&o.remote, "remote", false, "the target is on another machine, not the bundled server")
	return cmd
}

func (o *doctorOptions) run(a *App) error {
	if _, _, _, err := observe.RaiseFiles(); err != nil {
		a.log().Debug("the limit of open files cannot be raised", "err", err)
	}
	limits := observe.ReadLimits()
	plan := observe.Plan{Clients: int(o.clients), SendConnections: int(o.sendConnections), Workers: int(o.workers), ConnectConcurrency: 256}
	if !o.remote {
		plan.BundledServer, plan.LoopbackTarget, plan.LocalTarget = true, true, true
	}
	findings := observe.Check(plan, limits)
	if err := o.print(a.Stdout, limits, plan, findings); err != nil {
		return err
	}
	if err := observe.Refusal(findings); err != nil {
		return fmt.Errorf("%d clients do not fit: %w", plan.Clients, err)
	}
	return nil
}

func (o *doctorOptions) print(out io.Writer, limits observe.Limits, plan observe.Plan, findings []observe.Finding) error {
	var b strings.Builder // so that there is one write, and one error
	b.WriteString("This machine\n")
	for _, s := range limits.Settings() {
		fmt.Fprintf(&b, "  %s\t%s\t%s\n", s.Name, s.Value, s.Text)
	}
	fmt.Fprintf(&b, "\n%d clients need\n", plan.Clients)
	for _, f := range findings {
		allowed := "unknown"
		if f.Allowed != nil {
			allowed = f.Unit.Format(*f.Allowed)
		}
		fmt.Fprintf(&b, "  %s\t%s\tof %s\t%s\n", f.Limit, f.Unit.Format(f.Needed), allowed, f.Verdict)
		if f.Verdict != observe.OK {
			fmt.Fprintf(&b, "    %s\n", f.Text)
		}
		if f.Remedy != "" {
			fmt.Fprintf(&b, "    lift it: %s\n", f.Remedy)
		}
	}
	if most, by := observe.Capacity(plan, limits); by == "" {
		b.WriteString("\nNothing here bounds the number of clients.\n")
	} else {
		fmt.Fprintf(&b, "\nUp to %d clients fit; the next limit is %s.\n", most, by)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 4, 2, ' ', 0)
	_, err := io.WriteString(w, b.String())
	if err = errors.Join(err, w.Flush()); err != nil {
		return err
	}
	text := table.String()
	if width, ok := terminalWidth(out); ok {
		text = fold(text, width)
	}
	_, err = io.WriteString(out, text)
	return err
}

// foldIndent stands before what did not fit into a line.
const foldIndent = "      "

// fold breaks lines of text that are wider than width at a space.
func fold(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		for utf8.RuneCountInString(strings.TrimRight(line, "\n")) > width {
			cut := strings.LastIndexByte(line[:min(width+1, len(line))], ' ')
			if strings.TrimSpace(line[:max(cut, 0)]) == "" {
				break // one long word
			}
			b.WriteString(strings.TrimRight(line[:cut], " ") + "\n")
			line = foldIndent + strings.TrimLeft(line[cut:], " ")
		}
		b.WriteString(line)
	}
	return b.String()
}
