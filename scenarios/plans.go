package scenarios

import (
	"embed"
	"path"
	"strings"
)

// The plans that come with the program. Package plan reads them.
//
//go:embed plans/*.yaml
var plans embed.FS

// PlanNames lists the plans that come with the program, in alphabetical order.
func PlanNames() []string {
	entries, err := plans.ReadDir("plans")
	if err != nil {
		return nil // it is embedded: there is no such error
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// Plan is the text of the plan of that name, if it comes with the program.
func Plan(name string) (text []byte, ok bool) {
	text, err := plans.ReadFile(path.Join("plans", name+".yaml"))
	return text, err == nil
}
