package telemetry

import (
	"maps"
	"slices"
	"testing"

	"github.com/sseload/sseload/pkg/result"
)

// asMap is l by name. A name that comes twice is an error.
func asMap(t *testing.T, l labels) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pair := range l {
		if _, twice := all[pair.GetName()]; twice {
			t.Errorf("label %q comes twice", pair.GetName())
		}
		all[pair.GetName()] = pair.GetValue()
	}
	return all
}

func TestSanitised(t *testing.T) {
	for _, test := range []struct {
		name        string
		users, want map[string]string
	}{
		{"good ones stay", map[string]string{"build": "7", "Env_2": "x y"}, map[string]string{"build": "7", "Env_2": "x y"}},
		{"other characters", map[string]string{"build-id": "7", "a.b/c": "1"}, map[string]string{"build_id": "7", "a_b_c": "1"}},
		{"letters of others", map[string]string{"größe": "7"}, map[string]string{"gr__e": "7"}},
		{"a digit first", map[string]string{"2nd": "7"}, map[string]string{"label_2nd": "7"}},
		{"reserved by Prometheus", map[string]string{"__name__": "7"}, map[string]string{"name__": "7"}},
		{"nothing is left", map[string]string{"-": "7"}, map[string]string{"label_": "7"}},
		{"ours", map[string]string{"run": "7", "le": "8"}, map[string]string{"run_": "7", "le_": "8"}},
		{"two become one", map[string]string{"a-b": "1", "a.b": "2", "a_b": "3"}, map[string]string{"a_b": "1", "a_b_": "2", "a_b__": "3"}},
		{"without a value", map[string]string{"a": ""}, map[string]string{}},
		{"no text", map[string]string{"a": "b\xffc"}, map[string]string{"a": "b�c"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := asMap(t, sanitised(test.users)); !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestLabelsOfARun: what the user says goes before what the record says, and no label
// comes twice.
func TestLabelsOfARun(t *testing.T) {
	step := "warm-up"
	record := &result.Run{
		Scenario: "rooms", Engine: "epoll", Step: &step, Target: result.Target{URL: "http://h/events"},
		Params: result.Params{Clients: 600}, Labels: result.Labels{Machine: "m", Type: "Normal", Env: "mine", Protocol: "EventSource"},
	}
	common := labelsOf(&Run{Number: 3, Record: record}, sanitised(map[string]string{"env": "mine"}))
	want := map[string]string{"run": "3", "scenario": "rooms", "step": "warm-up", "env": "mine"}
	if got := asMap(t, common); !maps.Equal(got, want) {
		t.Errorf("every series has %v, want %v", got, want)
	}
	maps.Copy(want, map[string]string{
		"target": "http://h/events", "engine": "epoll", "clients": "600", "machine": "m", "type": "Normal", "protocol": "EventSource",
	})
	if got := asMap(t, slices.Concat(common, infoOf(record, common))); !maps.Equal(got, want) {
		t.Errorf("run_info has %v, want %v", got, want)
	}
}
