package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagSections are the flags of the load commands by what they are about, as help shows
// them.
//
//nolint:gochecknoglobals // a constant table
var flagSections = []struct {
	title string
	flags []string
}{
	{"What is done", []string{
		"clients", "iterations", "rate", "duration", "arrivals", "interval", "hold", "repeat", "room-size", "senders", "payload", "payload-size",
		"event", "slow-clients", "slow-rate", "timeout",
	}},
	{"Results, and what they are held to", []string{
		"output", "threshold", "abort-on", "strict", "label", "profile", "profile-dir",
		"prometheus", "prometheus-write", "otlp", "telemetry-interval", "telemetry-header",
	}},
	{"The server", []string{
		"server-command", "server-ready", "server-timeout", "server-log", "target-pid", "pprof-url", "inspect-url",
		"workers", "serve-addr", "serve-tls", "fault",
	}},
	{"Requests", []string{
		"header", "method", "body", "origin", "send-url", "send-method", "send-header", "send-body", "send-connections",
	}},
	{"Who the clients are", []string{
		"bearer", "bearer-file", "bearer-command", "jwt-secret", "jwt-claims", "user", "cookie", "cookie-jar", "affinity-cookie", "affinity-header",
	}},
	{"Connections", []string{
		"connect-rate", "connect-concurrency", "http", "streams-per-connection", "no-reconnect", "reconnect-jitter", "source", "resolve", "unix-socket",
		"cacert", "cert", "key", "insecure", "engine", "max-event-size",
	}},
}

// sectioned has a load command's help show its flags by what they are about. Flags in
// no section stand last.
func (a *App) sectioned(cmd *cobra.Command) {
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		var b strings.Builder
		columns, _ := terminalWidth(a.Stdout) // 0: as wide as it gets
		fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
		if cmd.HasExample() {
			fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
		}
		shown := map[string]bool{}
		section := func(title string, flags *pflag.FlagSet) {
			if flags.HasAvailableFlags() {
				fmt.Fprintf(&b, "\n%s:\n%s", title, flags.FlagUsagesWrapped(columns))
			}
		}
		for _, s := range flagSections {
			some := pflag.NewFlagSet(s.title, pflag.ContinueOnError)
			some.SortFlags = false
			for _, name := range s.flags {
				if f := cmd.Flags().Lookup(name); f != nil {
					some.AddFlag(f)
					shown[name] = true
				}
			}
			section(s.title, some)
		}
		others := pflag.NewFlagSet("others", pflag.ContinueOnError)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if !shown[f.Name] {
				others.AddFlag(f)
			}
		})
		section("Further flags", others)
		section("Global flags", cmd.InheritedFlags())
		_, err := fmt.Fprint(cmd.OutOrStderr(), b.String())
		return err
	})
}
