package observe

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

func readSystem(l *Limits) {
	l.FilesSoft, l.FilesHard = fileLimits()
	readProc(os.DirFS("/"), int64(os.Getpagesize()), l)
}

// readProc reads what /proc and /sys under root tell.
func readProc(root fs.FS, page int64, l *Limits) {
	l.LoopbackSources = true // the kernel's local routing table has the whole 127.0.0.0/8

	if w := words(root, "proc/sys/fs/file-nr", 3); w != nil { // allocated, unused, most; proc_sys_fs(5)
		l.SystemFilesNow, l.SystemFiles = w[0], w[2]
	}
	l.FilesMax = word(root, "proc/sys/fs/nr_open")

	if w := words(root, "proc/sys/net/ipv4/ip_local_port_range", 2); w != nil && w[0] != nil && w[1] != nil {
		l.PortLow, l.PortHigh = w[0], w[1]
		if b, err := fs.ReadFile(root, "proc/sys/net/ipv4/ip_local_reserved_ports"); err == nil {
			l.PortsReserved = ptr(reservedPorts(string(b), *w[0], *w[1]))
		}
	}
	l.Somaxconn = word(root, "proc/sys/net/core/somaxconn")
	l.SynBacklog = word(root, "proc/sys/net/ipv4/tcp_max_syn_backlog")

	if w := words(root, "proc/sys/net/ipv4/tcp_mem", 3); w != nil { // in pages; tcp(7)
		l.TCPMemPressure, l.TCPMemMax = times(w[1], page), times(w[2], page)
	}
	if b, err := fs.ReadFile(root, "proc/net/sockstat"); err == nil {
		if _, tcp, ok := bytes.Cut(b, []byte("TCP: ")); ok {
			l.TCPMemNow = times(field(tcp, " mem").ptr(), page)
		}
	}
	if w := words(root, "proc/sys/net/ipv4/tcp_rmem", 3); w != nil {
		l.TCPReadBuffer = w[1]
	}
	if w := words(root, "proc/sys/net/ipv4/tcp_wmem", 3); w != nil {
		l.TCPWriteBuffer = w[1]
	}
	if b, err := fs.ReadFile(root, "proc/meminfo"); err == nil {
		l.MemoryTotal = times(field(b, "MemTotal:").ptr(), 1<<10)
		l.MemoryAvailable = times(field(b, "MemAvailable:").ptr(), 1<<10)
	}
	l.Conntrack = word(root, "proc/sys/net/netfilter/nf_conntrack_max")
	if l.Conntrack != nil {
		l.ConntrackNow = word(root, "proc/sys/net/netfilter/nf_conntrack_count")
	}
	readCgroups(root, l)
}

// readCgroups finds the tightest limits of the control groups that this process
// is in: version 2 (cgroups(7)) or, where a machine still has them, the memory
// and pids controllers of version 1.
func readCgroups(root fs.FS, l *Limits) {
	b, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		// id:controllers:path; version 2 has id 0 and names no controllers.
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		group := strings.TrimPrefix(parts[2], "/")
		if parts[0] == "0" && parts[1] == "" {
			for _, mount := range []string{"sys/fs/cgroup", "sys/fs/cgroup/unified"} {
				tighten(&l.CgroupMemory, &l.CgroupMemoryNow, root, mount, group, "memory.max", "memory.current")
				tighten(&l.CgroupPIDs, &l.CgroupPIDsNow, root, mount, group, "pids.max", "pids.current")
			}
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			switch controller {
			case "memory":
				tighten(&l.CgroupMemory, &l.CgroupMemoryNow, root, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes", "memory.usage_in_bytes")
			case "pids":
				tighten(&l.CgroupPIDs, &l.CgroupPIDsNow, root, "sys/fs/cgroup/pids", group, "pids.max", "pids.current")
			}
		}
	}
}

// tighten takes over a limit of a group, or of one above it, that leaves less
// than the one found so far. Inside a container the path may be one that only
// the host has; the mount's root is then the container's own group.
func tighten(limit, now **int64, root fs.FS, mount, group, limitFile, nowFile string) {
	for dir := path.Clean(group); ; dir = path.Dir(dir) {
		max := word(root, path.Join(mount, dir, limitFile))
		// Version 1 writes "none" as the largest number of whole pages.
		if max != nil && *max < math.MaxInt64/2 {
			used := word(root, path.Join(mount, dir, nowFile))
			if *limit == nil || *left(max, used) < *left(*limit, *now) {
				*limit, *now = max, used
			}
		}
		if dir == "." || dir == "/" {
			return
		}
	}
}

// reservedPorts counts the ports of a list such as "8080,9000-9010" that lie in
// a range.
func reservedPorts(list string, low, high int64) int64 {
	var n int64
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			continue
		}
		b := a
		if isRange {
			if b, err = strconv.ParseInt(to, 10, 64); err != nil {
				continue
			}
		}
		n += max(0, min(b, high)-max(a, low)+1)
	}
	return n
}

func word(root fs.FS, name string) *int64 {
	if w := words(root, name, 1); w != nil {
		return w[0]
	}
	return nil
}

// words reads a file of at least n numbers; nil when it has not that form. A
// number beyond int64, as the kernel has for "no limit", is Unlimited.
func words(root fs.FS, name string, n int) []*int64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(b))
	if len(fields) < n {
		return nil
	}
	found := make([]*int64, n)
	for i := range found {
		v, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return nil // "max", or nothing that we know
		}
		found[i] = ptr(int64(min(v, math.MaxInt64)))
	}
	return found
}

// times multiplies what is known, without running over.
func times(v *int64, factor int64) *int64 {
	if v == nil || *v > math.MaxInt64/factor {
		return v
	}
	return ptr(*v * factor)
}
