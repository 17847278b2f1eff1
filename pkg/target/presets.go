package target

// Preset is how a known kind of server lays out its URLs, for users who name
// only its scheme, host and port.
type Preset struct {
	Name      string
	Subscribe string // path, with keys
	Send      string // path, with keys; POST with the payload as body
}

// Reference is the layout of the bundled reference server.
//
//nolint:gochecknoglobals // a constant table
var Reference = Preset{Name: "reference", Subscribe: "/events?room={room}", Send: "/rooms/{room}/messages"}

// presetFor chooses the preset for a URL without a path. One is known today, and
// it needs no probing.
func presetFor(l location) (Preset, bool) { return Reference, l.bare }
