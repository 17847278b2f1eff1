package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sseload/sseload/pkg/result/resulttest"
)

const (
	docsDir      = "../../docs"
	workflowPath = docsDir + "/workflows/sseload.yml"
)

// workflow is what these tests look at in a workflow of GitHub Actions.
type workflow struct {
	On          map[string]any    `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		Timeout  int `yaml:"timeout-minutes"`
		Defaults struct {
			Run struct {
				Shell string `yaml:"shell"`
			} `yaml:"run"`
		} `yaml:"defaults"`
		Env   map[string]string `yaml:"env"`
		Steps []workflowStep    `yaml:"steps"`
	} `yaml:"jobs"`
}

type workflowStep struct {
	Name string            `yaml:"name"`
	If   string            `yaml:"if"`
	Uses string            `yaml:"uses"`
	With map[string]string `yaml:"with"`
	Run  string            `yaml:"run"`
}

// notRunHere are the actions of the workflow that these tests cannot carry out: they
// are GitHub's own. What they would do is done otherwise: the program is there already,
// and the record of main stays in the folder.
var notRunHere = []string{
	"actions/checkout@v7", "actions/setup-go@v6", "actions/cache/restore@v6", "actions/upload-artifact@v7", "actions/cache/save@v6",
}

// conditions say in which of the events a step with one is run, once main has a record.
var conditions = map[string][]string{
	"":                                    {"push", "pull_request"},
	"github.event_name == 'pull_request'": {"pull_request"},
	"github.event_name == 'pull_request' && hashFiles('base.json') != ''": {"pull_request"},
	"always() && env.SERVER_PID != ''":                                    {"push", "pull_request"},
	"always()":                                                            {"push", "pull_request"},
	"github.event_name == 'push'":                                         {"push"},
}

func readWorkflow(t *testing.T) workflow {
	t.Helper()
	text, err := os.ReadFile(workflowPath)
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatal(err)
	}
	return w
}

func bash(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("bash")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("the workflow is for a system with bash")
	}
	return path
}

// TestWorkflowIsCareful: it may only read, it ends, and no text of a pull request gets
// into a script.
func TestWorkflowIsCareful(t *testing.T) {
	w := readWorkflow(t)
	if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
		t.Errorf("permissions are %v", w.Permissions)
	}
	for _, event := range []string{"push", "pull_request"} {
		if _, ok := w.On[event]; !ok || len(w.On) != 2 {
			t.Errorf("it runs on %v", w.On)
		}
	}
	var uses []string
	for name, job := range w.Jobs {
		if job.Timeout == 0 || job.Defaults.Run.Shell != "bash" {
			t.Errorf("job %s: %d minutes, shell %q", name, job.Timeout, job.Defaults.Run.Shell)
		}
		for _, s := range job.Steps {
			if (s.Run == "") == (s.Uses == "") {
				t.Errorf("step %q has not one of run and uses", s.Name)
			}
			if strings.Contains(s.Run, "${{") {
				t.Errorf("step %q has an expression in its script", s.Name)
			}
			if _, known := conditions[s.If]; !known {
				t.Errorf("step %q is run if %q, and no test knows when that is", s.Name, s.If)
			}
			if s.Uses != "" {
				uses = append(uses, s.Uses)
			}
		}
	}
	if !slices.Equal(uses, notRunHere) {
		t.Errorf("it uses %q, want %q", uses, notRunHere)
	}
}

// TestWorkflowRuns carries the workflow's scripts out in order, as a runner would: for a
// push to main, then for a pull request.
func TestWorkflowRuns(t *testing.T) {
	shell := bash(t)
	schema := resulttest.LoadSchema(t)
	dir := t.TempDir()
	for _, event := range []string{"push", "pull_request"} {
		r := newRunner(t, shell, dir)
		job := readWorkflow(t).Jobs["load"]
		ran, uploaded := 0, ""
		for name, value := range job.Env {
			r.env[name] = value
		}
		r.env["PORT"] = freePort(t) // that in the file may be taken here
		for _, s := range job.Steps {
			if !slices.Contains(conditions[s.If], event) {
				continue
			}
			if strings.HasPrefix(s.Uses, "actions/upload-artifact@") {
				uploaded = s.With["path"]
			}
			if s.Run != "" {
				r.step(s)
				ran++
			}
		}
		if ran < 4 {
			t.Errorf("%s: only %d scripts were run", event, ran)
		}
		summary := r.read(filepath.Base(r.summary))
		if !regexp.MustCompile(`(?m)^### .+ sseload rooms: `).MatchString(summary) || !strings.Contains(summary, "```mermaid") {
			t.Errorf("%s: the summary is\n%s", event, summary)
		}
		// A distribution of several runs is several files.
		for _, pattern := range []string{"run.json", "junit.xml", "samples.jsonl", "latency*.hgrm", "server.log"} {
			found, err := filepath.Glob(filepath.Join(dir, uploaded, pattern))
			if err != nil || len(found) == 0 {
				t.Errorf("%s: there is no %s to be uploaded, %v", event, pattern, err)
			}
			for _, path := range found {
				if info, err := os.Stat(path); err != nil || info.Size() == 0 {
					t.Errorf("%s: %s is empty, %v", event, path, err)
				}
			}
		}
		if err := resulttest.Check(schema, []byte(r.read("sseload/run.json"))); err != nil {
			t.Error(err)
		}
		if record := r.read("base.json"); event == "push" && record != r.read("sseload/run.json") {
			t.Error("what is kept is not the record of the run")
		}
	}
}

// freePort is a port that nobody listens on at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// runner carries out steps in a folder, and hands the environment on from one to the
// next.
type runner struct {
	t       *testing.T
	shell   string
	dir     string
	summary string
	exports string // the file that a step adds variables to
	env     map[string]string
}

func newRunner(t *testing.T, shell, dir string) *runner {
	t.Helper()
	files := t.TempDir()
	r := &runner{t: t, shell: shell, dir: dir, env: map[string]string{}, exports: filepath.Join(files, "env")}
	r.summary = filepath.Join(dir, "summary.md")
	r.env["GITHUB_ENV"], r.env["GITHUB_STEP_SUMMARY"] = r.exports, r.summary
	r.env["GITHUB_OUTPUT"] = filepath.Join(files, "output")
	r.env["GORACE"] = "atexit_sleep_ms=0"
	for _, path := range []string{r.summary, r.exports, r.env["GITHUB_OUTPUT"]} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		pid, err := strconv.Atoi(r.env["SERVER_PID"])
		if err != nil {
			return // none was started
		}
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill() // the workflow has stopped it, if all went well
		}
	})
	return r
}

// step runs a script as GitHub's runner does with "shell: bash".
func (r *runner) step(s workflowStep) {
	r.t.Helper()
	script := filepath.Join(r.t.TempDir(), "script.sh")
	if err := os.WriteFile(script, []byte(s.Run), 0o644); err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(r.shell, "--noprofile", "--norc", "-eo", "pipefail", script)
	cmd.Dir = r.dir
	cmd.Env = withoutSettings(os.Environ())
	for name, value := range r.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.WaitDelay = patience // what it leaves running has no part in its output
	guard := time.AfterFunc(patience, func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
		}
	})
	defer guard.Stop()
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("step %q: %v\n%s", s.Name, err, out)
	}
	text, err := os.ReadFile(r.exports)
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			r.env[name] = value
		}
	}
}

// read is the content of a file in the folder.
func (r *runner) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Error(err)
	}
	return string(text)
}

// TestScriptsOfTheDocsAreBash: what the page on CI shows is YAML, and its scripts are
// valid, as are the workflow's.
func TestScriptsOfTheDocsAreBash(t *testing.T) {
	shell := bash(t)
	text, err := os.ReadFile(docsDir + "/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	var scripts []string
	for _, job := range readWorkflow(t).Jobs {
		for _, s := range job.Steps {
			if s.Run != "" {
				scripts = append(scripts, s.Run)
			}
		}
	}
	inWorkflow := len(scripts)
	for _, block := range regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		var jobs map[string]struct {
			Script []string `yaml:"script"`
		}
		if err := yaml.Unmarshal([]byte(block[1]), &jobs); err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
		for _, j := range jobs {
			scripts = append(scripts, j.Script...)
		}
	}
	for _, block := range regexp.MustCompile("(?s)\n```sh\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		scripts = append(scripts, block[1])
	}
	if inWorkflow < 5 || len(scripts) < inWorkflow+3 {
		t.Fatalf("only %d scripts were found, %d in the workflow", len(scripts), inWorkflow)
	}
	for _, script := range scripts {
		if err := parse(shell, script); err != nil {
			t.Errorf("%v\n%s", err, script)
		}
	}
	if parse(shell, "if true; then") == nil {
		t.Error("half a script is accepted")
	}
}

// parse has bash read a script without running it.
func parse(shell, script string) error {
	cmd := exec.Command(shell, "-n", "-c", script)
	out, err := cmd.CombinedOutput()
	if errors.As(err, new(*exec.ExitError)) {
		return fmt.Errorf("%w: %s", err, out)
	}
	return err
}
