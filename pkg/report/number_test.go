package report

import "testing"

func TestNumbers(t *testing.T) {
	type test struct {
		in   float64
		want string
	}
	whole := func(f func(int64) string) func(float64) string {
		return func(v float64) string { return f(int64(v)) }
	}
	for name, group := range map[string]struct {
		form  func(float64) string
		tests []test
	}{
		"seconds": {seconds, []test{
			{0, "0"}, {1, "0.00000000100"}, {412e3, "0.000412"}, {412_499, "0.000412"}, {9_9996e4, "1.000"}, {9_995e5, "0.9995"}, {9_994e5, "0.999"},
			{61_423e3, "0.0614"}, {0.5e9, "0.500"}, {1.512e9, "1.512"}, {3.353e9, "3.353"}, {13.595e9, "13.60"}, {13.594e9, "13.59"}, {108.67e9, "108.7"},
			{999.96e9, "1000"}, {1054.449e9, "1054"}, {36_000.4e9, "36000"},
		}},
		"percent": {percent, []test{
			{0, "0.0 %"}, {0.004, "0.0040 %"}, {0.42, "0.42 %"}, {0.949, "0.95 %"}, {0.96, "1.0 %"}, {6.6, "6.6 %"}, {9.33, "9.3 %"}, {9.96, "10.0 %"},
			{108.66, "108.7 %"}, {1234.5, "1234.5 %"},
		}},
		"duration": {duration, []test{
			{0, "0 ns"}, {1, "1 ns"}, {999, "999 ns"}, {999.4, "999 ns"}, {999.6, "1.00 µs"}, {1000, "1.00 µs"}, {12_345, "12.3 µs"}, {412e3, "412 µs"},
			{999_600, "1.00 ms"}, {1.23e6, "1.23 ms"}, {999.4e6, "999 ms"}, {999.6e6, "1.00 s"}, {2.1e9, "2.10 s"}, {30e9, "30.0 s"},
			{108.67e9, "109 s"}, {1054.449e9, "1,054 s"},
		}},
		"size": {size, []test{
			{0, "0 B"}, {99, "99 B"}, {215, "0.21 KiB"}, {1024, "1.00 KiB"}, {9830.4, "9.60 KiB"}, {10 << 10, "10.0 KiB"},
			{100 << 10, "100 KiB"}, {1000 << 10, "0.98 MiB"}, {1 << 20, "1.00 MiB"}, {61.5 * (1 << 20), "61.5 MiB"}, {16 << 30, "16.0 GiB"},
			{5000 << 40, "5000 TiB"},
		}},
		"count": {whole(count), []test{
			{0, "0"}, {999, "999"}, {1000, "1,000"}, {400_000, "400,000"}, {1_234_567, "1,234,567"}, {-999, "-999"}, {-1000, "-1,000"},
		}},
		"rate": {rate, []test{
			{0, "0"}, {0.123456, "0.123"}, {99.94, "99.9"}, {99.96, "100"}, {123.4, "123"}, {123_456.7, "123,457"},
		}},
		"ratio": {ratio, []test{
			{0.0123, "0.012 ×"}, {1.04, "1.0 ×"}, {9.94, "9.9 ×"}, {9.96, "10 ×"}, {24.4, "24 ×"}, {1234.5, "1,235 ×"},
		}},
	} {
		for _, test := range group.tests {
			if got := group.form(test.in); got != test.want {
				t.Errorf("%s(%v) = %q, want %q", name, test.in, got, test.want)
			}
		}
	}
}

func TestWithin(t *testing.T) {
	for _, test := range []struct {
		got, want string
	}{
		{sizeWithin(5423, 92), "5.30 ± 0.09 KiB"},
		{sizeWithin(145, 11), "0.14 ± 0.01 KiB"},
		{sizeWithin(12, 3.1), "12.0 ± 3.1 B"},
		{sizeWithin(-20, 310), "-0.02 ± 0.30 KiB"},
		{sizeWithin(2<<30, 1<<28), "2.00 ± 0.25 GiB"},
		{durationWithin(41_234, 812), "41.23 ± 0.81 µs"},
		{durationWithin(41_234, 12_000), "41 ± 12 µs"},
		{durationWithin(812, 4), "812.0 ± 4.0 ns"},
		{durationWithin(7420, 0), "7.42 ± 0.00 µs"},
		{durationWithin(1e12, 1e9), "1000.0 ± 1.0 s"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestShorten(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit int
		want  string
	}{
		{"github.com/a/b/server.(*Server).send", 0, "server.(*Server).send"},
		{"net/http.(*conn).serve", 0, "net/http.(*conn).serve"},
		{"internal/runtime/syscall/linux.Syscall6", 20, "internal/…x.Syscall6"},
		{"example.com/x.Map[go.shape.string,a.b/c.T]", 0, "x.Map[go.shape.string,a.b/c.T]"},
		{"handler (/srv/a.b/server.js:12)", 0, "handler (/srv/a.b/server.js:12)"},
		{"short", 5, "short"}, {"", 3, ""},
	} {
		if got := shorten(test.name, test.limit); got != test.want {
			t.Errorf("%q in %d: %q, want %q", test.name, test.limit, got, test.want)
		}
	}
}

func TestUnknownIsNeverZero(t *testing.T) {
	if got := known(nil, percent); got != "–" {
		t.Errorf("got %q", got)
	}
	if got := known(new(0.0), percent); got != "0.0 %" {
		t.Errorf("got %q", got)
	}
}
