package cli

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/plan"
	"github.com/sseload/sseload/scenarios"
)

var update = flag.Bool("update", false, "write docs/plan.schema.json anew")

// typedRun is what the program does when it is called with args, in an environment.
func typedRun(env map[string]string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &App{Args: args, Stdout: &out, Stderr: &errs, Env: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}
	code = a.Run()
	return code, out.String(), errs.String()
}

// dryRun is what the program says of a plan.
func dryRun(t *testing.T, text string, env map[string]string, more ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("p.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return typedRun(env, append([]string{"run", "p.yaml", "--dry-run"}, more...)...)
}

// planMistakes are plans with a mistake in each. Those that a schema can see are seen
// by that of plans too.
var planMistakes = []struct {
	name, text, want, hint string
	unseen                 bool // by the schema
}{
	{"no YAML", "steps: [{command: connect\n", "p.yaml:1:9: could not find flow mapping end", "check the indentation", true},
	{"a tab", "steps:\n\t- command: connect\n", "p.yaml:2:1: a tab in the indentation", "indent with spaces", true},
	{"empty", "", "p.yaml:1:1: the plan is empty", "write a list of steps", false},
	{"a key twice", "steps: [{command: connect}]\nsteps: []\n", `p.yaml:2:1: "steps" is there twice`, "put both into one", true},
	{"a key that is none", "step: []\nsteps: [{command: connect}]\n", `p.yaml:1:1: unknown key "step" in a plan`, "known are description,", false},
	{"no steps", "description: x\n", "p.yaml:1:1: the plan has no steps", "write for example steps:", false},
	{"no steps in the list", "steps: []\n", "p.yaml:1:8: the plan has no steps", "write for example steps:", false},
	{"no command", "steps:\n- clients: 5\n", "p.yaml:2:3: the step has no command", "add for example command: connect", false},
	{"an unknown command", "steps:\n- command: conect\n", `p.yaml:2:12: unknown command "conect"`, "did you mean connect?", false},
	{"another unknown command", "steps:\n- command: serve\n", `p.yaml:2:12: unknown command "serve"`, "known are connect and rooms", false},
	{"an unknown flag", "steps:\n- command: connect\n  cleints: 5\n", "p.yaml:3:3: unknown flag cleints of connect", "did you mean clients?", false},
	{"a flag with dashes", "steps:\n- command: connect\n  --clients: 5\n", "p.yaml:3:3: unknown flag --clients of connect", "did you mean clients?", false},
	{"a flag with an underscore", "steps:\n- command: connect\n  room_size: 5\n", "p.yaml:3:3: unknown flag room_size of connect", "did you mean room-size?", false},
	{"a short flag", "steps:\n- command: connect\n  c: 5\n", "p.yaml:3:3: unknown flag c of connect", "did you mean clients?", false},
	{"a flag like none", "steps:\n- command: connect\n  frobnicate: 5\n", "p.yaml:3:3: unknown flag frobnicate of connect", "sseload connect --help", false},
	{"a flag of another command", "steps:\n- command: connect\n  iterations: 5\n", "p.yaml:3:3: iterations is a flag of rooms, not of connect", "make it a step of rooms", false},
	{"a flag of another command in a matrix", "steps:\n- command: connect\n  matrix: {iterations: [5]}\n", "p.yaml:3:12: iterations is a flag of rooms, not of connect", "make it a step of rooms", false},
	{"a flag of the command line", "steps:\n- command: connect\n  quiet: true\n", "p.yaml:3:3: quiet is for the command line", "sseload run PLAN --quiet", false},
	{"another of the command line", "steps:\n- command: connect\n  keep-going: true\n", "p.yaml:3:3: keep-going is for the command line", "sseload run PLAN --keep-going", false},
	{"help", "steps:\n- command: connect\n  help: true\n", "p.yaml:3:3: help is for the command line", "sseload run PLAN --help", false},
	{"an unknown flag in a target", "targets:\n  old:\n    haeder: 'A: b'\nsteps: [{command: connect}]\n", "p.yaml:3:5: unknown flag haeder", "did you mean header?", false},
	{"an unknown flag in the defaults", "defaults:\n  timout: 5s\nsteps: [{command: connect}]\n", "p.yaml:2:3: unknown flag timout", "did you mean timeout?", false},
	{"an output in a target", "targets:\n  old: {output: csv}\nsteps: [{command: connect}]\n", "p.yaml:2:9: output in target", "at the top of the plan", false},
	{"a bad value", "steps:\n- command: connect\n  clients: many\n", `p.yaml:3:12: clients=many: "many" is not a whole number`, "write a whole number of at least 1", false},
	{"a bad value in a list", "steps:\n- command: connect\n  clients:\n  - 5\n  - 0\n", "p.yaml:5:5: clients=0: 0 is less than 1", "write a whole number of at least 1", false},
	{"a bad value in a matrix", "steps:\n- command: connect\n  matrix:\n    clients: [5, -1]\n", "p.yaml:4:18: clients=-1: -1 is less than 1", "write a whole number of at least 1", false},
	{"a bad value in a target that is used", "targets:\n  old: {timeout: 5}\nsteps: [{command: connect, target: old}]\n", "p.yaml:2:18: timeout=5: not a duration", "with its unit", false},
	{"a bad value in the defaults", "defaults: {engine: fast}\nsteps: [{command: connect}]\n", `p.yaml:1:20: engine=fast: unknown engine "fast"`, "", false},
	{"a bad choice", "steps:\n- command: rooms\n  senders: 2\n", "p.yaml:3:12: senders=2: not a choice", "write 1 (one sender a room) or all", false},
	{"a bad switch", "steps:\n- command: connect\n  strict: yes\n", "p.yaml:3:11: strict=yes: not true or false", "write true or false", false},
	{"a bad fault in a list", "steps:\n- command: connect\n  fault: [drop, frob]\n", "p.yaml:3:17: fault=frob: ", "write KIND", true},
	{"a bad value of a variable", "variables: {N: x}\nsteps:\n- command: connect\n  clients: ${N}\n", `p.yaml:4:12: clients=x: "x" is not a whole number`, "write a whole number", true},
	{"a map in place of a value", "steps:\n- command: connect\n  clients: {a: 5}\n", "p.yaml:3:12: clients: a map where a value is due", "quotes", false},
	{"a header without quotes", "steps:\n- command: connect\n  header: [X-A: b]\n", "p.yaml:3:12: header: a map where a value is due", `"Name: value"`, false},
	{"a list in place of a value", "steps:\n- command: connect\n  timeout: [5s, 6s]\n", "p.yaml:3:13: timeout takes one value, but got a list", "matrix: {timeout: […]}", false},
	{"a list of lists", "steps:\n- command: connect\n  clients: [[5]]\n", "p.yaml:3:13: clients: a list where a value is due", "", false},
	{"nothing", "steps:\n- command: connect\n  clients:\n", "p.yaml:3:3: clients has no value", "give it a value, or leave it out", false},
	{"null", "steps:\n- command: connect\n  clients: ~\n", "p.yaml:3:12: clients has no value", "give it a value, or leave it out", false},
	{"an empty text", "steps:\n- command: connect\n  bearer: ''\n", "p.yaml:3:11: bearer is empty", "leave it out, or give it a value", false},
	{"an empty list", "steps:\n- command: connect\n  header: []\n", "p.yaml:3:11: header is an empty list", "give it a value, or leave it out", false},
	{"an unknown target", "targets: {old: {}}\nsteps:\n- command: connect\n  target: odl\n", `p.yaml:4:11: unknown target "odl"`, "known are old", true},
	{"a target and a url", "targets: {old: {}}\nsteps:\n- {command: connect, target: old, url: http://h}\n", "p.yaml:3:40: the step has a target and a url", "leave one of them out", false},
	{"an unknown variable", "steps:\n- command: connect\n  clients: ${CLEINTS}\n", "p.yaml:3:12: variable CLEINTS has no value", "--var CLEINTS=…", true},
	{"two steps of one name", "steps:\n- command: connect\n- command: connect\n", "p.yaml:3:3: two steps are called connect", "give each a name", true},
	{"a flag in a step and its matrix", "steps:\n- command: connect\n  clients: 5\n  matrix: {clients: [5]}\n", "p.yaml:4:12: clients stands in the step, line 3, and in its matrix", "take one of them out", true},
	{"a matrix of one value", "steps:\n- command: connect\n  matrix: {clients: 5}\n", "p.yaml:3:21: matrix: clients: a value where a list is due", "a step is made for each", false},
	{"too many steps", "steps:\n- command: connect\n  matrix: {clients: " + upTo(40) + ", room-size: " + upTo(40) + "}\n", "p.yaml:2:3: the plan makes more than 1000 steps", "split the plan", true},
	{"an unknown format", "steps: [{command: connect}]\noutput: [csv, jsom=a]\n", `p.yaml:2:15: output: unknown output format "jsom"`, "did you mean json?", false},
	{"an unknown format in a step", "steps:\n- command: connect\n  output: pdf\n", `p.yaml:3:11: output: unknown output format "pdf"`, "FORMAT=PATH", false},
	{"one file for two outputs", "steps: [{command: connect}]\noutput: [csv=a, json=a]\n", "p.yaml:2:17: output: a is named twice", "a file of its own", true},
	{"one file for two steps", "steps:\n- command: connect\n  output: csv=a\n  matrix: {clients: [1, 2]}\n", "p.yaml:3:11: output: steps connect/clients=1 and connect/clients=2 write to the same file a", "at the top of the plan", true},
	{"a threshold of no figure", "steps:\n- command: rooms\n  threshold: [connect.failed == 0, delivery.p9x < 5ms]\n", `p.yaml:3:36: threshold=delivery.p9x < 5ms: `, "delivery.p9", true},
	{"a list of figures", "steps:\n- command: rooms\n  threshold: list\n", `p.yaml:3:14: threshold=list: no threshold`, "sseload rooms --threshold list prints them", true},
	{"a threshold with a wrong unit", "steps:\n- command: rooms\n  threshold: delivery.p99 < 5MiB\n", `p.yaml:3:14: threshold=delivery.p99 < 5MiB: `, "", true},
	{"a threshold that is none", "steps:\n- command: rooms\n  threshold: fast\n", `p.yaml:3:14: threshold=fast: `, "", true},
	{"a threshold of what a command does not have", "steps:\n- command: connect\n  clients: 5\n  threshold: delivery.p99 < 5ms\n", `p.yaml:4:3: --threshold=delivery.p99 < 5ms: `, "", true},
	{"flags that do not go together", "steps:\n- command: rooms\n  rate: 5/s\n", "p.yaml:3:3: --rate needs to know for how long", "add for example --duration 20s", true},
	{"others that do not", "steps:\n- command: connect\n  url: http://127.0.0.1:1\n  workers: 2\n", "p.yaml:4:3: --workers is for the bundled server", "leave the URL out", true},
	{"a bad url", "steps:\n- command: connect\n  url: ftp://h/\n", "p.yaml:3:8: ", "", true},
	{"a bad url of a target", "targets:\n  old: {url: 'ftp://h/'}\nsteps:\n- {command: connect, target: old}\n", "p.yaml:2:14: ", "", true},
	{"a url with a password", "steps:\n- command: connect\n  url: http://u:p@h:99999/x\n", "p.yaml:3:8: ", "write it as http", true},
	{"a url with a password of a target", "targets:\n  old: {url: 'http://u:p@h:99999/x'}\nsteps:\n- {command: connect, target: old}\n", "p.yaml:2:14: ", "write it as http", true},
	{"a header that is none", "steps:\n- command: connect\n  url: http://h/\n  header:\n  - 'A: b'\n  - 'B b'\n", "p.yaml:6:5: ", "Name: value", true},
	{"a header with an unknown key", "targets:\n  old: {url: 'http://h/', header: 'A: {b}'}\nsteps:\n- {command: connect, target: old}\n", "p.yaml:2:35: unknown key {b}", "", true},
	{"a header of sends that is none", "steps:\n- command: rooms\n  url: http://h/\n  send-url: http://h/{payload}\n  header: 'A: b'\n  send-header: ['A: b', 'B b']\n", "p.yaml:6:25: ", "Name: value", true},
	{"a list of names", "steps:\n- command: connect\n  name: [a]\n", "p.yaml:3:9: name: a list where a value is due", "write one value", false},
	{"nearly an output in the defaults", "defaults: {outptu: x}\nsteps: [{command: connect}]\n", "p.yaml:1:12: unknown flag outptu", "the keys are the flags", false},
	{"an empty step", "steps:\n- command: connect\n\n-\n", "p.yaml:4:1: a step has no value", "give it a value, or leave it out", false},
	{"two summaries", "steps: [{command: connect}]\noutput: [github, github]\n", "p.yaml:2:18: output: $GITHUB_STEP_SUMMARY is named twice", "a file of its own", true},
}

func upTo(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strconv.Itoa(i + 1)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// TestPlanMistakes expects every kind of mistake to be told in one line, with line and
// column, and a cure, before anything is started.
func TestPlanMistakes(t *testing.T) {
	for _, test := range planMistakes {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := dryRun(t, test.text, nil)
			if code != exitUsage || stdout != "" {
				t.Errorf("exit code %d, on stdout %q", code, stdout)
			}
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			if !strings.HasPrefix(lines[0], "sseload: error: "+test.want) {
				t.Errorf("it says %q, want %q", lines[0], test.want)
			}
			if len(lines) > 2 || test.hint != "" && (len(lines) < 2 || !strings.HasPrefix(lines[1], "sseload: hint: ") || !strings.Contains(lines[1], test.hint)) {
				t.Errorf("it hints %q, want %q", lines[1:], test.hint)
			}
		})
	}
}

// TestPlanFiles expects a file that a plan names and that cannot be read to be told with
// its place and a cure, though it is no mistake in how the plan is written.
func TestPlanFiles(t *testing.T) {
	for key, hint := range map[string]string{"cacert": "certificates in PEM", "cert": "a certificate in PEM"} {
		code, _, stderr := dryRun(t, "steps:\n- command: connect\n  url: https://h/\n  "+key+": none.pem\n", nil)
		if code != exitError || !strings.HasPrefix(stderr, "sseload: error: p.yaml:4:3: --"+key+": open none.pem") || !strings.Contains(stderr, "\nsseload: hint: name a file with "+hint) {
			t.Errorf("exit code %d, %q", code, stderr)
		}
	}
}

// goodPlans say in one way or another all that plans can say.
var goodPlans = map[string]string{
	"least":     "steps: [{command: connect}]",
	"values":    "steps:\n- {command: rooms, clients: 100, timeout: 10s, http: 1.1, senders: 1, payload-size: 4KiB, slow-clients: 5%, slow-rate: 1KiB/s, strict: true, connect-rate: 500/s}",
	"as texts":  `{"steps": [{"command": "rooms", "clients": "5", "http": "1.1", "senders": "all", "strict": "true", "payload-size": 100, "connect-rate": 0}]}`,
	"a switch":  "steps:\n- {command: connect, name: true, timeout: 500\u03bcs}",
	"lists":     "steps:\n- {command: rooms, clients: [1, 2], iterations: '1,2', header: ['A: b', 'C: d'], fault: [drop, 'delay=1ms'], label: [machine=m, type=t], profile: [cpu, heap], source: 127.0.0.1}",
	"a rate":    "steps:\n- {command: rooms, rate: [5/s, 60/m], arrivals: poisson, duration: 1m30s, reconnect-jitter: 50%}",
	"a matrix":  "steps:\n- {command: rooms, matrix: {clients: [5, [6, 7]], engine: [auto, nethttp], strict: [true, false], http: [1.1]}}",
	"variables": "variables: {N: 5, E: ''}\ntargets: {t: {url: '${E}', header: 'A: ${N}'}}\ndefaults: {clients: '${N}'}\nsteps:\n- {command: '${C:-connect}', name: '${N}', target: '${T:-t}', timeout: '${N}s', strict: '${S:-true}', fault: '${F:-}'}\noutput: '${O:-csv}'",
	"shared":    "targets:\n  a: {url: 'http://127.0.0.1:1/{room}', send-url: 'http://127.0.0.1:1'}\n  b: {}\ndefaults: {iterations: 5, hold: 0s}\nsteps:\n- {command: connect, target: [a, b]}\n- {command: rooms, url: 'http://127.0.0.1:1/{room}', send-url: 'http://127.0.0.1:1/{payload}', send-body: ''}",
	"outputs":   "description: d\nsteps:\n- {command: connect, output: [csv=a, json=b]}\noutput: [findings, markdown=-]",
}

// TestGoodPlans expects plans without a mistake to be accepted, by the binder and by the
// schema.
func TestGoodPlans(t *testing.T) {
	s := resolvedPlanSchema(t)
	plans := maps.Clone(goodPlans)
	for _, name := range scenarios.PlanNames() {
		text, _ := scenarios.Plan(name)
		plans[name+", embedded"] = string(text)
	}
	for name, text := range plans {
		t.Run(name, func(t *testing.T) {
			if code, _, stderr := dryRun(t, text, nil); code != exitOK {
				t.Errorf("the binder refuses it: %s", stderr)
			}
			if err := s.Validate(asJSON(t, text)); err != nil {
				t.Errorf("the schema refuses it: %v", err)
			}
		})
	}
}

// TestSchemaSeesMistakes expects the schema to refuse what the binder refuses, as far
// as a schema can.
func TestSchemaSeesMistakes(t *testing.T) {
	s := resolvedPlanSchema(t)
	for _, test := range planMistakes {
		var plan any
		if yaml.Unmarshal([]byte(test.text), &plan) != nil {
			continue // it is not even YAML
		}
		if err := s.Validate(asJSON(t, test.text)); (err == nil) != test.unseen {
			t.Errorf("%s: unseen by the schema should be %t, it says: %v", test.name, test.unseen, err)
		}
	}
}

func asJSON(t *testing.T, text string) any {
	t.Helper()
	var plan any
	if err := yaml.Unmarshal([]byte(text), &plan); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

func resolvedPlanSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	text, err := (&App{}).planSchema()
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// TestPlanSchema holds the schema that editors use to the flags.
func TestPlanSchema(t *testing.T) {
	code, got, stderr := typedRun(nil, "run", "--schema")
	if code != exitOK {
		t.Fatal(stderr)
	}
	path := filepath.Join("..", "..", "docs", "plan.schema.json")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Error("docs/plan.schema.json is not that of the flags; write it anew with go test ./pkg/cli -run TestPlanSchema -update")
	}
}

// TestEveryFlagHasItsPlaceInPlans takes a value for each flag of the load commands to the
// binder and to the schema: in a step, in its matrix, in a target and in the defaults.
func TestEveryFlagHasItsPlaceInPlans(t *testing.T) {
	a := &App{Env: func(string) (string, bool) { return "", false }}
	s := resolvedPlanSchema(t)
	count := 0
	for command, fresh := range a.loadCommands() {
		fresh().Flags().VisitAll(func(f *pflag.Flag) {
			count++
			value := sampleOf(t, f)
			for where, text := range map[string]string{
				"step":     "steps: [{command: " + command + ", " + f.Name + ": " + value + "}]",
				"matrix":   "steps: [{command: " + command + ", matrix: {" + f.Name + ": [" + value + "]}}]",
				"target":   "targets: {t: {" + f.Name + ": " + value + "}}\nsteps: [{command: " + command + ", target: t}]",
				"defaults": "defaults: {" + f.Name + ": " + value + "}\nsteps: [{command: " + command + "}]",
			} {
				if f.Name == "output" && where != "step" {
					continue
				}
				if err := s.Validate(asJSON(t, text)); err != nil {
					t.Errorf("%s, --%s in %s: the schema refuses %s: %v", command, f.Name, where, value, err)
				}
				p, err := plan.Parse("p", []byte(text), plan.Values{})
				if err != nil {
					t.Errorf("%s, --%s in %s: %v", command, f.Name, where, err)
					continue
				}
				b := binder{app: a, plan: p, own: pflag.NewFlagSet("run", pflag.ContinueOnError)}
				trial := fresh()
				if err := b.try(&trial, p.Steps[0].Settings[0]); err != nil {
					t.Errorf("%s, --%s in %s: the binder refuses it: %v", command, f.Name, where, err)
				}
				if !trial.Flags().Lookup(f.Name).Changed && f.Name != "output" {
					t.Errorf("%s, --%s in %s was not set", command, f.Name, where)
				}
			}
		})
	}
	if count < 50 {
		t.Errorf("only %d flags were found", count)
	}
}

// sampleOf is a value that a flag takes, in YAML.
func sampleOf(t *testing.T, f *pflag.Flag) string {
	t.Helper()
	if f.Name == "output" {
		return "csv"
	}
	for _, value := range append(choicesOf(f), f.DefValue, "7", "true", "10s", "5/s", "1KiB/s", "127.0.0.1", "drop", "a=b", "http://127.0.0.1:1", "h:80:127.0.0.1", "connect.failed == 0") {
		if value != "" && value != "[]" && f.Value.Set(value) == nil {
			quoted, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			return string(quoted)
		}
	}
	t.Errorf("no value is known for --%s, of type %s: add one here", f.Name, f.Value.Type())
	return "x"
}

// TestDryRun expects a plan to be shown as the commands that it comes to, and every value
// with where it comes from.
func TestDryRun(t *testing.T) {
	code, stdout, stderr := dryRun(t, `variables: {CLIENTS: 5}
targets:
  old: {url: "http://127.0.0.1:1/{room}?token=SECRET", bearer: "${TOKEN}", send-url: "http://127.0.0.1:1/x"}
defaults:
  timeout: 10s
  interval: 1s
  room-size: 3
steps:
  - command: connect
    target: old
    clients: ["${CLIENTS}", 7]
    hold: 1s
    header: ["A: b c", "Authorization: Bearer SECRET"]
    matrix: {strict: [true, false]}
  - command: rooms
    target: old
    iterations: 2
output: [findings, "json=${TOKEN}.json"]
`, map[string]string{"TOKEN": "SECRET", "CLIENTS": "6", "SSELOAD_ROOM_SIZE": "4", "SSELOAD_INTERVAL": ""}, "--set", "hold=2s")
	if code != exitOK {
		t.Fatal(stderr)
	}
	want := `connect/strict=true
  sseload connect 'http://127.0.0.1:1/{room}?token=***' --clients 6,7 --header 'A: b c' --header 'Authorization: ***' --strict --bearer '***' --timeout 10s --hold 2s --room-size 4
    url        http://127.0.0.1:1/{room}?token=***  p.yaml:3:14
    clients    6, 7                                 p.yaml:11:15, CLIENTS from the environment
    header     A: b c, Authorization: ***           p.yaml:13:14
    strict     true                                 p.yaml:14:23 (matrix)
    bearer     ***                                  p.yaml:3:64 (target old), TOKEN from the environment
    timeout    10s                                  p.yaml:5:12 (defaults)
    hold       2s                                   --set
    room-size  4                                    SSELOAD_ROOM_SIZE in the environment
`
	if !strings.HasPrefix(stdout, want) {
		t.Errorf("it says\n%s\nwant\n%s", stdout, want)
	}
	for _, want := range []string{
		"\nconnect/strict=false\n", " --strict=false ",
		"\nrooms\n  sseload rooms 'http://127.0.0.1:1/{room}?token=***' --iterations 2 --bearer '***' --send-url http://127.0.0.1:1/x --timeout 10s --interval 1s --room-size 4\n",
		"    interval    1s ",
		"\noutput\n    findings          p.yaml:18:10\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, stdout)
		}
	}
	if steps, _, _ := strings.Cut(stdout, "\noutput\n"); strings.Contains(steps, "SECRET") {
		t.Errorf("it tells a secret:\n%s", steps)
	}
	if strings.Contains(stdout, " default\n") {
		t.Errorf("it lists defaults without -v:\n%s", stdout)
	}
	if _, stdout, _ := typedRun(map[string]string{"TOKEN": "t"}, "run", "p.yaml", "--dry-run", "-v"); !strings.Contains(stdout, "    engine                  auto ") || !strings.Contains(stdout, " default\n") {
		t.Errorf("with -v it does not list defaults:\n%s", stdout)
	}
}

// TestPlanPrecedence expects what --set says to win over the environment, that over the
// plan, and that over the defaults; and plans to be good also where others win.
func TestPlanPrecedence(t *testing.T) {
	const text = "steps: [{command: rooms, clients: 5, iterations: 6, fault: [drop, drop]}]"
	for _, test := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{nil, nil, "sseload rooms --clients 5 --iterations 6 --fault drop --fault drop\n"},
		{map[string]string{"SSELOAD_CLIENTS": "7"}, nil, "sseload rooms --iterations 6 --fault drop --fault drop --clients 7\n"},
		{map[string]string{"SSELOAD_CLIENTS": "7"}, []string{"--set", "clients=8"}, "sseload rooms --iterations 6 --fault drop --fault drop --clients 8\n"},
		{map[string]string{"SSELOAD_FAULT": "delay=1ms"}, nil, "sseload rooms --clients 5 --iterations 6 --fault delay=1ms\n"},
		{nil, []string{"--set", "fault=delay=1ms", "--set", "fault=drop", "--set", "clients=1", "--set", "clients=2"}, "sseload rooms --iterations 6 --fault delay=1ms --fault drop --clients 2\n"},
		{map[string]string{"SSELOAD_OUTPUT": "csv"}, nil, "\n    csv  -o"},
		{map[string]string{"SSELOAD_OUTPUT": "csv"}, []string{"-o", "json"}, "\n    json  -o"},
	} {
		code, stdout, stderr := dryRun(t, text, test.env, test.args...)
		if code != exitOK || !strings.Contains(stdout, test.want) {
			t.Errorf("%v %v: %q, %s, want %q", test.env, test.args, stdout, stderr, test.want)
		}
	}
	for _, test := range []struct {
		text string
		env  map[string]string
		args []string
		want string
	}{
		{"steps: [{command: rooms, clients: x}]", nil, []string{"--set", "clients=8"}, "p.yaml:1:35: clients=x: "},
		{text, nil, []string{"--set", "clients=x"}, "--set clients=x: "},
		{text, nil, []string{"--set", "bearer="}, "--set bearer is empty"},
		{text, nil, []string{"--set", "clientz=5"}, "unknown flag --set clientz"},
		{text, nil, []string{"--set", "quiet=true"}, "--set quiet is for the command line"},
		{text, nil, []string{"--set", "output=csv"}, "--set output: "},
		{text, nil, []string{"--set", "clients"}, `--set: "clients" is not NAME=VALUE`},
		{text, nil, []string{"--var", "=x"}, `--var: "=x" is not NAME=VALUE`},
		{text, nil, []string{"--var", "A=x"}, "--var A: the plan has no such variable"},
		{text, map[string]string{"SSELOAD_CLIENTS": "x"}, nil, "SSELOAD_CLIENTS=x: "},
		{text, nil, []string{"--set", "hold=1s"}, "--set hold: no step that is to be carried out has such a flag"},
		{text, nil, []string{"--set", "rate=5/s"}, "--set rate: --rate needs"},
		{text, map[string]string{"SSELOAD_RATE": "5/s"}, nil, "SSELOAD_RATE in the environment: --rate needs"},
		{"steps: [{command: rooms, timeout: 5s}]", nil, []string{"--set", "timeout=48h"}, "--set timeout: --timeout: "},
		{"steps: [{command: connect, url: 'http://h/', header: 'A: b'}]", nil, []string{"--set", "header=B b"}, "--set header: a header is not valid"},
		{text, nil, []string{"-o", "pdf"}, `--output: unknown output format "pdf"`},
		{text, map[string]string{"SSELOAD_OUTPUT": "pdf"}, nil, `--output: unknown output format "pdf"`},
		{text, nil, []string{"-o", "csv=a", "-o", "json=a"}, "--output: a is named twice"},
		{text, nil, []string{"rums"}, `the plan has no step "rums"`},
	} {
		args := test.args
		code, _, stderr := dryRun(t, test.text, test.env, args...)
		if code != exitUsage || !strings.HasPrefix(stderr, "sseload: error: "+test.want) {
			t.Errorf("%v %v: exit code %d, %q, want %q", test.env, args, code, stderr, test.want)
		}
	}
}

// TestFindingsPlan holds the plan of the findings to the commands that made them.
func TestFindingsPlan(t *testing.T) {
	code, stdout, stderr := typedRun(nil, "run", "findings", "--dry-run")
	if code != exitOK {
		t.Fatal(stderr)
	}
	got := regexp.MustCompile(`(?m)^  (sseload .*)$`).FindAllStringSubmatch(stdout, -1)
	want := []string{
		"sseload connect --clients 1000,2000,3000,4000,5000",
		"sseload rooms --clients 1000,2000,3000 --iterations 1,10,100 --interval 1s",
		"sseload rooms --clients 4000 --iterations 100 --interval 1s",
	}
	if len(got) != len(want) {
		t.Fatalf("it comes to %q", got)
	}
	for i := range want {
		if got[i][1] != want[i] {
			t.Errorf("step %d is %s, want %s", i+1, got[i][1], want[i])
		}
	}
}

// TestPlanText expects names to be those of plans that come with the program unless they
// look like files.
func TestPlanText(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"smoke", "other", "smoke.yaml"} {
		if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"smoke": "", "./smoke": "mine", "smoke.yaml": "mine", "./other": "mine"} {
		_, text, err := planText(name)
		if err != nil || (want == "mine") != (string(text) == "mine") {
			t.Errorf("%s: %.20q, %v", name, text, err)
		}
	}
	for name, want := range map[string]string{"other": "to name the file of that name write ./other", "smok": "did you mean smoke?", "x": "known are ci, findings, smoke", "./none": "--list"} {
		if _, _, err := planText(name); err == nil || !strings.Contains(hintOf(err), want) {
			t.Errorf("%s: %v, hint %q, want %q", name, err, hintOf(err), want)
		}
	}
}

// TestPlansPage takes the example of docs/plans.md to the binder and to the schema, and
// expects --dry-run to say what the page says.
func TestPlansPage(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "plans.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ReplaceAll(string(data), "\r\n", "\n")
	block := func(kind string) string {
		_, behind, found := strings.Cut(page, "\n```"+kind+"\n")
		text, _, closed := strings.Cut(behind, "```\n")
		if !found || !closed {
			t.Fatalf("the page has no block of %s", kind)
		}
		return text
	}
	text := block("yaml")
	if err := resolvedPlanSchema(t).Validate(asJSON(t, text)); err != nil {
		t.Error(err)
	}
	code, stdout, stderr := dryRun(t, text, nil, "--var", "CLIENTS=60", "--set", "timeout=5s")
	if code != exitOK {
		t.Fatal(stderr)
	}
	if want := block("text"); !strings.Contains(strings.ReplaceAll(stdout, "p.yaml", "plan.yaml"), want) {
		t.Errorf("it says\n%s\nthe page has\n%s", stdout, want)
	}
}

// TestSamplesOfStep expects the samples that a step writes for itself to be written while
// it goes on, as those of the whole plan are.
func TestSamplesOfStep(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // the client may have gone
		<-r.Context().Done()
	}))
	defer server.Close()
	t.Chdir(t.TempDir())
	text := "steps:\n- {command: connect, url: '" + server.URL + "/x', clients: 2, output: samples=own.jsonl}\noutput: json=all.json\n"
	a := &App{Stdout: io.Discard, Stderr: io.Discard, Env: func(string) (string, bool) { return "", false }}
	o := runOptions{}
	c, err := o.prepare(a.runCommand(), a, "p.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.execute(t.Context(), a, false); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile("own.jsonl")
	if err != nil || !strings.Contains(string(written), "\n") {
		t.Errorf("it wrote %q, %v", written, err)
	}
	if own := c.steps[0].outputs[0]; own.live == nil || !own.live.wrote() {
		t.Error("nothing was written while the step went on")
	}
}
