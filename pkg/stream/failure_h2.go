package stream

import (
	"errors"

	"github.com/sseload/sseload/pkg/stream/http2"
)

// doubted is err, the end of a connection without TLS whose server had not begun to
// speak HTTP/2, with what is likely the reason.
func doubted(err error) error {
	f := classify(err)
	if f.Class != ClosedEarly && f.Class != Reset {
		return err
	}
	if f.Class == ClosedEarly {
		f = errClosedUnopened
	}
	return failuref(f.Class, "%w; does it speak HTTP/2 without TLS?", f.Err)
}

// isHTTP2 reports whether err is about what HTTP/2 adds.
func isHTTP2(err error) bool { return classOfHTTP2(err) != "" }

// classOfHTTP2 is the class of such an error, and empty for others.
func classOfHTTP2(err error) Class {
	var (
		reset *http2.ResetError
		away  *http2.GoAwayError
		conn  *http2.ConnError
		one   *http2.StreamError
	)
	switch {
	case errors.As(err, &reset):
		return Reset
	case errors.As(err, &away), errors.Is(err, http2.ErrClosedEarly):
		return ClosedEarly
	case errors.As(err, &conn), errors.As(err, &one), errors.Is(err, http2.ErrNotHTTP2):
		return Protocol
	case errors.Is(err, http2.ErrLimit):
		return StreamLimit
	}
	return ""
}
