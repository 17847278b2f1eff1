package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// notOnlyZombies tells whether a member of the process group lives. One that has ended
// remains until it is waited for, which in containers nobody may do.
func notOnlyZombies(group int) bool {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(all) == 0 {
		return true // which cannot be told
	}
	own := []byte(strconv.Itoa(group))
	for _, path := range all {
		text, err := os.ReadFile(path) //nolint:gosec // of the system
		if err != nil {
			continue // gone meanwhile
		}
		// PID (NAME) STATE PPID PGRP …, proc_pid_stat(5); the name may hold anything.
		f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(f) > 2 && bytes.Equal(f[2], own) && f[0][0] != 'Z' && f[0][0] != 'X' {
			return true
		}
	}
	return false
}

// beneathShell is the process to observe of a [shell]: the one that it has started, if
// it does no more than wait for that; else the shell.
func beneathShell(pid int) int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(pid) + "/children") //nolint:gosec // of the system
	if err != nil {
		return pid // kernels may be without it
	}
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm") //nolint:gosec // of the system
	children := bytes.Fields(text)
	if err != nil || len(children) != 1 || string(bytes.TrimSpace(name)) != "sh" {
		return pid
	}
	child, err := strconv.Atoi(string(children[0]))
	if err != nil {
		return pid
	}
	return child
}
