package observe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleVariable makes the test binary one of the subjects below instead.
const roleVariable = "OBSERVE_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		obey()
		return
	}
	goleak.VerifyTestMain(m)
}

// obey carries out commands from standard input, answering each with one line,
// until the input ends: a subject does nothing that it was not told to.
func obey() {
	in := bufio.NewScanner(os.Stdin)
	var kept [][]byte
	var files []*os.File
	var children []*subject
	var watcher *Watcher
	for in.Scan() {
		command, argument, _ := strings.Cut(in.Text(), " ")
		answer := "done"
		switch command {
		case "burn": // milliseconds of CPU time; answers with what was really used
			n, _ := strconv.Atoi(argument)
			answer = fmt.Sprint(int64(burn(time.Duration(n) * time.Millisecond)))
		case "allocate": // MiB; answers with its own view of the growth, bytes
			n, _ := strconv.Atoi(argument)
			before := ReadSelf()
			block := make([]byte, n<<20)
			for i := 0; i < len(block); i += 512 {
				block[i] = 1
			}
			kept = append(kept, block)
			answer = fmt.Sprint(*ReadSelf().RSSBytes - *before.RSSBytes)
		case "open": // files
			n, _ := strconv.Atoi(argument)
			for range n {
				f, err := os.Open(os.DevNull)
				if err != nil {
					answer = err.Error()
					break
				}
				files = append(files, f)
			}
		case "phase": // begins one of this name, watching itself
			if watcher == nil {
				watcher = New(Config{Interval: time.Hour})
			}
			watcher.Phase(argument)
		case "stalls": // of a phase, after the end of all; with the phase's length
			r := watcher.Stop()
			s, _ := r.Stalls(argument)
			p, _ := r.Phase(argument)
			answer = fmt.Sprint(s.Count, s.TotalNS, s.MaxNS, p.ElapsedNS)
		case "spawn": // a subject of its own; answers with its pid
			s, err := spawn(nil)
			if err != nil {
				answer = err.Error()
				break
			}
			children = append(children, s)
			answer = strconv.Itoa(s.cmd.Process.Pid)
		case "tell": // the youngest child
			answer = children[len(children)-1].tell(argument)
		case "reap": // the youngest child, after its end
			s := children[len(children)-1]
			children = children[:len(children)-1]
			s.end()
		}
		_, _ = fmt.Fprintln(os.Stdout, answer)
	}
	for _, s := range children {
		s.end()
	}
	fmt.Fprint(io.Discard, len(kept), len(files)) // in use until here
}

// burn uses CPU time until this process has used so much more, and gives how
// much it was.
func burn(d time.Duration) time.Duration {
	begin, _, _ := selfCPU()
	for x := 1.0; ; {
		for range 100_000 {
			x = x*1.0000001 + 1e-9
		}
		if now, _, ok := selfCPU(); !ok || now-begin >= d || x < 0 {
			return now - begin
		}
	}
}

// subject is a process to observe.
type subject struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func spawn(listener *os.File) (*subject, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe)
	// Without the second, the race detector would hold up each exit by a second.
	cmd.Env = append(os.Environ(), roleVariable+"=subject", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	if listener != nil {
		cmd.ExtraFiles = []*os.File{listener}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &subject{cmd, in, bufio.NewScanner(out)}
	if answer := s.tell("open 0"); answer != "done" { // it runs, so it has memory and files of its own
		s.end()
		return nil, fmt.Errorf("subject says %q", answer)
	}
	return s, nil
}

func start(t *testing.T) *subject {
	t.Helper()
	s, err := spawn(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

// tell gives a command and waits for its answer.
func (s *subject) tell(command string) string {
	if _, err := fmt.Fprintln(s.in, command); err != nil {
		return err.Error()
	}
	if !s.out.Scan() {
		return fmt.Sprint("no answer: ", s.out.Err())
	}
	return s.out.Text()
}

func (s *subject) number(t *testing.T, command string) int64 {
	t.Helper()
	answer := s.tell(command)
	n, err := strconv.ParseInt(answer, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return n
}

func (s *subject) end() {
	s.in.Close()
	_ = s.cmd.Wait() // reaped already, or killed on purpose
}

func (s *subject) tree(t *testing.T) *Tree {
	t.Helper()
	tree, err := NewTree(s.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func listen(t *testing.T, addr string) (*net.TCPListener, string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	switch {
	case err != nil && strings.HasPrefix(addr, "["):
		t.Skipf("no IPv6 here: cannot listen on %s: %v", addr, err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener), l.Addr().String()
}

// closeEnough allows for the CPU time that a subject uses to take and answer
// the command, and for coarse clocks.
func closeEnough(got, want time.Duration) bool {
	diff := got - want
	return diff > -want/5-50*time.Millisecond && diff < want/5+50*time.Millisecond
}
