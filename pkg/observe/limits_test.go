package observe

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// roomy is a Linux machine on which nothing is short; tests take from it.
func roomy() Limits {
	return Limits{
		OS:        "linux",
		FilesSoft: ptr(1024), FilesHard: ptr(1 << 20), FilesMax: ptr(1 << 20),
		SystemFiles: ptr(Unlimited), SystemFilesNow: ptr(1000),
		PortLow: ptr(32768), PortHigh: ptr(60999), PortsReserved: ptr(0),
		Somaxconn: ptr(1 << 20), SynBacklog: ptr(1 << 20),
		TCPMemPressure: ptr(8 << 30), TCPMemMax: ptr(12 << 30), TCPMemNow: ptr(0),
		MemoryTotal: ptr(64 << 30), MemoryAvailable: ptr(60 << 30),
		Cores: 8, LoopbackSources: true,
	}
}

func finding(t *testing.T, findings []Finding, name Name) Finding {
	t.Helper()
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Limit == name })
	if i < 0 {
		t.Fatalf("no finding on %s", name)
	}
	return findings[i]
}

// TestNeedOfUnixSockets: no ports, and nothing that TCP alone has.
func TestNeedOfUnixSockets(t *testing.T) {
	var names []Name
	for _, need := range Need(Plan{Clients: 100_000, UnixTarget: true, LocalTarget: true}) {
		names = append(names, need.Limit)
	}
	if want := []Name{OpenFiles, SystemOpenFiles, ListenBacklog, Memory}; !slices.Equal(names, want) {
		t.Errorf("needs %q, want %q", names, want)
	}
}

func TestCheck(t *testing.T) {
	bundled := Plan{Clients: 10_000, SendConnections: 16, LoopbackTarget: true, BundledServer: true, ConnectConcurrency: 256}
	remote := Plan{Clients: 10_000}
	for _, test := range []struct {
		name    string
		plan    Plan
		limits  func(*Limits)
		limit   Name
		needed  int64 // 0: not checked
		allowed *int64
		verdict Verdict
		text    string // in the text
		remedy  string // the whole
	}{
		{"files fit", bundled, func(*Limits) {}, OpenFiles,
			10_080, ptr(1 << 20), OK, "the soft limit of 1,024 is raised by itself", ""},
		{"files fit, soft too", bundled, func(l *Limits) { l.FilesSoft = ptr(20_000) }, OpenFiles,
			10_080, ptr(1 << 20), OK, "10,000 clients, 16 connections to send over and 64 for the program itself", ""},
		{"files short", bundled, func(l *Limits) { l.FilesHard = ptr(10_079) }, OpenFiles,
			10_080, ptr(10_079), Refuse, "hard limit", "ulimit -n 10240"},
		{"files just enough", bundled, func(l *Limits) { l.FilesHard = ptr(10_080) }, OpenFiles,
			10_080, ptr(10_080), OK, "", ""},
		{"files beyond the kernel's most", bundled, func(l *Limits) { l.FilesHard, l.FilesMax = ptr(4096), ptr(8192) }, OpenFiles,
			10_080, ptr(4096), Refuse, "", "sysctl -w fs.nr_open=10240 && ulimit -n 10240"},
		{"files unknown", bundled, func(l *Limits) { l.FilesHard = nil }, OpenFiles,
			10_080, nil, Unknown, "", ""},
		{"files on windows", bundled, func(l *Limits) { l.OS, l.FilesHard = "windows", nil }, OpenFiles,
			10_080, ptr(Unlimited), OK, "no limit of its own", ""},
		{"files on macOS, kernel's most below the hard limit", bundled, func(l *Limits) { l.OS, l.FilesHard, l.FilesMax = "darwin", ptr(Unlimited), ptr(10_000) }, OpenFiles,
			10_080, ptr(10_000), Refuse, "", "sudo sysctl -w kern.maxfilesperproc=10240 && ulimit -n 10240"},
		{"server files short", bundled, func(l *Limits) { l.FilesHard = ptr(10_079) }, ServerOpenFiles,
			10_080, ptr(10_079), Refuse, "", "ulimit -n 10240"},
		{"workers share the connections", Plan{Clients: 8000, LoopbackTarget: true, BundledServer: true, Workers: 4}, func(*Limits) {}, ServerOpenFiles,
			2564, ptr(1 << 20), OK, "each of 4 workers", ""},
		{"system files short", bundled, func(l *Limits) { l.SystemFiles = ptr(21_000) }, SystemOpenFiles,
			20_160, ptr(20_000), Refuse, "both ends", "sysctl -w fs.file-max=22528"},
		{"system files, remote target", remote, func(l *Limits) { l.SystemFiles = ptr(21_000) }, SystemOpenFiles,
			10_128, ptr(20_000), OK, "one end", ""},
		{"system files unlimited", bundled, func(*Limits) {}, SystemOpenFiles,
			20_160, ptr(Unlimited), OK, "", ""},

		{"ports, remote", remote, func(*Limits) {}, LocalPorts,
			10_000, ptr(28_232), OK, "", ""},
		{"ports, remote, nearly all", Plan{Clients: 28_000}, func(*Limits) {}, LocalPorts,
			28_000, ptr(28_232), Warn, "hardly a port to spare", `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`},
		{"ports, remote, too many, range can be widened", Plan{Clients: 30_000}, func(*Limits) {}, LocalPorts,
			30_000, ptr(28_232), Refuse, "one source address has 28,232", `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`},
		{"ports, remote, far too many", Plan{Clients: 100_000}, func(*Limits) {}, LocalPorts,
			100_000, ptr(28_232), Refuse, "", "--source with 4 local addresses"},
		{"ports, remote, sources given", Plan{Clients: 100_000, Sources: 4}, func(*Limits) {}, LocalPorts,
			100_000, ptr(112_928), OK, "", ""},
		{"ports, remote, too few sources given", Plan{Clients: 300_000, Sources: 2}, func(*Limits) {}, LocalPorts,
			300_000, ptr(56_464), Refuse, "2 source addresses have 28,232 each", "--source with 12 local addresses"},
		{"ports, several destinations", Plan{Clients: 100_000, Targets: 5}, func(*Limits) {}, LocalPorts,
			20_000, ptr(28_232), OK, "", ""},
		{"ports, loopback takes more sources by itself", Plan{Clients: 100_000, LoopbackTarget: true}, func(*Limits) {}, LocalPorts,
			100_000, ptr(4 * 28_232), OK, "come from 4 of them", ""},
		{"ports, loopback, sources given are kept to", Plan{Clients: 60_000, LoopbackTarget: true, Sources: 1}, func(l *Limits) { l.PortLow, l.PortHigh = ptr(1024), ptr(65535) }, LocalPorts,
			60_000, ptr(64_512), Warn, "", ""},
		{"ports reserved", remote, func(l *Limits) { l.PortsReserved = ptr(20_000) }, LocalPorts,
			10_000, ptr(8_232), Refuse, "one source address has 8,232", `sysctl -w net.ipv4.ip_local_port_range="1024 65535"`},
		{"ports, macOS loopback", Plan{Clients: 20_000, LoopbackTarget: true}, func(l *Limits) {
			l.OS, l.LoopbackSources, l.PortLow, l.PortHigh = "darwin", false, ptr(49152), ptr(65535)
		}, LocalPorts,
			20_000, ptr(16_384), Refuse, "must be made first", "sudo ifconfig lo0 alias 127.0.0.2 up, then --source with 2 addresses"},
		{"ports unknown", remote, func(l *Limits) { l.PortLow = nil }, LocalPorts,
			10_000, nil, Unknown, "", ""},

		{"backlog fits", bundled, func(l *Limits) { l.Somaxconn = ptr(256) }, ListenBacklog,
			256, ptr(256), OK, "", ""},
		{"backlog short", bundled, func(l *Limits) { l.Somaxconn = ptr(128) }, ListenBacklog,
			256, ptr(128), Warn, "a second or more", "sysctl -w net.core.somaxconn=256"},
		{"backlog, all at once", Plan{Clients: 8000, LoopbackTarget: true}, func(l *Limits) { l.Somaxconn = ptr(4096) }, ListenBacklog,
			8000, ptr(4096), Warn, "", "sysctl -w net.core.somaxconn=8192"},
		{"backlog, fewer clients than concurrency", Plan{Clients: 10, LoopbackTarget: true, ConnectConcurrency: 256}, func(*Limits) {}, ListenBacklog,
			10, ptr(1 << 20), OK, "", ""},
		{"syn backlog short", bundled, func(l *Limits) { l.SynBacklog = ptr(128) }, SynBacklog,
			256, ptr(128), Warn, "", "sysctl -w net.ipv4.tcp_max_syn_backlog=256"},

		{"memory fits", bundled, func(*Limits) {}, Memory,
			2*(32<<20) + 10_000*512 + 10_016*(8200+16<<10), ptr(60 << 30), OK, "512 B here, 8 KiB of the kernel for both sockets, up to 16 KiB of the server", ""},
		{"memory tight", bundled, func(l *Limits) { l.MemoryAvailable = ptr(300 << 20) }, Memory,
			0, ptr(300 << 20), Warn, "short", "fewer clients, or a machine with more memory"},
		{"memory short", bundled, func(l *Limits) { l.MemoryAvailable = ptr(100 << 20) }, Memory,
			0, ptr(100 << 20), Refuse, "more than is free", "fewer clients, or a machine with more memory"},
		{"memory of a control group", bundled, func(l *Limits) { l.CgroupMemory, l.CgroupMemoryNow = ptr(150<<20), ptr(50<<20) }, Memory,
			0, ptr(100 << 20), Refuse, "control group", "fewer clients, or a machine with more memory"},
		{"memory unknown", bundled, func(l *Limits) { l.MemoryAvailable = nil }, Memory,
			0, nil, Unknown, "", ""},
		{"memory of a heavier engine", Plan{Clients: 1000, ClientBytes: 32 << 10}, func(*Limits) {}, Memory,
			32<<20 + 1000*(32<<10+4100), ptr(60 << 30), OK, "32 KiB here, 4 KiB of the kernel for the socket", ""},

		{"tcp memory fits", bundled, func(*Limits) {}, TCPMemory,
			2 * 10_016 * 4096, ptr(8 << 30), OK, "", ""},
		{"tcp memory short", bundled, func(l *Limits) { l.TCPMemPressure, l.TCPMemNow = ptr(64<<20), ptr(4<<20) }, TCPMemory,
			2 * 10_016 * 4096, ptr(60 << 20), Warn, "shrinks windows", `sysctl -w net.ipv4.tcp_mem="22528 28160 33792"`},

		{"no tracking", remote, func(*Limits) {}, Tracking,
			10_000, nil, OK, "tracks no connections", ""},
		{"tracking full", remote, func(l *Limits) { l.Conntrack, l.ConntrackNow = ptr(10_100), ptr(200) }, Tracking,
			10_000, ptr(9_900), Warn, "drops", "sysctl -w net.netfilter.nf_conntrack_max=10240"},

		{"processes short", bundled, func(l *Limits) { l.CgroupPIDs, l.CgroupPIDsNow = ptr(50), ptr(10) }, Processes,
			60, ptr(40), Warn, "control group", "raise pids.max of the control group (container: --pids-limit)"},
		{"processes fit", bundled, func(l *Limits) { l.CgroupPIDs = ptr(1000) }, Processes,
			60, ptr(1000), OK, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := roomy()
			test.limits(&l)
			f := finding(t, Check(test.plan, l), test.limit)
			if test.needed != 0 && f.Needed != test.needed {
				t.Errorf("needed %d, want %d", f.Needed, test.needed)
			}
			if (f.Allowed == nil) != (test.allowed == nil) || f.Allowed != nil && *f.Allowed != *test.allowed {
				t.Errorf("allowed %s, want %s", show(f.Allowed), show(test.allowed))
			}
			if f.Verdict != test.verdict {
				t.Errorf("verdict %v, want %v", f.Verdict, test.verdict)
			}
			if !strings.Contains(f.Text, test.text) {
				t.Errorf("text %q lacks %q", f.Text, test.text)
			}
			if f.Remedy != test.remedy {
				t.Errorf("remedy %q, want %q", f.Remedy, test.remedy)
			}
			if strings.Contains(f.Text, "\n") || f.Text == "" {
				t.Errorf("not one line: %q", f.Text)
			}
		})
	}
}

func show(p *int64) string {
	if p == nil {
		return "unknown"
	}
	return fmt.Sprint(*p)
}

func TestCheckCoversNeeds(t *testing.T) {
	for _, p := range []Plan{{Clients: 1}, {Clients: 1, LoopbackTarget: true}, {Clients: 1, BundledServer: true, Workers: 3}} {
		needs, findings := Need(p), Check(p, roomy())
		if len(needs) != len(findings) {
			t.Fatalf("%d needs, %d findings", len(needs), len(findings))
		}
		for i, n := range needs {
			f := findings[i]
			if f.Limit != n.Limit || f.Needed != n.Needed || f.Unit != n.Unit {
				t.Errorf("finding %d is %s of %d, need %s of %d", i, f.Limit, f.Needed, n.Limit, n.Needed)
			}
		}
		if v := Worst(findings); v != OK {
			t.Errorf("%+v on a roomy machine: %v", p, v)
		}
		if err := Refusal(findings); err != nil {
			t.Errorf("%+v on a roomy machine: %v", p, err)
		}
	}
	// A machine of which nothing is known refuses nothing.
	if findings := Check(Plan{Clients: 1 << 20, BundledServer: true}, Limits{OS: "plan9"}); Worst(findings) != Unknown {
		t.Errorf("on a machine unknown: %v", Worst(findings))
	}
}

func TestRefusal(t *testing.T) {
	l := roomy()
	l.FilesHard = ptr(20_000)
	err := Refusal(Check(Plan{Clients: 100_000, LoopbackTarget: true, BundledServer: true}, l))
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("error %v", err)
	}
	if want := "open files: 100,064 needed, 20,000 allowed"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if len(refused.All) != 2 {
		t.Errorf("%d refusals, want those of both processes", len(refused.All))
	}
	if want := "ulimit -n 106496"; refused.Hint() != want {
		t.Errorf("hint %q, want %q once", refused.Hint(), want)
	}
}

func TestCapacity(t *testing.T) {
	l := roomy()
	l.FilesHard = ptr(20_000)
	if n, by := Capacity(Plan{LoopbackTarget: true, BundledServer: true}, l); n != 20_000-64 || by != OpenFiles {
		t.Errorf("%d clients by %q", n, by)
	}
	if n, by := Capacity(Plan{}, roomy()); n != 28_232 || by != LocalPorts {
		t.Errorf("remote: %d clients by %q", n, by)
	}
	if n, by := Capacity(Plan{}, Limits{OS: "plan9"}); n != 10_000_000 || by != "" {
		t.Errorf("nothing known: %d clients by %q", n, by)
	}
	l.FilesHard = ptr(10)
	if n, by := Capacity(Plan{}, l); n != 0 || by != OpenFiles {
		t.Errorf("room for none: %d clients by %q", n, by)
	}
}

func TestSourcesNeeded(t *testing.T) {
	l := roomy()
	for _, test := range []struct{ connections, want int }{
		{0, 1}, {1, 1}, {25_408, 1}, {25_409, 2}, {50_816, 2}, {50_817, 3}, {1_000_000, 40},
	} {
		if got := SourcesNeeded(test.connections, l); got != test.want {
			t.Errorf("%d connections: %d sources, want %d", test.connections, got, test.want)
		}
	}
	if got := SourcesNeeded(14_746, Limits{}); got != 2 {
		t.Errorf("range unknown: %d sources, want 2", got)
	}
	l.PortsReserved = ptr(28_232)
	if got := SourcesNeeded(5, l); got != 5 {
		t.Errorf("no port left: %d sources", got)
	}
}

func TestLoopbackSources(t *testing.T) {
	got := LoopbackSources(256)
	for i, want := range map[int]string{0: "127.0.0.1", 1: "127.0.0.2", 253: "127.0.0.254", 254: "127.0.1.1", 255: "127.0.1.2"} {
		if got[i].String() != want {
			t.Errorf("source %d is %v, want %s", i, got[i], want)
		}
	}
	if n := len(LoopbackSources(0)); n != 0 {
		t.Errorf("%d sources for none", n)
	}
}

func TestSettings(t *testing.T) {
	l := roomy()
	l.Somaxconn = nil
	l.PortsReserved = ptr(232)
	rows := l.Settings()
	for _, want := range []Setting{
		{"open files, soft", "1,024", true, "of this process; raised to the hard limit by itself"},
		{"open files, system", "unlimited", true, "all processes together, 1,000 in use"},
		{"local ports", "28,000", true, "for each pair of source address and destination, 32768 to 60999 without 232 reserved"},
		{"listen backlog", "unknown", false, "connections that may wait to be accepted"},
		{"memory", "64 GiB", true, "60 GiB available"},
	} {
		if !slices.Contains(rows, want) {
			t.Errorf("no row %+v in %+v", want, rows)
		}
	}
	for _, row := range rows {
		if strings.Contains(row.Name, "control group") || strings.Contains(row.Name, "tracking") {
			t.Errorf("row of what this machine has not: %+v", row)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, test := range []struct {
		unit Unit
		n    int64
		want string
	}{
		{Files, 0, "0"}, {Files, 999, "999"}, {Files, 1000, "1,000"}, {Ports, 1234567, "1,234,567"}, {Files, -1000, "-1,000"},
		{Files, Unlimited, "unlimited"}, {Bytes, Unlimited, "unlimited"},
		{Bytes, 512, "512 B"}, {Bytes, 1536, "1.5 KiB"}, {Bytes, 8200, "8 KiB"}, {Bytes, 60 << 30, "60 GiB"},
	} {
		if got := test.unit.Format(test.n); got != test.want {
			t.Errorf("%d %s: %q, want %q", test.n, test.unit, got, test.want)
		}
	}
	for n := int64(0); n < 200_000; n += 37 {
		if r := roundUp(n); r < n || r > n+n/8 {
			t.Fatalf("%d rounds up to %d", n, r)
		}
	}
}

func TestRaiseFiles(t *testing.T) {
	before, after, hard, err := RaiseFiles()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if before <= 0 || after < before || after > hard {
		t.Errorf("from %d to %d of %d", before, after, hard)
	}
	if l := ReadLimits(); l.FilesSoft == nil || *l.FilesSoft != after || *l.FilesHard != hard {
		t.Errorf("limits after raising: %s of %s, want %d of %d", show(l.FilesSoft), show(l.FilesHard), after, hard)
	}
}

func TestReadLimits(t *testing.T) {
	l := ReadLimits()
	if l.OS != runtime.GOOS || l.Cores < 1 {
		t.Errorf("%+v", l)
	}
	if l.MemoryTotal == nil || l.MemoryAvailable == nil || *l.MemoryAvailable > *l.MemoryTotal {
		t.Errorf("memory: %s of %s", show(l.MemoryAvailable), show(l.MemoryTotal))
	}
	if f := finding(t, Check(Plan{Clients: 10, LoopbackTarget: true, BundledServer: true}, l), OpenFiles); f.Verdict != OK {
		t.Errorf("ten clients: %+v", f)
	}
	if n, ok := l.PortsPerSource(); ok && (n < 1 || n > 65535) {
		t.Errorf("%d ports", n)
	}
}
