package report

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sseload/sseload/pkg/result"
)

func readSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestLinesKeepTheirSchema(t *testing.T) {
	schema, err := readSchema(t, "samples.schema.json").Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	fs := fixtures()
	fs["pipeline"] = pipeline()
	lines := 0
	for name, f := range fs {
		want := len(f.Runs)
		for i := range f.Runs {
			want += len(f.Runs[i].Samples)
		}
		for line := range strings.Lines(render(t, "samples", f, Options{})) {
			var v map[string]any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s: %v\n%s", name, err, line)
			}
			want--
			lines++
			// What the schema demands, each line has to have.
			for _, field := range []string{"type", "run", "started_at", "clients"} {
				old := v[field]
				delete(v, field)
				if schema.Validate(v) == nil {
					t.Errorf("a line without %s is accepted", field)
				}
				v[field] = old
			}
			v["temperature"] = 70
			if schema.Validate(v) == nil {
				t.Error("a line with a field of nobody's is accepted")
			}
		}
		if want != 0 {
			t.Errorf("%s: %d lines are missing", name, want)
		}
	}
	if lines < 50 {
		t.Errorf("only %d lines were looked at", lines)
	}
}

// The schema and the Go types have the same fields, and demand those that are always
// written.
func TestLinesMatchTheirSchema(t *testing.T) {
	s := readSchema(t, "samples.schema.json")
	for name, typ := range map[string]reflect.Type{
		"sample": reflect.TypeFor[sampleLine](), "run": reflect.TypeFor[runLine](), "connect": reflect.TypeFor[connectLine](),
		"delivery": reflect.TypeFor[deliveryLine](), "latency": reflect.TypeFor[latencyLine](),
	} {
		def := s.Defs[name]
		var fields, always []string
		for _, f := range reflect.VisibleFields(typ) {
			if f.Anonymous {
				continue
			}
			field, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields = append(fields, field)
			if option == "" {
				always = append(always, field)
			}
		}
		var has []string
		for field := range def.Properties {
			has = append(has, field)
		}
		for _, pair := range [][2][]string{{fields, has}, {always, slices.Clone(def.Required)}} {
			slices.Sort(pair[0])
			slices.Sort(pair[1])
			if !slices.Equal(pair[0], pair[1]) {
				t.Errorf("%s: the type has %q, the schema %q", name, pair[0], pair[1])
			}
		}
	}
	// A sample is what it is in the record.
	record := readSchema(t, "result.schema.json").Defs["sample"]
	for field, want := range record.Properties {
		got, err := json.Marshal(s.Defs["sample"].Properties[field])
		if err != nil {
			t.Fatal(err)
		}
		if wanted, err := json.Marshal(want); err != nil || string(got) != string(wanted) {
			t.Errorf("%s: %s here, %s in the record, %v", field, got, wanted, err)
		}
	}
}

// A line that is written as the run goes on knows nothing that comes later.
func TestSampleLinesNeedNoEnd(t *testing.T) {
	for name, f := range fixtures() {
		for i := range f.Runs {
			run := &f.Runs[i]
			begun := &result.Run{
				Scenario: run.Scenario, StartedAt: run.StartedAt, Labels: run.Labels, Params: run.Params, Target: run.Target,
				Engine: run.Engine, Step: run.Step, Repetition: run.Repetition,
			}
			for _, s := range run.Samples {
				early, err := samples{}.Sample(i+1, begun, s)
				late, wrong := samples{}.Sample(i+1, run, s)
				if err != nil || wrong != nil || string(early) != string(late) {
					t.Errorf("%s: %s, later %s, %v, %v", name, early, late, err, wrong)
				}
			}
		}
	}
}
