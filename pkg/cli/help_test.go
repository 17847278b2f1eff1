package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// Every flag of a load command is in one section of its help, and every section's flags
// are there.
func TestFlagSections(t *testing.T) {
	section := map[string]string{}
	for _, s := range flagSections {
		for _, name := range s.flags {
			if other, ok := section[name]; ok {
				t.Errorf("--%s is under %q and %q", name, other, s.title)
			}
			section[name] = s.title
		}
	}
	a := &App{Env: func(string) (string, bool) { return "", false }}
	known := map[string]bool{}
	for name, command := range a.loadCommands() {
		cmd := command().Command
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			known[f.Name] = true
			if section[f.Name] == "" && f.Name != "help" {
				t.Errorf("%s: --%s is in no section", name, f.Name)
			}
		})
		var out bytes.Buffer
		cmd.SetOut(&out)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if n := strings.Count(out.String(), "--"+f.Name+" "); n < 1 && !f.Hidden {
				t.Errorf("%s: --%s is not in the help", name, f.Name)
			}
		})
	}
	for name := range section {
		if !known[name] {
			t.Errorf("--%s is in a section, but no flag", name)
		}
	}
}
