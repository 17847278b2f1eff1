package observe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of CPU times under /proc: USER_HZ, which is part of the
// kernel's interface and 100 on every architecture that Go runs on.
const tick = int64(time.Second / 100)

// prober reads /proc with one buffer of its own. It opens and closes a file for
// each look rather than keep descriptors, of which a load run has none to
// spare. It reads itself what gopsutil could read too, because a look must cost
// microseconds and little garbage.
type prober struct {
	buf        [2048]byte
	dents      []byte
	known      map[int]uint32 // every pid of the machine: the scan that saw it last
	scan       uint32
	cheapFiles bool
}

// stat is what is used of /proc/pid/stat, see proc_pid_stat(5).
type stat struct {
	state      byte
	parent     int
	cpu, kids  int64 // nanoseconds
	start      uint64
	rssInBytes int64
}

// slurp reads what fits of a file into the prober's buffer, which the next call
// overwrites. A file under /proc gives what it has in one read.
func (p *prober) slurp(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, p.buf[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return p.buf[:n], nil
	}
}

func (p *prober) stat(pid int) (stat, error) {
	b, err := p.slurp("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	s, ok := parseStat(b)
	if !ok {
		return stat{}, errors.New("unexpected form of /proc/pid/stat")
	}
	return s, nil
}

func parseStat(b []byte) (stat, bool) {
	// The command in parentheses may itself hold spaces and parentheses.
	end := bytes.LastIndexByte(b, ')')
	if end < 0 || end+2 >= len(b) {
		return stat{}, false
	}
	b = b[end+2:]
	var s stat
	const firstField = 3
	for field := firstField; field <= 24; field++ {
		word, rest, found := bytes.Cut(b, []byte{' '})
		if !found && field < 24 {
			return stat{}, false
		}
		b = rest
		if field == firstField {
			if len(word) != 1 {
				return stat{}, false
			}
			s.state = word[0]
			continue
		}
		switch field {
		case 4:
			s.parent = int(number(word))
		case 14, 15:
			s.cpu += number(word) * tick
		case 16, 17:
			s.kids += number(word) * tick
		case 22:
			s.start = uint64(number(word))
		case 24:
			s.rssInBytes = number(word) * int64(os.Getpagesize())
		}
	}
	return s, true
}

// number reads leading decimal digits; the kernel's files hold no others.
func number(b []byte) int64 {
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// ended tells a process that has run from one that merely cannot be read now,
// for instance because this process has run out of descriptors.
func ended(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

func (p *prober) open(pid int) (member, error) {
	s, err := p.stat(pid)
	if ended(err) || err == nil && s.dead() {
		return member{}, ErrNoProcess
	}
	if err != nil {
		return member{}, err
	}
	return member{pid: pid, start: s.start}, nil
}

func (p *prober) name(pid int) *string {
	b, err := p.slurp("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return nil
	}
	name := string(bytes.TrimSpace(b))
	return &name
}

// descendants adds the processes that have since been started by members. Only
// processes not seen in an earlier scan are looked into: whether a process
// descends from the tree is decided when it is born.
func (p *prober) descendants(members []member) []member {
	if p.known == nil {
		p.known = make(map[int]uint32)
	}
	p.scan++
	type child struct {
		pid, parent int
		start       uint64
	}
	var born []child
	err := p.eachPID(func(pid int) {
		if _, ok := p.known[pid]; !ok {
			s, err := p.stat(pid)
			if err != nil {
				return // it ended meanwhile, or the next scan tries again
			}
			born = append(born, child{pid, s.parent, s.start})
		}
		p.known[pid] = p.scan
	})
	if err != nil {
		return members
	}
	for pid, scan := range p.known {
		if scan != p.scan {
			delete(p.known, pid)
		}
	}
	// A child can come before its parent in the list, so go on until a round
	// finds nothing.
	for found := true; found; {
		found = false
		for i, c := range born {
			if c.pid == 0 {
				continue
			}
			in, mine := false, false
			for j := range members {
				in = in || members[j].pid == c.pid
				mine = mine || members[j].pid == c.parent
			}
			if mine && !in {
				members = append(members, member{pid: c.pid, start: c.start})
				born[i].pid = 0
				found = true
			}
		}
	}
	return members
}

// eachPID calls f for every process that /proc shows.
func (p *prober) eachPID(f func(pid int)) error {
	return p.eachName("/proc", func(name []byte) {
		if name[0] >= '1' && name[0] <= '9' {
			f(int(number(name)))
		}
	})
}

// eachName calls f for the entries of a directory, "." and ".." included. The
// slice is only good during the call.
func (p *prober) eachName(dir string, f func(name []byte)) error {
	if p.dents == nil {
		p.dents = make([]byte, 32<<10)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Getdents(fd, p.dents)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		// struct linux_dirent64: ino 8 bytes, off 8, reclen 2, type 1, name; getdents(2).
		for b := p.dents[:n]; len(b) > 19; {
			size := int(binary.NativeEndian.Uint16(b[16:]))
			if size <= 19 || size > len(b) {
				break
			}
			name := b[19:size]
			if end := bytes.IndexByte(name, 0); end > 0 {
				f(name[:end])
			}
			b = b[size:]
		}
	}
}

// look reads one member anew. It gives false, and leaves the member as it was,
// when that process has ended.
func (p *prober) look(m *member, files bool) (alive, coarse bool) {
	s, err := p.stat(m.pid)
	if ended(err) || err == nil && (s.start != m.start || s.dead()) {
		if err == nil && s.start == m.start {
			// Not yet reaped, so the whole of its time can still be read.
			if cpu, ok := processCPU(m.pid); ok {
				m.cpu = max(m.cpu, cpu)
			}
		}
		return false, false
	}
	if err != nil {
		return true, false // unreadable just now: keep the last figures
	}
	cpu, ok := processCPU(m.pid)
	if !ok {
		cpu, coarse = s.cpu, true
	}
	m.cpu = max(m.cpu, cpu)
	m.kids = max(m.kids, s.kids)
	m.rss = known(s.rssInBytes)
	if files {
		m.files = p.countFiles("/proc/"+strconv.Itoa(m.pid)+"/fd", 0)
	}
	return true, coarse
}

// processCPU reads the CPU clock of any process in nanoseconds. Its id is what
// clock_getcpuclockid(3) makes: the complement of the pid above two bits of
// kind, where 2 is the scheduler's own count. /proc knows ticks of 10 ms only.
func processCPU(pid int) (int64, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0, false
	}
	return ts.Nano(), true
}

// selfCPU reads the CPU time of this process.
func selfCPU() (cpu time.Duration, coarse, ok bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		return 0, false, false
	}
	return time.Duration(ts.Nano()), false, true
}

// self reads the resident set of this process.
func (p *prober) self() reading {
	// /proc/self/statm, in pages: size resident …; see proc_pid_statm(5).
	b, err := p.slurp("/proc/self/statm")
	if err != nil {
		return reading{}
	}
	_, b, ok := bytes.Cut(b, []byte{' '})
	if !ok {
		return reading{}
	}
	return reading{rss: known(number(b) * int64(os.Getpagesize()))}
}

func (p *prober) selfFiles() opt {
	// Reading the directory takes a descriptor that is counted with the rest.
	return p.countFiles("/proc/self/fd", 1)
}

// countFiles counts the entries of a /proc/pid/fd. Since Linux 6.2 the
// directory's size is that number; before, each entry must be read, and the
// descriptor that this needs is taken off again where it is our own.
func (p *prober) countFiles(dir string, ours int64) opt {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err == nil && st.Size > 0 {
		p.cheapFiles = true
		return known(st.Size)
	}
	var n int64
	if err := p.eachName(dir, func(name []byte) {
		if name[0] != '.' {
			n++
		}
	}); err != nil {
		return opt{}
	}
	return known(n - ours)
}
