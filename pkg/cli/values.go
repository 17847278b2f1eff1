package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sseload/sseload/pkg/load"
	"github.com/sseload/sseload/pkg/stream"
	"github.com/sseload/sseload/pkg/target"
)

// The types of flag values. Each is a pflag.Value, so that what is wrong with a
// value is found while the command line is read, and said of the flag's name.

// counts is a list of numbers of at least 1, "1000,2000".
type counts []int

func (c *counts) String() string {
	parts := make([]string, len(*c))
	for i, n := range *c {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ",")
}

func (c *counts) Type() string { return "N[,N...]" }

func (c *counts) Set(s string) error {
	var list counts
	for _, field := range strings.Split(s, ",") {
		n, err := parseCount(strings.TrimSpace(field))
		if err != nil {
			return &hinted{err, "write a whole number of at least 1, or several with commas between, such as 1000,2000"}
		}
		list = append(list, n)
	}
	*c = list
	return nil
}

// most is what bounds every count: beyond it there is surely a slip.
const most = 10_000_000

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case s == "":
		return 0, errors.New("an empty element")
	case errors.Is(err, strconv.ErrRange) || err == nil && n > most:
		return 0, fmt.Errorf("%s is more than %d", s, most)
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", s)
	case n < 1:
		return 0, fmt.Errorf("%d is less than 1", n)
	}
	return n, nil
}

// count is one number of at least 1.
type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }
func (c *count) Type() string   { return "N" }

func (c *count) Set(s string) error {
	n, err := parseCount(s)
	if err != nil {
		return &hinted{err, "write a whole number of at least 1"}
	}
	*c = count(n)
	return nil
}

// httpVersion is a version of HTTP.
type httpVersion target.Version

func (v *httpVersion) String() string { return target.Version(*v).String() }
func (v *httpVersion) Type() string   { return "1.1|2|3" }

func (v *httpVersion) Set(s string) error {
	for _, known := range target.Versions {
		if known.String() == s {
			*v = httpVersion(known)
			return nil
		}
	}
	return &hinted{fmt.Errorf("unknown version %q", s), "write 1.1, 2 or 3"}
}

// rate is a number per second, "500/s". 0 stands for no bound.
type rate float64

func (r *rate) String() string { return strconv.FormatFloat(float64(*r), 'g', -1, 64) + "/s" }
func (r *rate) Type() string   { return "N/s" }

func (r *rate) Set(s string) error {
	number, unit, per := strings.Cut(s, "/")
	seconds := 1.0
	switch {
	case per && unit == "m":
		seconds = 60
	case per && unit != "s":
		return &hinted{fmt.Errorf("unknown unit %q", unit), "write a number per second or minute, such as 500/s or 60/m"}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n <= most) {
		return &hinted{errors.New("not a rate"), "write a number per second or minute, such as 500/s or 60/m"}
	}
	*r = rate(n / seconds)
	return nil
}

// rates is a list of rates above 0, "500/s,1000/s".
type rates []rate

func (r *rates) String() string {
	parts := make([]string, len(*r))
	for i, n := range *r {
		parts[i] = n.String()
	}
	return strings.Join(parts, ",")
}

func (r *rates) Type() string { return "N/s[,N/s...]" }

func (r *rates) Set(s string) error {
	var list rates
	for _, field := range strings.Split(s, ",") {
		var n rate
		if err := n.Set(strings.TrimSpace(field)); err != nil {
			return err
		}
		if n == 0 {
			return &hinted{errors.New("nothing would be sent"), "write a number per second or minute above 0, such as 500/s or 60/m"}
		}
		list = append(list, n)
	}
	*r = list
	return nil
}

// arrivals is constant or poisson.
type arrivals load.ArrivalKind

func (v *arrivals) String() string { return load.ArrivalKind(*v).String() }
func (v *arrivals) Type() string   { return "constant|poisson" }

func (v *arrivals) Set(s string) error {
	for _, k := range load.ArrivalKinds {
		if s == k.String() {
			*v = arrivals(k)
			return nil
		}
	}
	return &hinted{errors.New("not a choice"), "write constant (evenly spread) or poisson (at random, as independent users do)"}
}

// part is a number of clients, "30", or a share of them, "5%". The zero value is
// none.
type part struct {
	count   int
	percent float64
}

func (v *part) String() string {
	switch {
	case v.percent > 0:
		return strconv.FormatFloat(v.percent, 'g', -1, 64) + "%"
	case v.count > 0:
		return strconv.Itoa(v.count)
	}
	return ""
}

func (v *part) Type() string { return "N|N%" }

func (v *part) Set(s string) error {
	hint := "write a number of clients, such as 30, or a share of them, such as 5%"
	if number, ok := strings.CutSuffix(s, "%"); ok {
		percent, err := strconv.ParseFloat(number, 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return &hinted{errors.New("not a share between 0% and 100%"), hint}
		}
		*v = part{percent: percent}
		return nil
	}
	n, err := parseCount(s)
	if err != nil {
		return &hinted{err, hint}
	}
	*v = part{count: n}
	return nil
}

// of is how many of n clients v is, rounded down.
func (v *part) of(n int) int {
	if v.percent > 0 {
		return int(float64(n) * v.percent / 100)
	}
	return v.count
}

// jitter is a time, "500ms", or a share of the reconnection time, "50%". The zero
// value is none.
type jitter stream.Jitter

func (v *jitter) String() string { return stream.Jitter(*v).String() }

func (v *jitter) Type() string { return "TIME|N%" }

func (v *jitter) Set(s string) error {
	hint := "write a time, such as 500ms, or a share of the reconnection time, such as 50%"
	if number, ok := strings.CutSuffix(s, "%"); ok {
		percent, err := strconv.ParseFloat(number, 64)
		if err != nil || !(percent >= 0 && percent <= 1000) {
			return &hinted{errors.New("not a share between 0% and 1000%"), hint}
		}
		*v = jitter{Share: percent / 100}
		return nil
	}
	most, err := time.ParseDuration(s)
	if err != nil || most < 0 || most > mostTimeout {
		return &hinted{errors.New("not a time between nothing and a day"), hint}
	}
	*v = jitter{Most: most}
	return nil
}

// byteRate is a number of bytes per second, "1KiB/s".
type byteRate size

func (v *byteRate) String() string { return (*size)(v).String() + "/s" }
func (v *byteRate) Type() string   { return "BYTES/s" }

func (v *byteRate) Set(s string) error {
	hint := "write a number of bytes per second, such as 512/s, 1KiB/s or 1MiB/s"
	number, ok := strings.CutSuffix(s, "/s")
	var n size
	if !ok || n.Set(number) != nil {
		return &hinted{errors.New("not a rate of bytes"), hint}
	}
	if n == 0 || n > 1<<30 {
		return &hinted{errors.New("not between 1/s and 1GiB/s"), hint}
	}
	*v = byteRate(n)
	return nil
}

// size is a number of bytes, "64", "4KiB".
type size int64

func (b *size) String() string {
	n := int64(*b)
	for _, u := range sizeUnits {
		if n >= u.bytes && n%u.bytes == 0 && u.binary {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func (b *size) Type() string { return "BYTES" }

type sizeUnit struct {
	name   string
	bytes  int64
	binary bool
}

//nolint:gochecknoglobals // a constant table
var sizeUnits = []sizeUnit{
	{"GiB", 1 << 30, true}, {"MiB", 1 << 20, true}, {"KiB", 1 << 10, true},
	{"GB", 1e9, false}, {"MB", 1e6, false}, {"kB", 1e3, false}, {"KB", 1e3, false}, {"B", 1, false},
}

func (b *size) Set(s string) error {
	hint := "write a number of bytes, such as 64, 4KiB or 1MiB"
	number, unit := s, int64(1)
	for _, u := range sizeUnits {
		if cut, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = cut, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > 1<<40/unit {
		return &hinted{errors.New("not a size"), hint}
	}
	*b = size(n * unit)
	return nil
}

// senders is 1 or all.
type senders load.Senders

func (v *senders) String() string {
	if load.Senders(*v) == load.AllInRoom {
		return "all"
	}
	return "1"
}

func (v *senders) Type() string { return "1|all" }

func (v *senders) Set(s string) error {
	switch s {
	case "1":
		*v = senders(load.OnePerRoom)
	case "all":
		*v = senders(load.AllInRoom)
	default:
		return &hinted{errors.New("not a choice"), "write 1 (one sender a room) or all (every client sends)"}
	}
	return nil
}

// payload is marker or timestamp.
type payload load.PayloadKind

func (v *payload) String() string { return load.PayloadKind(*v).String() }
func (v *payload) Type() string   { return "marker|timestamp" }

func (v *payload) Set(s string) error {
	for _, k := range []load.PayloadKind{load.Marker, load.Timestamp} {
		if s == k.String() {
			*v = payload(k)
			return nil
		}
	}
	return &hinted{errors.New("not a choice"), "write marker (every copy is accounted for) or timestamp (copies are counted)"}
}

// engine is the name of an engine.
type engine stream.Kind

func (v *engine) String() string { return string(*v) }

func (v *engine) Type() string { return "NAME" }

func (v *engine) choices() []string { return stream.KindNames() }

func (v *engine) Set(s string) error {
	k, err := stream.ParseKind(s)
	*v = engine(k)
	return err
}

// addresses is a list of IP addresses and ranges, "127.0.0.1,127.0.0.10-127.0.0.19".
type addresses []netip.Addr

func (v *addresses) String() string {
	parts := make([]string, len(*v))
	for i, a := range *v {
		parts[i] = a.String()
	}
	return strings.Join(parts, ",")
}

func (v *addresses) Type() string { return "IP[,IP-IP...]" }

// mostSources bounds a range of addresses.
const mostSources = 4096

func (v *addresses) Set(s string) error {
	hint := "write addresses of this machine, such as 127.0.0.1,127.0.0.10-127.0.0.19"
	var list addresses
	for _, field := range strings.Split(s, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(field), "-")
		first, err := netip.ParseAddr(from)
		if err != nil {
			return &hinted{fmt.Errorf("%q is not an IP address", from), hint}
		}
		last := first
		if ranged {
			if last, err = netip.ParseAddr(to); err != nil || last.Less(first) || last.Is4() != first.Is4() {
				return &hinted{fmt.Errorf("%q is not a range", field), hint}
			}
		}
		for a := first; ; a = a.Next() {
			if list = append(list, a); len(list) > mostSources {
				return &hinted{fmt.Errorf("more than %d addresses", mostSources), hint}
			}
			if a == last {
				break
			}
		}
	}
	*v = list
	return nil
}

// labels is "key=value,key=value", repeatable.
type labels map[string]string

func (v *labels) String() string {
	parts := make([]string, 0, len(*v))
	for key, value := range *v {
		parts = append(parts, key+"="+value)
	}
	return strings.Join(parts, ",")
}

func (v *labels) Type() string { return "KEY=VALUE" }

func (v *labels) Set(s string) error {
	for _, field := range strings.Split(s, ",") {
		key, value, ok := strings.Cut(field, "=")
		if !ok || key == "" {
			return &hinted{fmt.Errorf("%q is not KEY=VALUE", field), "write for example machine=roundrobin,env=Local"}
		}
		(*v)[key] = value
	}
	return nil
}
