package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/cost"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/target"
	"github.com/sseload/sseload/scenarios"
)

// side is one of those that are compared: records that are there, or a load command
// that makes them.
type side struct {
	role     string   // "base", "new", or "new 2" and so on
	name     string   // as it was given, without secrets
	paths    []string // of the records, as they were given
	files    []*result.File
	campaign *campaign // nil: the records are there
	command  []string  // what the record says made it
}

// newSide finds out what a side is. common are the words of the load command that is
// made on URLs; none: there is none.
func (a *App) newSide(role, given string, common []string) (*side, error) {
	words, err := splitWords(given)
	if err != nil {
		return nil, usagef("close it", "%s: %w", given, err)
	}
	if len(words) > 1 && words[0] == "sseload" {
		words = words[1:]
	}
	_, isCommand := a.loadCommands()[first(words)]
	switch {
	case isCommand:
	case len(words) == 1 && strings.Contains(given, "://"):
		if len(common) == 0 {
			return nil, usagef("add for example -- rooms -c 600 -n 10", "%s is a URL, but no load command stands after --", target.Redacted(given))
		}
		words = append(slices.Clone(common), given)
	default:
		return a.recordedSide(role, given, words)
	}
	s := &side{role: role, name: target.Redacted(given), command: redacted(words)}
	if isCommand {
		s.name = strings.Join(s.command[1:], " ")
	}
	if s.campaign, err = a.parseLoad(words); err != nil {
		return nil, fmt.Errorf("%s: %w", role, err)
	}
	return s, nil
}

func first(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// recordedSide reads the records of a side: of a file, or of several with commas
// between.
func (a *App) recordedSide(role, given string, words []string) (*side, error) {
	s := &side{role: role, name: given}
	paths := []string{given}
	if _, err := os.Stat(given); err != nil {
		if len(words) > 1 {
			return nil, usagef("give a record file, a URL, or a command line in quotes, such as 'rooms -c 600 -n 10'",
				"%q is no load command: known are %s", words[0], strings.Join(slices.Sorted(maps.Keys(a.loadCommands())), " and "))
		}
		paths = strings.Split(given, ",")
	}
	if slices.Contains(paths, "") {
		return nil, usagef("give a record file, a URL, or a command line in quotes, such as 'rooms -c 600 -n 10'", "%s: no file is named by %q", role, given)
	}
	s.paths = paths
	for _, path := range paths {
		f, err := result.ReadFile(path)
		if err != nil {
			return nil, &hinted{err, "give a file that a run saved with -o json=FILE, a URL, or a command line in quotes, such as 'rooms -c 600 -n 10'"}
		}
		s.files = append(s.files, f)
	}
	return s, nil
}

// parseLoad prepares what the words of a load command ask for, as if they were typed.
func (a *App) parseLoad(words []string) (*campaign, error) {
	c := a.loadCommands()[words[0]]()
	(&cobra.Command{Use: "sseload"}).AddCommand(c.Command) // for its name in hints
	if err := c.ParseFlags(words[1:]); err != nil {
		return nil, flagError(c.Command, err)
	}
	for _, taken := range []struct{ flag, instead string }{
		{"repeat", "give --repeat to sseload compare, which makes the runs of the sides in turns"},
		{"output", "--save DIR keeps the records, and -o of sseload compare says how the comparison is written"},
	} {
		if c.Flags().Changed(taken.flag) {
			return nil, usagef(taken.instead, "--%s has no place in the command of a side", taken.flag)
		}
	}
	args := c.Flags().Args()
	if err := c.Args(c.Command, args); err != nil {
		return nil, err
	}
	if err := refuseEmpty(c.Flags()); err != nil {
		return nil, err
	}
	if err := bindEnvironment(c.Flags(), a.Env); err != nil {
		return nil, err
	}
	asked, err := c.prepare(args)
	if err == nil {
		asked.flags.repeat = 1 // the environment may say otherwise, but the turns are ours
	}
	return asked, err
}

// toRun are the sides whose runs are made now.
func toRun(sides []*side) []*side {
	return slices.DeleteFunc(slices.Clone(sides), func(s *side) bool { return s.campaign == nil })
}

// inTurns makes the runs of all sides that need it, from the turn called first to the
// one called last. Who begins changes from turn to turn, so that neither side has the
// better place.
func (a *App) inTurns(ctx context.Context, sides []*side, first, last int) error {
	ours := toRun(sides)
	for turn := first; turn <= last; turn++ {
		for _, s := range ours {
			a.note("%s, %d of %d: %s", s.role, turn, last, s.name)
			did := s.campaign.perform(ctx, a, setting{command: s.command, observers: a.observers(), repetition: turn})
			if did.file != nil {
				s.files = append(s.files, did.file)
				if did.err == nil && abortsSeries(did.file.Runs) {
					return fmt.Errorf("%s: %w", s.role, endedBy(scenarios.ErrCalledOff, did.file.Runs))
				}
			}
			if did.err != nil {
				if errors.Is(did.err, context.Canceled) {
					return did.err
				}
				return fmt.Errorf("%s: %w", s.role, s.campaign.conclude(a, did))
			}
		}
		slices.Reverse(ours)
	}
	return nil
}

// abortsSeries reports whether an --abort-on did not hold at the end of a run: what is
// made in turns is one series too.
func abortsSeries(runs []result.Run) bool {
	return slices.ContainsFunc(runs, func(r result.Run) bool {
		return slices.ContainsFunc(r.Thresholds, func(v result.Verdict) bool { return v.Abort && !v.Held })
	})
}

// record is all of a side's runs in one.
func (s *side) record() (*result.File, error) {
	merged, err := result.Merge(s.files...)
	if err != nil {
		return nil, err
	}
	all := *merged
	all.Costs = cost.Of(&all)
	return &all, nil
}

// saveTo writes the records of sides that were made to files of a folder.
func saveTo(folder string, sides []*side) error {
	var errs []error
	for _, s := range sides {
		if s.campaign == nil || len(s.files) == 0 {
			continue
		}
		errs = append(errs, s.saveTo(filepath.Join(folder, strings.ReplaceAll(s.role, " ", "-")+".json")))
	}
	return errors.Join(errs...)
}

func (s *side) saveTo(path string) error {
	record, err := s.record()
	if err != nil {
		return err
	}
	file, err := os.Create(path) //nolint:gosec // the user's own
	if err != nil {
		return fmt.Errorf("--save: %w", err)
	}
	if err := errors.Join(record.Write(file), file.Close()); err != nil {
		return fmt.Errorf("--save: %s: %w", path, err)
	}
	return nil
}

// errOpenQuote is the error of words of which the last does not end.
var errOpenQuote = errors.New("a quote is not closed")

// splitWords takes a command line apart as a POSIX shell does, but for what that would
// expand (IEEE Std 1003.1, Shell Command Language, section 2.2).
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	within, inWord, escaped := rune(0), false, false
	for _, r := range line {
		switch {
		case escaped:
			if within == '"' && !strings.ContainsRune("\"\\$`", r) {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && within != '\'':
			escaped, inWord = true, true
		case within != 0 && r == within:
			within = 0
		case within != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			within, inWord = r, true
		case strings.ContainsRune(" \t\n", r):
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if within != 0 || escaped {
		return nil, errOpenQuote
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
