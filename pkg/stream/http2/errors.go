package http2

import (
	"errors"
	"fmt"
	"strconv"
)

// The errors of this package that have no fields. What is returned wraps them and
// says more.
var (
	// ErrClosedEarly: the connection ended, or the stream did short of its length.
	ErrClosedEarly = errors.New("connection closed early")
	// ErrNotHTTP2: what the server says is no HTTP/2 at all.
	ErrNotHTTP2 = errors.New("not HTTP/2")
	// ErrLimit: the server allows no further stream now, or none at all any more.
	ErrLimit = errors.New("no further stream is allowed")
)

// Code is an error code, RFC 9113 section 7.
type Code uint32

// The error codes.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

//nolint:gochecknoglobals // a constant table
var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// String is the name that the specification gives c.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "error code " + strconv.FormatUint(uint64(c), 10)
}

// ConnError is a connection error: the server broke the rules in a way that leaves
// nothing of the connection.
type ConnError struct {
	Code Code
	Text string
}

func (e *ConnError) Error() string {
	return "malformed http/2: " + e.Text + " (" + e.Code.String() + ")"
}

func connErrorf(c Code, format string, args ...any) error {
	return &ConnError{Code: c, Text: fmt.Sprintf(format, args...)}
}

// StreamError is a stream error that this side found: a response that breaks the
// rules.
type StreamError struct {
	Code Code
	Text string
}

func (e *StreamError) Error() string {
	return "malformed http/2 response: " + e.Text + " (" + e.Code.String() + ")"
}

func streamErrorf(c Code, format string, args ...any) *StreamError {
	return &StreamError{Code: c, Text: fmt.Sprintf(format, args...)}
}

// ResetError says that the server reset the stream, RFC 9113 section 6.4.
type ResetError struct{ Code Code }

func (e *ResetError) Error() string {
	switch e.Code {
	case RefusedStream:
		return "the server refused the stream (REFUSED_STREAM) and did not process the request"
	case HTTP11Required:
		return "the server reset the stream (HTTP_1_1_REQUIRED): it wants the request over HTTP/1.1"
	}
	return "the server reset the stream (" + e.Code.String() + ")"
}

// GoAwayError says that the server goes away, RFC 9113 section 6.8.
type GoAwayError struct {
	Last  uint32 // the last stream that it may have processed
	Code  Code
	Debug string // the beginning of what it says about that
	// Unprocessed says that the stream that ends with this error has not been
	// processed.
	Unprocessed bool
}

func (e *GoAwayError) Error() string {
	text := "the server goes away (GOAWAY, " + e.Code.String()
	if e.Debug != "" {
		text += ", " + strconv.QuoteToASCII(e.Debug)
	}
	text += ")"
	if e.Unprocessed {
		text += " and did not process the request"
	}
	return text
}
