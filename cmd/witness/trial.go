package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// trial is one run of sseload, seen from both sides.
type trial struct {
	shape
	number    int // of the repetition, from 1
	testimony testimony
	report    report
	host      host
	wrong     []string // empty: they agree
	beyond    []string // latencies of a limit that differ
}

// try does one run: capture, server, load, and what the packets say of it.
func try(ctx context.Context, o options, s shape, number int, dir string) (trial, error) {
	t := trial{shape: s, number: number}
	port, err := freePort()
	if err != nil {
		return t, err
	}
	captured, recorded := filepath.Join(dir, "capture.pcap"), filepath.Join(dir, "record.json")
	dropped, err := capture(ctx, o, port, captured, func() error {
		return load(ctx, o, s.spec, port, recorded)
	})
	if err != nil {
		return t, err
	}
	b, err := os.ReadFile(recorded)
	if err != nil {
		return t, err
	}
	rec, err := parseRecord(b)
	if err != nil {
		return t, err
	}
	t.report, t.host = rec.Runs[0], rec.Host
	file, err := os.Open(captured)
	if err != nil {
		return t, err
	}
	defer file.Close()
	if t.testimony, err = hear(file, port); err != nil {
		return t, err
	}
	t.judge(o.tolerance)
	if dropped > 0 {
		t.wrong = append(t.wrong, fmt.Sprintf("%d packets dropped by the kernel before tcpdump had them", dropped))
	}
	return t, nil
}

// freePort finds a port that nobody has: the capture's filter must know it before
// the server does.
func freePort() (uint16, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	return port, l.Close()
}

// tcpdumpArguments capture the traffic of a port on loopback. The file is written
// to standard output, because tcpdump gives up the rights of root before it opens
// one itself and may then not be allowed to.
func tcpdumpArguments(snaplen int, port string) []string {
	return []string{
		"-i", "lo", "-n", "-U", "-B", "65536", "--time-stamp-precision=nano",
		"-s", strconv.Itoa(snaplen), "-w", "-", "tcp", "port", port,
	}
}

// capture runs during while tcpdump writes what goes over the port to a file. It
// gives how many packets the kernel had to drop.
func capture(ctx context.Context, o options, port uint16, path string, during func() error) (dropped int, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	dump, err := startChild(ctx, file, "tcpdump", tcpdumpArguments(o.snaplen, strconv.Itoa(int(port)))...)
	if err != nil {
		return 0, errors.Join(captureError(err), file.Close())
	}
	err = during()
	if err == nil {
		err = catchUp(ctx, path, port)
	}
	said := dump.stop()
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, err
	}
	return parseDropped(said)
}

// captureError adds the remedy.
func captureError(err error) error {
	var refused *endedError
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("tcpdump is not installed: apt-get install tcpdump")
	case errors.As(err, &refused):
		return fmt.Errorf("tcpdump cannot capture on lo (%w): run it on Linux as root or with CAP_NET_RAW", err)
	}
	return fmt.Errorf("tcpdump: %w", err)
}

var dropLine = regexp.MustCompile(`^(\d+) packets? dropped by (kernel|interface)`)

// parseDropped reads tcpdump's last words.
func parseDropped(said []string) (int, error) {
	dropped, told := 0, false
	for _, line := range said {
		if match := dropLine.FindStringSubmatch(line); match != nil {
			n, err := strconv.Atoi(match[1])
			if err != nil {
				return 0, fmt.Errorf("tcpdump says %q: %w", line, err)
			}
			dropped += n
			told = told || match[2] == "kernel"
		}
	}
	if !told {
		return 0, fmt.Errorf("tcpdump does not say how many packets the kernel dropped: %q", said)
	}
	return dropped, nil
}

// farewell is what the last connection of a capture says.
const farewell = "witness=over"

// catchUp waits until the capture file holds all that has happened. The kernel
// hands packets to tcpdump in blocks, up to a second late, and those in a block
// that is not full are lost when tcpdump ends; so one more connection is made, and
// waited for in the file.
func catchUp(ctx context.Context, path string, port uint16) error {
	ctx, cancel := context.WithTimeoutCause(ctx, grace, errors.New("tcpdump does not write what it captures"))
	defer cancel()
	// The load has ended, and the server with it: another one listens for this.
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer l.Close()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, farewell); err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return awaitText(ctx, file, farewell)
}

// awaitText reads a growing file until a text turns up in it.
func awaitText(ctx context.Context, file io.Reader, text string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	chunk := make([]byte, 1<<20)
	kept := 0 // bytes at the start of chunk that may begin the text
	for {
		n, err := file.Read(chunk[kept:])
		if bytes.Contains(chunk[:kept+n], []byte(text)) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		tail := chunk[max(0, kept+n-len(text)+1) : kept+n]
		kept = copy(chunk, tail)
		if n > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// serveArguments start a server that says nothing by itself.
func serveArguments(port string) []string {
	return []string{"serve", "--addr", "127.0.0.1:" + port, "--heartbeat", "0s", "--status-interval", "0s"}
}

func roomsArguments(spec, port, record string) []string {
	args := []string{"rooms", "http://127.0.0.1:" + port}
	args = append(args, strings.Fields(spec)...)
	return append(args, "-o", "json="+record, "-q")
}

// load starts a server and has sseload load it.
func load(ctx context.Context, o options, spec string, port uint16, record string) error {
	at := strconv.Itoa(int(port))
	server, err := startChild(ctx, nil, o.sseload, serveArguments(at)...)
	if err != nil {
		return fmt.Errorf("%s serve: %w", o.sseload, err)
	}
	defer server.stop()
	if _, err := output(ctx, o.sseload, roomsArguments(spec, at, record)...); err != nil {
		return fmt.Errorf("%s rooms %s: %w", o.sseload, spec, err)
	}
	return nil
}
