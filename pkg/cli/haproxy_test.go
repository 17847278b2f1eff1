package cli

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// haproxyInstalled reports whether haproxy can run here. In CI it must.
func haproxyInstalled() (bool, error) {
	_, err := haproxyPath()
	if err != nil && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("haproxy must be tested with in CI: %w", err)
	}
	return err == nil, nil
}

// haproxyPath finds haproxy, also where only the superuser looks for programs.
func haproxyPath() (string, error) {
	path, err := exec.LookPath("haproxy")
	if err == nil {
		return path, nil
	}
	for _, path := range []string{"/usr/sbin/haproxy", "/usr/local/sbin/haproxy"} {
		if _, serr := os.Stat(path); serr == nil {
			return path, nil
		}
	}
	return "", err
}

// haproxy starts one in the foreground. In its configuration, variables of the script
// are filled in, and fd@3 is a socket that listens already: no port is guessed, and
// whoever connects early waits in its queue.
func haproxy(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "haproxy NAME FILE")
	path, err := haproxyPath()
	ts.Check(err)
	name, file := args[0], ts.MkAbs(args[1]+".filled")
	ts.Check(os.WriteFile(file, []byte(os.Expand(ts.ReadFile(args[1]), ts.Getenv)), 0o600))
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ts.Check(err)
	defer ln.Close()
	socket, err := ln.File()
	ts.Check(err)
	defer socket.Close()
	cmd := exec.Command(path, "-db", "-f", file)
	cmd.Dir = filepath.Dir(file)
	cmd.ExtraFiles = []*os.File{socket}
	w := the(ts)
	if _, again := w.processes[name]; again {
		ts.Fatalf("there is a process %q already", name)
	}
	p, err := start(cmd, 0)
	ts.Check(err)
	w.processes[name] = p
	ts.Setenv(name, "http://"+ln.Addr().String())
}
