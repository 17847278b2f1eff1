package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sseload/sseload/pkg/result/resulttest"
	"github.com/sseload/sseload/pkg/target/proxytest"
)

const scriptDir = "testdata/script"

// TestScripts runs the program as users type it. Beside the commands that
// testscript knows there are
//
//	exits CODE program args...        run it; it must exit with CODE
//	fails CODE program args...        the same, and it must print no result and one
//	                                  error, with at most one hint behind it
//	background NAME [-tty COLUMNS] program args...
//	await NAME stdout|stderr|tty REGEXP [VAR]
//	                                  wait until its output matches, and keep the
//	                                  first submatch
//	signal NAME INT|TERM|KILL
//	press NAME                        type Ctrl-C on its terminal
//	ends NAME CODE                    wait for its end; its output becomes stdout
//	                                  and stderr
//	server NAME [-tls|-mutual|-unix|-ipv6] KIND args...
//	                                  start a stand-in, see newStandIn; its URL is
//	                                  $NAME, its certificate NAME.pem, its socket
//	                                  $NAME_SOCKET. With -mutual it wants that of
//	                                  NAME-client.pem, whose key is in NAME-client.key
//	proxy NAME [USER:PASSWORD]        start a proxy to which every host is this machine;
//	                                  $NAME is HOST:PORT
//	asked NAME REGEXP                 the proxy was asked for something that matches
//	streams NAME N                    wait until it has N open streams
//	requests NAME N                   wait until it had N requests
//	cuts NAME N                       wait until N streams were cut while written
//	saw NAME REGEXP                   some request matched; with ! none did
//	untouched NAME                    nobody has connected to it
//	stop NAME                         it crashes
//	request METHOD URL [-H 'K: V']... [BODY]
//	                                  the answer's head and body become stdout
//	refuses HOST:PORT                 nothing listens there
//	port NAME                         $NAME is 127.0.0.1:$NAME_PORT, where nothing listens
//	express                           start the Express server; its URL is $EXPRESS, and
//	                                  where its inspector listens $INSPECT
//	haproxy NAME FILE                 start it with that configuration, in which
//	                                  fd@3 is where it listens; its URL is $NAME
//	validate FILE                     it is a record as the schema wants it
//	field FILE PATH [<|>] VALUE       what stands at PATH, as in runs.0.engine
//	narrow FILE COLUMNS               no line is wider
//	tidy FILE COLUMNS LINE...         a terminal to which that was written is left as it
//	                                  was, and what shows has lines like these, in order
//	child NAME VAR                    find its child: $VAR is the pid, $VAR_ADDR
//	                                  where it listens
//	gone VAR                          wait until that child has ended
func TestScripts(t *testing.T) {
	schema := resulttest.LoadSchema(t)
	testscript.Run(t, testscript.Params{
		Dir:                 scriptDir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			w := &world{servers: map[string]*standIn{}, processes: map[string]*process{}, children: map[string]*watchedProcess{}, proxies: map[string]*proxytest.Proxy{}}
			env.Values[worldKey{}] = w
			env.Defer(w.release)
			servers, err := filepath.Abs("../../testserver")
			if err != nil {
				return err
			}
			env.Setenv("SERVERS", servers)
			if env.Getenv("GORACE") == "" {
				env.Setenv("GORACE", "atexit_sleep_ms=0")
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "terminal":
				return canTerminal(), nil
			case "express":
				return expressInstalled()
			case "haproxy":
				return haproxyInstalled()
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":      exits,
			"fails":      fails,
			"background": background,
			"await":      await,
			"signal": func(ts *testscript.TestScript, _ bool, args []string) {
				need(ts, args, 2, "signal NAME SIGNAL")
				ts.Check(the(ts).process(ts, args[0]).signal(args[1]))
			},
			"press": func(ts *testscript.TestScript, _ bool, args []string) {
				need(ts, args, 1, "press NAME")
				ts.Check(the(ts).process(ts, args[0]).press())
			},
			"ends":   ends,
			"server": startServer,
			"proxy":  startProxy,
			"asked":  asked,
			"streams": func(ts *testscript.TestScript, _ bool, args []string) {
				awaitCount(ts, args, "open streams", func(st *standInState) int { return st.streams })
			},
			"requests": func(ts *testscript.TestScript, _ bool, args []string) {
				awaitCount(ts, args, "requests", func(st *standInState) int { return len(st.requests) })
			},
			"cuts": func(ts *testscript.TestScript, _ bool, args []string) {
				awaitCount(ts, args, "cut streams", func(st *standInState) int { return st.cuts })
			},
			"saw": saw,
			"untouched": func(ts *testscript.TestScript, _ bool, args []string) {
				need(ts, args, 1, "untouched NAME")
				ts.Check(the(ts).server(ts, args[0]).untouched())
			},
			"stop": func(ts *testscript.TestScript, _ bool, args []string) {
				need(ts, args, 1, "stop NAME")
				the(ts).server(ts, args[0]).stop()
			},
			"request": request,
			"refuses": refuses,
			"express": express,
			"port":    port,
			"validate": func(ts *testscript.TestScript, _ bool, args []string) {
				need(ts, args, 1, "validate FILE")
				ts.Check(resulttest.Check(schema, []byte(ts.ReadFile(args[0]))))
			},
			"haproxy": haproxy,
			"field":   field,
			"narrow":  narrow,
			"tidy":    tidy,
			"child":   child,
			"gone": func(ts *testscript.TestScript, _ bool, args []string) {
				need(ts, args, 1, "gone VAR")
				w, ok := the(ts).children[args[0]]
				if !ok {
					ts.Fatalf("no child %q is known", args[0])
				}
				ts.Check(w.gone())
			},
		},
	})
}

// world is what a script has started.
type world struct {
	servers   map[string]*standIn
	processes map[string]*process
	children  map[string]*watchedProcess
	proxies   map[string]*proxytest.Proxy
	express   func()
}

type worldKey struct{}

func the(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func (w *world) release() {
	for _, p := range w.processes {
		p.release()
	}
	for _, s := range w.servers {
		s.stop()
	}
	for _, c := range w.children {
		c.release()
	}
	if w.express != nil {
		w.express()
	}
}

func (w *world) server(ts *testscript.TestScript, name string) *standIn {
	s, ok := w.servers[name]
	if !ok {
		ts.Fatalf("no server %q was started", name)
	}
	return s
}

func (w *world) process(ts *testscript.TestScript, name string) *process {
	p, ok := w.processes[name]
	if !ok {
		ts.Fatalf("no process %q was started", name)
	}
	return p
}

func need(ts *testscript.TestScript, args []string, n int, usage string) {
	if len(args) != n {
		ts.Fatalf("usage: %s", usage)
	}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

// run runs a program to its end. Its output becomes stdout and stderr.
func run(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits|fails CODE program args...")
	}
	want, code := number(ts, args[0]), 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("the exit code is %d, not %d", code, want)
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) { run(ts, args) }

func fails(ts *testscript.TestScript, _ bool, args []string) {
	run(ts, args)
	if out := ts.ReadFile("stdout"); out != "" {
		ts.Fatalf("a result was printed beside the error")
	}
	if err := oneError(ts.ReadFile("stderr")); err != nil {
		ts.Fatalf("%v", err)
	}
}

// oneError checks that text is one error and at most one hint, a line each.
func oneError(text string) error {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, prefix := range []string{"sseload: error: ", "sseload: hint: "} {
		if i < len(lines) && (!strings.HasPrefix(lines[i], prefix) || len(lines[i]) == len(prefix)) {
			return fmt.Errorf("line %d does not begin with %q: %q", i+1, prefix, lines[i])
		}
	}
	if len(lines) > 2 {
		return fmt.Errorf("%d lines are more than an error and a hint", len(lines))
	}
	return nil
}

// commandFor finds a program and gives it, of the script's environment, those
// variables that scripts set for background processes: testscript lists none.
func commandFor(ts *testscript.TestScript, args []string) *exec.Cmd {
	path := args[0]
	if filepath.Base(path) == path {
		var err error
		path, err = exec.LookPath(path)
		ts.Check(err)
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = withoutSettings(os.Environ())
	for _, name := range []string{"GORACE", "SSELOAD_ADDR", "SSELOAD_CACERT", "SSELOAD_CLIENTS", "SSELOAD_FAULT", "TERM", "CI", "NO_COLOR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd
}

func background(ts *testscript.TestScript, _ bool, args []string) {
	const usage = "background NAME [-tty COLUMNS] program args..."
	if len(args) < 2 {
		ts.Fatalf("usage: %s", usage)
	}
	name, args, columns := args[0], args[1:], 0
	if args[0] == "-tty" && len(args) > 2 {
		columns, args = number(ts, args[1]), args[2:]
	}
	w := the(ts)
	if _, again := w.processes[name]; again {
		ts.Fatalf("there is a process %q already", name)
	}
	p, err := start(commandFor(ts, args), columns)
	ts.Check(err)
	w.processes[name] = p
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 && len(args) != 4 {
		ts.Fatalf("usage: await NAME stdout|stderr|tty REGEXP [VAR]")
	}
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	found, err := the(ts).process(ts, args[0]).await(args[1], pattern)
	ts.Check(err)
	if len(args) == 4 {
		ts.Setenv(args[3], found[1])
	}
}

func ends(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "ends NAME CODE")
	code, out, err := the(ts).process(ts, args[0]).finish()
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), strings.ReplaceAll(out.stdout, "\r\n", "\n"))
	fmt.Fprint(ts.Stderr(), out.stderr)
	if want := number(ts, args[1]); code != want {
		ts.Fatalf("the exit code is %d, not %d", code, want)
	}
}

func startServer(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: server NAME [-tls|-mutual|-unix|-ipv6] KIND args...")
	}
	name, args := args[0], args[1:]
	door := standInDoor{}
	if option, ok := strings.CutPrefix(args[0], "-"); ok {
		args = args[1:]
		door = newStandInDoor(ts, name, option)
	}
	s, err := newStandIn(door, args[0], args[1:], ts.ReadFile)
	ts.Check(err)
	w := the(ts)
	if _, again := w.servers[name]; again {
		s.stop()
		ts.Fatalf("there is a server %q already", name)
	}
	w.servers[name] = s
	ts.Setenv(name, s.URL)
	ts.Setenv(name+"_ADDR", s.Listener.Addr().String())
	if door.tls {
		ts.Check(s.writeCertificate(ts.MkAbs(name + ".pem")))
	}
}

func awaitCount(ts *testscript.TestScript, args []string, what string, of func(*standInState) int) {
	need(ts, args, 2, "streams|requests|cuts NAME N")
	want, got := number(ts, args[1]), 0
	err := the(ts).server(ts, args[0]).state.await(func(st *standInState) bool {
		got = of(st)
		return got == want
	})
	if err != nil {
		ts.Fatalf("%d %s, not %d: %v", got, what, want, err)
	}
}

func saw(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, args, 2, "[!] saw NAME REGEXP")
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	the(ts).server(ts, args[0]).state.read(func(st *standInState) {
		matches := slices.ContainsFunc(st.requests, pattern.MatchString)
		switch {
		case len(st.requests) == 0:
			ts.Fatalf("no request came")
		case matches == neg:
			ts.Fatalf("matches: %t, but the requests are:\n%s", matches, strings.Join(st.requests, "\n"))
		}
	})
}

func request(ts *testscript.TestScript, _ bool, args []string) {
	const usage = "request METHOD URL [-H 'K: V']... [BODY]"
	if len(args) < 2 {
		ts.Fatalf("usage: %s", usage)
	}
	method, url, args := args[0], args[1], args[2:]
	header := http.Header{}
	for len(args) > 1 && args[0] == "-H" {
		name, value, _ := strings.Cut(args[1], ": ")
		header.Add(name, value)
		args = args[2:]
	}
	r, err := http.NewRequest(method, url, strings.NewReader(strings.Join(args, " ")))
	ts.Check(err)
	r.Header = header
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	answer, err := client.Do(r)
	if err != nil {
		ts.Fatalf("%v", err)
	}
	defer answer.Body.Close()
	out := ts.Stdout()
	fmt.Fprintln(out, answer.Status)
	for _, name := range slices.Sorted(maps.Keys(answer.Header)) {
		fmt.Fprintf(out, "%s: %s\n", name, strings.Join(answer.Header[name], ", "))
	}
	fmt.Fprintln(out)
	if answer.StatusCode == http.StatusOK && answer.Header.Get("Content-Type") == "text/event-stream" {
		return // it does not end
	}
	_, err = io.Copy(out, answer.Body)
	ts.Check(err)
}

func refuses(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "refuses HOST:PORT")
	c, err := net.DialTimeout("tcp", args[0], patience)
	if err == nil {
		c.Close()
		ts.Fatalf("somebody listens on %s", args[0])
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		ts.Fatalf("%v", err)
	}
}

func port(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 1, "port NAME")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, digits, err := net.SplitHostPort(ln.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], ln.Addr().String())
	ts.Setenv(args[0]+"_PORT", digits)
	ts.Check(ln.Close())
}

const expressDir = "../../testserver/express"

// expressInstalled reports whether the Express server can run here. In CI it must.
func expressInstalled() (bool, error) {
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(expressDir, "node_modules", "express"))
	}
	if err != nil && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("the Express server must be tested in CI: %w", err)
	}
	return err == nil, nil
}

func express(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 0, "express")
	cmd := exec.Command("node", "--inspect=127.0.0.1:0", "server.js", "0")
	cmd.Dir = expressDir
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	stdin, err := cmd.StdinPipe() // it ends when this is closed
	ts.Check(err)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	the(ts).express = func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	ts.Check(err)
	var port int
	if _, err := fmt.Sscanf(line, "listening on %d", &port); err != nil {
		ts.Fatalf("the Express server says %q", line)
	}
	line, err = bufio.NewReader(stderr).ReadString('\n')
	ts.Check(err)
	var inspect string
	if _, err := fmt.Sscanf(line, "Debugger listening on %s", &inspect); err != nil {
		ts.Fatalf("Node says %q", line)
	}
	ts.Setenv("INSPECT", inspect)
	ts.Setenv("EXPRESS", fmt.Sprintf("http://127.0.0.1:%d", port))
}

func field(ts *testscript.TestScript, neg bool, args []string) {
	const usage = "[!] field FILE PATH [<|>] VALUE"
	if len(args) != 3 && len(args) != 4 {
		ts.Fatalf("usage: %s", usage)
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &value))
	value, err := valueAt(value, strings.Split(args[1], "."))
	ts.Check(err)
	want, ok := args[len(args)-1], false
	if len(args) == 3 {
		text, isText := value.(string)
		if !isText {
			encoded, err := json.Marshal(value)
			ts.Check(err)
			text = string(encoded)
		}
		ok = text == want
	} else {
		n, isNumber := value.(float64)
		if !isNumber {
			ts.Fatalf("%s is %v, not a number", args[1], value)
		}
		bound, err := strconv.ParseFloat(want, 64)
		ts.Check(err)
		switch args[2] {
		case "<":
			ok = n < bound
		case ">":
			ok = n > bound
		default:
			ts.Fatalf("usage: %s", usage)
		}
	}
	if ok == neg {
		ts.Fatalf("%s is %v", args[1], value)
	}
}

// valueAt finds what stands at path in a JSON value.
func valueAt(value any, path []string) (any, error) {
	for i, step := range path {
		var ok bool
		switch v := value.(type) {
		case map[string]any:
			value, ok = v[step]
		case []any:
			n, err := strconv.Atoi(step)
			if ok = err == nil && n < len(v); ok {
				value = v[n]
			}
		}
		if !ok {
			return nil, fmt.Errorf("there is no %s", strings.Join(path[:i+1], "."))
		}
	}
	return value, nil
}

// escape matches what moves a terminal's cursor.
var escape = regexp.MustCompile(`\x1b\[[?0-9;]*[A-Za-z]`)

func narrow(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "narrow FILE COLUMNS")
	columns, lines := number(ts, args[1]), 0
	for _, line := range strings.FieldsFunc(ts.ReadFile(args[0]), func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = escape.ReplaceAllString(line, "")
		if line != "" {
			lines++
		}
		if n := utf8.RuneCountInString(line); n > columns {
			ts.Fatalf("a line is %d wide: %q", n, line)
		}
	}
	if lines == 0 {
		ts.Fatalf("there is no line")
	}
}

func tidy(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: tidy FILE COLUMNS LINE...")
	}
	v := &vt{columns: number(ts, args[1])}
	// Scripts have lines without the carriage returns that the terminal has added.
	_, _ = v.Write([]byte(strings.ReplaceAll(ts.ReadFile(args[0]), "\n", "\r\n")))
	// What the results say may be wider than the terminal.
	v.wrapped = nil
	ts.Check(v.fault())
	shown := v.text()
	pattern := regexp.MustCompile("(?ms)" + strings.Join(args[2:], ".*"))
	if pattern.MatchString(shown) == neg {
		ts.Fatalf("matches %s: %t; it shows\n%s", pattern, neg, shown)
	}
}

func child(ts *testscript.TestScript, _ bool, args []string) {
	need(ts, args, 2, "child NAME VAR")
	w := the(ts)
	found, err := childOf(w.process(ts, args[0]).cmd.Process.Pid)
	ts.Check(err)
	w.children[args[1]] = found
	addr, err := found.listensOn()
	ts.Check(err)
	ts.Setenv(args[1], strconv.Itoa(found.pid))
	ts.Setenv(args[1]+"_ADDR", addr)
}
