//go:build !unix

package cli

import (
	"context"
	"os/exec"
)

// shell is a command line, which ends when ctx does.
func shell(ctx context.Context, line string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", line) //nolint:gosec // it is what the user asks for
}
