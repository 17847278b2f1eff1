package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// roleVariable makes the test binary a child that startChild may start.
const roleVariable = "WITNESS_TEST_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	switch role {
	case "listen":
		fmt.Fprintln(os.Stdout, "to the file")
		fmt.Fprintln(os.Stderr, "child: listening on lo")
		<-interrupted
		fmt.Fprintln(os.Stderr, "0 packets dropped by kernel")
	case "refuse":
		fmt.Fprintln(os.Stderr, "child: lo: not permitted")
		os.Exit(1)
	case "hang":
		<-interrupted
	}
}

func self(t *testing.T, role string) string {
	t.Helper()
	t.Setenv(roleVariable, role)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func TestChild(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, err := startChild(context.Background(), file, self(t, "listen"))
	if err != nil {
		t.Fatal(err)
	}
	if said, want := c.stop(), []string{"child: listening on lo", "0 packets dropped by kernel"}; !slices.Equal(said, want) {
		t.Errorf("it said %q, want %q", said, want)
	}
	if b, err := os.ReadFile(file.Name()); err != nil || string(b) != "to the file\n" {
		t.Errorf("its output: %q, %v", b, err)
	}
}

func TestChildThatRefuses(t *testing.T) {
	_, err := startChild(context.Background(), nil, self(t, "refuse"))
	var refused *endedError
	if !errors.As(err, &refused) || err.Error() != "child: lo: not permitted" {
		t.Fatalf("error %v", err)
	}
	if text := captureError(err).Error(); !strings.Contains(text, "not permitted") || !strings.Contains(text, "CAP_NET_RAW") {
		t.Errorf("no remedy in %q", text)
	}
	if _, err := output(context.Background(), self(t, "refuse")); err == nil || !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("to its end: error %v", err)
	}
}

func TestChildIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := startChild(ctx, nil, self(t, "hang")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestParseDropped(t *testing.T) {
	lines := func(text string) []string { return strings.Split(text, "\n") }
	for _, test := range []struct {
		said []string
		want int
		ok   bool
	}{
		{lines("tcpdump: listening on lo\n200 packets captured\n400 packets received by filter\n0 packets dropped by kernel"), 0, true},
		{lines("1 packet captured\n1 packet received by filter\n1 packet dropped by kernel"), 1, true},
		{lines("0 packets dropped by kernel\n7 packets dropped by interface"), 7, true},
		{lines("7 packets dropped by interface"), 0, false},
		{lines("99999999999999999999 packets dropped by kernel"), 0, false},
		{lines("200 packets captured"), 0, false},
		{nil, 0, false},
	} {
		if got, err := parseDropped(test.said); got != test.want || (err == nil) != test.ok {
			t.Errorf("%q: %d, %v", test.said, got, err)
		}
	}
}

func TestAwaitText(t *testing.T) {
	// A file gives EOF and later more.
	growing := func(pieces ...string) io.Reader {
		var readers []io.Reader
		for _, piece := range pieces {
			readers = append(readers, strings.NewReader(piece))
		}
		return &patient{readers}
	}
	for _, file := range []io.Reader{
		growing("before " + farewell + " after"),
		growing("before wit", "ness=o", "ver"),
		growing(strings.Repeat("x", 3<<20), farewell),
		iotest.OneByteReader(strings.NewReader("wwitness=witness=over")),
	} {
		if err := awaitText(t.Context(), file, farewell); err != nil {
			t.Error(err)
		}
	}
	why := errors.New("too slow")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := awaitText(ctx, growing("witness=ove"), farewell); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
	if err := awaitText(t.Context(), iotest.ErrReader(why), farewell); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
}

// patient reads one after the other, with an end of file after each.
type patient struct{ readers []io.Reader }

func (p *patient) Read(b []byte) (int, error) {
	if len(p.readers) == 0 {
		return 0, io.EOF
	}
	n, err := p.readers[0].Read(b)
	if err == io.EOF {
		p.readers = p.readers[1:]
	}
	return n, err
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-run", " -c 6  -n 1 ", "-run", "-c 12", "-repeat", "2"}, io.Discard)
	if err != nil || !slices.Equal(o.runs, specs{"-c 6 -n 1", "-c 12"}) || len(o.limits) > 0 || o.repeat != 2 || o.tolerance != 100*time.Microsecond {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parseOptions(nil, io.Discard); err != nil || !slices.Equal(o.runs, defaultRuns()) || !slices.Equal(o.limits, defaultLimits()) || o.repeat != 3 || o.out != "results/witness" {
		t.Errorf("%+v, %v", o, err)
	}
	o, err = parseOptions([]string{"-limit", "-c 6 --senders all", "-run", "-c 6"}, io.Discard)
	if want := []shape{{"-c 6", false}, {"-c 6 --senders all", true}}; err != nil || !slices.Equal(o.shapes(), want) {
		t.Errorf("%+v, %v", o.shapes(), err)
	}
	if o, err = parseOptions([]string{"-limit", "-c 6"}, io.Discard); err != nil || len(o.runs) > 0 || len(o.limits) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{
		{"-repeat", "0"}, {"-tolerance", "-1s"}, {"-snaplen", "64"}, {"-snaplen", "999999999"}, {"-run", " "}, {"-limit", ""}, {"-c", "6"}, {"600"},
	} {
		var out, stderr bytes.Buffer
		if code := run(t.Context(), args, &out, &stderr); code != exitUsage || stderr.Len() == 0 || out.Len() > 0 {
			t.Errorf("%q: exit %d, %q", args, code, stderr.String())
		}
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, io.Discard, &stderr); code != exitAgreed || !strings.Contains(stderr.String(), "without -run and -limit \"-c 300 -n 50 --senders all\"") {
		t.Errorf("-h: exit %d, %q", code, stderr.String())
	}
}

func TestWithoutTcpdump(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := exec.LookPath("tcpdump"); err == nil {
		t.Fatal("tcpdump in an empty folder")
	}
	var out, stderr bytes.Buffer
	code := run(t.Context(), nil, &out, &stderr)
	if want := "witness: error: tcpdump is not installed: apt-get install tcpdump\n"; code != exitFailed || stderr.String() != want || out.Len() > 0 {
		t.Errorf("exit %d, %q, want %q", code, stderr.String(), want)
	}
}
