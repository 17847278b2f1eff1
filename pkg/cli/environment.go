package cli

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

// environmentPrefix begins the names of the environment variables that stand in
// for flags: --connect-rate is SSELOAD_CONNECT_RATE.
const environmentPrefix = "SSELOAD_"

// environmentName is the variable that stands in for a flag.
func environmentName(flag string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// refuseEmpty finds a flag with an empty value on the command line, where that says
// nothing: most likely a variable of the shell was not set, and to go on without
// credentials, or by another way, would be a surprise.
func refuseEmpty(flags *pflag.FlagSet) error {
	var err error
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && emptied(f) {
			err = usagef("leave it out, or give it a value", "--%s is empty", f.Name)
		}
	})
	return err
}

// emptied reports whether f has an empty value, and should not.
func emptied(f *pflag.Flag) bool {
	return f.Value.Type() == "string" && f.Value.String() == "" && !mayBeEmpty(f.Name)
}

// mayBeEmpty reports whether nothing is a value of the flag.
func mayBeEmpty(flag string) bool { return flag == "send-body" || flag == "last-event-id" }

// bindEnvironment sets every flag that the command line did not set and the
// environment does. An empty variable counts as none, as continuous integration
// leaves those it has no value for.
func bindEnvironment(flags *pflag.FlagSet, env func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := environmentName(f.Name)
		value, ok := env(name)
		if !ok || value == "" || f.Changed || f.Name == "help" {
			return
		}
		if err := f.Value.Set(value); err != nil {
			errs = append(errs, valueError(name, value, err))
			return
		}
		f.Changed = true
	})
	return errors.Join(errs...)
}
