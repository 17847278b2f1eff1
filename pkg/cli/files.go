package cli

import (
	"fmt"
	"io"
	"os"
)

// mostInput bounds what is read of a file that the user names.
const mostInput = 64 << 20

// readInput is the content of a file, which must not be larger than that: it may be a
// device that never ends. The error names the file.
func readInput(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the user's own
	if err != nil {
		return nil, err
	}
	defer file.Close() // nothing was written
	text, err := io.ReadAll(io.LimitReader(file, mostInput+1))
	if err != nil {
		return nil, err
	}
	if len(text) > mostInput {
		return nil, fmt.Errorf("read %s: it is larger than %d MiB", path, mostInput>>20)
	}
	return text, nil
}
