package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// canTerminal tells whether openTerminal works here.
func canTerminal() bool {
	_, err := os.Stat("/dev/ptmx")
	return err == nil
}

// openTerminal makes a pseudo-terminal of so many columns: our end and that of
// the program.
func openTerminal(columns int) (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	raw, err := ours.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(err, ours.Close())
	}
	var name string
	var failed error
	err = raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		if err != nil {
			failed = err
			return
		}
		name = fmt.Sprintf("/dev/pts/%d", n)
		failed = errors.Join(unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0),
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: uint16(columns)}))
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, nil, errors.Join(err, ours.Close())
	}
	if theirs, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err != nil {
		return nil, nil, errors.Join(err, ours.Close())
	}
	return ours, theirs, nil
}

// resize gives a terminal, of which ours is our end, another size.
func resize(ours *os.File, columns, rows int) error {
	return unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
}

// onTerminal makes the terminal on cmd's standard input its controlling one.
func onTerminal(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
}

// watchedProcess is a process that need not be our child.
type watchedProcess struct {
	pid int
	fd  int // a pidfd: it stays with this process, whoever gets its number
}

// childOf finds the only child of process pid.
func childOf(pid int) (*watchedProcess, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		// PID (NAME) STATE PPID …; the name may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return nil, err
			}
			found = append(found, child)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("process %d has %d children", pid, len(found))
	}
	fd, err := unix.PidfdOpen(found[0], 0)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", found[0], err)
	}
	return &watchedProcess{pid: found[0], fd: fd}, nil
}

// listensOn finds the address that the process listens on, as 127.0.0.1:PORT.
func (w *watchedProcess) listensOn() (string, error) {
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", w.pid))
	if err != nil {
		return "", err
	}
	sockets := map[string]bool{}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil {
			sockets[to] = true
		}
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return "", err
	}
	const listening, state, inode = "0A", 3, 9
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) <= inode || f[state] != listening || !sockets["socket:["+f[inode]+"]"] {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		port, err := strconv.ParseUint(hex, 16, 16)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("127.0.0.1:%d", port), nil
	}
	return "", fmt.Errorf("process %d does not listen", w.pid)
}

// gone returns when the process has ended, be it that its parent has not asked
// how yet.
func (w *watchedProcess) gone() error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
			return errPatience
		default:
			return nil
		}
	}
}

func (w *watchedProcess) release() { _ = unix.Close(w.fd) }
