package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/cost"
	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/threshold"
)

func (a *App) reportCommand() *cobra.Command {
	var specs []string
	var thresholds thresholdFlags
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Render saved records again in any format",
		Long: `Reads records that a run saved with -o json=FILE and renders them. Several files
become one record: their runs stand in one table in the order of the files.`,
		Example: `  sseload report run.json
  sseload report before.json after.json -o markdown=both.md -o csv
  sseload report run.json --threshold 'delivery.lost == 0'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("save one with -o json=FILE", "%s needs a file", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			files := make([]*result.File, len(args))
			for i, path := range args {
				f, err := result.ReadFile(path)
				if err != nil {
					return &hinted{err, "give files that a run saved with -o json=FILE"}
				}
				files[i] = f
			}
			outputs, err := openOutputs(a, specs)
			if err != nil {
				return err
			}
			defer outputs.close()
			if err := outputs.spare(args...); err != nil {
				return err
			}
			for i, path := range args {
				rebase(files[i], filepath.Dir(path), filepath.Dir(outputs.record()))
			}
			merged, err := result.Merge(files...)
			if err != nil {
				return err
			}
			merged.Costs = cost.Of(merged)
			return thresholds.rejudge(merged.Runs, func() error { return fromOne(args, outputs.render(merged)) })
		},
	}
	thresholds.add(cmd.Flags(), threshold.Anything())
	addOutputFlag(cmd.Flags(), &specs)
	return cmd
}

// fromOne is an error about what stands in the files, which names the file if it is the
// only one.
func fromOne(files []string, err error) error {
	if err == nil || len(files) > 1 || errors.As(err, new(*fs.PathError)) {
		return err // of several, it names the run; and what could not be written was not read
	}
	return fmt.Errorf("%s: %w", files[0], err)
}
