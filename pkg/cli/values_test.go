package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestValues sets each type of flag value to what users write, and reads it back
// as help and records show it.
func TestValues(t *testing.T) {
	for _, test := range []struct {
		value   pflag.Value
		in, out string // out is empty when in is to be refused
		err     string
	}{
		{new(counts), "1000", "1000", ""},
		{new(counts), "1000, 2000,3000", "1000,2000,3000", ""},
		{new(counts), "10000000", "10000000", ""},
		{new(counts), "10000001", "", "10000001 is more than 10000000"},
		{new(counts), "0", "", "0 is less than 1"},
		{new(counts), "-1", "", "-1 is less than 1"},
		{new(counts), "abc", "", `"abc" is not a whole number`},
		{new(counts), "1.5", "", `"1.5" is not a whole number`},
		{new(counts), "1,,2", "", "an empty element"},
		{new(counts), "", "", "an empty element"},
		{new(counts), "1,2,", "", "an empty element"},
		{new(counts), "99999999999999999999", "", "99999999999999999999 is more than 10000000"},

		{new(count), "6", "6", ""},
		{new(count), "0", "", "0 is less than 1"},
		{new(count), "6,7", "", `"6,7" is not a whole number`},

		{new(rate), "500/s", "500/s", ""},
		{new(rate), "500", "500/s", ""},
		{new(rate), "60/m", "1/s", ""},
		{new(rate), "0.5/s", "0.5/s", ""},
		{new(rate), "0", "0/s", ""},
		{new(rate), "-1/s", "", "not a rate"},
		{new(rate), "NaN", "", "not a rate"},
		{new(rate), "Inf", "", "not a rate"},
		{new(rate), "fast", "", "not a rate"},
		{new(rate), "/s", "", "not a rate"},
		{new(rate), "5/h", "", `unknown unit "h"`},
		{new(rate), "5/", "", `unknown unit ""`},

		{new(size), "64", "64", ""},
		{new(size), "0", "0", ""},
		{new(size), "64B", "64", ""},
		{new(size), "4KiB", "4KiB", ""},
		{new(size), "4 KiB", "4KiB", ""},
		{new(size), "1024", "1KiB", ""},
		{new(size), "1MiB", "1MiB", ""},
		{new(size), "3GiB", "3GiB", ""},
		{new(size), "1kB", "1000", ""},
		{new(size), "1KB", "1000", ""},
		{new(size), "1MB", "1000000", ""},
		{new(size), "1536", "1536", ""},
		{new(size), "1024GiB", "1024GiB", ""},
		{new(size), "1025GiB", "", "not a size"},
		{new(size), "9223372036854775807GiB", "", "not a size"},
		{new(size), "-1", "", "not a size"},
		{new(size), "KiB", "", "not a size"},
		{new(size), "1.5MiB", "", "not a size"},

		{new(senders), "1", "1", ""},
		{new(senders), "all", "all", ""},
		{new(senders), "6", "", "not a choice"},

		{new(payload), "marker", "marker", ""},
		{new(payload), "timestamp", "timestamp", ""},
		{new(payload), "", "", "not a choice"},

		{new(engine), "auto", "auto", ""},
		{new(engine), "r3labs", "r3labs", ""},
		{new(engine), "curl", "", `unknown engine "curl": choose one of auto, epoll, conn, nethttp, r3labs`},

		{new(addresses), "127.0.0.1", "127.0.0.1", ""},
		{new(addresses), "127.0.0.1, 127.0.0.10-127.0.0.12", "127.0.0.1,127.0.0.10,127.0.0.11,127.0.0.12", ""},
		{new(addresses), "127.0.0.255-127.0.1.0", "127.0.0.255,127.0.1.0", ""},
		{new(addresses), "::1-::2", "::1,::2", ""},
		{new(addresses), "127.0.0.2-127.0.0.1", "", `"127.0.0.2-127.0.0.1" is not a range`},
		{new(addresses), "127.0.0.1-::2", "", `"127.0.0.1-::2" is not a range`},
		{new(addresses), "127.0.0.1-", "", `"127.0.0.1-" is not a range`},
		{new(addresses), "localhost", "", `"localhost" is not an IP address`},
		{new(addresses), "", "", `"" is not an IP address`},
		{new(addresses), "10.0.0.0-10.255.255.255", "", "more than 4096 addresses"},

		{&labels{}, "machine=roundrobin", "machine=roundrobin", ""},
		{&labels{}, "note=a=b", "note=a=b", ""},
		{&labels{}, "empty=", "empty=", ""},
		{&labels{}, "machine", "", `"machine" is not KEY=VALUE`},
		{&labels{}, "=x", "", `"=x" is not KEY=VALUE`},
	} {
		t.Run(fmt.Sprintf("%T %s", test.value, test.in), func(t *testing.T) {
			err := test.value.Set(test.in)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("Set(%q): %v, want %s", test.in, err, test.err)
				}
				if _, isEngine := test.value.(*engine); !isEngine && hintOf(err) == "" {
					t.Errorf("Set(%q): %v has no hint", test.in, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Set(%q): %v", test.in, err)
			}
			if got := test.value.String(); got != test.out {
				t.Errorf("Set(%q) reads %q, want %q", test.in, got, test.out)
			}
			if test.value.Type() == "" {
				t.Error("help has no word for the value")
			}
		})
	}
}

// TestAddressesEnd expects ranges up to the last address of all to end.
func TestAddressesEnd(t *testing.T) {
	var v addresses
	if err := v.Set("255.255.255.254-255.255.255.255"); err != nil || len(v) != 2 {
		t.Errorf("%v, %v", v, err)
	}
}

// TestRefusedValueStays expects a bad value to leave the good one before it.
func TestRefusedValueStays(t *testing.T) {
	v := counts{1000}
	if err := v.Set("5,x"); err == nil {
		t.Fatal("5,x was taken")
	}
	if v.String() != "1000" {
		t.Errorf("it is %s now", &v)
	}
}

// TestLabelsAdd expects labels of several flags to come together, and the last of
// one name to win.
func TestLabelsAdd(t *testing.T) {
	v := labels{}
	for _, s := range []string{"machine=a,env=Local", "machine=b"} {
		if err := v.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	if v["machine"] != "b" || v["env"] != "Local" || len(v) != 2 {
		t.Errorf("%v", v)
	}
	if s := v.String(); !strings.Contains(s, "machine=b") || !strings.Contains(s, "env=Local") {
		t.Errorf("it reads %q", s)
	}
}
