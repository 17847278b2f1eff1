package stream

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(serverEnv) != "" {
		serveIdleClients()
		return
	}
	goleak.VerifyTestMain(m)
}
