package cli

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/shirou/gopsutil/v3/cpu"
	hostinfo "github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/spf13/cobra"

	"github.com/sseload/sseload/pkg/result"
)

// buildVersion and buildCommit are set by the linker in releases (-X).
//
//nolint:gochecknoglobals // the linker can set nothing else
var buildVersion, buildCommit string

func (a *App) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  sseload version",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			t := tool()
			_, err := fmt.Fprintf(a.Stdout, "sseload %s, commit %s, %s, %s/%s\n", t.Version, t.Commit, t.Go, runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func version() string {
	if buildVersion != "" {
		return buildVersion
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// tool is this program as records name it.
func tool() result.Tool {
	t := result.Tool{Version: version(), Commit: buildCommit, Go: runtime.Version()}
	if t.Commit != "" {
		return t
	}
	t.Commit = "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			t.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	t.Commit += dirty
	return t
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// host is this machine as records name it. What cannot be found out stays nil.
func host() result.Host {
	h := result.Host{Name: hostName(), OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	if kernel, err := hostinfo.KernelVersion(); err == nil {
		h.Kernel = &kernel
	}
	if cpus, err := cpu.Info(); err == nil && len(cpus) > 0 && cpus[0].ModelName != "" {
		h.CPUModel = &cpus[0].ModelName
	}
	if m, err := mem.VirtualMemory(); err == nil {
		total := int64(m.Total)
		h.MemoryBytes = &total
	}
	return h
}
