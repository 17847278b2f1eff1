package target

import "fmt"

// Version is a version of HTTP.
type Version int

// The versions of HTTP over which event streams are served. The zero value is
// HTTP/1.1.
const (
	HTTP1 Version = iota
	HTTP2         // over TLS by ALPN, or over plain TCP by prior knowledge (h2c), RFC 9113 section 3
	HTTP3         // over QUIC, RFC 9114
)

// Versions are those that there are.
//
//nolint:gochecknoglobals // a constant table
var Versions = []Version{HTTP1, HTTP2, HTTP3}

// String is the name users know v by.
func (v Version) String() string {
	switch v {
	case HTTP1:
		return "1.1"
	case HTTP2:
		return "2"
	case HTTP3:
		return "3"
	}
	return fmt.Sprintf("Version(%d)", int(v))
}
