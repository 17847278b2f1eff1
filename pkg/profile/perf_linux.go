package profile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/pprof/profile"
)

// Perf is a process of this machine with its descendants, seen through Linux' perf,
// which has to be installed, from 5.10 on, and permitted. Children that it starts
// during a phase are seen too. The kernel's part is seen where that is permitted.
func Perf(pid int) Source { return &perf{pid: pid, program: "perf"} }

type perf struct {
	pid     int
	program string
	temp    string // where its data is meanwhile, "" for the system's place
}

func (*perf) Name() string { return "perf" }

func (*perf) kinds() []Kind { return []Kind{CPU} }

func (*perf) close() {}

func (s *perf) begin(ctx context.Context, _ []Kind, n *notes) recording {
	r := &perfRecording{source: s, notes: n}
	if err := r.start(ctx); err != nil {
		n.tell("the cpu profile of process %d: %v", s.pid, err)
		r.discard()
	}
	return r
}

// perfRecording is one phase, with one perf record. It is empty if that could not
// begin.
type perfRecording struct {
	source *perf
	notes  *notes

	folder string // for perf's data
	record *exec.Cmd
	tell   *os.File // commands to it
	hear   *os.File // answers from it
	kill   context.CancelFunc
	said   bounded
	exited chan struct{} // closed when record has, with what it said
	began  time.Time
}

const (
	// perfStop is how long perf record may take to write down what it has.
	perfStop = 4 * time.Second
	// perfReap is how long the pipe of a perf that was killed is waited for.
	perfReap = time.Second
)

func (r *perfRecording) start(ctx context.Context) error {
	if r.source.pid <= 0 {
		return errors.New("there is no such process") // 0 is everybody's ancestor
	}
	program, err := exec.LookPath(r.source.program)
	if err != nil {
		return errors.New("perf is not installed (on Debian linux-perf, on Ubuntu linux-tools-generic)")
	}
	r.source.program = program
	if r.folder, err = os.MkdirTemp(r.source.temp, "sseload-perf-"); err != nil {
		return err
	}
	commands, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	defer commands.Close()
	// These stay open until it has ended: perf stumbles over a hangup.
	r.tell = tell
	hear, answers, err := os.Pipe()
	if err != nil {
		return err
	}
	r.hear = hear
	defer answers.Close()

	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	r.kill = kill
	// It begins switched off, and says when it has switched on. Build ids are
	// for looking at the data later or elsewhere.
	r.record = command(life, program, "record", "-F", strconv.Itoa(perfFrequency), "-g", "-e", "cpu-clock",
		"-B", "-N", "-p", pidList(family(r.source.pid)), "-o", r.data(), "--delay=-1", "--control", "fd:3,4")
	r.record.ExtraFiles = []*os.File{commands, answers}
	r.record.Stderr = &r.said
	if err := r.record.Start(); err != nil {
		kill()
		r.record = nil
		return fmt.Errorf("perf: %w", err)
	}
	r.exited = make(chan struct{})
	go func() {
		defer close(r.exited)
		_ = r.record.Wait() // it ends by a signal, or said why
	}()
	// The ends that perf has now are its own: hear ends when it does.
	_ = errors.Join(commands.Close(), answers.Close())
	return r.enable(ctx)
}

// enable switches perf on and waits until it says that it is.
func (r *perfRecording) enable(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(beginWait)
	}
	interrupted := context.AfterFunc(ctx, func() { _ = r.hear.SetReadDeadline(time.Now()) })
	defer interrupted()
	if err := r.hear.SetReadDeadline(deadline); err != nil {
		return err
	}
	_, err := io.WriteString(r.tell, "enable\n")
	if err == nil {
		var line string
		line, err = bufio.NewReader(io.LimitReader(r.hear, 64)).ReadString('\n')
		if err == nil && strings.HasPrefix(line, "ack") {
			r.began = time.Now()
			return nil
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("perf did not begin in time")
	}
	r.kill() // it is about to end anyway
	<-r.exited
	return r.refusal()
}

// refusal makes an error out of perf's own words.
func (r *perfRecording) refusal() error {
	said := r.said.String()
	switch {
	case strings.Contains(said, "perf_event_paranoid") || strings.Contains(said, "ermission") || strings.Contains(said, "not permitted"):
		return errors.New("perf is not permitted: run as root, or give CAP_PERFMON, or set the sysctl kernel.perf_event_paranoid to 1 if the process is your own")
	case strings.Contains(said, "unknown option"):
		return errors.New("this perf is too old: it takes 5.10 or later")
	}
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line != "" && line != "Error:" && line != "Events disabled" && !strings.HasPrefix(line, "WARNING:") {
			return fmt.Errorf("perf says: %s", clean(line, maxName))
		}
	}
	return errors.New("perf ended at once: is there such a process?")
}

func (r *perfRecording) data() string { return filepath.Join(r.folder, "perf.data") }

// discard leaves nothing behind.
func (r *perfRecording) discard() {
	if r.exited != nil {
		r.kill()
		<-r.exited
	}
	_ = errors.Join(r.tell.Close(), r.hear.Close()) // nil ones too
	if r.folder != "" {
		_ = os.RemoveAll(r.folder) // a temporary one
	}
	r.began = time.Time{}
}

func (r *perfRecording) end(ctx context.Context) []capture {
	defer r.discard()
	if r.began.IsZero() {
		return nil
	}
	elapsed := time.Since(r.began)
	if err := r.interrupt(ctx); err != nil {
		r.notes.tell("the cpu profile of process %d: %v", r.source.pid, err)
		return nil
	}
	data, err := r.script(ctx)
	if err != nil {
		r.notes.tell("the cpu profile of process %d: perf script: %v", r.source.pid, err)
	}
	if data == nil || err != nil && len(data.Sample) == 0 {
		return nil
	}
	data.TimeNanos, data.DurationNanos = r.began.UnixNano(), int64(elapsed)
	return []capture{{kind: CPU, began: r.began, elapsed: elapsed, data: data}}
}

// interrupt ends perf record in the way that makes it finish its file.
func (r *perfRecording) interrupt(ctx context.Context) error {
	// An error means that it has ended, as it does with the last of its
	// processes.
	_ = r.record.Process.Signal(syscall.SIGINT)
	late := time.NewTimer(perfStop)
	defer late.Stop()
	select {
	case <-r.exited:
		return nil
	case <-ctx.Done():
	case <-late.C:
	}
	return errors.New("perf did not end in time")
}

// script has perf turn its data into text, and reads that as it comes. With an
// error there may be a part.
func (r *perfRecording) script(ctx context.Context) (*profile.Profile, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var said bounded
	// Inlined functions would take an addr2line each.
	cmd := command(ctx, r.source.program, "script", "-i", r.data(), "--no-inline", "-F", perfFields)
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	data, err := fromPerfScript(out)
	late := ctx.Err() != nil
	if err != nil {
		cancel()
	}
	ended := cmd.Wait()
	switch {
	case late:
		return data, errors.New("it took too long, the profile is a part")
	case err != nil:
		return data, err
	case ended != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
		return data, fmt.Errorf("%w: %s", ended, clean(line, maxName))
	}
	return data, nil
}

// command is one of perf, which neither hears the terminal's Ctrl-C nor outlives
// this process.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = perfReap
	// It would look for symbols in the network.
	cmd.Env = append(cmd.Environ(), "DEBUGINFOD_URLS=", "LC_ALL=C")
	return cmd
}

// bounded keeps the beginning of what is written to it.
type bounded struct{ buf bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.buf.Write(p[:min(len(p), maxExcuse-b.buf.Len())])
	return len(p), nil
}

func (b *bounded) String() string { return b.buf.String() }

// family is a process with its descendants, by what /proc knows.
func family(pid int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{pid}
	}
	for _, e := range entries {
		child, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if parent, ok := parentOf(child); ok {
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		for _, child := range children[all[i]] {
			if !slices.Contains(all, child) {
				all = append(all, child)
			}
		}
	}
	return all
}

// parentOf reads the fourth field of proc(5)'s stat, after the name in brackets,
// which may hold anything.
func parentOf(pid int) (int, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false // it has ended
	}
	_, rest, ok := strings.Cut(string(stat[max(0, bytes.LastIndexByte(stat, ')')):]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 {
		return 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, err == nil
}

func pidList(pids []int) string {
	var list []string
	for _, pid := range pids {
		list = append(list, strconv.Itoa(pid))
	}
	return strings.Join(list, ",")
}
