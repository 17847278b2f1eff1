//go:build !windows

package cli

import "os"

// understands reports whether the terminal f takes what is drawn on it for commands, as
// all do.
func understands(*os.File) bool { return true }
