package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/sseload/sseload/pkg/sse"
	"github.com/sseload/sseload/pkg/stream/http1"
)

// Class says in one or two words why a subscription or a send failed.
type Class string

// The classes of failures.
const (
	Refused     Class = "refused"      // nothing listens there
	TimedOut    Class = "timed out"    // no answer within the timeout
	Reset       Class = "reset"        // the peer cut the connection
	Unreachable Class = "unreachable"  // no route to the host
	DNS         Class = "dns"          // no such host
	TLS         Class = "tls"          // handshake or certificate
	Proxy       Class = "proxy"        // a proxy refused to connect
	Status      Class = "status"       // an HTTP status other than the one needed
	ContentType Class = "content type" // not text/event-stream
	ClosedEarly Class = "closed early" // ended where the protocol does not let it end
	Protocol    Class = "protocol"     // not the version of HTTP that it should be, or not as it must be
	Ended       Class = "ended"        // the server's clean end of an open stream
	NoPorts     Class = "no ports"     // this machine's local ports are used up
	NoFiles     Class = "no files"     // this process' file descriptors are used up
	StreamLimit Class = "stream limit" // the server allows no more streams on the connection
	Other       Class = "other"
)

// Classes are all of them.
//
//nolint:gochecknoglobals // a constant table
var Classes = []Class{
	Refused, TimedOut, Reset, Unreachable, DNS, TLS, Proxy, Status, ContentType, ClosedEarly, Protocol, Ended, NoPorts, NoFiles, StreamLimit, Other,
}

// Failure is why a subscription is not open, or a send did not succeed.
type Failure struct {
	Class  Class
	Status int // with class Status, the code
	Err    error
	// Proxied says that the response came through a proxy, which may be what made it.
	Proxied bool
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap is the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Key is the name under which failures of one kind are counted: the class, and
// the code of a status.
func (f *Failure) Key() string {
	if f.Class == Status {
		return "status " + strconv.Itoa(f.Status)
	}
	return string(f.Class)
}

// Permanent reports whether an EventSource must not reconnect after f: a status
// other than 200 or a wrong content type, HTML section 9.2.3.
func (f *Failure) Permanent() bool { return f.Class == Status || f.Class == ContentType }

// ByPeer reports whether it is the server that broke TLS off: what it found wrong is
// with the client, and mostly the want of a certificate.
func (f *Failure) ByPeer() bool { return isRemote(f.Err) }

func isRemote(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

func failuref(c Class, format string, args ...any) *Failure {
	return &Failure{Class: c, Err: fmt.Errorf(format, args...)}
}

// errEnded stands for the server's clean end of an open stream.
var errEnded = errors.New("the server ended the stream")

// classify finds the class of err, which must not be nil.
func classify(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	class := Other
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, errEnded):
		class = Ended
	case isHTTP2(err):
		class = classOfHTTP2(err)
	case errors.Is(err, http1.ErrClosedEarly), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		class = ClosedEarly
	case errors.Is(err, http1.ErrMalformed), errors.Is(err, http1.ErrHeadTooLarge), errors.Is(err, sse.ErrEventTooLarge):
		class = Protocol
	case errors.As(err, &dns):
		class = DNS
	case isTLS(err):
		class = TLS
	case isRefused(err), errors.Is(err, syscall.ENOENT): // of a Unix socket
		class = Refused
	case isReset(err):
		class = Reset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		class = Unreachable
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EADDRINUSE):
		class = NoPorts
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		class = NoFiles
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT),
		errors.As(err, &timeout) && timeout.Timeout():
		class = TimedOut
	}
	return &Failure{Class: class, Err: err}
}

func isTLS(err error) bool {
	var (
		record tls.RecordHeaderError
		alert  tls.AlertError
		verify *tls.CertificateVerificationError
		auth   x509.UnknownAuthorityError
		host   x509.HostnameError
		cert   x509.CertificateInvalidError
	)
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) ||
		errors.As(err, &auth) || errors.As(err, &host) || errors.As(err, &cert) ||
		isRemote(err) // with TLS 1.3 its verdict on the client comes after the handshake
}

// redirect is how checkHead tells that the response is one.
type redirect struct {
	status   int
	location string
}

func (r *redirect) Error() string { return "redirect to " + strconv.Quote(r.location) }

// checkHead decides what a response to a subscribe request means: nil for an
// open stream, HTML section 9.2.3; a *redirect, or a *Failure.
func checkHead(status int, contentType, location, contentEncoding []byte) error {
	switch status {
	case 200:
		if !isEventStream(contentType) {
			return failuref(ContentType, "the content type is %q, not text/event-stream", clip(contentType))
		}
		if len(contentEncoding) > 0 && !bytes.EqualFold(contentEncoding, []byte("identity")) {
			return failuref(Protocol, "the content encoding is %q, which was not asked for", clip(contentEncoding))
		}
		return nil
	case 301, 302, 303, 307, 308:
		if len(location) == 0 { // the answer itself, Fetch section 4.4, which is not 200
			return &Failure{Class: Status, Status: status, Err: fmt.Errorf("a redirect (status %d) without a location", status)}
		}
		return &redirect{status: status, location: string(location)}
	}
	return statusFailure(status)
}

// openTimeout says what was still missing when the time to open was up.
func openTimeout(connected bool, timeout time.Duration) *Failure {
	what := "no connection"
	if connected {
		what = "no response headers"
	}
	return failuref(TimedOut, "%s within %s", what, timeout)
}

// sendTimeout is openTimeout for a send.
func sendTimeout(connected bool, timeout time.Duration) *Failure {
	what := "no connection for the send"
	if connected {
		what = "no response to the send"
	}
	return failuref(TimedOut, "%s within %s", what, timeout)
}

func statusFailure(status int) *Failure {
	f := failuref(Status, "the server answered %d", status)
	f.Status = status
	return f
}

// isEventStream compares the essence of a content type, MIME Sniffing section 4.
func isEventStream(contentType []byte) bool {
	essence, _, _ := bytes.Cut(contentType, []byte{';'})
	return bytes.EqualFold(bytes.TrimSpace(essence), []byte("text/event-stream"))
}

// clip bounds text of a server for an error message.
func clip(text []byte) string {
	const most = 80
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
