package observe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/process"
	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	tail := " S 7 1 1 0 -1 4194304 1 2 3 4 150 50 30 20 20 0 5 0 987654 1000000 300 18446744073709551615"
	page := int64(os.Getpagesize())
	want := stat{state: 'S', parent: 7, cpu: 2e9, kids: 5e8, start: 987654, rssInBytes: 300 * page}
	for _, comm := range []string{"server", "a b", "node (worker) ) S 1", ""} {
		if got, ok := parseStat([]byte("12 (" + comm + ")" + tail)); !ok || got != want {
			t.Errorf("%q: %+v, %v", comm, got, ok)
		}
	}
	for _, bad := range []string{"", "12", "12 (x)", "12 (x) ", "12 (x) S 1 2", "12 (x) SS" + tail[2:]} {
		if got, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q: %+v, want a refusal", bad, got)
		}
	}
}

// The clock of another process and the ticks that gopsutil reads are two views
// of one thing.
func TestProcessCPUAgreesWithGopsutil(t *testing.T) {
	s := start(t)
	s.number(t, "burn 300")
	precise, ok := processCPU(s.cmd.Process.Pid)
	if !ok {
		t.Fatal("no clock of another process")
	}
	times, err := (&process.Process{Pid: int32(s.cmd.Process.Pid)}).Times()
	if err != nil {
		t.Fatal(err)
	}
	ticks := int64((times.User + times.System) * 1e9)
	if diff := precise - ticks; diff < -2*tick || diff > 4*tick {
		t.Errorf("clock %v, gopsutil %v", time.Duration(precise), time.Duration(ticks))
	}
	if _, ok := processCPU(1 << 22); ok {
		t.Error("a clock of a process that cannot be")
	}
}

func TestTreeTakesUnreapedForGone(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// Wait for the end without taking it away.
	if err := unix.Waitid(unix.P_PID, s.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if u := tree.Read(); !u.Gone || u.Processes != 0 {
		t.Errorf("a process that ended and was not reaped: %+v", u)
	}
	if _, err := NewTree(s.cmd.Process.Pid); !errors.Is(err, ErrNoProcess) {
		t.Errorf("new tree of it: %v", err)
	}
}

func TestTreeKnowsReusedPID(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	tree.members[0].start-- // as if the process seen before had been an earlier one
	if u := tree.Read(); !u.Gone || u.Processes != 0 {
		t.Errorf("another process of the same number: %+v", u)
	}
}

func TestTreeKeepsOrphans(t *testing.T) {
	s := start(t)
	tree := s.tree(t)
	child := int(s.number(t, "spawn"))
	if n := tree.Read().Processes; n != 2 {
		t.Fatalf("%d processes, want 2", n)
	}
	// The pipe to the child breaks with its parent, which ends it too, so it is
	// stopped meanwhile.
	if err := unix.Kill(child, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.cmd.Process.Wait(); err != nil {
		t.Fatal(err)
	}
	u := tree.Read()
	if err := unix.Kill(child, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !u.Gone || u.Processes != 1 || u.RSSBytes == nil || *u.RSSBytes == 0 {
		t.Errorf("with an orphan left: %+v", u)
	}
}

func TestCountFilesByName(t *testing.T) {
	var p prober
	want := p.selfFiles()
	var byName int64
	if err := p.eachName("/proc/self/fd", func(name []byte) {
		if name[0] != '.' {
			byName++
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !want.ok || byName-1 != want.v {
		t.Errorf("%d by name with the directory itself, %v by size", byName, want)
	}
	if n := p.countFiles("/proc/self/no-such", 0); n.ok {
		t.Errorf("counted %d files of nothing", n.v)
	}
}

func TestListenerIsShared(t *testing.T) {
	l, addr := listen(t, "127.0.0.1:0")
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 2 {
		s, err := spawn(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.end)
	}
	if pid, ok, err := FindListener(context.Background(), addr); err != nil || !ok || pid != os.Getpid() {
		t.Errorf("shared with two children: %d, %v, %v, want %d", pid, ok, err, os.Getpid())
	}

	// Without the parent's copies the children are alone: no master holds it.
	l.Close()
	file.Close()
	pid, ok, err := FindListener(context.Background(), addr)
	if parent, _ := parentOf(pid); err != nil || !ok || parent != os.Getpid() {
		t.Errorf("held by two children: %d, %v, %v", pid, ok, err)
	}
}

func TestListenerOfExactAddressFirst(t *testing.T) {
	l, addr := listen(t, "127.0.0.2:0")
	_, port, _ := strings.Cut(addr, ":")
	if _, ok, err := FindListener(context.Background(), "127.0.0.3:"+port); ok || err != nil {
		t.Errorf("found a listener of another address: %v, %v", ok, err)
	}
	if pid, ok, err := FindListener(context.Background(), l.Addr().String()); !ok || err != nil || pid != os.Getpid() {
		t.Errorf("%s: %d, %v, %v", addr, pid, ok, err)
	}
}

func TestReach(t *testing.T) {
	loopback, six := netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()
	for _, test := range []struct {
		bound string
		ips   []netip.Addr
		want  int
	}{
		{"127.0.0.1", []netip.Addr{loopback}, 2},
		{"::ffff:127.0.0.1", []netip.Addr{loopback}, 2},
		{"127.0.0.1", []netip.Addr{six, loopback}, 2},
		{"127.0.0.2", []netip.Addr{loopback}, 0},
		{"0.0.0.0", []netip.Addr{loopback}, 1},
		{"0.0.0.0", []netip.Addr{six}, 0},
		{"::", []netip.Addr{loopback}, 1},
		{"::", []netip.Addr{six}, 1},
		{"10.0.0.1", []netip.Addr{netip.IPv4Unspecified()}, 1},
	} {
		if got := reach(netip.MustParseAddr(test.bound), test.ips); got != test.want {
			t.Errorf("bound to %s, asked for %v: %d, want %d", test.bound, test.ips, got, test.want)
		}
	}
}

func TestParseSocketAddress(t *testing.T) {
	// Written by a little-endian kernel; a test on another one would need others.
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("this machine is big-endian")
	}
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0050":                         "0.0.0.0:80",
		"00000000000000000000000001000000:1F90": "[::1]:8080",
		"0000000000000000FFFF00000100007F:1F90": "[::ffff:127.0.0.1]:8080",
	} {
		if got, ok := parseSocketAddress([]byte(text)); !ok || got.String() != want {
			t.Errorf("%s: %v, %v, want %s", text, got, ok, want)
		}
	}
	for _, bad := range []string{"", "0100007F", "0100007:1F90", "0100007F:1F90F", "01:1F90", "XX00007F:1F90"} {
		if got, ok := parseSocketAddress([]byte(bad)); ok {
			t.Errorf("%q: %v, want a refusal", bad, got)
		}
	}
}

func TestMachineKnowsThisKernel(t *testing.T) {
	var m machine
	r := m.read()
	if !r.cpu.ok || !r.used.ok || !r.total.ok || !r.sockets.ok || r.cores < 1 {
		t.Errorf("machine: %+v", r)
	}
	if n := m.network(); !n.overflows.ok || !n.drops.ok || !n.retransmits.ok {
		t.Errorf("network: %+v", n)
	}
	if c := counter("/proc/net/snmp", "Tcp:", "NoSuchCounter"); c.ok {
		t.Errorf("a counter that is not there: %d", c.v)
	}
}

// TestMemoryOfSockets: connections are seen in what the kernel holds.
func TestMemoryOfSockets(t *testing.T) {
	w := New(Config{})
	if held := w.Held(); held.TCPSockets == nil || held.TCPSocketBytes == nil {
		t.Fatalf("memory: %+v", held)
	}
	// The kernel counts for all programs, and others open and close sockets too:
	// one attempt of several has to go undisturbed.
	var disturbed []string
	for range 20 {
		const pairs = 1000
		before, after := heldAround(t, w, pairs)
		sockets := *after.TCPSockets - *before.TCPSockets
		size := *after.TCPSocketBytes - *before.TCPSocketBytes
		if sockets > pairs && sockets < 3*pairs && size > 500*sockets && size < 10_000*sockets {
			return
		}
		disturbed = append(disturbed, fmt.Sprintf("%d sockets of %d bytes", sockets, size))
	}
	t.Errorf("two ends of a thousand connections are %q more", disturbed)
}

// heldAround is what the kernel held before there were so many connections and
// while there were.
func heldAround(t *testing.T, w *Watcher, pairs int) (before, after Held) {
	t.Helper()
	listener, _ := listen(t, "127.0.0.1:0")
	defer listener.Close()
	before = w.Held()
	for range pairs {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		// By a reset: a port that waits is no good to the tests beside.
		if err := client.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
	}
	return before, w.Held()
}

func TestTCPSocketsOfBothVersions(t *testing.T) {
	const text = "protocol  size sockets  memory press\nTCPv6     2432      3       0   no\nUNIX  1024 7 -1 NI\nTCP       2304      5       0   no\nMPTCP 2048 9 0 no\n"
	count, size := parseProtocols([]byte(text))
	if count.v != 8 || size.v != 3*2432+5*2304 || !count.ok || !size.ok {
		t.Errorf("%+v sockets of %+v bytes", count, size)
	}
	if count, size := parseProtocols([]byte("protocol size\nTCP\n")); count.ok || size.ok {
		t.Errorf("%+v sockets of %+v bytes from nothing", count, size)
	}
}

// Sampling goes on beside the load, so it must leave the collector alone.
func TestSampleAllocatesLittle(t *testing.T) {
	s := start(t)
	w := New(Config{Target: s.tree(t)})
	w.look()
	w.phases = append(w.phases, stretch{})
	if n := testing.AllocsPerRun(20, func() { w.look() }); n > 24 {
		t.Errorf("%.0f allocations a sample, want at most 24", n)
	}
}

func BenchmarkSample(b *testing.B) {
	tree, err := NewTree(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	w := New(Config{Target: tree})
	b.ReportAllocs()
	for b.Loop() {
		w.look()
	}
}

// BenchmarkSocketPair measures what [SocketPairBytes] and [UnreadBytes] say,
// for 5,000 connections; it needs 10,100 open files. Run it with -benchtime 1x:
// a further round finds memory of the one before that the kernel still keeps.
func BenchmarkSocketPair(b *testing.B) {
	const pairs = 5000
	var p prober
	slab := func() int64 {
		data, err := p.slurp("/proc/meminfo")
		if err != nil {
			b.Fatal(err)
		}
		return field(data, "\nSlab:").v << 10
	}
	var m machine
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(err)
	defer unix.Close(listener)
	must(unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(unix.Listen(listener, 64))
	addr, err := unix.Getsockname(listener)
	must(err)
	message := make([]byte, 200)
	pass := func(from, to int) {
		_, err := unix.Write(from, message)
		must(err)
		if to >= 0 {
			_, err = unix.Read(to, message)
			must(err)
		}
	}
	var idle, unread int64
	rounds := int64(0)
	for b.Loop() {
		rounds++
		epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		must(err)
		before := slab()
		var clients, servers []int
		for range pairs {
			c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(err)
			must(unix.Connect(c, addr))
			s, _, err := unix.Accept(listener)
			must(err)
			for _, fd := range []int{c, s} {
				must(unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
			}
			pass(c, s)
			pass(s, c)
			clients, servers = append(clients, c), append(servers, s)
		}
		idle += slab() - before
		sockets := m.read().sockets.v
		for _, s := range servers {
			pass(s, -1)
		}
		unread += m.read().sockets.v - sockets
		for i := range clients {
			unix.Close(clients[i])
			unix.Close(servers[i])
		}
		unix.Close(epoll)
	}
	b.ReportMetric(float64(idle)/float64(rounds*pairs), "slab-B/pair")
	b.ReportMetric(float64(unread)/float64(rounds*pairs), "tcpmem-B/unread")
}
