//go:build !linux

package cli

import (
	"errors"
	"os"
	"os/exec"
)

var errLinuxOnly = errors.New("this test knows only how Linux does it")

func canTerminal() bool { return false }

func openTerminal(int) (ours, theirs *os.File, err error) { return nil, nil, errLinuxOnly }

func resize(*os.File, int, int) error { return errLinuxOnly }

func onTerminal(*exec.Cmd) {}

type watchedProcess struct{ pid int }

func childOf(int) (*watchedProcess, error) { return nil, errLinuxOnly }

func (*watchedProcess) listensOn() (string, error) { return "", errLinuxOnly }
func (*watchedProcess) gone() error                { return errLinuxOnly }
func (*watchedProcess) release()                   {}
