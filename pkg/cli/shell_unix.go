//go:build unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// shell is a command line, which ends with all that it has started when ctx does.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line) //nolint:gosec // it is what the user asks for
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// endGroup asks a [shell] and all that it has started to end, or ends them by force.
func endGroup(cmd *exec.Cmd, force bool) {
	sig := syscall.SIGTERM
	if force {
		sig = syscall.SIGKILL
	}
	_ = syscall.Kill(-cmd.Process.Pid, sig) // mostly its error is that all have ended
}

// groupLives tells whether a [shell], which has been waited for, has left something
// behind that goes on.
func groupLives(cmd *exec.Cmd) bool {
	err := syscall.Kill(-cmd.Process.Pid, 0)
	return !errors.Is(err, syscall.ESRCH) && notOnlyZombies(cmd.Process.Pid)
}

// guardScript ends a process group when its standard input ends without a line.
const guardScript = `read -r done || { kill -s TERM -- "-$1"; sleep 5; kill -s KILL -- "-$1"; } 2>/dev/null`

// guard sees to it that a [shell] with all that it has started is ended when this
// process ends without doing so, by SIGKILL too: another process waits for the end of
// a pipe of which only this one has the other end. release must be called.
func guard(of *exec.Cmd) (release func(), err error) {
	cmd := exec.Command("sh", "-c", guardScript, "sh", strconv.Itoa(of.Process.Pid)) //nolint:gosec,noctx // it is ended through its standard input
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                            // so that Ctrl-C does not reach it
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard it: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard it: %w", err)
	}
	return func() {
		_, _ = io.WriteString(stdin, "\n") // its error is that the guard has ended
		_ = cmd.Wait()                     // how does not matter
	}, nil
}
