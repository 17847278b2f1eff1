package observe

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
)

// Unlimited stands for a limit that is known to be none.
const Unlimited int64 = math.MaxInt64

// Limits is what a machine allows. Nil means that the value is not known, or
// that the system has no such thing.
type Limits struct {
	OS string // as runtime.GOOS

	// Open files: of this process, of any process, of the whole system.
	FilesSoft      *int64
	FilesHard      *int64
	FilesMax       *int64 // what the hard limit can be raised to; fs.nr_open, kern.maxfilesperproc
	SystemFiles    *int64
	SystemFilesNow *int64 // in use

	// The local ports that outgoing connections get, both ends included, and
	// how many of them are reserved for other uses.
	PortLow, PortHigh *int64
	PortsReserved     *int64

	Somaxconn  *int64 // connections that may wait in one listen queue
	SynBacklog *int64 // half-open connections to one listener

	// Memory of all TCP sockets' data together, in bytes: where the kernel
	// begins to save, where it refuses, and how much is in use.
	TCPMemPressure, TCPMemMax, TCPMemNow *int64
	TCPReadBuffer, TCPWriteBuffer        *int64 // default bound of one socket's data, bytes

	MemoryTotal, MemoryAvailable *int64 // bytes
	CgroupMemory                 *int64 // bytes; the tightest of the control groups this process is in
	CgroupMemoryNow              *int64
	CgroupPIDs                   *int64 // processes and threads
	CgroupPIDsNow                *int64

	Conntrack    *int64 // connections that the firewall can keep track of
	ConntrackNow *int64

	Cores int // that this process may use
	// LoopbackSources tells whether all of 127.0.0.0/8 is local, so that
	// connections can come from as many addresses as needed.
	LoopbackSources bool
}

// ReadLimits finds out what this machine allows. It needs no privileges and
// takes a few milliseconds; what cannot be found out is nil.
func ReadLimits() Limits {
	l := Limits{OS: runtime.GOOS, Cores: runtime.NumCPU()}
	readSystem(&l)
	return l
}

// Memory that clients are known to take, in bytes.
const (
	// EpollClientBytes is the user memory of one idle client of the epoll
	// engine: the budget that a benchmark keeps.
	EpollClientBytes int64 = 512

	// SocketPairBytes is the kernel memory of one idle connection of which both
	// ends are on this machine, each in an epoll set: two TCP sockets, two
	// files, two epoll entries. Measured on Linux 6.18 (x86-64) as the growth
	// of Slab in /proc/meminfo over 5,000 pairs on loopback that had exchanged
	// 200 bytes each way, divided by 5,000: 8,114 to 8,377 bytes in five rounds,
	// of which 7,680 before the epoll entries. TCP memory in
	// /proc/net/sockstat grew by nothing. BenchmarkSocketPair repeats it.
	SocketPairBytes int64 = 8200

	// SocketBytes is the same for a connection with one end here.
	SocketBytes = SocketPairBytes / 2

	// UnreadBytes is what one socket takes of the limit tcp_mem while even a
	// short event waits to be read: a page. Measured beside SocketPairBytes:
	// 4,608 pages more in sockstat for 5,000 sockets with 200 bytes unread.
	UnreadBytes int64 = 4096

	// ServerClientBytes is the user memory allowed for one client of the
	// bundled server. It is an allowance, not a measurement, and therefore
	// gives warnings only.
	ServerClientBytes int64 = 16 << 10

	processBytes int64 = 32 << 20 // of any of our processes without clients
	processFiles int64 = 64       // standard streams, event loops, outputs, listeners
)

// Plan is a load in the terms that limits are about. The zero value of each
// field stands for what is said beside it.
type Plan struct {
	Clients            int
	SendConnections    int   // that carry messages in, beside the clients' streams
	Sources            int   // local addresses that the user gave; 0: none given
	Targets            int   // destinations, as address and port; 0: one
	LoopbackTarget     bool  // in 127.0.0.0/8 (set it false for [::1], which has one address only)
	UnixTarget         bool  // reached by a Unix socket, which takes no ports, and nothing of TCP's
	LocalTarget        bool  // on this machine under any address; implied by the two others
	BundledServer      bool  // started by this program on this machine
	ConnectConcurrency int   // connections being opened at once; 0: all
	Workers            int   // server processes of the bundled server; 0: one
	ClientBytes        int64 // user memory of a client; 0: EpollClientBytes
}

func (p Plan) connections() int64 { return int64(p.Clients) + int64(p.SendConnections) }
func (p Plan) targets() int64     { return max(1, int64(p.Targets)) }
func (p Plan) workers() int64     { return max(1, int64(p.Workers)) }
func (p Plan) local() bool        { return p.LocalTarget || p.LoopbackTarget || p.BundledServer }

func (p Plan) clientBytes() int64 {
	if p.ClientBytes > 0 {
		return p.ClientBytes
	}
	return EpollClientBytes
}

// serverConnections is how many connections one server process must be able to
// hold. The kernel deals connections out to workers by a hash, hence unevenly.
func (p Plan) serverConnections() int64 {
	if p.workers() == 1 {
		return p.connections()
	}
	return min(p.connections(), ceilDiv(p.connections()*5, p.workers()*4))
}

func (p Plan) connecting() int64 {
	if p.ConnectConcurrency > 0 {
		return min(int64(p.ConnectConcurrency), int64(p.Clients))
	}
	return int64(p.Clients)
}

// Name names a limit.
type Name string

// The limits that a plan is held against.
const (
	OpenFiles       Name = "open files"
	ServerOpenFiles Name = "open files (server)"
	SystemOpenFiles Name = "open files (system)"
	LocalPorts      Name = "local ports"
	ListenBacklog   Name = "listen backlog"
	SynBacklog      Name = "syn backlog"
	Memory          Name = "memory"
	TCPMemory       Name = "tcp memory"
	Tracking        Name = "connection tracking"
	Processes       Name = "processes"
)

// Unit says what the numbers of a limit count.
type Unit string

// The units of limits.
const (
	Files       Unit = "files"
	Ports       Unit = "ports"
	Connections Unit = "connections"
	Bytes       Unit = "bytes"
	Tasks       Unit = "processes and threads"
)

// Format writes a number of this unit: "20,000", "1.5 GiB", "unlimited".
func (u Unit) Format(n int64) string {
	switch {
	case n == Unlimited:
		return "unlimited"
	case u == Bytes:
		return formatBytes(n)
	default:
		return group(n)
	}
}

// Requirement is what a plan needs of one limit.
type Requirement struct {
	Limit  Name
	Unit   Unit
	Needed int64
	Why    string // how the number comes about, in one line
}

// Need says what a plan needs, whatever the machine, in the order in which it
// should be shown.
func Need(p Plan) []Requirement {
	conns := p.connections()
	needs := []Requirement{{
		Limit: OpenFiles, Unit: Files, Needed: conns + processFiles,
		Why: fmt.Sprintf("%s and %d for the program itself", p.connectionText(), processFiles),
	}}
	if p.BundledServer {
		why := fmt.Sprintf("one a connection and %d for the server itself", processFiles)
		if p.workers() > 1 {
			why = fmt.Sprintf("each of %d workers, with a quarter more than its share of the connections", p.workers())
		}
		needs = append(needs, Requirement{
			Limit: ServerOpenFiles, Unit: Files, Needed: p.serverConnections() + processFiles, Why: why,
		})
	}
	ends, endText := int64(1), "one end"
	if p.local() {
		ends, endText = 2, "both ends"
	}
	needs = append(needs, Requirement{
		Limit: SystemOpenFiles, Unit: Files, Needed: ends*conns + (1+p.workers())*processFiles,
		Why: fmt.Sprintf("%s of every connection on this machine", endText),
	})
	if !p.UnixTarget {
		needs = append(needs, Requirement{
			Limit: LocalPorts, Unit: Ports, Needed: ceilDiv(conns, p.targets()),
			Why: "one a connection to the same destination",
		})
	}
	if p.local() {
		needs = append(needs, Requirement{
			Limit: ListenBacklog, Unit: Connections, Needed: p.connecting(),
			Why: "connections being opened at once",
		})
	}
	if p.local() && !p.UnixTarget {
		needs = append(needs, Requirement{
			Limit: SynBacklog, Unit: Connections, Needed: p.connecting(),
			Why: "connections being opened at once",
		})
	}
	certain, allowance := p.memory()
	needs = append(needs, Requirement{
		Limit: Memory, Unit: Bytes, Needed: certain + allowance, Why: p.memoryText(),
	})
	if p.UnixTarget {
		return needs
	}
	return append(needs, Requirement{
		Limit: TCPMemory, Unit: Bytes, Needed: ends * conns * UnreadBytes,
		Why: fmt.Sprintf("if every socket had an event waiting, %s each", formatBytes(UnreadBytes)),
	}, Requirement{
		Limit: Tracking, Unit: Connections, Needed: conns,
		Why: "one entry a connection, if the firewall tracks them",
	})
}

func (p Plan) connectionText() string {
	if p.SendConnections == 0 {
		return fmt.Sprintf("%s clients", group(int64(p.Clients)))
	}
	return fmt.Sprintf("%s clients, %s connections to send over", group(int64(p.Clients)), group(int64(p.SendConnections)))
}

// memory is what the plan takes for certain and what must be allowed for.
func (p Plan) memory() (certain, allowance int64) {
	conns := p.connections()
	kernel := SocketBytes
	if p.local() {
		kernel = SocketPairBytes
	}
	certain = processBytes + int64(p.Clients)*p.clientBytes() + conns*kernel
	if p.BundledServer {
		certain += p.workers() * processBytes
		allowance = conns * ServerClientBytes
	}
	return certain, allowance
}

func (p Plan) memoryText() string {
	var parts []string
	parts = append(parts, formatBytes(p.clientBytes())+" here")
	if p.local() {
		parts = append(parts, formatBytes(SocketPairBytes)+" of the kernel for both sockets")
	} else {
		parts = append(parts, formatBytes(SocketBytes)+" of the kernel for the socket")
	}
	if p.BundledServer {
		parts = append(parts, "up to "+formatBytes(ServerClientBytes)+" of the server")
	}
	return "a client takes " + strings.Join(parts, ", ")
}

// Verdict is what becomes of a plan at one limit. The higher, the worse.
type Verdict int

// The verdicts.
const (
	OK      Verdict = iota // fits
	Unknown                // the limit is not known here
	Warn                   // may work, but figures or connections may suffer
	Refuse                 // cannot work
)

func (v Verdict) String() string {
	switch v {
	case OK:
		return "ok"
	case Unknown:
		return "unknown"
	case Warn:
		return "warn"
	case Refuse:
		return "refuse"
	default:
		return fmt.Sprintf("verdict(%d)", int(v))
	}
}

// Finding is one limit held against a plan.
type Finding struct {
	Limit   Name
	Unit    Unit
	Needed  int64
	Allowed *int64 // what is left for this plan; nil when not known
	Verdict Verdict
	Text    string // one line, lower case
	Remedy  string // the command that lifts the limit, or what else to do; empty when all is well
}

// Check holds a plan against limits, one finding for each requirement of
// [Need] in the same order.
func Check(p Plan, l Limits) []Finding {
	needs := Need(p)
	findings := make([]Finding, 0, len(needs))
	for _, need := range needs {
		f := Finding{Limit: need.Limit, Unit: need.Unit, Needed: need.Needed, Text: need.Why}
		switch need.Limit {
		case OpenFiles, ServerOpenFiles:
			l.checkFiles(&f)
		case SystemOpenFiles:
			l.checkSystemFiles(&f)
		case LocalPorts:
			l.checkPorts(&f, p)
		case ListenBacklog:
			f.hold(l.Somaxconn, Warn, "more at once than a listen queue holds: the rest waits a second or more to connect",
				l.sysctl("net.core.somaxconn", "kern.ipc.somaxconn", roundUp(f.Needed)))
		case SynBacklog:
			f.hold(l.SynBacklog, Warn, "more half-open connections than the kernel keeps: it falls back to syn cookies or drops",
				l.sysctl("net.ipv4.tcp_max_syn_backlog", "", roundUp(f.Needed)))
		case Memory:
			l.checkMemory(&f, p)
		case TCPMemory:
			l.checkTCPMemory(&f)
		case Tracking:
			f.hold(left(l.Conntrack, l.ConntrackNow), Warn, "the firewall drops connections that it cannot keep track of",
				l.sysctl("net.netfilter.nf_conntrack_max", "", roundUp(f.Needed+value(l.ConntrackNow))))
			if l.Conntrack == nil {
				f.Verdict = OK // no such table, no such limit
				f.Text = "the firewall tracks no connections"
			}
		}
		findings = append(findings, f)
	}
	if l.CgroupPIDs != nil {
		findings = append(findings, l.checkProcesses(p))
	}
	return findings
}

// hold fills in allowed, verdict and remedy: over the limit it is the verdict
// given, with the reason appended to the text.
func (f *Finding) hold(allowed *int64, over Verdict, reason, remedy string) {
	f.Allowed = allowed
	switch {
	case allowed == nil:
		f.Verdict = Unknown
	case f.Needed > *allowed:
		f.Verdict = over
		f.Text += "; " + reason
		f.Remedy = remedy
	}
}

func (l Limits) checkFiles(f *Finding) {
	if l.OS == "windows" {
		f.Verdict, f.Text = OK, "windows has no limit of its own on sockets of a process"
		f.Allowed = ptr(Unlimited)
		return
	}
	allowed := l.FilesHard
	if l.OS == "darwin" && allowed != nil && l.FilesMax != nil {
		// There the hard limit may promise more than the kernel gives.
		allowed = ptr(min(*allowed, *l.FilesMax))
	}
	n := roundUp(f.Needed)
	remedy := fmt.Sprintf("ulimit -n %d", n)
	if l.FilesMax != nil && n > *l.FilesMax {
		if cmd := l.sysctl("fs.nr_open", "kern.maxfilesperproc", n); cmd != "" {
			remedy = cmd + " && " + remedy
		}
	}
	f.hold(allowed, Refuse, "more than the hard limit of this process, which root may raise before it starts", remedy)
	if f.Verdict == OK && l.FilesSoft != nil && f.Needed > *l.FilesSoft {
		f.Text += fmt.Sprintf("; the soft limit of %s is raised by itself", group(*l.FilesSoft))
	}
}

func (l Limits) checkSystemFiles(f *Finding) {
	remedy := l.sysctl("fs.file-max", "kern.maxfiles", roundUp(f.Needed+value(l.SystemFilesNow)))
	f.hold(left(l.SystemFiles, l.SystemFilesNow), Refuse, "more than the system has left", remedy)
}

// widestPorts is what the port range can be opened to, 1024 to 65535.
const widestPorts = 65535 - 1024 + 1

func (l Limits) checkPorts(f *Finding, p Plan) {
	per, ok := l.PortsPerSource()
	if !ok {
		f.Verdict = Unknown
		return
	}
	sources := max(1, int64(p.Sources))
	if p.Sources == 0 && p.LoopbackTarget && l.LoopbackSources {
		sources = int64(SourcesNeeded(int(f.Needed), l))
		if sources > 1 {
			f.Text += fmt.Sprintf("; one loopback address has %s, so clients come from %s of them", group(per), group(sources))
		}
	}
	f.Allowed = ptr(per * sources)
	widen := l.widenPorts()
	switch {
	case f.Needed <= *f.Allowed*9/10:
	case f.Needed <= *f.Allowed:
		f.Verdict = Warn
		f.Text += "; with hardly a port to spare the kernel searches long for each, and ports of earlier connections may still be taken"
		f.Remedy = widen
	default:
		f.Verdict = Refuse
		if sources == 1 {
			f.Text += fmt.Sprintf("; one source address has %s", group(per))
		} else {
			f.Text += fmt.Sprintf("; %s source addresses have %s each", group(sources), group(per))
		}
		needed := int64(SourcesNeeded(int(f.Needed), l))
		switch {
		case p.LoopbackTarget && l.OS == "darwin":
			var cmds []string
			for _, a := range LoopbackSources(int(min(needed, 4)))[1:] {
				cmds = append(cmds, fmt.Sprintf("sudo ifconfig lo0 alias %s up", a))
			}
			f.Text += "; further loopback addresses must be made first"
			f.Remedy = fmt.Sprintf("%s, then --source with %s addresses", strings.Join(cmds, " && "), group(needed))
		case per < widestPorts && widen != "" && f.Needed <= widestPorts*sources*9/10:
			f.Remedy = widen
		default:
			f.Remedy = fmt.Sprintf("--source with %s local addresses", group(needed))
		}
	}
}

func (l Limits) widenPorts() string {
	if per, ok := l.PortsPerSource(); ok && per >= widestPorts*9/10 {
		return ""
	}
	switch l.OS {
	case "linux":
		return `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`
	case "darwin":
		return "sudo sysctl -w net.inet.ip.portrange.first=1024"
	case "windows":
		return "netsh int ipv4 set dynamicport tcp start=1025 num=64510"
	default:
		return ""
	}
}

func (l Limits) checkMemory(f *Finding, p Plan) {
	free := l.MemoryAvailable
	if inGroup := left(l.CgroupMemory, l.CgroupMemoryNow); inGroup != nil && (free == nil || *inGroup < *free) {
		free = inGroup
		f.Text += "; the control group of this process has less left than the machine"
	}
	certain, _ := p.memory()
	f.Allowed = free
	switch {
	case free == nil:
		f.Verdict = Unknown
	case certain > *free:
		f.Verdict = Refuse
		f.Text += "; that is more than is free"
	case f.Needed > *free/10*8:
		f.Verdict = Warn
		f.Text += "; that may leave the machine short"
	}
	if f.Verdict >= Warn {
		f.Remedy = "fewer clients, or a machine with more memory"
	}
}

func (l Limits) checkTCPMemory(f *Finding) {
	remedy := ""
	if l.OS == "linux" {
		pages := roundUp(ceilDiv(f.Needed+value(l.TCPMemNow), UnreadBytes))
		remedy = fmt.Sprintf(`sysctl -w net.ipv4.tcp_mem="%d %d %d"`, pages, pages*5/4, pages*3/2)
	}
	// Beyond the middle value the kernel shrinks the windows of sockets.
	f.hold(left(l.TCPMemPressure, l.TCPMemNow), Warn, "the kernel then shrinks windows or drops segments", remedy)
}

func (l Limits) checkProcesses(p Plan) Finding {
	// A Go process has a thread for each core and some for blocking calls.
	each := int64(l.Cores) + 12
	f := Finding{Limit: Processes, Unit: Tasks, Needed: each, Text: "this program with its threads"}
	if p.BundledServer {
		f.Needed += (p.workers() + 1) * each
		f.Text = "this program and the server with their threads"
	}
	f.hold(left(l.CgroupPIDs, l.CgroupPIDsNow), Warn, "the control group of this process allows fewer", "raise pids.max of the control group (container: --pids-limit)")
	return f
}

// sysctl is the command that sets a value; empty where the system has no such
// name.
func (l Limits) sysctl(linux, darwin string, n int64) string {
	switch {
	case l.OS == "linux" && linux != "":
		return fmt.Sprintf("sysctl -w %s=%d", linux, n)
	case l.OS == "darwin" && darwin != "":
		return fmt.Sprintf("sudo sysctl -w %s=%d", darwin, n)
	default:
		return ""
	}
}

// PortsPerSource is how many connections one local address can have to one
// destination at a time; false when the port range is not known.
func (l Limits) PortsPerSource() (int64, bool) {
	if l.PortLow == nil || l.PortHigh == nil {
		return 0, false
	}
	n := *l.PortHigh - *l.PortLow + 1 - value(l.PortsReserved)
	return max(0, n), true
}

// assumedPorts is the size of the range that RFC 6335, section 6, sets aside
// for dynamic use: what most systems other than Linux have.
const assumedPorts = 65535 - 49152 + 1

// SourcesNeeded is how many local addresses so many connections to one
// destination must come from, at least 1. It uses nine tenths of the ports,
// because others use some too and the last ones are slow to find. Where the
// range is not known it assumes that of RFC 6335.
func SourcesNeeded(connections int, l Limits) int {
	per, ok := l.PortsPerSource()
	if !ok {
		per = assumedPorts
	}
	usable := max(1, per*9/10)
	return int(max(1, ceilDiv(int64(connections), usable)))
}

// LoopbackSources gives the first n addresses of 127.0.0.0/8, from 127.0.0.1
// on, without those that end in 0 or 255; all of them if n is more. On Linux
// they are all local, see [Limits.LoopbackSources].
func LoopbackSources(n int) []netip.Addr {
	addrs := make([]netip.Addr, 0, max(0, min(n, 1<<16)))
	for i := 1; len(addrs) < n && i < 1<<24; i++ {
		if last := i & 0xff; last == 0 || last == 0xff {
			continue
		}
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	return addrs
}

// Worst is the worst verdict among findings, OK when there are none.
func Worst(findings []Finding) Verdict {
	worst := OK
	for _, f := range findings {
		worst = max(worst, f.Verdict)
	}
	return worst
}

// RefusedError says that a plan cannot work on this machine.
type RefusedError struct {
	Finding Finding   // the first that refuses
	All     []Finding // all that refuse
}

func (e *RefusedError) Error() string {
	f := e.Finding
	allowed := "an unknown number"
	if f.Allowed != nil {
		allowed = f.Unit.Format(*f.Allowed)
	}
	return fmt.Sprintf("%s: %s needed, %s allowed", f.Limit, f.Unit.Format(f.Needed), allowed)
}

// Hint is what to do about it, in one line.
func (e *RefusedError) Hint() string {
	var remedies []string
	for _, f := range e.All {
		if f.Remedy != "" && !slices.Contains(remedies, f.Remedy) {
			remedies = append(remedies, f.Remedy)
		}
	}
	return strings.Join(remedies, "; ")
}

// Refusal gives a [*RefusedError] when any of the findings refuses, else nil.
func Refusal(findings []Finding) error {
	var e RefusedError
	for _, f := range findings {
		if f.Verdict == Refuse {
			e.All = append(e.All, f)
		}
	}
	if len(e.All) == 0 {
		return nil
	}
	e.Finding = e.All[0]
	return &e
}

// Capacity is the largest number of clients, up to ten million, at which no
// limit refuses the plan otherwise unchanged, and the limit that refuses one
// more; the name is empty when none does.
func Capacity(p Plan, l Limits) (clients int, by Name) {
	const most = 10_000_000
	low, high := 0, most+1 // low does not refuse, high counts as refusing
	for high-low > 1 {
		p.Clients = low + (high-low)/2
		if Worst(Check(p, l)) == Refuse {
			high = p.Clients
		} else {
			low = p.Clients
		}
	}
	if low == most {
		return most, ""
	}
	p.Clients = high
	for _, f := range Check(p, l) {
		if f.Verdict == Refuse {
			return low, f.Limit
		}
	}
	return low, ""
}

// Setting is one limit as it stands, ready to be shown.
type Setting struct {
	Name  string
	Value string // "unknown" when it is not known
	Known bool
	Text  string // what it is about, in one line
}

// Settings lists the limits that exist on this system, in a fixed order. Those
// that only some machines have, such as a control group's, are left out where
// they are not set.
func (l Limits) Settings() []Setting {
	var rows []Setting
	add := func(name string, u Unit, v *int64, text string) {
		s := Setting{Name: name, Value: "unknown", Text: text}
		if v != nil {
			s.Value, s.Known = u.Format(*v), true
		}
		rows = append(rows, s)
	}
	optional := func(name string, u Unit, v, now *int64, text string) {
		if v == nil {
			return
		}
		if now != nil {
			text += ", " + u.Format(*now) + " in use"
		}
		add(name, u, v, text)
	}
	if l.OS != "windows" {
		add("open files, soft", Files, l.FilesSoft, "of this process; raised to the hard limit by itself")
		add("open files, hard", Files, l.FilesHard, "of this process; root raises it")
		optional("open files, most", Files, l.FilesMax, nil, "what the hard limit can be raised to")
		optional("open files, system", Files, l.SystemFiles, l.SystemFilesNow, "all processes together")
	}
	ports := Setting{Name: "local ports", Value: "unknown", Text: "for each pair of source address and destination"}
	if n, ok := l.PortsPerSource(); ok {
		ports.Known, ports.Value = true, group(n)
		ports.Text += fmt.Sprintf(", %d to %d", *l.PortLow, *l.PortHigh)
		if r := value(l.PortsReserved); r > 0 {
			ports.Text += fmt.Sprintf(" without %s reserved", group(r))
		}
	}
	rows = append(rows, ports)
	if l.OS != "windows" {
		add("listen backlog", Connections, l.Somaxconn, "connections that may wait to be accepted")
	}
	if l.OS == "linux" {
		add("syn backlog", Connections, l.SynBacklog, "half-open connections to one listener")
		add("tcp memory, pressure", Bytes, l.TCPMemPressure, "data in all sockets together; the kernel saves from here on")
		add("tcp memory, most", Bytes, l.TCPMemMax, "data in all sockets together, "+optionalBytes(l.TCPMemNow)+" in use")
		add("socket buffer, receive", Bytes, l.TCPReadBuffer, "default of one socket")
		add("socket buffer, send", Bytes, l.TCPWriteBuffer, "default of one socket")
	}
	add("memory", Bytes, l.MemoryTotal, optionalBytes(l.MemoryAvailable)+" available")
	optional("memory, control group", Bytes, l.CgroupMemory, l.CgroupMemoryNow, "the tightest around this process")
	optional("processes, control group", Tasks, l.CgroupPIDs, l.CgroupPIDsNow, "and threads, the tightest around this process")
	optional("connection tracking", Connections, l.Conntrack, l.ConntrackNow, "of the firewall")
	rows = append(rows, Setting{Name: "cores", Value: group(int64(l.Cores)), Known: true, Text: "that this process may use"})
	return rows
}

func optionalBytes(v *int64) string {
	if v == nil {
		return "unknown"
	}
	return formatBytes(*v)
}

func ptr(n int64) *int64 { return &n }

// value is 0 for what is not known: fit only for sums that may fall short.
func value(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}

// left is what remains of a limit; all of it when its use is not known.
func left(limit, used *int64) *int64 {
	if limit == nil || *limit == Unlimited {
		return limit
	}
	return ptr(max(0, *limit-value(used)))
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// roundUp makes a number fit to be typed: the next multiple of a power of two
// that is at most an eighth of it.
func roundUp(n int64) int64 {
	step := int64(1)
	for step*16 <= n {
		step *= 2
	}
	return ceilDiv(n, step) * step
}

// group writes a number with commas between thousands.
func group(n int64) string {
	digits := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// formatBytes writes an amount in the largest binary unit that leaves at least
// one, with one decimal below ten: "512 B", "8 KiB", "1.5 GiB".
func formatBytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	v, u := float64(n), 0
	for math.Abs(v) >= 1024 && u < len(units)-1 {
		v /= 1024
		u++
	}
	if rounded := math.Round(v*10) / 10; math.Abs(v) < 10 && rounded != math.Trunc(rounded) {
		return fmt.Sprintf("%.1f %s", rounded, units[u])
	}
	return fmt.Sprintf("%.0f %s", v, units[u])
}
