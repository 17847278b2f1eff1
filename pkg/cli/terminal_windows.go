package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// understands has the console that f is take what is drawn on it for commands, as it
// does not by itself, and reports whether it will.
func understands(f *os.File) bool {
	console := windows.Handle(f.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(console, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
