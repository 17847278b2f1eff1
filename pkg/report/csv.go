package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/result"
)

// csvFormat is one row a run; the package documentation says how.
type csvFormat struct{}

func (csvFormat) Name() string { return "csv" }

func (csvFormat) Description() string { return "one row a run, for spreadsheets and scripts" }

// csvSource is what stands before a run's own columns.
type csvSource struct {
	Tool    result.Tool `json:"tool"`
	Command string      `json:"command"`
	Host    result.Host `json:"host"`
}

func (csvFormat) Render(w io.Writer, f *result.File, _ Options) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true // RFC 4180, section 2, rule 1
	header := append(csvHeader(nil, "", reflect.TypeFor[csvSource]()),
		csvHeader(nil, "", reflect.TypeFor[result.Run]())...)
	order := csvOrder(header)
	rows := [][]string{inCSVOrder(header, order)}
	for i := range f.Runs {
		s := f.SourceOf(i)
		row := csvCells(nil, reflect.ValueOf(csvSource{s.Tool, ShellWords(s.Command), s.Host}))
		rows = append(rows, inCSVOrder(csvCells(row, reflect.ValueOf(f.Runs[i])), order))
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write csv: %w", err)
	}
	return nil
}

// csvAdded are the columns, or what they begin with, that came after the first
// version of the form, in the order they came. They stand behind the others, so
// that those keep their places.
var csvAdded = []string{ //nolint:gochecknoglobals // a constant table
	"params_model", "params_rate", "params_arrivals", "params_send_connections", "params_slow_clients", "params_slow_rate",
	"target_faults", "clock_", "traffic_", "delivery_sends_behind", "generator_dispatch_lag_",
	"delivery_unordered", "delivery_slow_",
	"generator_run_queue_ns", "generator_gc_",
	"delivery_sends_crowded", "delivery_sends_unanswered", "delivery_sends_rate_per_second", "generator_stalls_",
	"generator_live_bytes_per_client", "generator_cpu_per_connect_ns", "generator_cpu_per_copy_ns",
	"target_process_rss_base_bytes", "target_process_rss_connected_bytes", "target_process_cpu_per_connect_ns", "target_process_cpu_per_copy_ns",
	"machine_listen_drops", "machine_tcp_sockets", "machine_tcp_socket_bytes", "machine_socket_bytes_per_client",
	"params_http", "params_streams_per_connection", "connect_connections",
	"params_no_reconnect", "params_reconnect_jitter", "reconnect_",
	"target_proxy",
	"affinity_",
	"repetition", "step",
	"target_command",
	"thresholds",
}

// csvOrder gives the places in header of the columns as they are written.
func csvOrder(header []string) []int {
	order := make([]int, len(header))
	added := make([]int, len(header))
	for i, name := range header {
		order[i] = i
		added[i] = slices.IndexFunc(csvAdded, func(a string) bool {
			return name == a || strings.HasSuffix(a, "_") && strings.HasPrefix(name, a)
		})
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(added[a], added[b]) })
	return order
}

func inCSVOrder(cells []string, order []int) []string {
	out := make([]string, len(cells))
	for i, at := range order {
		out[i] = cells[at]
	}
	return out
}

// csvHeader appends the columns of type t. It and csvCells walk the record's
// types, so that a field added there is a column here.
func csvHeader(names []string, prefix string, t reflect.Type) []string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return append(names, prefix)
	}
	for i := range t.NumField() {
		name, ok := csvField(t.Field(i))
		if !ok {
			continue
		}
		if prefix != "" {
			name = prefix + "_" + name
		}
		names = csvHeader(names, name, t.Field(i).Type)
	}
	return names
}

// csvCells appends a cell for each column of csvHeader.
func csvCells(cells []string, v reflect.Value) []string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			columns := len(csvHeader(nil, "", v.Type()))
			return append(cells, make([]string, columns)...)
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return append(cells, clean(csvCell(v)))
	}
	for i := range v.NumField() {
		if _, ok := csvField(v.Type().Field(i)); ok {
			cells = csvCells(cells, v.Field(i))
		}
	}
	return cells
}

// csvField gives the name of a field in the record, and whether a flat row can
// show it: lists of structs, but for faults, backends and verdicts, and encoded histograms it cannot.
func csvField(f reflect.StructField) (name string, ok bool) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	list := f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct &&
		f.Type != reflect.TypeFor[[]result.Fault]() && f.Type != reflect.TypeFor[[]result.Backend]() &&
		f.Type != reflect.TypeFor[[]result.Verdict]()
	return name, !list && name != "hdr"
}

func csvCell(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Time:
		return x.Format(time.RFC3339Nano)
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case int:
		return strconv.Itoa(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case []string:
		return strings.Join(x, "; ")
	case []result.Fault:
		var pairs []string
		for _, f := range x {
			pair := csvEscape(f.Fault) + "="
			if f.Injected != nil {
				pair += strconv.FormatInt(*f.Injected, 10)
			}
			pairs = append(pairs, pair)
		}
		return strings.Join(pairs, ";")
	case []result.Backend:
		var pairs []string
		for _, b := range x {
			pairs = append(pairs, csvEscape(b.Name)+"="+strconv.Itoa(b.Clients))
		}
		return strings.Join(pairs, ";")
	case []result.Verdict:
		var pairs []string
		for i := range x {
			pairs = append(pairs, csvEscape(x[i].Threshold)+"="+verdict(&x[i]))
		}
		return strings.Join(pairs, ";")
	case map[string]int:
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			pairs = append(pairs, csvEscape(k)+"="+strconv.Itoa(x[k]))
		}
		return strings.Join(pairs, ";")
	case map[string]string:
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			pairs = append(pairs, csvEscape(k)+"="+csvEscape(x[k]))
		}
		return strings.Join(pairs, ";")
	default:
		// The golden header of the tests breaks before a user meets this.
		return fmt.Sprint(x)
	}
}

// csvEscape keeps the separators of a list of pairs apart from its text.
func csvEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `;`, `\;`, `=`, `\=`).Replace(s)
}
