package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// ErrSchema is wrapped by the errors of [Read] and [ReadFile] for input that is
// JSON but does not carry the name [Schema]: another tool's file, or a record of
// a version that this package does not know.
var ErrSchema = errors.New("not a record of schema " + Schema)

// Read decodes one record from r, up to its end.
//
// It is strict about what the input claims to be: a missing or different schema
// name, a missing list of runs, a run of no scenario, and anything behind the record are errors. It
// tolerates fields that it does not know, so that a program can read the records
// of a later one that only added some; such fields are dropped.
func Read(r io.Reader) (*File, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("no record: the input is empty")
	}

	// The name comes first: what else is wrong with a file of another kind does
	// not help its reader.
	var head struct {
		Schema json.RawMessage `json:"schema"`
		Runs   json.RawMessage `json:"runs"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, decodeError(data, err)
	}
	if head.Schema == nil {
		return nil, fmt.Errorf("no schema name: %w", ErrSchema)
	}
	var name string
	if json.Unmarshal(head.Schema, &name) != nil || name != Schema {
		return nil, fmt.Errorf("schema is %s: %w", head.Schema, ErrSchema)
	}
	if head.Runs == nil || string(head.Runs) == "null" {
		return nil, errors.New("no list of runs in the record")
	}

	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, decodeError(data, err)
	}
	for i := range f.Runs {
		if f.Runs[i].Scenario == "" {
			return nil, fmt.Errorf("run %d of the record has no scenario", i+1)
		}
	}
	return &f, nil
}

// ReadFile reads the record in the named file, as [Read] does. Its errors name
// the file.
func ReadFile(path string) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err // an *fs.PathError: it names the file
	}
	defer r.Close()
	f, err := Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// decodeError puts the place of an error in data, as far as it is known, into
// words.
func decodeError(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("not JSON: line %d: %w", line, err)
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("found a JSON %s in place of an object: %w", kind.Value, ErrSchema)
	case errors.As(err, &kind):
		line := 1 + bytes.Count(data[:min(int(kind.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("line %d: field %s: found a JSON %s, need a Go %s", line, kind.Field, kind.Value, kind.Type)
	default:
		return fmt.Errorf("decode record: %w", err)
	}
}

// Write encodes the record to w as indented JSON with a newline at its end. It
// always writes the name [Schema], and an empty list or object where a slice or
// map of f is nil, since null means unknown there. It does not change f. A
// figure that JSON cannot hold (NaN, an infinity) is an error.
func (f *File) Write(w io.Writer) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // URLs and commands stay readable
	enc.SetIndent("", "  ")
	if err := enc.Encode(f.explicit()); err != nil {
		return fmt.Errorf("encode record: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// explicit returns a copy of f in which no slice or map that is always written
// is nil. What needs no change is shared with f.
func (f *File) explicit() *File {
	c := *f
	c.Schema = Schema
	c.Command = list(c.Command)
	c.Sources = slices.Clone(c.Sources)
	for i := range c.Sources {
		c.Sources[i].Command = list(c.Sources[i].Command)
	}
	c.Runs = list(slices.Clone(c.Runs))
	for i := range c.Runs {
		r := &c.Runs[i]
		r.Phases = list(r.Phases)
		r.Samples = list(r.Samples)
		r.Notes = list(r.Notes)
		r.Profiles = slices.Clone(r.Profiles)
		for k := range r.Profiles {
			r.Profiles[k].Top = list(r.Profiles[k].Top)
		}
		r.Connect.Failures = counts(r.Connect.Failures)
		r.Connect.Drops = counts(r.Connect.Drops)
		r.Connect.Examples = list(r.Connect.Examples)
		if r.Delivery != nil {
			d := *r.Delivery
			d.Sends.Failures = counts(d.Sends.Failures)
			d.Sends.Examples = list(d.Sends.Examples)
			d.Clients = list(d.Clients)
			r.Delivery = &d
		}
	}
	return &c
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func counts(m map[string]int) map[string]int {
	if m == nil {
		return map[string]int{}
	}
	return m
}

// Merge puts the runs of several records into one, in order, and says in Sources
// which stretch of them came from where. A record that was merged before brings
// its own sources along. The costs of series are left out, as the runs of several
// records may make one series. One record alone is returned as it is.
//
// The result shares what its runs point to with the records it was made of.
// Merging nothing is an error, and so is a merged record whose sources do not
// account for its runs.
func Merge(files ...*File) (*File, error) {
	switch len(files) {
	case 0:
		return nil, errors.New("merge records: there are none")
	case 1:
		return files[0], nil
	}
	m := *files[0]
	m.Runs = nil
	m.Costs = nil
	m.Sources = nil
	for i, f := range files {
		sources, err := f.sources()
		if err != nil {
			return nil, fmt.Errorf("merge records: record %d of %d: %w", i+1, len(files), err)
		}
		m.Sources = append(m.Sources, sources...)
		m.Runs = append(m.Runs, f.Runs...)
	}
	m.Runs = list(m.Runs)
	return &m, nil
}

func (f *File) sources() ([]Source, error) {
	if len(f.Sources) == 0 {
		return []Source{f.source()}, nil
	}
	sum := 0
	for _, s := range f.Sources {
		if s.Runs < 0 {
			return nil, fmt.Errorf("a source counts %d runs", s.Runs)
		}
		sum += s.Runs
	}
	if sum != len(f.Runs) {
		return nil, fmt.Errorf("its sources count %d runs, it holds %d", sum, len(f.Runs))
	}
	return f.Sources, nil
}

func (f *File) source() Source {
	return Source{Tool: f.Tool, Command: f.Command, Host: f.Host, StartedAt: f.StartedAt, Runs: len(f.Runs)}
}

// SourceOf returns where run i of f came from: one of Sources in a merged
// record, otherwise the record itself, as also for a run that the sources do not
// account for. It panics when there is no run i.
func (f *File) SourceOf(i int) Source {
	_ = f.Runs[i]
	first := 0
	for _, s := range f.Sources {
		first += s.Runs
		if i < first {
			return s
		}
	}
	return f.source()
}
