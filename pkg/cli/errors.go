package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/spelling"
)

// usageError is a mistake in the command line: exit code 2.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Hint is what to do about it.
func (e *usageError) Hint() string {
	if e.hint == "" {
		return hintOf(e.err)
	}
	return e.hint
}

func usagef(hint, format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...), hint: hint}
}

// overloadError says that figures cannot be trusted: exit code 4.
type overloadError hinted

func (e *overloadError) Error() string { return e.err.Error() }

// Hint is what to do about it.
func (e *overloadError) Hint() string { return e.hint }

// thresholdError says that a threshold failed: exit code 3.
type thresholdError struct {
	text  string
	cause error // what ended the series, if that was done; else nil
}

func (e *thresholdError) Error() string { return e.text }
func (e *thresholdError) Unwrap() error { return e.cause }

// hinted is an error with a remedy.
type hinted struct {
	err  error
	hint string
}

func (e *hinted) Error() string { return e.err.Error() }
func (e *hinted) Unwrap() error { return e.err }

// Hint is what to do about it.
func (e *hinted) Hint() string { return e.hint }

// hintOf finds the remedy that err, or something it wraps, knows.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}

// flagError puts what pflag has to say into one line of ours.
func flagError(cmd *cobra.Command, err error) error {
	seeHelp := fmt.Sprintf("see %s --help", cmd.CommandPath())
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		return valueError("--"+value.GetFlag().Name, value.GetValue(), value.Unwrap())
	case errors.As(err, &unknown):
		dashes := "--"
		if unknown.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		if near := nearestFlag(cmd.Flags(), unknown.GetSpecifiedName()); near != "" {
			seeHelp = "did you mean --" + near + "?"
		}
		return usagef(seeHelp, "unknown flag %s%s", dashes, unknown.GetSpecifiedName())
	}
	return usagef(seeHelp, "%w", err)
}

// nearestFlag is the flag that name was probably meant to be, or empty.
func nearestFlag(flags *pflag.FlagSet, name string) string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return spelling.Nearest(name, names)
}

// valueError says that the value given for name, a flag or an environment
// variable, is not one.
func valueError(name, value string, err error) error {
	if errors.As(err, new(*strconv.NumError)) {
		err = errors.New("not a number")
	}
	text := strings.TrimPrefix(err.Error(), "time: ")
	if strings.Contains(text, "invalid duration") || strings.Contains(text, "missing unit in duration") ||
		strings.Contains(text, "unknown unit") && strings.Contains(text, "duration") {
		return usagef("write a number with its unit, such as 500ms, 30s or 2m", "%s=%s: not a duration", name, value)
	}
	shown := withoutUser(value)
	if name == inspectFlag || "--"+name == inspectFlag || name == environmentName(strings.TrimPrefix(inspectFlag, "--")) {
		shown = withoutPath(value) // in plans flags stand without dashes
	}
	return &usageError{err: fmt.Errorf("%s=%s: %w", name, shown, err), hint: hintOf(err)}
}

// withoutUser is a value that may be a URL, however broken, without a password.
func withoutUser(value string) string {
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		return "***" + value[at:]
	}
	return value
}

// noArguments refuses arguments with a line of ours.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef(hint, "unknown command %q", args[0])
	}
	return usagef(fmt.Sprintf("see %s --help", cmd.CommandPath()), "%s takes no argument, but got %q", cmd.CommandPath(), args[0])
}

// atMostOneURL checks the arguments of commands that take a URL.
func atMostOneURL(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef(fmt.Sprintf("see %s --help", cmd.CommandPath()), "one URL at most, but got %q too", args[1])
	}
	return nil
}
