//go:build !linux

package observe

import (
	"context"
	"os"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// prober reads processes through gopsutil.
type prober struct {
	cheapFiles bool
}

func (p *prober) open(pid int) (member, error) {
	// Also sets apart what is there but cannot be read: no error, no figures.
	alive, err := process.PidExists(int32(pid))
	if err == nil && !alive {
		return member{}, ErrNoProcess
	}
	if err != nil {
		return member{}, err
	}
	return member{pid: pid}, nil
}

func (p *prober) name(pid int) *string {
	name, err := (&process.Process{Pid: int32(pid)}).Name()
	if err != nil {
		return nil
	}
	return &name
}

// descendants adds the children of members, and theirs.
func (p *prober) descendants(members []member) []member {
	for i := 0; i < len(members); i++ {
		children, err := (&process.Process{Pid: int32(members[i].pid)}).Children()
		if err != nil {
			continue // gopsutil has an error for "none"
		}
	next:
		for _, c := range children {
			for _, m := range members {
				if m.pid == int(c.Pid) {
					continue next
				}
			}
			members = append(members, member{pid: int(c.Pid)})
		}
	}
	return members
}

// look reads one member anew. It gives false, and leaves the member as it was,
// when that process has ended.
func (p *prober) look(m *member, files bool) (alive, coarse bool) {
	proc := &process.Process{Pid: int32(m.pid)}
	times, err := proc.Times()
	if err != nil {
		exists, err := process.PidExists(int32(m.pid))
		return err != nil || exists, true
	}
	m.cpu = max(m.cpu, int64((times.User+times.System)*float64(time.Second)))
	if info, err := proc.MemoryInfo(); err == nil {
		m.rss = known(int64(info.RSS))
	}
	if files {
		if n, err := proc.NumFDs(); err == nil {
			m.files = known(int64(n))
		}
	}
	return true, true
}

// self reads the resident set of this process.
func (p *prober) self() reading {
	info, err := (&process.Process{Pid: int32(os.Getpid())}).MemoryInfoWithContext(context.Background())
	if err != nil {
		return reading{}
	}
	return reading{rss: known(int64(info.RSS))}
}

func (p *prober) selfFiles() opt {
	if runtime.GOOS == "windows" {
		return opt{} // there are handles, which are not files alone
	}
	dir, err := os.Open("/dev/fd")
	if err != nil {
		return opt{}
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return opt{}
	}
	return known(int64(len(names)) - 1) // the directory itself is open too
}
