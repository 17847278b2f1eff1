//go:build !unix

package cli

import (
	"context"
	"os/exec"
	"strconv"
)

// shell is a command line, which ends when ctx does.
func shell(ctx context.Context, line string) *exec.Cmd {
	return exec.CommandContext(ctx, "cmd", "/C", line) //nolint:gosec // it is what the user asks for
}

// endGroup ends a [shell] and what it has started, by force: there is no asking.
func endGroup(cmd *exec.Cmd, _ bool) {
	tree := exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)) //nolint:gosec,noctx // it is quick
	if tree.Run() != nil {
		_ = cmd.Process.Kill() // mostly its error is that it has ended
	}
}

// groupLives would tell whether a [shell] has left something behind; that cannot be
// seen here.
func groupLives(*exec.Cmd) bool { return false }

// guard does nothing: here what a [shell] has started lives on when this process is
// killed, unless it ends with its standard input.
func guard(*exec.Cmd) (release func(), err error) { return func() {}, nil }
