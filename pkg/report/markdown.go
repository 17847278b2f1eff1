package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// markdown is a document: for the summary of a CI job, and to be read as it is.
type markdown struct{}

func (markdown) Name() string { return "markdown" }

func (markdown) Description() string {
	return "a document with the findings tables and details, for the summary of a CI job"
}

func (markdown) Render(w io.Writer, f *result.File, _ Options) error {
	d := document{}
	d.add("# " + title(f))

	loud, quiet := spoken(f)
	d.add(bullets(loud))
	d.origins(f)
	for _, t := range tables(f) {
		summary, err := t.summary().render(escapeMarkdown)
		if err != nil {
			return err
		}
		d.add("## "+t.question(), summary, t.generatorNote())
		details, err := t.details(0, escapeMarkdown)
		if err != nil {
			return err
		}
		d.add("### Details")
		d.add(details...)
		thresholds, err := t.thresholds(0, escapeMarkdown)
		if err != nil {
			return err
		}
		if len(thresholds) > 0 {
			d.add("### Thresholds")
			d.add(thresholds...)
		}
		backends, err := t.backends(0, escapeMarkdown)
		if err != nil {
			return err
		}
		if len(backends) > 0 {
			d.add("### Clients by backend")
			d.add(backends...)
		}
		costs, err := t.costs(f, escapeMarkdown)
		if err != nil {
			return err
		}
		if len(costs) > 0 {
			d.add("### What one more costs")
			d.add(costs...)
		}
		if err := d.addProfiles(t); err != nil {
			return err
		}
	}
	if len(f.Runs) == 0 {
		d.add("No runs.")
	}
	if len(quiet) > 0 {
		d.add("## Notes", bullets(quiet))
	}
	return d.write(w)
}

// title names the program and the scenarios that it ran.
func title(f *result.File) string {
	var scenarios []string
	for i := range f.Runs {
		if s := escapeMarkdown(clean(f.Runs[i].Scenario)); !slices.Contains(scenarios, s) {
			scenarios = append(scenarios, s)
		}
	}
	return strings.TrimSpace("sseload " + strings.Join(scenarios, ", "))
}

// document collects blocks with an empty line between them.
type document struct{ blocks []string }

// add appends blocks; one without text leaves no trace.
func (d *document) add(blocks ...string) {
	for _, b := range blocks {
		if b = strings.TrimRight(b, "\n"); b != "" {
			d.blocks = append(d.blocks, b)
		}
	}
}

func (d *document) write(w io.Writer) error {
	if _, err := io.WriteString(w, strings.Join(d.blocks, "\n\n")+"\n"); err != nil {
		return fmt.Errorf("write markdown: %w", err)
	}
	return nil
}

// origins says what made the runs: command, machine, program and time. Commands that
// follow one another on one machine share its line.
func (d *document) origins(f *result.File) {
	sources := f.Sources
	if len(sources) == 0 {
		sources = []result.Source{{Tool: f.Tool, Command: f.Command, Host: f.Host, StartedAt: f.StartedAt, Runs: len(f.Runs)}}
	}
	for len(sources) > 0 {
		n := 1
		for n < len(sources) && machineLine(sources[n]) == machineLine(sources[0]) {
			n++
		}
		d.origin(sources[:n])
		sources = sources[n:]
	}
}

// origin is that of sources with one machine line.
func (d *document) origin(sources []result.Source) {
	var commands []string
	for _, s := range sources {
		if len(s.Command) > 0 {
			commands = append(commands, clean(ShellWords(s.Command)))
		}
	}
	if text := strings.Join(commands, "\n"); text != "" {
		fence := strings.Repeat("`", max(3, longestRun(text, '`')+1))
		d.add(fence + "sh\n" + text + "\n" + fence)
	}
	byStart := func(a, b result.Source) int { return a.StartedAt.Compare(b.StartedAt) }
	const form = "2006-01-02 15:04:05"
	when := slices.MinFunc(sources, byStart).StartedAt.UTC().Format(form)
	if last := slices.MaxFunc(sources, byStart).StartedAt.UTC().Format(form); last != when {
		when += " to " + last
	}
	d.add(escapeMarkdown(clean(machineLine(sources[0]) + " · " + when + " UTC")))
}

// machineLine is host and program in one line.
func machineLine(s result.Source) string {
	parts := []string{s.Host.Name, s.Host.OS + "/" + s.Host.Arch}
	if s.Host.Kernel != nil {
		parts = append(parts, "kernel "+*s.Host.Kernel)
	}
	if s.Host.CPUModel != nil {
		parts = append(parts, *s.Host.CPUModel)
	}
	cores := "cores"
	if s.Host.Cores == 1 {
		cores = "core"
	}
	parts = append(parts, fmt.Sprintf("%d %s", s.Host.Cores, cores))
	if s.Host.MemoryBytes != nil {
		parts = append(parts, sizeBytes(*s.Host.MemoryBytes))
	}
	parts = append(parts, fmt.Sprintf("sseload %s (commit %s, %s)", s.Tool.Version, s.Tool.Commit, s.Tool.Go))
	return strings.Join(parts, " · ")
}

func bullets(remarks []remark) string {
	var b strings.Builder
	for _, r := range remarks {
		about := escapeMarkdown(r.about())
		if r.loud() {
			about = "**" + about + "**"
		}
		text := escapeMarkdown(r.text)
		if r.code {
			text = codeSpan(r.text)
		}
		b.WriteString("- " + about + ": " + text + "\n")
	}
	return b.String()
}

// escapeMarkdown keeps text from being taken for markup where it would be
// (CommonMark 0.31, sections 2.4 and 6). Underscores within words are text.
func escapeMarkdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", `*`, `\*`, `<`, `\<`, `[`, `\[`).Replace(s)
}

// codeSpan shows text as it is, CommonMark 0.31 section 6.1.
func codeSpan(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return "(no text)"
	}
	fence := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// longestRun is the length of the longest stretch of c in s.
func longestRun(s string, c rune) int {
	most, n := 0, 0
	for _, r := range s {
		if r == c {
			n++
			most = max(most, n)
		} else {
			n = 0
		}
	}
	return most
}

// ShellWords writes a command so that a POSIX shell reads the same words.
func ShellWords(command []string) string {
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = word
		safe := word != "" && !strings.ContainsFunc(word, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=@%+", r))
		})
		if !safe {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
