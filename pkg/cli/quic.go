package cli

import "os"

// quietQUIC keeps quic-go from writing to stderr by itself that the system grants its
// sockets little memory.
func quietQUIC() error { return os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") }
