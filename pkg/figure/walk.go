package figure

import (
	"cmp"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// table is made of the record's type, so that a field added there is a figure here.
//
//nolint:gochecknoglobals // a constant table, made when it is first asked for
var table = sync.OnceValue(func() *index {
	x := &index{byName: map[string]Figure{}, distributions: map[string]distribution{}}
	x.structure("", reflect.TypeFor[result.Run](), func(r *result.Run) reflect.Value { return reflect.ValueOf(r).Elem() })
	return x
})

// find leads from a run to a part of it; the zero Value: it has none.
type find func(*result.Run) reflect.Value

// structure enters the figures of a struct, found by at, whose names begin with prefix.
func (x *index) structure(prefix string, t reflect.Type, at find) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		x.value(prefix+tag, field.Type, func(r *result.Run) reflect.Value {
			if v := at(r); v.IsValid() {
				return v.Field(i)
			}
			return reflect.Value{}
		})
	}
}

// value enters what is at a path of the record.
func (x *index) value(path string, t reflect.Type, at find) {
	if t.Kind() == reflect.Pointer {
		x.value(path, t.Elem(), func(r *result.Run) reflect.Value {
			v := at(r)
			if !v.IsValid() || v.IsNil() {
				return reflect.Value{}
			}
			return v.Elem()
		})
		return
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
	case t == reflect.TypeFor[result.Latency]():
		x.distribution(path, at)
		x.structure(path+".", t, at)
	case t.Kind() == reflect.Struct:
		x.structure(path+".", t, at)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Int:
		x.classes(path, at)
	case t == reflect.TypeFor[[]result.Phase]():
		x.phases(path, at)
	case t == reflect.TypeFor[[]result.Sample]():
		x.extremes(path, at)
	default:
		if number(reflect.Zero(t)) {
			x.add(path, t.Kind() == reflect.Bool, func(r *result.Run) (float64, bool) { return valueOf(at(r)) })
		}
	}
}

func number(v reflect.Value) bool {
	_, ok := valueOf(v)
	return ok
}

// valueOf is v as a figure; a truth is 1.
func valueOf(v reflect.Value) (float64, bool) {
	if !v.IsValid() {
		return 0, false
	}
	switch {
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanFloat():
		return v.Float(), true
	case v.Kind() == reflect.Bool && v.Bool():
		return 1, true
	case v.Kind() == reflect.Bool:
		return 0, true
	}
	return 0, false
}

// add enters a figure under its full and its short name.
func (x *index) add(path string, truth bool, of func(*result.Run) (float64, bool)) {
	name, unit := named(path)
	f := Figure{Name: name, Unit: unit, Truth: truth, of: of}
	x.byName[name] = f
	x.byName[shorten(name)] = f
	if quantile, ok := strings.CutSuffix(name, ".p999"); ok {
		x.byName[quantile+".p99.9"] = f
		x.byName[shorten(quantile+".p99.9")] = f
	}
	x.short = append(x.short, shorten(name))
}

// named takes the unit from a path of the record.
func named(path string) (name string, u Unit) {
	last := path[strings.LastIndexByte(path, '.')+1:]
	for _, known := range []struct {
		suffix string
		unit   Unit
	}{{"_ns", Nanoseconds}, {"_percent", Percent}, {"_per_second", PerSecond}, {"_bytes", Bytes}} {
		if strings.HasSuffix(last, known.suffix) {
			return strings.TrimSuffix(path, known.suffix), known.unit
		}
	}
	switch {
	case strings.Contains(last, "bytes"), last == "slow_rate":
		return path, Bytes
	case last == "rate", last == "connect_rate":
		return path, PerSecond
	}
	return path, Count
}

// shorten leaves out of a full name what it says of itself.
func shorten(name string) string {
	for _, r := range []struct{ long, short string }{
		{"_latency.", "."}, {".latency.", "."}, {"iteration_time.", "iteration."}, {"target_process.", "target."},
		{"delivery.sends.", "sends."}, {"delivery.slow.", "slow."},
	} {
		name = strings.Replace(name, r.long, r.short, 1)
	}
	return name
}

func (x *index) distribution(path string, at find) {
	d := distribution{name: path, of: func(r *result.Run) *result.Latency {
		if v := at(r); v.IsValid() {
			l := v.Interface().(result.Latency) // of this type it is
			return &l
		}
		return nil
	}}
	x.distributions[path] = d
	x.distributions[strings.TrimSuffix(shorten(path+"."), ".")] = d
}

// classes enters the counts of a map by their keys; where there is a map, a class that
// it does not name has none.
func (x *index) classes(path string, at find) {
	x.families = append(x.families, Figure{Name: path + ".CLASS", Unit: Count})
	x.open = append(x.open, func(name string) (Figure, bool) {
		class, ok := strings.CutPrefix(name, path+".")
		if !ok {
			if class, ok = strings.CutPrefix(name, shorten(path)+"."); !ok {
				return Figure{}, false
			}
		}
		return Figure{Name: path + "." + class, Unit: Count, of: func(r *result.Run) (float64, bool) {
			v := at(r)
			if !v.IsValid() {
				return 0, false
			}
			if n := v.MapIndex(reflect.ValueOf(class)); n.IsValid() {
				return float64(n.Int()), true
			}
			return 0, true
		}}, class != ""
	})
}

// phases enters the figures of phases by the phase's name.
func (x *index) phases(path string, at find) {
	x.family(path+".PHASE", reflect.TypeFor[result.Phase](), "")
	x.open = append(x.open, func(name string) (Figure, bool) {
		rest, ok := strings.CutPrefix(name, path+".")
		phase, field, more := strings.Cut(rest, ".")
		if !ok || !more {
			return Figure{}, false
		}
		return fieldOf(reflect.TypeFor[result.Phase](), field, path+"."+phase, func(r *result.Run) reflect.Value {
			all, _ := at(r).Interface().([]result.Phase)
			for i := range slices.Backward(all) {
				if all[i].Name == phase {
					return reflect.ValueOf(all[i])
				}
			}
			return reflect.Value{}
		})
	})
}

// family enters the numbers of a struct as figures of which only the form of the names
// is known.
func (x *index) family(prefix string, t reflect.Type, suffix string) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		its, unit := named(tag)
		kind := t.Field(i).Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if number(reflect.Zero(kind)) {
			x.families = append(x.families, Figure{Name: prefix + "." + its + suffix, Unit: unit})
		}
	}
}

// fieldOf is the figure of the struct's field that goes by a name.
func fieldOf(t reflect.Type, name, prefix string, at find) (Figure, bool) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		its, unit := named(tag)
		kind := t.Field(i).Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if its != name || !number(reflect.Zero(kind)) {
			continue
		}
		return Figure{Name: prefix + "." + its, Unit: unit, of: func(r *result.Run) (float64, bool) {
			v := at(r)
			if !v.IsValid() {
				return 0, false
			}
			return valueOf(reflect.Indirect(v.Field(i)))
		}}, true
	}
	return Figure{}, false
}

// extremes enters the figures of samples by what of them is asked for: the smallest,
// the largest, the mean or the last of those that are known.
func (x *index) extremes(path string, at find) {
	sums := map[string]func([]float64) float64{
		"min": slices.Min[[]float64], "max": slices.Max[[]float64],
		"mean": func(v []float64) float64 {
			sum := 0.0
			for _, n := range v {
				sum += n
			}
			return sum / float64(len(v))
		},
		"last": func(v []float64) float64 { return v[len(v)-1] },
	}
	x.family(path, reflect.TypeFor[result.Sample](), ".max|min|mean|last")
	x.open = append(x.open, func(name string) (Figure, bool) {
		rest, ok := strings.CutPrefix(name, path+".")
		field, extreme, more := strings.Cut(rest, ".")
		sum := sums[extreme]
		if !ok || !more || sum == nil {
			return Figure{}, false
		}
		var sample result.Sample
		one, ok := fieldOf(reflect.TypeFor[result.Sample](), field, path, func(*result.Run) reflect.Value { return reflect.ValueOf(sample) })
		if !ok {
			return Figure{}, false
		}
		one.Name += "." + extreme
		one.of = func(r *result.Run) (float64, bool) {
			all, _ := at(r).Interface().([]result.Sample)
			var known []float64
			for i := range all {
				f, _ := fieldOf(reflect.TypeFor[result.Sample](), field, path, func(*result.Run) reflect.Value { return reflect.ValueOf(all[i]) })
				if v, ok := f.of(r); ok {
					known = append(known, v)
				}
			}
			if len(known) == 0 {
				return 0, false
			}
			return sum(known), true
		}
		return one, true
	})
}

var quantileName = regexp.MustCompile(`^(.+)\.p([0-9]+(?:\.[0-9]+)?)$`)

// parseQuantile takes the name of a quantile apart.
func parseQuantile(name string) (path string, q float64, ok bool) {
	parts := quantileName.FindStringSubmatch(name)
	if parts == nil {
		return "", 0, false
	}
	digits := parts[2]
	if len(digits) > 2 && digits[0] == '9' && !strings.Contains(digits, ".") {
		digits = digits[:2] + "." + digits[2:] // p9999 is p99.99
	}
	q, err := strconv.ParseFloat(digits+"e-2", 64) // which rounds once
	return parts[1], q, err == nil && q <= 1
}

// quantile is the figure of a quantile that the record does not name.
func (x *index) quantile(name string) (Figure, bool) {
	path, q, ok := parseQuantile(name)
	d, known := x.distributions[path]
	if !ok || !known {
		return Figure{}, false
	}
	return Figure{Name: d.name + name[len(path):], Unit: Nanoseconds, of: func(r *result.Run) (float64, bool) {
		l := d.of(r)
		if l == nil {
			return 0, false
		}
		return Quantile(l, q)
	}}, true
}

// Quantile is the smallest duration in nanoseconds, to the resolution of the
// histogram, that at least the share q in [0,1] of all in l do not exceed. ok is false
// without any, and for a histogram that cannot be decoded.
func Quantile(l *result.Latency, q float64) (ns float64, ok bool) {
	bars, err := l.Histogram()
	if err != nil || len(bars) == 0 {
		return 0, false
	}
	rank := max(1, int64(math.Ceil(q*float64(l.Count)-1e-6)))
	for _, b := range bars {
		if rank -= b.Count; rank <= 0 {
			return float64(min(b.ToNS, cmp.Or(deref(l.MaxNS), b.ToNS))), true
		}
	}
	return float64(bars[len(bars)-1].ToNS), true
}

func deref(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}
