package observe

import (
	"testing"
	"testing/fstest"
)

func tree(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, content := range files {
		root[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return root
}

func expect(t *testing.T, what string, got *int64, want int64) {
	t.Helper()
	if got == nil || *got != want {
		t.Errorf("%s: %s, want %d", what, show(got), want)
	}
}

func TestReadProc(t *testing.T) {
	var l Limits
	readProc(tree(map[string]string{
		"proc/sys/fs/file-nr":                       "1504\t0\t9223372036854775807\n",
		"proc/sys/fs/nr_open":                       "1048576\n",
		"proc/sys/net/ipv4/ip_local_port_range":     "32768\t60999\n",
		"proc/sys/net/ipv4/ip_local_reserved_ports": "8080,32760-32769,50000,60990-61010\n",
		"proc/sys/net/core/somaxconn":               "4096\n",
		"proc/sys/net/ipv4/tcp_max_syn_backlog":     "2048\n",
		"proc/sys/net/ipv4/tcp_mem":                 "100\t200\t300\n",
		"proc/sys/net/ipv4/tcp_rmem":                "4096\t131072\t6291456\n",
		"proc/sys/net/ipv4/tcp_wmem":                "4096\t16384\t4194304\n",
		"proc/net/sockstat":                         "sockets: used 16\nTCP: inuse 2 orphan 0 tw 0 alloc 2 mem 7\nUDP: inuse 0 mem 3\n",
		"proc/meminfo":                              "MemTotal:       2048 kB\nMemFree:  512 kB\nMemAvailable:    1024 kB\n",
		"proc/sys/net/netfilter/nf_conntrack_max":   "262144\n",
		"proc/sys/net/netfilter/nf_conntrack_count": "17\n",
		"proc/self/cgroup":                          "0::/box/inner\n",
		"sys/fs/cgroup/box/memory.max":              "1000\n",
		"sys/fs/cgroup/box/memory.current":          "900\n",
		"sys/fs/cgroup/box/inner/memory.max":        "500\n",
		"sys/fs/cgroup/box/inner/memory.current":    "100\n",
		"sys/fs/cgroup/box/pids.max":                "64\n",
		"sys/fs/cgroup/box/pids.current":            "3\n",
		"sys/fs/cgroup/box/inner/pids.max":          "max\n",
	}), 4096, &l)
	expect(t, "system files", l.SystemFiles, Unlimited)
	expect(t, "system files in use", l.SystemFilesNow, 1504)
	expect(t, "nr_open", l.FilesMax, 1048576)
	expect(t, "reserved", l.PortsReserved, 2+1+10)
	if n, ok := l.PortsPerSource(); !ok || n != 28232-13 {
		t.Errorf("%d ports, %v", n, ok)
	}
	expect(t, "somaxconn", l.Somaxconn, 4096)
	expect(t, "syn backlog", l.SynBacklog, 2048)
	expect(t, "tcp_mem, pressure", l.TCPMemPressure, 200*4096)
	expect(t, "tcp_mem, most", l.TCPMemMax, 300*4096)
	expect(t, "tcp_mem, now", l.TCPMemNow, 7*4096)
	expect(t, "tcp_rmem", l.TCPReadBuffer, 131072)
	expect(t, "tcp_wmem", l.TCPWriteBuffer, 16384)
	expect(t, "memory", l.MemoryTotal, 2<<20)
	expect(t, "memory available", l.MemoryAvailable, 1<<20)
	expect(t, "conntrack", l.Conntrack, 262144)
	expect(t, "conntrack in use", l.ConntrackNow, 17)
	// The outer group has less left, though its limit is higher.
	expect(t, "memory of the control group", l.CgroupMemory, 1000)
	expect(t, "memory of the control group in use", l.CgroupMemoryNow, 900)
	expect(t, "processes of the control group", l.CgroupPIDs, 64)
	expect(t, "processes of the control group in use", l.CgroupPIDsNow, 3)
	if !l.LoopbackSources {
		t.Error("127.0.0.0/8 is local on Linux")
	}
}

func TestReadProcOfContainerWithCgroup1(t *testing.T) {
	var l Limits
	readProc(tree(map[string]string{
		// The path is the host's; in here the mount itself is the group.
		"proc/self/cgroup":                           "9:name=systemd:/x\n8:cpu,pids:/docker/0a1b\n4:memory:/docker/0a1b\n0::/\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "1048576\n",
		"sys/fs/cgroup/memory/memory.usage_in_bytes": "4096\n",
		"sys/fs/cgroup/pids/pids.max":                "100\n",
		"sys/fs/cgroup/pids/pids.current":            "5\n",
	}), 4096, &l)
	expect(t, "memory", l.CgroupMemory, 1<<20)
	expect(t, "memory in use", l.CgroupMemoryNow, 4096)
	expect(t, "processes", l.CgroupPIDs, 100)
}

func TestReadProcUnknown(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"empty": {},
		"garbled": {
			"proc/sys/fs/file-nr":                        "x y z",
			"proc/sys/net/ipv4/ip_local_port_range":      "32768",
			"proc/sys/net/core/somaxconn":                "",
			"proc/sys/net/ipv4/tcp_mem":                  "1 2",
			"proc/net/sockstat":                          "TCP: inuse 2",
			"proc/meminfo":                               "MemTotal: lots",
			"proc/self/cgroup":                           "nonsense\n4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", // none, as version 1 writes it
		},
	} {
		t.Run(name, func(t *testing.T) {
			var l Limits
			readProc(tree(files), 4096, &l)
			if l != (Limits{LoopbackSources: true}) {
				t.Errorf("made up %+v", l)
			}
		})
	}
}

func TestReadLimitsKnowsThisKernel(t *testing.T) {
	l := ReadLimits()
	for what, v := range map[string]*int64{
		"soft": l.FilesSoft, "hard": l.FilesHard, "nr_open": l.FilesMax, "file-max": l.SystemFiles, "file-nr": l.SystemFilesNow,
		"ports from": l.PortLow, "to": l.PortHigh, "somaxconn": l.Somaxconn, "syn backlog": l.SynBacklog,
		"tcp_mem": l.TCPMemMax, "tcp_rmem": l.TCPReadBuffer, "tcp_wmem": l.TCPWriteBuffer, "sockstat": l.TCPMemNow,
	} {
		if v == nil {
			t.Errorf("%s unknown", what)
		} else if *v < 0 {
			t.Errorf("%s: %d", what, *v)
		}
	}
}
