package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

func TestReport(t *testing.T) {
	cause := errors.New("cause")
	for _, test := range []struct {
		name string
		err  error
		code int
		text string
	}{
		{"none", nil, exitOK, ""},
		{"plain", cause, exitError, "sseload: error: cause\n"},
		{"with a hint", &hinted{cause, "do this"}, exitError, "sseload: error: cause\nsseload: hint: do this\n"},
		{"with an empty hint", &hinted{cause, ""}, exitError, "sseload: error: cause\n"},
		{"a hint below", fmt.Errorf("over: %w", &hinted{cause, "do this"}), exitError, "sseload: error: over: cause\nsseload: hint: do this\n"},
		{"usage", usagef("write that", "bad %d", 1), exitUsage, "sseload: error: bad 1\nsseload: hint: write that\n"},
		{"usage without a hint", usagef("", "bad"), exitUsage, "sseload: error: bad\n"},
		{"usage with a hint below", &usageError{err: &hinted{cause, "do this"}}, exitUsage, "sseload: error: cause\nsseload: hint: do this\n"},
		{"usage below", fmt.Errorf("over: %w", usagef("write that", "bad")), exitUsage, "sseload: error: over: bad\nsseload: hint: write that\n"},
		{"several lines", errors.Join(cause, errors.New("other\r\nmore")), exitError, "sseload: error: cause; other; more\n"},
		{"a hint of several lines", &hinted{cause, "do\nthat"}, exitError, "sseload: error: cause\nsseload: hint: do; that\n"},
		{"what a terminal takes for a command", errors.New("a\x1b[31m\u0007b\tc\u0085d"), exitError, "sseload: error: a [31m b c d\n"},
		{"interrupted", fmt.Errorf("run: %w", context.Canceled), exitInterrupted, ""},
		{"interrupted, and another", errors.Join(context.Canceled, cause), exitInterrupted, ""},
		{"deadline", context.DeadlineExceeded, exitError, "sseload: error: context deadline exceeded\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b strings.Builder
			a := &App{Stderr: &b}
			if code := a.report(test.err); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if b.String() != test.text {
				t.Errorf("it says %q, want %q", b.String(), test.text)
			}
		})
	}
}

func TestValueError(t *testing.T) {
	for _, test := range []struct {
		err        error
		text, hint string
	}{
		{&hinted{errors.New("0 is less than 1"), "more"}, "--x=v: 0 is less than 1", "more"},
		{errors.New("other"), "--x=v: other", ""},
		{errors.New(`time: invalid duration "v"`), "--x=v: not a duration", "write a number with its unit, such as 500ms, 30s or 2m"},
		{errors.New(`time: missing unit in duration "3"`), "--x=v: not a duration", "write a number with its unit, such as 500ms, 30s or 2m"},
		{errors.New(`time: unknown unit "y" in duration "3y"`), "--x=v: not a duration", "write a number with its unit, such as 500ms, 30s or 2m"},
	} {
		err := valueError("--x", "v", test.err)
		if err.Error() != test.text || hintOf(err) != test.hint {
			t.Errorf("valueError(%v): %q, hint %q; want %q, %q", test.err, err, hintOf(err), test.text, test.hint)
		}
		if !errors.As(err, new(*usageError)) {
			t.Errorf("valueError(%v) is no usage error", test.err)
		}
	}
}

// A value that is refused may be a secret all the same.
func TestErrorsTellNoSecrets(t *testing.T) {
	errs := map[string]error{}
	for _, name := range []string{inspectFlag, "inspect-url", "SSELOAD_INSPECT_URL"} {
		for _, value := range []string{"ws://[::1/hunter2", "tcp://h/hunter2", "hunter2"} {
			errs[name+"="+value] = valueError(name, value, (&inspectURL{}).Set(value))
		}
	}
	for _, line := range []string{"hunter2", "Bearer hunter2", "Authorization Bearer hunter2: x", "Authorization: hunter2\n"} {
		_, err := target.New(target.Spec{URL: "http://h/", Headers: []string{line + "\nhunter2"}})
		errs["--header "+line] = err
		_, err = telemetryHeader([]string{line + "\nhunter2"})
		errs["--telemetry-header "+line] = err
	}
	for what, err := range errs {
		if err == nil || strings.Contains(err.Error()+hintOf(err), "hunter2") {
			t.Errorf("%q: %v", what, err)
		}
	}
}

// TestExplain expects a remedy for every class of failure that has one, and the
// failure's own words unchanged.
func TestExplain(t *testing.T) {
	failure := func(c stream.Class, status int) error {
		return fmt.Errorf("no client: %w", &stream.Failure{Class: c, Status: status, Err: errors.New("said")})
	}
	for _, test := range []struct {
		err  error
		hint string // a part of it
	}{
		{nil, ""},
		{errors.New("other"), ""},
		{failure(stream.Status, 401), "--bearer"},
		{failure(stream.Status, 403), "--bearer"},
		{failure(stream.Status, 404), "path"},
		{failure(stream.Status, 429), "--connect-rate"},
		{failure(stream.Status, 503), "--connect-rate"},
		{failure(stream.Status, 500), "log"},
		{failure(stream.Status, 502), "log"},
		{failure(stream.Status, 418), ""},
		{failure(stream.ContentType, 0), "no event stream"},
		{failure(stream.TimedOut, 0), "proxy"},
		{failure(stream.Protocol, 0), "scheme"},
		{failure(stream.TLS, 0), "--cacert"},
		{failure(stream.Refused, 0), "running"},
		{failure(stream.NoFiles, 0), "doctor"},
		{failure(stream.NoPorts, 0), "doctor"},
		{failure(stream.Reset, 0), ""},
		{failure(stream.Proxy, 0), "NO_PROXY"},
		{failure(stream.Status, 407), "USER:PASSWORD"},
		{&stream.Failure{Class: stream.Status, Status: 502, Proxied: true, Err: errors.New("said")}, "NO_PROXY"},
		{&stream.Failure{Class: stream.TLS, Err: &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}}, "--cert"},
	} {
		got := explain(test.err)
		if !errors.Is(got, test.err) {
			t.Errorf("explain(%v) = %v is another error", test.err, got)
		}
		if test.err != nil && got.Error() != test.err.Error() {
			t.Errorf("explain(%v) says %q", test.err, got)
		}
		if hint := hintOf(got); (test.hint == "") != (hint == "") || !strings.Contains(hint, test.hint) {
			t.Errorf("explain(%v) hints %q, want %q", test.err, hint, test.hint)
		}
	}
}

func TestUnreachable(t *testing.T) {
	direct := target.Spec{URL: "http://h/"}
	socket := target.Spec{URL: "http://h/", Unix: "/run/app.sock"}
	proxied := target.Spec{URL: "http://h/", Proxy: func(*url.URL) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "p"}, nil }}
	for _, test := range []struct {
		spec target.Spec
		err  error
		hint string
	}{
		{direct, fmt.Errorf("connect: %w", syscall.ECONNREFUSED), "is the server running, and on this port"},
		{direct, &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}, "check the host's name"},
		{direct, fmt.Errorf("connect: %w", context.DeadlineExceeded), "firewall"},
		{direct, errors.New("other"), ""},
		{socket, fmt.Errorf("connect: %w", syscall.ECONNREFUSED), "at this path"},
		{socket, fmt.Errorf("connect: %w", syscall.ENOENT), "at this path"},
		{proxied, fmt.Errorf("connect: %w", syscall.ECONNREFUSED), "HTTP_PROXY"},
	} {
		tg, err := target.New(test.spec)
		if err != nil {
			t.Fatal(err)
		}
		got := unreachable(tg, test.err)
		if hint := hintOf(got); (test.hint == "") != (hint == "") || !strings.Contains(hint, test.hint) {
			t.Errorf("unreachable(%v) hints %q, want %q", test.err, hint, test.hint)
		}
		if got.Error() != test.err.Error() {
			t.Errorf("unreachable(%v) says %q", test.err, got)
		}
	}
	if code := (&App{}).report(unreachable(nil, context.Canceled)); code != exitInterrupted {
		t.Errorf("a look-up that the user stopped exits with %d", code)
	}
}

func TestListenError(t *testing.T) {
	for _, test := range []struct {
		err  error
		hint string
	}{
		{fmt.Errorf("listen: %w", syscall.EADDRINUSE), "another server holds port 8123"},
		{fmt.Errorf("listen: %w", syscall.EACCES), "above 1023"},
		{errors.New("other"), ""},
	} {
		if hint := hintOf(listenError(test.err, "127.0.0.1:8123")); (test.hint == "") != (hint == "") || !strings.Contains(hint, test.hint) {
			t.Errorf("listenError(%v) hints %q, want %q", test.err, hint, test.hint)
		}
	}
}
