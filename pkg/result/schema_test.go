package result_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/sseload/sseload/pkg/result"
	"github.com/sseload/sseload/pkg/result/resulttest"
)

func TestSchemaAcceptsRecords(t *testing.T) {
	resulttest.Validate(t, encode(t, minimal()))
	resulttest.Validate(t, encode(t, full()))
}

// TestCommittedRecords: what the project shows as its results are records as the
// schema wants them now.
func TestCommittedRecords(t *testing.T) {
	n := 0
	err := filepath.WalkDir("../../results", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte(`"schema": "sseload.bench/`)) {
			return nil // figures of make bench, which are no record of a run
		}
		n++
		t.Run(filepath.ToSlash(path), func(t *testing.T) { resulttest.Validate(t, text) })
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("%d records, %v", n, err)
	}
}

// The full record of these tests stands for every field: what it left out would
// not be validated at all.
func TestFullRecordIsFull(t *testing.T) {
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				t.Errorf("%s is null", path)
				return
			}
			walk(path, v.Elem())
		case reflect.Slice:
			if v.Len() == 0 {
				t.Errorf("%s is empty", path)
				return
			}
			walk(path+"[0]", v.Index(0))
		case reflect.Map:
			if v.Len() == 0 {
				t.Errorf("%s is empty", path)
			}
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		default:
			if v.IsZero() {
				t.Errorf("%s is zero", path)
			}
		}
	}
	walk("file", reflect.ValueOf(full()))
}

func TestSchemaRefusesBrokenRecords(t *testing.T) {
	schema := resulttest.LoadSchema(t)
	// at walks to a place in the decoded record.
	at := func(v any, path ...any) map[string]any {
		for _, p := range path {
			switch p := p.(type) {
			case string:
				v = v.(map[string]any)[p]
			case int:
				v = v.([]any)[p]
			}
		}
		return v.(map[string]any)
	}
	run := func(v any, path ...any) map[string]any {
		return at(v, append([]any{"runs", 0}, path...)...)
	}
	for _, test := range []struct {
		name string
		do   func(v any)
		want string // in the error
	}{
		{"missing field", func(v any) { delete(run(v), "connect") }, "connect"},
		{"missing figure", func(v any) { delete(run(v, "delivery", "latency"), "p99_ns") }, "p99_ns"},
		{"missing schema", func(v any) { delete(at(v), "schema") }, "schema"},
		{"another schema", func(v any) { at(v)["schema"] = "sseload.result/v2" }, "const"},
		{"string for a number", func(v any) { run(v)["total_ns"] = "3s" }, "type"},
		{"fraction for a count", func(v any) { run(v, "connect")["opened"] = 1.5 }, "type"},
		{"negative count", func(v any) { run(v, "delivery")["lost"] = -1 }, "minimum"},
		{"negative duration", func(v any) { run(v, "connect")["elapsed_ns"] = -1 }, "minimum"},
		{"null for a count", func(v any) { run(v, "delivery")["expected"] = nil }, "type"},
		{"null for a list", func(v any) { run(v)["notes"] = nil }, "type"},
		{"null for failures", func(v any) { run(v, "connect")["failures"] = nil }, "type"},
		{"unknown failure", func(v any) { run(v, "connect", "failures")["bad luck"] = 1 }, "bad luck"},
		{"unknown status", func(v any) { run(v, "connect", "failures")["status 1000"] = 1 }, "status 1000"},
		{"failure that never happened", func(v any) { run(v, "connect", "failures")["dns"] = 0 }, "minimum"},
		{"unknown class of an example", func(v any) { run(v, "connect", "examples", 0)["class"] = "bad luck" }, "bad luck"},
		{"additional field", func(v any) { run(v, "machine")["temperature"] = 70 }, "temperature"},
		{"unknown model", func(v any) { run(v, "params")["model"] = "ajar" }, "enum"},
		{"unknown arrivals", func(v any) { run(v, "params")["arrivals"] = "bursts" }, "enum"},
		{"a rate of nothing", func(v any) { run(v, "params")["rate"] = 0 }, "exclusiveMinimum"},
		{"no slow clients in place of null", func(v any) { run(v, "params")["slow_clients"] = 0 }, "minimum"},
		{"unknown clock", func(v any) { run(v, "clock")["kind"] = "sundial" }, "enum"},
		{"fault without a name", func(v any) { run(v, "target", "faults", 0)["fault"] = "" }, "minLength"},
		{"negative count of a fault", func(v any) { run(v, "target", "faults", 0)["injected"] = -1 }, "minimum"},
		{"open model without its rate", func(v any) { run(v, "params")["rate"] = nil }, "params.rate is null in the open model"},
		{"open model without its arrivals", func(v any) { run(v, "params")["arrivals"] = nil }, "params.arrivals is null in the open model"},
		{"open model without a count of late sends", func(v any) { run(v, "delivery", "sends")["behind"] = nil }, "delivery.sends.behind is null in the open model"},
		{"closed model without its iterations", func(v any) {
			run(v, "params")["model"] = "closed"
			run(v, "delivery")["iterations"] = nil
		}, "delivery.iterations is null in the closed model"},
		{"closed model without its incomplete iterations", func(v any) {
			run(v, "params")["model"] = "closed"
			run(v, "delivery")["incomplete"] = nil
		}, "delivery.incomplete is null in the closed model"},
		{"more behind than attempted", func(v any) { run(v, "delivery", "sends")["behind"] = 3 }, "3 behind of 2 attempted"},
		{"slow clients without an account", func(v any) { run(v, "delivery")["slow"] = nil }, "slow_clients known: true, delivery.slow known: false"},
		{"more slow clients dropped than there were", func(v any) { run(v, "delivery", "slow")["dropped"] = 2 }, "delivery.slow: 2 dropped of 1"},
		{"more drained than received", func(v any) { run(v, "delivery", "slow")["drained"] = 2 }, "delivery.slow: 2 drained of 1 received"},
		{"slow clients owed more than all", func(v any) { run(v, "delivery", "slow")["expected"] = 13 }, "delivery.slow: 13 expected of 12"},
		{"slow clients got more than all", func(v any) { run(v, "delivery", "slow")["received"] = 13 }, "delivery.slow: 13 received of 12"},
		{"unknown kind of target", func(v any) { run(v, "target")["kind"] = "tape" }, "enum"},
		{"zero figures where nothing was counted", func(v any) { run(v, "delivery", "latency")["count"] = 0 }, "null"},
		{"no figures where something was counted", func(v any) { run(v, "delivery", "latency")["p50_ns"] = nil }, "p50_ns"},
		{"time without a zone", func(v any) { at(v)["started_at"] = "2026-11-23 10:00" }, "pattern"},
		{"more worst clients than twenty", func(v any) {
			d := run(v, "delivery")
			d["clients"] = slices.Repeat(d["clients"].([]any), 21)
		}, "maxItems"},
		{"failures that do not add up", func(v any) { run(v, "connect")["failed"] = 1 }, "connect.failures together is 2, want 1"},
		{"drops that do not add up", func(v any) { run(v, "connect")["dropped"] = 0 }, "connect.drops together is 2, want 0"},
		{"clients away that are not dropped", func(v any) { run(v, "reconnect")["away"] = 2 }, "reconnect.gave_up and away together is 3, want 2"},
		{"more streams ended than opened", func(v any) { run(v, "reconnect")["ends"] = map[string]any{"reset": 17} }, "reconnect: 17 streams of 4 clients ended, 16 opened"},
		{"more outcomes than attempts", func(v any) { run(v, "reconnect")["attempts"] = 11 }, "reconnect: 12 attempts had an outcome, of 11"},
		{"replays that do not add up", func(v any) { run(v, "reconnect")["replayed"] = 9 }, "reconnect.replay_latency.count is 10, want 9"},
		{"send failures that do not add up", func(v any) { run(v, "delivery", "sends")["failed"] = 0 }, "delivery.sends.failures together is 1, want 0"},
		{"copies that do not add up", func(v any) { run(v, "delivery")["received"] = 11 }, "delivery.received is 11, want 12"},
		{"a client's copies that do not add up", func(v any) { run(v, "delivery", "clients", 0)["received"] = 0 }, "client 3"},
		{"more opened than attempted", func(v any) { run(v, "connect")["attempted"] = 7 }, "of 7 attempted"},
		{"elapsed time unknown though some opened", func(v any) { run(v, "connect")["elapsed_ns"] = nil }, "elapsed_ns known: false"},
		{"a slope of two runs", func(v any) { at(v, "costs", 0, "target_bytes_per_client")["runs"] = 2 }, "minimum"},
		{"costs of a run that is not there", func(v any) { at(v, "costs", 0)["runs"] = []any{0, 1, 2} }, "costs 0: run 2 of 2"},
		{"unknown kind of profile", func(v any) { run(v, "profiles", 0)["kind"] = "soul" }, "enum"},
		{"profile without a file", func(v any) { run(v, "profiles", 0)["file"] = "" }, "minLength"},
		{"sources that do not add up", func(v any) { at(v, "sources", 0)["runs"] = 1 }, "sources count 1 runs, there are 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var v any
			if err := json.Unmarshal(encode(t, full()), &v); err != nil {
				t.Fatal(err)
			}
			test.do(v)
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if err := resulttest.Check(schema, data); err == nil {
				t.Error("accepted")
			} else if !strings.Contains(err.Error(), test.want) {
				t.Errorf("refused for another reason than %q: %v", test.want, err)
			}
		})
	}
}

// TestSchemaMatchesTypes walks the Go types and the schema side by side: every
// field is in the schema and the other way round, and null is allowed exactly
// where Go has a pointer.
func TestSchemaMatchesTypes(t *testing.T) {
	root := resulttest.LoadSchema(t).Schema()
	for _, d := range drift(root, root, reflect.TypeFor[result.File](), "record") {
		t.Error(d)
	}
}

// The walk itself must see each kind of drift.
func TestDriftIsSeen(t *testing.T) {
	type inner struct {
		A int `json:"a"`
	}
	type outer struct {
		Plain   int64            `json:"plain"`
		Pointer *float64         `json:"pointer"`
		Inner   *inner           `json:"inner"`
		List    []inner          `json:"list"`
		Map     map[string]int   `json:"map"`
		Maybe   map[string]inner `json:"maybe,omitempty"`
	}
	const good = `{"type": "object", "additionalProperties": false,
		"required": ["plain", "pointer", "inner", "list", "map"],
		"properties": {
			"plain": {"type": "integer", "description": "x"},
			"pointer": {"type": ["number", "null"], "description": "x"},
			"inner": {"anyOf": [{"$ref": "#/$defs/inner"}, {"type": "null"}], "description": "x"},
			"list": {"type": "array", "items": {"$ref": "#/$defs/inner"}, "description": "x"},
			"map": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "x"},
			"maybe": {"type": "object", "additionalProperties": {"$ref": "#/$defs/inner"}, "description": "x"}},
		"$defs": {"inner": {"type": "object", "additionalProperties": false, "required": ["a"],
			"properties": {"a": {"type": "integer", "description": "x"}}}}}`
	for _, test := range []struct{ name, old, new, want string }{
		{"none", "", "", ""},
		{"field missing from the schema", `"plain": {"type": "integer", "description": "x"},`, ``, "not in the schema"},
		{"field missing from the type", `"properties": {
			`, `"properties": {"more": {"type": "integer", "description": "x"}, `, "not in the type"},
		{"null without a pointer", `"plain": {"type": "integer"`, `"plain": {"type": ["integer", "null"]`, "allows null"},
		{"pointer without null", `["number", "null"]`, `"number"`, "does not allow null"},
		{"struct pointer without null", `{"anyOf": [{"$ref": "#/$defs/inner"}, {"type": "null"}]`, `{"$ref": "#/$defs/inner"`, "does not allow null"},
		{"fraction for an integer", `"plain": {"type": "integer"`, `"plain": {"type": "number"`, `type is "number"`},
		{"not required", `"list", "map"]`, `"list"]`, "not required"},
		{"required but left out", `"list", "map"]`, `"list", "map", "maybe"]`, "required, but left out when empty"},
		{"open object", `{"type": "object", "additionalProperties": false, "required": ["a"]`, `{"type": "object", "required": ["a"]`, "additionalProperties"},
		{"no description", `"plain": {"type": "integer", "description": "x"}`, `"plain": {"type": "integer"}`, "no description"},
		{"type of an item's field", `"properties": {"a": {"type": "integer"`, `"properties": {"a": {"type": "string"`, `type is "string"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := good
			if test.old != "" {
				text = strings.Replace(good, test.old, test.new, 1)
				if text == good {
					t.Fatal("the schema was not changed")
				}
			}
			var s jsonschema.Schema
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(drift(&s, &s, reflect.TypeFor[outer](), "outer"), "\n")
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// drift lists where schema s and Go type typ differ.
func drift(root, s *jsonschema.Schema, typ reflect.Type, path string) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, path+": "+fmt.Sprintf(format, args...))
	}

	s, null := resolve(root, s)
	if pointer := typ.Kind() == reflect.Pointer; pointer {
		typ = typ.Elem()
		if !null {
			say("is a pointer, the schema does not allow null")
		}
	} else if null {
		say("is no pointer, the schema allows null")
	}

	want := ""
	switch {
	case typ == reflect.TypeFor[time.Time]():
		want = "string"
	case typ.Kind() == reflect.Struct, typ.Kind() == reflect.Map:
		want = "object"
	case typ.Kind() == reflect.Slice:
		want = "array"
	case typ.Kind() == reflect.String:
		want = "string"
	case typ.Kind() == reflect.Bool:
		want = "boolean"
	case typ.Kind() == reflect.Int, typ.Kind() == reflect.Int64:
		want = "integer"
	case typ.Kind() == reflect.Float64:
		want = "number"
	}
	if got := kind(s); got != want {
		say("type is %q, want %q for Go's %s", got, want, typ)
		return out
	}

	switch {
	case typ == reflect.TypeFor[time.Time]():
	case typ.Kind() == reflect.Slice:
		if s.Items == nil {
			say("no items in the schema")
			break
		}
		out = append(out, drift(root, s.Items, typ.Elem(), path+"[]")...)
	case typ.Kind() == reflect.Map:
		if s.AdditionalProperties == nil {
			say("no additionalProperties in the schema")
			break
		}
		out = append(out, drift(root, s.AdditionalProperties, typ.Elem(), path+"{}")...)
	case typ.Kind() == reflect.Struct:
		if a := s.AdditionalProperties; a == nil || a.Not == nil {
			say("additionalProperties is not false")
		}
		seen := map[string]bool{}
		for i := range typ.NumField() {
			field := typ.Field(i)
			name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
			seen[name] = true
			p, ok := s.Properties[name]
			if !ok {
				say("field %q is not in the schema", name)
				continue
			}
			switch required := slices.Contains(s.Required, name); {
			case option == "omitempty" && required:
				say("field %q is required, but left out when empty", name)
			case option != "omitempty" && !required:
				say("field %q is not required", name)
			}
			if !described(root, p) {
				say("field %q has no description", name)
			}
			out = append(out, drift(root, p, field.Type, path+"."+name)...)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			if !seen[name] {
				say("property %q is not in the type", name)
			}
		}
		for _, name := range s.Required {
			if !seen[name] {
				say("required %q is not in the type", name)
			}
		}
	}
	return out
}

// resolve follows $ref and the form anyOf[x, null], and tells whether null is
// allowed.
func resolve(root, s *jsonschema.Schema) (_ *jsonschema.Schema, null bool) {
	for {
		switch {
		case s.Ref != "":
			s = root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
		case len(s.AnyOf) == 2 && s.AnyOf[1].Type == "null":
			null = true
			s = s.AnyOf[0]
		default:
			return s, null || slices.Contains(s.Types, "null")
		}
	}
}

// kind is the schema's type beside null.
func kind(s *jsonschema.Schema) string {
	if s.Type != "" {
		return s.Type
	}
	kinds := slices.DeleteFunc(slices.Clone(s.Types), func(k string) bool { return k == "null" })
	return strings.Join(kinds, "|")
}

func described(root, s *jsonschema.Schema) bool {
	for s.Description == "" && s.Ref != "" {
		s = root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	return s.Description != ""
}
