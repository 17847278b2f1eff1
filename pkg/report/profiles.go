package report

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// How many functions of a profile are shown: in a document, and on a terminal, of
// which the names are kept short.
const (
	topDocument = 10
	topTerminal = 5
	topName     = 36 // columns
)

// profiled is a profile with the run that it is of.
type profiled struct {
	row
	result.Profile
}

// profiles are those of all runs of the table.
func (t table) profiles() []profiled {
	var out []profiled
	for _, r := range t.rows {
		for _, p := range r.run.Profiles {
			out = append(out, profiled{r, p})
		}
	}
	return out
}

// lastProfiles are those of the last phase of the last run that has any.
func (t table) lastProfiles() []profiled {
	all := t.profiles()
	if len(all) == 0 {
		return nil
	}
	last := all[len(all)-1]
	return slices.DeleteFunc(all, func(p profiled) bool { return p.run != last.run || p.Phase != last.Phase })
}

// fewSamples are too few to tell functions apart by.
const fewSamples = 100

// title says what the profile is of, how much there was, and how far to believe it: a
// profiler sees samples, and may miss what comes in short bursts.
func (p profiled) title() string {
	text := fmt.Sprintf("%s (%s): %s", p.about(), p.name, p.figure(p.Total))
	if p.ElapsedNS > 0 {
		text += " over " + durationNS(p.ElapsedNS)
	}
	if p.Kind != "cpu" {
		if len(p.Top) == 0 {
			text += ", no samples"
		}
		return text
	}
	text += ", in " + count(p.Samples) + " samples"
	if p.Samples == 1 {
		text = strings.TrimSuffix(text, "s")
	}
	if ns, ok := p.cpu(); ok && ns > 0 {
		text += "; by the system's clock it was " + duration(ns)
	}
	if p.Samples < fewSamples {
		text += ". So few samples are hints"
	}
	return text
}

// cpu is the CPU time that the target took in the profile's phase as the system
// counts it, in nanoseconds.
func (p profiled) cpu() (ns float64, ok bool) {
	for _, phase := range p.run.Phases {
		if phase.Name == p.Phase && phase.TargetCPUPercent != nil {
			return *phase.TargetCPUPercent / 100 * float64(phase.ElapsedNS), true
		}
	}
	return 0, false
}

// about says what the profile is of, and of when.
func (p profiled) about() string {
	text := profileNames[p.Kind]
	switch {
	case p.Source == "inspector" && p.Kind == "cpu":
		text = "CPU time of the target's main thread"
	case p.Source == "inspector" && p.Kind == "heap":
		return "memory that the target allocated in " + p.Phase + " and still uses"
	case text == "":
		text = p.Kind
	}
	if p.ElapsedNS > 0 {
		return text + " in " + p.Phase
	}
	return text + " at the end of " + p.Phase
}

//nolint:gochecknoglobals // a constant table
var profileNames = map[string]string{
	"cpu": "CPU time of the target", "heap": "memory in use on the target's heap", "allocs": "memory that the target allocated",
	"goroutine": "goroutines of the target", "threadcreate": "threads that the target made",
	"mutex": "waits for locks in the target", "block": "waits in the target",
}

func (p profiled) figure(n int64) string {
	switch p.Unit {
	case "nanoseconds":
		return durationNS(n)
	case "bytes":
		return sizeBytes(n)
	}
	return count(n)
}

// top is the table of the functions with the largest shares, empty when there are
// none: flat is what the function itself has, cum that with what it called. A limit
// of 0 leaves the names as long as they are.
func (p profiled) top(most, limit int, escape func(string) string) (string, error) {
	g := grid{columns: []column{
		{head: "Function"}, {head: "flat", right: true}, {head: "%", right: true}, {head: "cum", right: true}, {head: "%", right: true},
	}}
	share := func(n int64) string {
		if p.Total == 0 {
			return unknown
		}
		return strconv.FormatFloat(100*float64(n)/float64(p.Total), 'f', 1, 64) + " %"
	}
	for _, f := range p.Top[:min(most, len(p.Top))] {
		g.rows = append(g.rows, []string{
			shorten(clean(f.Name), limit), p.figure(f.Flat), share(f.Flat), p.figure(f.Cumulative), share(f.Cumulative),
		})
	}
	if len(g.rows) == 0 {
		return "", nil
	}
	return g.render(escape)
}

// shorten leaves the folders before a Go function's package away, if they begin with
// a host, and cuts what is then longer than limit in the middle, as both ends of a
// name tell more.
func shorten(name string, limit int) string {
	end := strings.IndexAny(name, "([")
	if end < 0 {
		end = len(name)
	}
	if host, _, ok := strings.Cut(name[:end], "/"); ok && strings.Contains(host, ".") {
		name = name[strings.LastIndexByte(name[:end], '/')+1:]
	}
	runes := []rune(name)
	if limit <= 0 || len(runes) <= limit {
		return name
	}
	head := (limit - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(limit-1-head):])
}

// terminalProfiles renders lastProfiles for a terminal, the largest functions alone:
// the others are in the document and in their files.
func (t table) terminalProfiles(width int) ([]string, error) {
	var out []string
	for _, p := range t.lastProfiles() {
		text, err := p.top(topTerminal, topName, plain)
		if err != nil {
			return nil, err
		}
		title := wrap(clean(p.title()), width) + "\n"
		if text != "" {
			title += "\n"
		}
		out = append(out, title+text)
	}
	return out, nil
}

// addProfiles renders all profiles of the table.
func (d *document) addProfiles(t table) error {
	all := t.profiles()
	if len(all) == 0 {
		return nil
	}
	d.add("### Profiles of the target")
	for _, p := range all {
		text, err := p.top(topDocument, 0, escapeMarkdown)
		if err != nil {
			return err
		}
		d.add(escapeMarkdown(clean(p.title())), text, "In "+codeSpan(clean(p.File))+"; as collapsed stacks in "+codeSpan(path.Base(clean(p.Flame)))+".")
	}
	return nil
}
