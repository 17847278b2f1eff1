package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sseload/sseload/pkg/result"
)

// worstClients is how many of a run's worst clients are named.
const worstClients = 5

// remark is a line under the tables.
type remark struct {
	rank rank
	tag  string
	text string
	runs []string // the runs it is about; none: all
	code bool     // the text is what a system or a server said
}

// rank orders remarks: what devalues figures before what explains them.
type rank int

const (
	validity    rank = iota // the figures are partial, or not to be trusted
	failure                 // something was not delivered or not opened
	example                 // how a failure was put
	worstClient             // whom it hit
	note
)

// loud remarks must not be missed.
func (r remark) loud() bool { return r.rank <= failure }

// about is the tag with the runs.
func (r remark) about() string {
	if len(r.runs) == 0 {
		return r.tag
	}
	return r.tag + " (" + strings.Join(r.runs, ", ") + ")"
}

func (r remark) String() string { return r.about() + ": " + r.text }

// remarks lists what is to be said about the runs, what is loud first. What
// holds for several runs is said once.
func remarks(f *result.File) []remark {
	var all []remark
	ts := tables(f)
	for _, t := range ts {
		for _, r := range t.rows {
			name := r.name
			if len(ts) > 1 {
				name = r.run.Scenario + " " + name
			}
			for _, m := range r.remarks() {
				m.text = clean(m.text)
				same := slices.IndexFunc(all, func(o remark) bool { return o.rank == m.rank && o.tag == m.tag && o.text == m.text })
				if same < 0 {
					same = len(all)
					all = append(all, m)
				}
				if m.rank != example && !slices.Contains(all[same].runs, name) {
					all[same].runs = append(all[same].runs, name)
				}
			}
		}
	}
	// One example a class is enough, whatever the run.
	classes := map[string]bool{}
	all = slices.DeleteFunc(all, func(m remark) bool {
		again := m.rank == example && classes[m.tag]
		classes[m.tag] = true
		return again
	})
	for i := range all {
		if len(all[i].runs) == len(f.Runs) {
			all[i].runs = nil
		}
	}
	slices.SortStableFunc(all, func(a, b remark) int { return cmp.Compare(a.rank, b.rank) })
	return all
}

func (r row) remarks() []remark {
	var out []remark
	say := func(k rank, tag, format string, args ...any) {
		out = append(out, remark{rank: k, tag: tag, text: fmt.Sprintf(format, args...)})
	}
	run := r.run
	if run.Interrupted {
		progress := ""
		if n := run.Connect.Attempted; n < run.Params.Clients {
			progress = fmt.Sprintf(", %s of %s clients were dialled", count(int64(n)), count(int64(run.Params.Clients)))
		} else if d := run.Delivery; d != nil && run.Params.Iterations != nil && d.Iterations < *run.Params.Iterations {
			progress = fmt.Sprintf(", after %s of %s iterations", count(int64(d.Iterations)), count(int64(*run.Params.Iterations)))
		}
		say(validity, "interrupted", "figures are partial%s", progress)
	}
	if run.Aborted != nil {
		say(validity, "aborted", "%s", *run.Aborted)
	}
	if o := run.Generator.Overloaded; o != nil && *o {
		reason := ""
		if run.Generator.OverloadReason != nil {
			reason = ": " + *run.Generator.OverloadReason
		}
		say(validity, "overloaded", "the generator fell behind, take the figures as a bound%s", reason)
	}

	c := &run.Connect
	if c.Failed > 0 {
		say(failure, "failed", "%s of %s clients did not open: %s",
			count(int64(c.Failed)), count(int64(c.Attempted)), classes(c.Failures))
	}
	if c.Dropped > 0 {
		say(failure, "dropped", "%s of %s open clients ended before the run did: %s",
			count(int64(c.Dropped)), count(int64(c.Opened)), classes(c.Drops))
	}
	if d := run.Delivery; d != nil {
		if d.Sends.CalledOff > 0 {
			say(failure, "sends called off", "%s were due, but could not begin before their iteration ended",
				count(d.Sends.CalledOff))
		}
		if d.Sends.Failed > 0 {
			say(failure, "sends failed", "%s of %s: %s",
				count(d.Sends.Failed), count(d.Sends.Attempted), classes(d.Sends.Failures))
		}
		if what := flaws(value(d.Lost), value(d.Duplicate), value(d.Reordered), value(d.Misrouted), value(d.Late)); what != "" {
			affected := ""
			if d.ClientsAffected != nil {
				affected = "; clients affected: " + count(int64(*d.ClientsAffected))
			}
			say(failure, "delivery", "%s of %s expected copies%s", what, count(d.Expected), affected)
		}
		if d.Incomplete > 0 {
			say(failure, "incomplete", "%s of %s iterations did not get every copy that was due",
				count(int64(d.Incomplete)), count(int64(d.Iterations)))
		}
	}

	for _, e := range c.Examples {
		out = append(out, remark{rank: example, tag: "example of " + clean(e.Class), text: e.Text, code: true})
	}
	if d := run.Delivery; d != nil {
		for _, e := range d.Sends.Examples {
			out = append(out, remark{rank: example, tag: "example of a send, " + clean(e.Class), text: e.Text, code: true})
		}
		for _, k := range d.Clients[:min(worstClients, len(d.Clients))] {
			say(worstClient, "worst clients", "client %d in room %d: %s of %s expected copies",
				k.Client, k.Room, flaws(k.Lost, k.Duplicate, k.Reordered, k.Misrouted, k.Late), count(k.Expected))
		}
		if more := len(d.Clients) - worstClients; more > 0 {
			say(worstClient, "worst clients", "%d more in the JSON record", more)
		}
	}
	for _, n := range run.Notes {
		say(note, "note", "%s", n)
	}
	return out
}

// flaws puts the counts that are not zero into words.
func flaws(lost, duplicate, reordered, misrouted, late int64) string {
	var words []string
	for _, f := range []struct {
		n    int64
		name string
	}{{lost, "lost"}, {duplicate, "duplicate"}, {reordered, "reordered"}, {misrouted, "misrouted"}, {late, "late"}} {
		if f.n > 0 {
			words = append(words, count(f.n)+" "+f.name)
		}
	}
	return strings.Join(words, ", ")
}

// classes lists failures by class, the most frequent first.
func classes(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var words []string
	for _, class := range names {
		words = append(words, class+" "+count(int64(counts[class])))
	}
	return strings.Join(words, ", ")
}
