package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sseload/sseload/pkg/plan"
	"github.com/sseload/sseload/pkg/report"
)

// The schema of plans is made of the flags of the load commands, as are their help and
// the binder. It is for editors: the binder has the last word, as it knows line and
// column, and what flags say of each other.

// schema is a piece of a JSON schema.
type schema = map[string]any

// Patterns of values in plans.
const (
	variablePattern = `\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}`
	durationPattern = `^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*$`
	sizePattern     = `[0-9]+ *(GiB|MiB|KiB|GB|MB|kB|KB|B)?`
	numberPattern   = `([0-9]+(\.[0-9]*)?|\.[0-9]+)`
	namePattern     = `^[-._A-Za-z0-9]+$`
)

// planSchema is the JSON schema of plans, as text.
func (a *App) planSchema() (string, error) {
	m := schemaMaker{commands: map[string]*pflag.FlagSet{}, flags: schema{}}
	for name, command := range a.loadCommands() {
		m.commands[name] = command().Flags()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(m.plan())
	return b.String(), err
}

// schemaMaker makes the schema of plans.
type schemaMaker struct {
	commands map[string]*pflag.FlagSet
	flags    schema // what flags take, by name
}

func (m *schemaMaker) plan() schema {
	var steps []any
	names := slices.Sorted(maps.Keys(m.commands))
	for _, name := range names {
		steps = append(steps, m.step(name))
	}
	steps = append(steps, m.anyStep())
	all := m.union()
	target := without(all, "output")
	target["url"] = annotated(scalarOr(schema{"type": "string"}), "where to subscribe; without one, or an empty one, the bundled server is started")
	out := schema{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "sseload plan",
		"description":          "What sseload run carries out: see docs/plans.md. Keys of steps are flags of their command.",
		"type":                 "object",
		"required":             []string{"steps"},
		"additionalProperties": false,
		"properties": schema{
			"description": annotated(scalar(), "what the plan is for"),
			"variables": schema{
				"description":   "values of ${NAME}, unless the environment or --var says otherwise; one may use those before it",
				"type":          "object",
				"propertyNames": schema{"pattern": `^[A-Za-z_][A-Za-z0-9_]*$`},
				"maxProperties": plan.MaxKeys, "additionalProperties": scalar(),
			},
			"targets": schema{
				"description":   "what steps run against, by name: flags that the steps on it have, as far as their command knows them",
				"type":          "object",
				"propertyNames": schema{"pattern": namePattern},
				"maxProperties": plan.MaxKeys, "additionalProperties": object(target),
			},
			"defaults": annotated(object(without(all, "output")), "flags of all steps, as far as their command knows them"),
			"steps": schema{
				"description": "what is done, in this order", "type": "array", "minItems": 1, "maxItems": plan.MaxSteps,
				"items": schema{"type": "object", "required": []string{"command"}, "not": schema{"required": []string{"target", "url"}}, "anyOf": steps},
			},
			"output": annotated(schema{"$ref": "#/$defs/output"}, "where the results of all steps go, together"),
		},
	}
	m.flags["output"] = annotated(outputSchema(), "where the step's own results go, beside those of all steps together: FORMAT=PATH")
	m.flags[variableName] = annotated(schema{"type": "string", "pattern": variablePattern}, "a text with a variable, ${NAME} or ${NAME:-fallback}")
	out["$defs"] = m.flags
	return out
}

// step is a step of that command.
func (m *schemaMaker) step(command string) schema {
	flags := m.properties(m.commands[command])
	matrix := schema{}
	for name, s := range without(flags, "output") {
		matrix[name] = schema{"type": "array", "minItems": 1, "items": s}
	}
	properties := without(flags, "")
	own := map[string]schema{
		"command": annotated(schema{"const": command}, "what the step does"),
		"name":    annotated(scalarOr(schema{"type": []string{"string", "number", "boolean"}, "pattern": namePattern}), "what it is called; else as its command"),
		"target":  annotated(scalarOrList(schema{"type": []string{"string", "number", "boolean"}, "minLength": 1}), "the name of a target, or of several: the step is made for each"),
		"url":     annotated(scalarOr(schema{"type": "string"}), "where to subscribe; without one the bundled server is started"),
		"matrix":  annotated(object(matrix), "flags with several values: the step is made for each combination"),
	}
	for name, s := range own {
		properties[name] = s
	}
	return object(properties)
}

// anyStep is a step whose command a variable says.
func (m *schemaMaker) anyStep() schema {
	return schema{"properties": schema{"command": schema{"type": "string", "pattern": variablePattern}}}
}

// properties are the flags of a command, each of which m.flags then has, with the help of
// the first command. Where that of another differs it stands beside.
func (m *schemaMaker) properties(flags *pflag.FlagSet) schema {
	all := schema{}
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		_, usage := pflag.UnquoteUsage(f)
		here := schema{"$ref": "#/$defs/" + f.Name}
		if known, ok := m.flags[f.Name].(schema); !ok {
			m.flags[f.Name] = annotated(flagSchema(f), usage)
		} else if known["description"] != usage {
			here["description"] = usage
		}
		all[f.Name] = here
	})
	return all
}

// union are the flags of all commands.
func (m *schemaMaker) union() schema {
	all := schema{}
	for _, command := range slices.Sorted(maps.Keys(m.commands)) {
		maps.Copy(all, m.properties(m.commands[command]))
	}
	return all
}

// flagSchema is what a flag takes in a plan.
func flagSchema(f *pflag.Flag) schema {
	one := valueSchema(f)
	switch formOf(f) {
	case joined:
		return scalarOrList(one, schema{"type": "string", "pattern": ","})
	case repeated:
		return scalarOrList(one)
	case single:
	}
	return scalarOr(one)
}

// valueSchema is one value of a flag, of that many forms of which any will do.
func valueSchema(f *pflag.Flag) schema {
	kind, _, _ := strings.Cut(f.Value.Type(), "[,")
	if choices := choicesOf(f); len(choices) > 0 {
		return schema{"enum": asWritten(choices)}
	}
	switch kind {
	case "bool":
		return schema{"enum": []any{true, false, "true", "false"}}
	case "N":
		return schema{"type": []string{"integer", "string"}, "minimum": 1, "maximum": most, "pattern": `^[0-9]+$`}
	case "int":
		return schema{"type": []string{"integer", "string"}, "pattern": `^[-+]?[0-9]+$`}
	case "duration":
		return schema{"anyOf": []any{schema{"type": "string", "pattern": durationPattern}, schema{"enum": []any{0, "0"}}}}
	case "N/s":
		return schema{"type": []string{"number", "string"}, "minimum": 0, "maximum": most, "pattern": "^" + numberPattern + "(/[sm])?$"}
	case "BYTES":
		return schema{"type": []string{"integer", "string"}, "minimum": 0, "pattern": "^" + sizePattern + "$"}
	case "BYTES/s":
		return schema{"type": "string", "pattern": "^" + sizePattern + "/s$"}
	case "N|N%":
		return schema{"type": []string{"integer", "string"}, "minimum": 1, "maximum": most, "pattern": "^([0-9]+|" + numberPattern + "%)$"}
	case "TIME|N%":
		return schema{"anyOf": []any{
			schema{"type": "string", "pattern": durationPattern}, schema{"type": "string", "pattern": "^" + numberPattern + "%$"}, schema{"enum": []any{0, "0"}},
		}}
	case "string":
		if !mayBeEmpty(f.Name) {
			return schema{"type": []string{"string", "number", "boolean"}, "minLength": 1}
		}
	}
	return scalar()
}

// asWritten are words of which some are numbers to YAML, unless they stand in quotes.
func asWritten(words []string) []any {
	var all []any
	for _, w := range words {
		all = append(all, w)
		var number float64
		if json.Unmarshal([]byte(w), &number) == nil {
			all = append(all, json.Number(w))
		}
	}
	return all
}

// outputSchema is where results go.
func outputSchema() schema {
	return scalarOrList(schema{"type": "string", "pattern": "^(" + strings.Join(report.Names(), "|") + ")(=.*)?$"})
}

// scalar is any text, number or switch: what they mean is the flag's business.
func scalar() schema { return schema{"type": []string{"string", "number", "boolean"}} }

// scalarOr is a text with a variable, or what s says.
func scalarOr(s schema) schema {
	return schema{"anyOf": []any{s, variable()}}
}

// scalarOrList is one of the values, a text with a variable, or a list of such.
func scalarOrList(values ...schema) schema {
	one := []any{variable()}
	for _, v := range values {
		one = append(one, v)
	}
	return schema{"anyOf": append(slices.Clone(one), schema{"type": "array", "minItems": 1, "items": schema{"anyOf": one}})}
}

// variable is a text that holds a variable, whatever it stands for.
func variable() schema { return schema{"$ref": "#/$defs/" + variableName} }

// variableName is no name that a flag can have.
const variableName = "$variable"

// object is a map that has these keys and no others.
func object(properties schema) schema {
	return schema{"type": "object", "properties": properties, "additionalProperties": false}
}

// annotated is s with a description.
func annotated(s schema, text string) schema {
	s = maps.Clone(s)
	s["description"] = text
	return s
}

// without is a copy of properties, but for one.
func without(properties schema, name string) schema {
	rest := maps.Clone(properties)
	delete(rest, name)
	return rest
}
