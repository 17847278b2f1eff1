// Package resulttest checks records of runs in the tests of other packages. It
// is apart from package result so that no schema validator gets into the
// program.
package resulttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sseload/sseload/pkg/result"
)

// Validate reports an error on t unless data is the JSON form of a record that
// keeps the schema docs/result.schema.json and the sums that the documentation of
// package result promises. The test must run inside the source tree.
func Validate(t testing.TB, data []byte) {
	t.Helper()
	if err := Check(LoadSchema(t), data); err != nil {
		t.Errorf("invalid record: %v", err)
	}
}

// LoadSchema reads docs/result.schema.json, found from the test's working
// directory upwards, and fails the test when it cannot.
func LoadSchema(t testing.TB) *jsonschema.Resolved {
	t.Helper()
	path, err := schemaPath()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return r
}

// schemaPath climbs to the module's root. Tests run in their package's
// directory, and a path compiled in would not survive -trimpath.
func schemaPath() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "docs", "result.schema.json"), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod at or above the working directory: cannot find docs/result.schema.json")
		}
		dir = parent
	}
}

// Check returns what is wrong with data as a record: the first breach of the
// schema, or every sum that does not come out.
func Check(schema *jsonschema.Resolved, data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	if err := schema.Validate(v); err != nil {
		return err
	}
	f, err := result.Read(bytes.NewReader(data))
	if err != nil {
		return err
	}
	var errs []error
	if len(f.Sources) > 0 {
		sum := 0
		for _, s := range f.Sources {
			sum += s.Runs
		}
		if sum != len(f.Runs) {
			errs = append(errs, fmt.Errorf("sources count %d runs, there are %d", sum, len(f.Runs)))
		}
	}
	for i, c := range f.Costs {
		for _, r := range c.Runs {
			if r >= len(f.Runs) {
				errs = append(errs, fmt.Errorf("costs %d: run %d of %d", i, r, len(f.Runs)))
			}
		}
	}
	for i := range f.Runs {
		for _, e := range sums(&f.Runs[i]) {
			errs = append(errs, fmt.Errorf("run %d: %w", i, e))
		}
	}
	return errors.Join(errs...)
}

// sums checks the equations between the figures of a run.
func sums(r *result.Run) []error {
	var errs []error
	equal := func(what string, got, want int64) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s is %d, want %d", what, got, want))
		}
	}
	c := &r.Connect
	equal("connect.failures together", total(c.Failures), int64(c.Failed))
	equal("connect.drops together", total(c.Drops), int64(c.Dropped))
	if c.Opened+c.Failed > c.Attempted {
		errs = append(errs, fmt.Errorf("connect: %d opened and %d failed of %d attempted", c.Opened, c.Failed, c.Attempted))
	}
	if c.Dropped > c.Opened {
		errs = append(errs, fmt.Errorf("connect: %d dropped of %d opened", c.Dropped, c.Opened))
	}
	if (c.ElapsedNS == nil) != (c.Opened == 0) {
		errs = append(errs, fmt.Errorf("connect: %d opened, elapsed_ns known: %t", c.Opened, c.ElapsedNS != nil))
	}
	if a := r.Reconnect; a != nil {
		equal("reconnect.gave_up and away together", int64(a.GaveUp+a.Away), int64(c.Dropped))
		equal("reconnect.downtime.count", a.Downtime.Count, a.Reopened)
		if ends, most := total(a.Ends), int64(c.Opened)+a.Reopened; ends > most || ends < int64(a.Clients) {
			errs = append(errs, fmt.Errorf("reconnect: %d streams of %d clients ended, %d opened", ends, a.Clients, most))
		}
		if done := a.Reopened + total(a.Failures); done > a.Attempts {
			errs = append(errs, fmt.Errorf("reconnect: %d attempts had an outcome, of %d", done, a.Attempts))
		}
		if a.Replayed != nil && a.ReplayLatency != nil {
			equal("reconnect.replay_latency.count", a.ReplayLatency.Count, *a.Replayed)
		}
	}
	errs = append(errs, traffic(r)...)
	if d := r.Delivery; d != nil {
		equal("delivery.sends.failures together", total(d.Sends.Failures), d.Sends.Failed)
		if d.Lost != nil && d.Duplicate != nil && d.Misrouted != nil {
			equal("delivery.received", d.Received, d.Expected-*d.Lost+*d.Duplicate+*d.Misrouted)
		}
		for _, k := range d.Clients {
			equal(fmt.Sprintf("delivery.clients: client %d: received", k.Client),
				k.Received, k.Expected-k.Lost+k.Duplicate+k.Misrouted)
		}
	}
	return errs
}

// traffic checks that what the model of sending has is known, and that parts are
// no more than their whole.
func traffic(r *result.Run) []error {
	var errs []error
	atMost := func(what string, part, whole int64, of string) {
		if part > whole {
			errs = append(errs, fmt.Errorf(what+" of "+of, part, whole))
		}
	}
	d := r.Delivery
	if d == nil {
		return nil
	}
	known := map[string]bool{}
	model := ""
	if r.Params.Model != nil {
		model = *r.Params.Model
	}
	switch model {
	case "open":
		known["params.rate"] = r.Params.Rate != nil
		known["params.arrivals"] = r.Params.Arrivals != nil
		known["delivery.sends.behind"] = d.Sends.Behind != nil
		known["delivery.sends.crowded"] = d.Sends.Crowded != nil
	case "closed":
		known["delivery.iterations"] = d.Iterations != nil
		known["delivery.incomplete"] = d.Incomplete != nil
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("%s is null in the %s model", name, model))
		}
	}
	if d.Sends.Behind != nil {
		atMost("delivery.sends: %d behind", *d.Sends.Behind, d.Sends.Attempted, "%d attempted")
	}
	if (r.Params.SlowClients != nil) != (d.Slow != nil) {
		errs = append(errs, fmt.Errorf("params.slow_clients known: %t, delivery.slow known: %t", r.Params.SlowClients != nil, d.Slow != nil))
	}
	if s := d.Slow; s != nil {
		atMost("delivery.slow: %d dropped", int64(s.Dropped), int64(s.Clients), "%d")
		atMost("delivery.slow: %d expected", s.Expected, d.Expected, "%d")
		atMost("delivery.slow: %d received", s.Received, d.Received, "%d")
		atMost("delivery.slow: %d expected by neighbours", s.NeighboursExpected, d.Expected-s.Expected, "%d by all ordinary clients")
		atMost("delivery.slow: %d drained", s.Drained, s.Received, "%d received")
	}
	return errs
}

func total(counts map[string]int) int64 {
	var sum int64
	for _, n := range counts {
		sum += int64(n)
	}
	return sum
}
