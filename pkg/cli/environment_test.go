package cli

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func bound(t *testing.T, env map[string]string, args ...string) (*pflag.FlagSet, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.VarP(&counts{1000}, "clients", "c", "")
	flags.Duration("timeout", 0, "")
	flags.StringArrayP("output", "o", []string{"findings"}, "")
	flags.BoolP("help", "h", false, "")
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags, bindEnvironment(flags, func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
}

func TestBindEnvironment(t *testing.T) {
	for _, test := range []struct {
		name string
		env  map[string]string
		args []string
		flag string
		want string
		set  bool // counts as given by the user
	}{
		{"nothing set", nil, nil, "clients", "1000", false},
		{"variable", map[string]string{"SSELOAD_CLIENTS": "5"}, nil, "clients", "5", true},
		{"flag wins", map[string]string{"SSELOAD_CLIENTS": "5"}, []string{"--clients=7"}, "clients", "7", true},
		{"short flag wins", map[string]string{"SSELOAD_CLIENTS": "5"}, []string{"-c7"}, "clients", "7", true},
		{"flag wins over a bad value", map[string]string{"SSELOAD_CLIENTS": "x"}, []string{"-c7"}, "clients", "7", true},
		{"replaces the default of a list", map[string]string{"SSELOAD_OUTPUT": "json=a,b"}, nil, "output", "[\"json=a,b\"]", true},
		{"empty is none", map[string]string{"SSELOAD_CLIENTS": ""}, nil, "clients", "1000", false},
		{"other names are not ours", map[string]string{"CLIENTS": "5", "sseload_clients": "5"}, nil, "clients", "1000", false},
		{"no help by accident", map[string]string{"SSELOAD_HELP": "true"}, nil, "help", "false", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			flags, err := bound(t, test.env, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			f := flags.Lookup(test.flag)
			if got := f.Value.String(); got != test.want {
				t.Errorf("%s is %s, want %s", test.flag, got, test.want)
			}
			if f.Changed != test.set {
				t.Errorf("counts as given: %t, want %t", f.Changed, test.set)
			}
		})
	}
}

// TestBindEnvironmentNamesTheVariable expects what is wrong to be told of the
// variable, for all that are wrong, as a mistake of usage.
func TestBindEnvironmentNamesTheVariable(t *testing.T) {
	_, err := bound(t, map[string]string{"SSELOAD_CLIENTS": "0", "SSELOAD_TIMEOUT": "soon"})
	if err == nil {
		t.Fatal("bad values were taken")
	}
	for _, want := range []string{"SSELOAD_CLIENTS=0: 0 is less than 1", "SSELOAD_TIMEOUT=soon: not a duration"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	a := &App{Stderr: io.Discard}
	if code := a.report(err); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
}

// TestChildSeesNoSettings expects the bundled server to be free of the user's
// variables.
func TestChildSeesNoSettings(t *testing.T) {
	got := withoutSettings([]string{"PATH=/bin", "SSELOAD_ADDR=x", "HOME=/", "SSELOAD_CLIENTS=1", "MY_SSELOAD_X=1"})
	if want := "PATH=/bin HOME=/ MY_SSELOAD_X=1"; strings.Join(got, " ") != want {
		t.Errorf("it gets %q, want %s", got, want)
	}
}
