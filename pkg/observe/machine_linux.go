package observe

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"time"
)

// machine reads the state of the whole machine. It is not safe for concurrent
// use.
type machine struct {
	proc  prober
	cores int64
	since time.Time // where the clock of busy starts
}

func (m *machine) read() machineReading {
	var r machineReading
	r.cpu, r.coarse = m.busy(), true
	r.at = time.Now()
	r.cores = m.cores
	if b, err := m.proc.slurp("/proc/meminfo"); err == nil {
		total, available := field(b, "MemTotal:"), field(b, "MemAvailable:")
		if total.ok {
			r.total = known(total.v << 10)
		}
		if total.ok && available.ok {
			r.used = known((total.v - available.v) << 10)
		}
	}
	if b, err := m.proc.slurp("/proc/net/sockstat"); err == nil {
		if _, tcp, ok := bytes.Cut(b, []byte("TCP: ")); ok {
			if pages := field(tcp, " mem"); pages.ok {
				r.sockets = known(pages.v * int64(os.Getpagesize()))
			}
		}
	}
	return r
}

// busy gives the time that the cores together have been busy, in nanoseconds
// since some moment in the past.
//
// It is told by what is left of the clock once idle time is taken off. The
// kernel measures idleness exactly, whereas it finds out what a busy core was
// busy with by looking at each tick, which misjudges work that comes in bursts
// shorter than a tick: what a server of events does. Time stolen by a
// hypervisor is idle here.
func (m *machine) busy() opt {
	if m.since.IsZero() {
		m.cores, m.since = countCores(), time.Now()
	}
	b, err := m.proc.slurp("/proc/stat")
	clock := time.Since(m.since)
	if err != nil || m.cores == 0 {
		return opt{}
	}
	// cpu user nice system idle iowait irq softirq steal …; see proc_stat(5).
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	var idle int64
	for i, word := range bytes.Fields(line) {
		switch i {
		case 4, 5, 8:
			idle += number(word) * tick
		}
	}
	return known(int64(clock)*m.cores - idle)
}

// countCores counts the cores of the machine, which may be more than this
// process is allowed to use.
func countCores() int64 {
	file, err := os.Open("/proc/stat")
	if err != nil {
		return 0
	}
	defer file.Close()
	var n int64
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) > 3 && bytes.HasPrefix(line, []byte("cpu")) && line[3] >= '0' && line[3] <= '9' {
			n++
		}
	}
	return n
}

// field finds the number behind a name.
func field(b []byte, name string) opt {
	i := bytes.Index(b, []byte(name))
	if i < 0 {
		return opt{}
	}
	b = bytes.TrimLeft(b[i+len(name):], " \t")
	if len(b) == 0 || b[0] < '0' || b[0] > '9' {
		return opt{}
	}
	return known(number(b))
}

// network reads the counters of this network namespace.
func (m *machine) network() networkCounters {
	return networkCounters{
		overflows:   counter("/proc/net/netstat", "TcpExt:", "ListenOverflows"),
		drops:       counter("/proc/net/netstat", "TcpExt:", "ListenDrops"),
		retransmits: counter("/proc/net/snmp", "Tcp:", "RetransSegs"),
	}
}

// tcpSockets tells how many there are in this network namespace, and what they take
// as objects of the kernel, in bytes.
func (m *machine) tcpSockets() (count, size opt) {
	b, err := os.ReadFile("/proc/net/protocols")
	if err != nil {
		return opt{}, opt{}
	}
	return parseProtocols(b)
}

// parseProtocols adds up the lines of both TCPs: a protocol's name, the size of its
// socket in bytes, and how many of those there are.
func parseProtocols(protocols []byte) (count, size opt) {
	for line := range bytes.Lines(protocols) {
		words := bytes.Fields(line)
		if len(words) < 3 || string(words[0]) != "TCP" && string(words[0]) != "TCPv6" {
			continue
		}
		n := number(words[2])
		count = known(count.v + n)
		size = known(size.v + n*number(words[1]))
	}
	return count, size
}

// counter finds a value in a file of line pairs: a line of names, then one of
// values, both with the same first word.
func counter(path, group, name string) opt {
	b, err := os.ReadFile(path)
	if err != nil {
		return opt{}
	}
	column := -1
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != group {
			continue
		}
		if column >= 0 && column < len(words) {
			return known(number([]byte(words[column])))
		}
		for i, word := range words {
			if word == name {
				column = i
			}
		}
	}
	return opt{}
}
