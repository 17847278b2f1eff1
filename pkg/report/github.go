package report

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// StepSummary is the name of the format that, without a path, goes to the summary of a
// GitHub Actions step.
const StepSummary = "github"

// SummaryLimit is how many bytes the summary of a step of GitHub Actions may have: a
// larger one is not shown at all.
const SummaryLimit = 1 << 20

// github is the summary of a CI job in GitHub's markdown: what became of the run first,
// then the thresholds, those that failed first, the tables and a chart; details are
// folded. When all of it is more than a summary may have, what is folded is left out
// first, then charts, and the summary says so.
type github struct{}

func (github) Name() string { return StepSummary }

func (github) Description() string {
	return "the summary of a GitHub Actions job; without a path, appended to it"
}

func (github) Render(w io.Writer, f *result.File, o Options) error {
	blocks, err := githubBlocks(f, o.Failed)
	if err != nil {
		return err
	}
	text, err := fitSummary(blocks, cmp.Or(o.Limit, SummaryLimit))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write github summary: %w", err)
	}
	return nil
}

// summaryBlock is a piece of a summary.
type summaryBlock struct {
	text   string
	weight weight
}

// weight says what is left out first: what is light.
type weight int

const (
	folded weight = iota
	picture
	needed
)

func githubBlocks(f *result.File, failed []NotDone) ([]summaryBlock, error) {
	var blocks []summaryBlock
	add := func(w weight, texts ...string) {
		for _, t := range texts {
			if t = strings.TrimRight(t, "\n"); t != "" {
				blocks = append(blocks, summaryBlock{t, w})
			}
		}
	}
	add(needed, headline(f, failed), notDone(failed))
	loud, quiet := spoken(f)
	add(needed, bullets(loud))
	judged, err := thresholdTable(f)
	if err != nil {
		return nil, err
	}
	add(needed, judged)
	for _, t := range tables(f) {
		summary, err := t.summary().render(escapeMarkdown)
		if err != nil {
			return nil, err
		}
		add(needed, "#### "+t.question(), summary, t.generatorNote())
		if c, ok := t.latencyChart(); ok {
			add(picture, escapeMarkdown(c.caption)+"\n\n"+c.mermaid())
		}
		more, err := t.moreOf(f)
		if err != nil {
			return nil, err
		}
		add(folded, fold("Details", more...))
	}
	if len(quiet) > 0 {
		add(folded, fold("Notes", bullets(quiet)))
	}
	d := document{}
	d.origins(f)
	add(folded, fold("Where it was made", d.blocks...))
	return blocks, nil
}

// moreOf is what the summary shows of a table's runs when it is asked to.
func (t table) moreOf(f *result.File) ([]string, error) {
	var all []string
	for _, part := range []func() ([]string, error){
		func() ([]string, error) { return t.details(0, escapeMarkdown) },
		func() ([]string, error) { return t.backends(0, escapeMarkdown) },
		func() ([]string, error) { return t.costs(f, escapeMarkdown) },
		func() ([]string, error) {
			d := document{}
			err := d.addProfiles(t)
			return d.blocks, err
		},
	} {
		blocks, err := part()
		if err != nil {
			return nil, err
		}
		all = append(all, blocks...)
	}
	return all, nil
}

// fold hides blocks under a title. The empty lines around them have them read as
// markdown (GitHub Flavored Markdown, section 4.6).
func fold(title string, blocks ...string) string {
	text := ""
	for _, b := range blocks {
		if b = strings.TrimRight(b, "\n"); b != "" {
			text += b + "\n\n"
		}
	}
	if text == "" {
		return ""
	}
	return "<details><summary>" + html.EscapeString(title) + "</summary>\n\n" + text + "</details>"
}

// headline says what was run and what became of it.
func headline(f *result.File, failed []NotDone) string {
	runs := "runs"
	if len(f.Runs) == 1 {
		runs = "run"
	}
	mark, words := upshot(f)
	if len(failed) > 0 {
		before := ""
		if mark == "❌" {
			before = words + ", "
		}
		mark, words = "❌", before+unfinished(failed)
	}
	return fmt.Sprintf("### %s %s: %s\n\n%s %s of %s", mark, title(f), words,
		count(int64(len(f.Runs))), runs, targets(f))
}

// unfinished says how much could not be done.
func unfinished(failed []NotDone) string {
	switch {
	case len(failed) > 1:
		return count(int64(len(failed))) + " steps were not carried out"
	case failed[0].Step == "":
		return "not carried out"
	}
	return "a step was not carried out"
}

// notDone lists what could not be done, and why.
func notDone(failed []NotDone) string {
	var b strings.Builder
	for i := range failed {
		fmt.Fprintf(&b, "- ❌ **%s**: %s\n", escapeMarkdown(failed[i].name()), escapeMarkdown(clean(failed[i].Reason)))
	}
	return b.String()
}

// upshot is what became of the runs, the gravest first.
func upshot(f *result.File) (mark, words string) {
	ended, overloaded := 0, 0
	for i := range f.Runs {
		r := &f.Runs[i]
		if r.Aborted != nil || r.Interrupted {
			ended++
		}
		if o := r.Generator.Overloaded; o != nil && *o {
			overloaded++
		}
	}
	all, failed := verdicts(f)
	loud := slices.ContainsFunc(remarks(f), remark.loud)
	switch {
	case failed > 0:
		return "❌", fmt.Sprintf("%s of %s thresholds failed", count(int64(failed)), count(int64(all)))
	case ended > 0:
		return "❌", "ended before its time"
	case overloaded > 0:
		return "⚠️", "the generator fell behind"
	case all > 0 && loud:
		return "⚠️", fmt.Sprintf("%s held, with remarks", thresholds(all))
	case all > 0:
		return "✅", thresholds(all) + " held"
	case len(f.Runs) == 0:
		return "⚠️", "no runs"
	case loud:
		return "⚠️", "done, with remarks and no thresholds"
	default:
		return "✅", "done, no thresholds"
	}
}

func thresholds(n int) string {
	switch n {
	case 1:
		return "the threshold"
	case 2:
		return "both thresholds"
	default:
		return "all " + count(int64(n)) + " thresholds"
	}
}

// targets names what was put under load.
func targets(f *result.File) string {
	var names []string
	for i := range f.Runs {
		name := codeSpan(clean(f.Runs[i].Target.URL))
		if f.Runs[i].Target.Kind == "reference" {
			name = "the bundled server" // its URL is another one each time
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// thresholdTable has a row for each threshold of each run, those that failed first.
func thresholdTable(f *result.File) (string, error) {
	g := grid{columns: []column{{head: "Verdict"}, {head: "Run"}, {head: "Threshold"}, {head: "Actual", right: true}}}
	names := suiteNames(f)
	for _, held := range []bool{false, true} {
		for i := range f.Runs {
			for _, v := range f.Runs[i].Thresholds {
				if v.Held != held {
					continue
				}
				mark := "❌ failed"
				if held {
					mark = "✅ held"
				}
				g.rows = append(g.rows, []string{mark, names[i], v.Threshold, Actual(&v)})
			}
		}
	}
	if len(g.rows) == 0 {
		return "", nil
	}
	text, err := g.render(escapeMarkdown)
	return "#### Thresholds\n\n" + text, err
}

// fitSummary puts blocks together in at most so many bytes. It is an error when there is
// no room to say anything.
func fitSummary(blocks []summaryBlock, limit int) (string, error) {
	const gone = "\n\n*Left out, as a summary holds no more than 1 MiB: %s. They are in the record, -o json.*\n"
	text := join(blocks, folded)
	for _, less := range []struct {
		least weight
		words string
	}{{picture, "details"}, {needed, "details and charts"}} {
		if len(text) <= limit {
			return text, nil
		}
		text = strings.TrimSuffix(join(blocks, less.least), "\n") + fmt.Sprintf(gone, less.words)
	}
	if len(text) <= limit {
		return text, nil
	}
	end := fmt.Sprintf(gone, "details, charts and whatever stood below")
	if limit <= len(end) {
		return "", fmt.Errorf("the summary is full: bytes left: %d", limit)
	}
	text = text[:limit-len(end)]
	return text[:strings.LastIndexByte(text, '\n')+1] + end, nil
}

// join puts those blocks together that have at least that weight.
func join(blocks []summaryBlock, least weight) string {
	var texts []string
	for _, b := range blocks {
		if b.weight >= least {
			texts = append(texts, b.text)
		}
	}
	return strings.Join(texts, "\n\n") + "\n"
}
