package telemetry

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/sseload/sseload/pkg/result"
)

// labels are names and values, each a pair.
type labels []*dto.LabelPair

func (l labels) with(pairs ...string) labels {
	all := slices.Clone(l)
	for i := 0; i+1 < len(pairs); i += 2 {
		all = append(all, &dto.LabelPair{Name: &pairs[i], Value: &pairs[i+1]})
	}
	return all
}

// ours are the names of labels that mean something here, or to Prometheus.
//
//nolint:gochecknoglobals // a constant table
var ours = []string{
	"run", "scenario", "step", "le", "quantile", "state", "outcome", "kind", "side", "phase", "target", "engine", "clients",
}

// sanitised are the user's labels under names that are allowed: letters, digits and
// underscores, without a digit or two underscores at the beginning (Prometheus data
// model, "Metric names and labels"). A name that is one of ours, or taken, is told
// apart by underscores behind it. A label without a value is none.
func sanitised(users map[string]string) labels {
	var all labels
	taken := slices.Clone(ours)
	for _, key := range slices.Sorted(maps.Keys(users)) {
		if users[key] == "" {
			continue
		}
		name := strings.Map(func(c rune) rune {
			if c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				return c
			}
			return '_'
		}, key)
		name = strings.TrimLeft(name, "_")
		if name == "" || name[0] <= '9' {
			name = "label_" + name
		}
		for slices.Contains(taken, name) {
			name += "_"
		}
		taken = append(taken, name)
		all = all.with(name, strings.ToValidUTF8(users[key], "�"))
	}
	return all
}

// labelsOf are those of every series of a run.
func labelsOf(r *Run, users labels) labels {
	all := labels{}.with("run", strconv.Itoa(r.Number), "scenario", r.Record.Scenario)
	if r.Record.Step != nil {
		all = all.with("step", *r.Record.Step)
	}
	return append(all, users...)
}

// infoOf are the labels that only run_info has, beside those of every series.
func infoOf(r *result.Run, common labels) labels {
	own := labels{}.with("target", r.Target.URL, "engine", r.Engine, "clients", strconv.Itoa(r.Params.Clients))
	described := map[string]string{
		"machine": r.Labels.Machine, "type": r.Labels.Type, "env": r.Labels.Env, "protocol": r.Labels.Protocol,
	}
	for _, pair := range common {
		delete(described, pair.GetName()) // said by the user
	}
	return append(own, sanitised(described)...)
}
