package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/report"
)

// print says what the plan comes to: each step as the command that does the same, and
// where its values are from.
func (c *expedition) print(a *App) error {
	var b strings.Builder
	for _, s := range c.steps {
		s.print(&b, a.verbose)
		b.WriteByte('\n')
	}
	b.WriteString("output\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, out := range c.outputs {
		from := "default"
		switch {
		case c.typed:
			from = "-o, or SSELOAD_OUTPUT in the environment"
		case out.Place.File != "":
			from = out.Place.String()
		}
		_, _ = fmt.Fprintf(w, "    %s\t%s\n", report.Clean(out.Value), report.Clean(from)) // into memory
	}
	_ = w.Flush()
	_, err := fmt.Fprint(a.Stdout, b.String())
	return err
}

// print writes one step: its name, its command line, and its values.
func (s *step) print(b *strings.Builder, defaults bool) {
	fmt.Fprintf(b, "%s\n  %s\n", report.Clean(s.name), report.Clean(report.ShellWords(s.redacted())))
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	line := func(name, value, from string) {
		_, _ = fmt.Fprintf(w, "    %s\t%s\t%s\n", name, report.Clean(value), report.Clean(from)) // into memory
	}
	if s.url != nil {
		line("url", redacted([]string{s.url.Value})[1], textOrigin(*s.url))
	}
	set := map[string]bool{}
	for _, v := range s.values {
		set[v.flag.Name] = true
		line(v.flag.Name, v.shown(), v.from)
	}
	if defaults {
		s.command.Flags().VisitAll(func(f *pflag.Flag) {
			if !set[f.Name] && f.Name != "output" {
				line(f.Name, f.DefValue, "default")
			}
		})
	}
	_ = w.Flush()
}

// shown is the value without its secrets.
func (v flagValue) shown() string {
	all := make([]string, len(v.text))
	for i, text := range v.text {
		all[i] = oneLine(redacted([]string{"--" + v.flag.Name, text})[2])
	}
	return strings.Join(all, ", ")
}
