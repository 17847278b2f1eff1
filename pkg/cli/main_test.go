package cli

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// TestMain makes the test binary the program itself when it is called sseload:
// that is how scripts run it, and how it runs itself as the bundled server.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"sseload": Main})
}

// leakChecked fails a run that leaves goroutines behind.
type leakChecked struct{ m *testing.M }

func (c leakChecked) Run() int {
	code := c.m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		return max(code, 1)
	}
	return code
}
