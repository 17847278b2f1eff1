//go:build !linux

package observe

import (
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/mem"
)

// machine reads the state of the whole machine. It is not safe for concurrent
// use.
type machine struct{}

func (m *machine) read() machineReading {
	var r machineReading
	r.coarse = true
	if times, err := cpu.Times(false); err == nil && len(times) == 1 {
		t := times[0]
		r.cpu = known(int64((t.User + t.System + t.Nice + t.Irq + t.Softirq) * float64(time.Second)))
	}
	r.at = time.Now()
	if v, err := mem.VirtualMemory(); err == nil {
		r.total = known(int64(v.Total))
		r.used = known(int64(v.Total - v.Available))
	}
	return r
}

// tcpSockets cannot be counted here.
func (m *machine) tcpSockets() (count, size opt) { return opt{}, opt{} }

// network knows no counters here.
func (m *machine) network() networkCounters { return networkCounters{} }
