package observe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// listeners finds the processes that hold a listening socket for a port.
//
// gopsutil can list connections with their processes, but names one process a
// socket, whichever comes first, and so cannot see that a master and its
// workers share it; hence this, which follows the same files.
func listeners(ctx context.Context, ips []netip.Addr, port uint16) ([]int, error) {
	inodes := make(map[string]bool)
	best := 0
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		err := eachListener(path, func(bound netip.AddrPort, inode string) {
			if bound.Port() != port {
				return
			}
			r := reach(bound.Addr(), ips)
			if r > best {
				best = r
				clear(inodes)
			}
			if r == best && r > 0 {
				inodes["socket:["+inode+"]"] = true
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if len(inodes) == 0 {
		return nil, nil
	}

	var holders []int
	var p, q prober
	var link [64]byte
	err := p.eachPID(func(pid int) {
		if ctx.Err() != nil {
			return
		}
		dir := "/proc/" + strconv.Itoa(pid) + "/fd"
		held := false
		// An unreadable directory is another user's process.
		_ = q.eachName(dir, func(name []byte) {
			if held || name[0] == '.' {
				return
			}
			n, err := unix.Readlink(dir+"/"+string(name), link[:])
			held = err == nil && inodes[string(link[:n])]
		})
		if held {
			holders = append(holders, pid)
		}
	})
	if err := errors.Join(err, ctx.Err()); err != nil {
		return nil, err
	}
	if len(holders) == 0 {
		return nil, ErrHiddenListener
	}
	return holders, nil
}

// eachListener calls f for the listening sockets of a /proc/net/tcp or tcp6.
func eachListener(path string, f func(bound netip.AddrPort, inode string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// sl local remote state tx:rx tr:when retransmits uid timeout inode …;
		// see proc_net(5). State 0A is TCP_LISTEN.
		words := bytes.Fields(lines.Bytes())
		if len(words) < 10 || string(words[3]) != "0A" {
			continue
		}
		if bound, ok := parseSocketAddress(words[1]); ok {
			f(bound, string(words[9]))
		}
	}
	return lines.Err()
}

// parseSocketAddress reads "0100007F:1F90": the address as words of 32 bits in
// the machine's byte order, the port in plain hexadecimal.
func parseSocketAddress(b []byte) (netip.AddrPort, bool) {
	address, portText, ok := bytes.Cut(b, []byte{':'})
	if !ok {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(string(portText), 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	raw := make([]byte, hex.DecodedLen(len(address)))
	if _, err := hex.Decode(raw, address); err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip, uint16(port)), ok
}

func parentOf(pid int) (int, bool) {
	var p prober
	s, err := p.stat(pid)
	return s.parent, err == nil
}

func sameProgram(a, b int) bool {
	x, err := os.Readlink("/proc/" + strconv.Itoa(a) + "/exe")
	if err != nil {
		return false
	}
	y, err := os.Readlink("/proc/" + strconv.Itoa(b) + "/exe")
	return err == nil && x == y
}
