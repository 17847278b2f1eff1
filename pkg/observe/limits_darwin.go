package observe

import (
	"github.com/shirou/gopsutil/v3/mem"
	"golang.org/x/sys/unix"
)

func readSystem(l *Limits) {
	l.FilesSoft, l.FilesHard = fileLimits()
	l.FilesMax = sysctl("kern.maxfilesperproc")
	l.SystemFiles = sysctl("kern.maxfiles")
	l.SystemFilesNow = sysctl("kern.num_files")
	l.PortLow = sysctl("net.inet.ip.portrange.first")
	l.PortHigh = sysctl("net.inet.ip.portrange.last")
	l.Somaxconn = sysctl("kern.ipc.somaxconn")
	if v, err := mem.VirtualMemory(); err == nil {
		l.MemoryTotal, l.MemoryAvailable = ptr(int64(v.Total)), ptr(int64(v.Available))
	}
}

func sysctl(name string) *int64 {
	v, err := unix.SysctlUint32(name)
	if err != nil {
		return nil
	}
	return ptr(int64(v))
}
