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

// spoken are the remarks on f, apart those that must not be missed and the others.
func spoken(f *result.File) (loud, quiet []remark) {
	all := remarks(f)
	at := slices.IndexFunc(all, func(r remark) bool { return !r.loud() })
	if at < 0 {
		at = len(all)
	}
	return all[:at], all[at:]
}

func (r row) remarks() []remark {
	var s speech
	s.validity(r.run)
	s.listenQueue(&r.run.Machine)
	s.connect(&r.run.Connect, r.run.Delivery)
	s.reconnect(r.run)
	if r.run.Delivery != nil {
		s.sends(r.run)
		s.delivery(r.run)
	}
	s.affinity(r.run.Affinity)
	s.examples(r.run)
	s.notes(r.run)
	return s
}

// speech collects what is to be said about one run.
type speech []remark

func (s *speech) say(k rank, tag, format string, args ...any) {
	*s = append(*s, remark{rank: k, tag: tag, text: fmt.Sprintf(format, args...)})
}

func (s *speech) validity(run *result.Run) {
	if run.Interrupted {
		s.say(validity, "interrupted", "figures are partial%s", progress(run))
	}
	if run.Aborted != nil {
		s.say(validity, "aborted", "%s", *run.Aborted)
	}
	if o := run.Generator.Overloaded; o != nil && *o {
		reason := ""
		if run.Generator.OverloadReason != nil {
			reason = ": " + *run.Generator.OverloadReason
		}
		s.say(validity, "overloaded", "the generator fell behind, take the figures as a bound%s", reason)
	}
}

// progress is how far a run had come that did not come to its end.
func progress(run *result.Run) string {
	p := &run.Params
	if n := run.Connect.Attempted; n < p.Clients {
		return fmt.Sprintf(", %s of %s clients were dialled", count(int64(n)), count(int64(p.Clients)))
	}
	d := run.Delivery
	if d == nil {
		return ""
	}
	switch {
	case p.Iterations != nil && d.Iterations != nil && *d.Iterations < *p.Iterations:
		return fmt.Sprintf(", after %s of %s iterations", count(int64(*d.Iterations)), count(int64(*p.Iterations)))
	case p.Iterations == nil && p.DurationNS != nil && d.ElapsedNS < *p.DurationNS:
		return fmt.Sprintf(", after %s of %s", durationNS(d.ElapsedNS), durationNS(*p.DurationNS))
	default:
		return ""
	}
}

func (s *speech) connect(c *result.Connect, d *result.Delivery) {
	if c.Failed > 0 {
		s.say(failure, "failed", "%s of %s clients did not open: %s",
			count(int64(c.Failed)), count(int64(c.Attempted)), classes(c.Failures))
	}
	if c.Dropped > 0 {
		slow := ""
		if d != nil && d.Slow != nil && d.Slow.Dropped > 0 {
			slow = fmt.Sprintf("; %s of them were slow readers", count(int64(d.Slow.Dropped)))
		}
		s.say(failure, "dropped", "%s of %s open clients ended before the run did: %s%s",
			count(int64(c.Dropped)), count(int64(c.Opened)), classes(c.Drops), slow)
	}
}

// reconnect says what became of streams that ended, and of the copies that their
// clients did not get meanwhile.
func (s *speech) reconnect(run *result.Run) {
	a := run.Reconnect
	if a == nil || a.Clients == 0 {
		return
	}
	text := fmt.Sprintf("%s streams of %s clients ended, the first %s after the first dial: %s; %s were opened again",
		count(sum(a.Ends)), count(int64(a.Clients)), known(a.FirstEndNS, durationNS), classes(a.Ends), count(a.Reopened))
	if a.Downtime.Count > 0 {
		text += fmt.Sprintf(", after %s at p50 and %s at most, the last %s after the first dial",
			known(a.Downtime.P50NS, durationNS), known(a.Downtime.MaxNS, durationNS), known(a.LastOpenNS, durationNS))
	}
	if len(a.Failures) > 0 {
		text += fmt.Sprintf("; attempts that failed: %s", classes(a.Failures))
	}
	if a.GaveUp > 0 {
		text += fmt.Sprintf("; %s clients were told not to come again", count(int64(a.GaveUp)))
	}
	if a.Away > 0 {
		text += fmt.Sprintf("; %s were not back when the run ended", count(int64(a.Away)))
	}
	s.say(failure, "reconnects", "%s", text)
	if value(a.Missed)+value(a.Replayed)+value(a.ReplayedTwice) == 0 {
		return
	}
	text = fmt.Sprintf("%s copies were sent while their client was away, which come by replay, or live to one just back, or are lost; %s came by replay",
		known(a.Missed, count), known(a.Replayed, count))
	if l := a.ReplayLatency; l != nil && l.Count > 0 {
		text += fmt.Sprintf(", %s after they were due at p99, which is in the latency above", known(l.P99NS, durationNS))
	}
	if n := value(a.ReplayedTwice); n > 0 {
		text += fmt.Sprintf("; %s came by replay though they had come before", count(n))
	}
	s.say(failure, "replay", "%s", text)
}

// listenQueue names what slows connecting down without any other sign: a request
// that finds the queue full is sent again after a second.
func (s *speech) listenQueue(m *result.Machine) {
	overflows, drops := value(m.ListenOverflows), value(m.ListenDrops)
	switch {
	case overflows > 0:
		s.say(failure, "listen queue", "%s connection requests found the queue of a listener full, %s were dropped; who is dropped tries again a second later: "+
			"the server accepts too slowly, or its backlog or net.core.somaxconn is too small (of all programs here; see sseload doctor)", count(overflows), count(drops))
	case drops > 0:
		s.say(failure, "listen queue", "%s connection requests were dropped, though no queue was full (of all programs here)", count(drops))
	}
}

func (s *speech) sends(run *result.Run) {
	sends := &run.Delivery.Sends
	if sends.CalledOff > 0 {
		end := "their iteration"
		if open(run) {
			end = "the run"
		}
		s.say(failure, "sends called off", "%s were due, but could not begin before %s ended", count(sends.CalledOff), end)
	}
	if n := value(sends.Behind); n > 0 {
		few := n*loudlyBehind <= sends.Attempted
		k := failure
		if few {
			k = note
		}
		s.say(k, "sends behind", "%s of %s began more than 1 ms after they were due%s",
			count(n), count(sends.Attempted), whyBehind(run, few))
	}
	if n := value(sends.Unanswered); n > 0 {
		s.say(failure, "sends unanswered", "%s of %s were neither answered nor had failed when the run ended",
			count(n), count(sends.Attempted))
	}
	if sends.Failed > 0 {
		s.say(failure, "sends failed", "%s of %s: %s",
			count(sends.Failed), count(sends.Attempted), classes(sends.Failures))
	}
}

// loudlyBehind: sends that began late are loud when they are more than one in so
// many.
const loudlyBehind = 100

// whyBehind is by how much sends were late and whose doing that was. Where they
// were few, quantiles do not know of them, and the worst one has to speak.
func whyBehind(run *result.Run, few bool) string {
	figure := func(l *result.Latency) (ns int64, text string, ok bool) {
		if l == nil || l.P99NS == nil || l.MaxNS == nil {
			return 0, "", false
		}
		if few {
			return *l.MaxNS, "by up to " + durationNS(*l.MaxNS), true
		}
		return *l.P99NS, "by " + durationNS(*l.P99NS) + " at p99 of all sends", true
	}
	text := ""
	all, words, lagKnown := figure(run.Generator.SendLag)
	if lagKnown {
		text = ", " + words
	}
	own, words, ownKnown := figure(run.Generator.DispatchLag)
	switch {
	case !ownKnown:
	case own > behindAfter:
		text += ": the generator itself came late to them, " + words
		if lagKnown && all > 2*own {
			text += ", and they waited for a connection"
		}
	case value(run.Delivery.Sends.Crowded) > 0:
		text += ": " + count(*run.Delivery.Sends.Crowded) + " messages came due when each connection had one"
		if n := run.Params.SendConnections; n != nil {
			text += ", of " + count(int64(*n))
		}
		text += "; the server takes messages in slowly, or --send-connections is too low"
	default:
		text += ": a connection had to be made for them first"
	}
	return text
}

func (s *speech) delivery(run *result.Run) {
	d := run.Delivery
	if what := flaws(value(d.Lost), value(d.Duplicate), value(d.Reordered), value(d.Misrouted), value(d.Late)); what != "" {
		affected := ""
		if d.ClientsAffected != nil {
			affected = "; clients affected: " + count(int64(*d.ClientsAffected))
		}
		late := ""
		if open(run) && value(d.Late) > 0 {
			late = fmt.Sprintf("; late is more than %s after the send was due", durationNS(run.Params.TimeoutNS))
		}
		s.say(failure, "delivery", "%s of %s expected copies%s%s", what, count(d.Expected), affected, late)
	}
	if n := value(wide(d.Incomplete)); n > 0 {
		s.say(failure, "incomplete", "%s of %s iterations did not get every copy that was due",
			count(n), known(wide(d.Iterations), count))
	}
}

func (s *speech) examples(run *result.Run) {
	put := func(tag string, e result.FailureExample) {
		*s = append(*s, remark{rank: example, tag: tag + clean(e.Class), text: e.Text, code: true})
	}
	for _, e := range run.Connect.Examples {
		put("example of ", e)
	}
	d := run.Delivery
	if d == nil {
		return
	}
	for _, e := range d.Sends.Examples {
		put("example of a send, ", e)
	}
	for _, k := range d.Clients[:min(worstClients, len(d.Clients))] {
		s.say(worstClient, "worst clients", "client %d in room %d: %s of %s expected copies",
			k.Client, k.Room, flaws(k.Lost, k.Duplicate, k.Reordered, k.Misrouted, k.Late), count(k.Expected))
	}
	if more := len(d.Clients) - worstClients; more > 0 {
		s.say(worstClient, "worst clients", "%d more in the JSON record", more)
	}
}

func (s *speech) notes(run *result.Run) {
	if d := run.Delivery; d != nil && d.Slow != nil {
		s.say(note, "slow readers", "%s", slowReaders(run))
	}
	if len(run.Target.Faults) > 0 {
		var words []string
		for _, f := range run.Target.Faults {
			words = append(words, f.Fault+": "+known(f.Injected, count))
		}
		s.say(note, "faults injected", "%s", strings.Join(words, "; "))
	}
	for _, n := range run.Notes {
		s.say(note, "note", "%s", n)
	}
	if kept(run) {
		s.say(note, "memory kept", "a server that runs on keeps memory of clients that are gone: where it had as many before, "+
			"target mem/client is too little. Start it anew for each series, and have the series rise")
	}
}

// kept tells whether the target may hold memory of clients from before the run: it was
// there already, and clients seem to have cost it next to nothing.
func kept(run *result.Run) bool {
	per := run.TargetProcess.BytesPerClient
	return !run.Target.Fresh() && run.TargetProcess.RSSConnectedBytes != nil && run.Connect.Opened > 0 && (per == nil || *per < leastPerClient)
}

// leastPerClient is what one client costs any server at least, in bytes: less than
// that much growth is memory that it had.
const leastPerClient = 1024

// keptUp is below what p99 slow readers were hardly slow, in nanoseconds.
const keptUp = 500e6

// slowReaders sums up what became of the slow readers, and of the others.
func slowReaders(run *result.Run) string {
	d := run.Delivery
	slow := d.Slow
	text := count(int64(slow.Clients))
	if run.Params.SlowRate != nil {
		text += " at " + sizeBytes(*run.Params.SlowRate) + "/s"
	}
	text += ": p99 "
	if slow.Drained > 0 {
		text += "≥ "
	}
	text += known(slow.Latency.P99NS, durationNS)
	if slow.Neighbours.Count > 0 {
		text += "; ordinary clients in a room with one: p99 " + known(slow.Neighbours.P99NS, durationNS)
	}
	if d.Latency.Count > 0 {
		text += "; all ordinary clients: p99 " + known(d.Latency.P99NS, durationNS)
	} else {
		text += "; no copy reached an ordinary client"
	}
	if n := value(slow.Lost); n > 0 {
		text += fmt.Sprintf("; %s of %s copies for slow readers were lost", count(n), count(slow.Expected))
	}
	if slow.Drained > 0 {
		text += fmt.Sprintf("; %s were read only once the sending was over, and would have taken longer", count(slow.Drained))
	}
	if slow.Drained+int64(slow.Dropped)+value(slow.Lost) == 0 && slow.Latency.P99NS != nil && *slow.Latency.P99NS < keptUp {
		text += "; they kept up: raise --payload-size or --rate, or lower --slow-rate, to make them fall behind"
	}
	if slow.Dropped > 0 {
		text += fmt.Sprintf("; the server dropped %s of %s slow readers", count(int64(slow.Dropped)), count(int64(slow.Clients)))
	}
	return text
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
