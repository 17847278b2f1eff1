package testserver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// parsed is each text that is its own canonical form, and the fault it is.
var parsed = []struct {
	text  string
	fault Fault
}{
	{"drop", Fault{Kind: FaultDrop, Every: 1}},
	{"drop,every=7", Fault{Kind: FaultDrop, Every: 7}},
	{"drop,every=7,room=3", Fault{Kind: FaultDrop, Every: 7, Room: "3"}},
	{"drop,room=a=b", Fault{Kind: FaultDrop, Every: 1, Room: "a=b"}},
	{"drop,room=a%2Cb%20%3B%25", Fault{Kind: FaultDrop, Every: 1, Room: "a,b ;%"}},
	{"drop,room=größe%0A%FF", Fault{Kind: FaultDrop, Every: 1, Room: "größe\n\xff"}},
	{"duplicate,every=10", Fault{Kind: FaultDuplicate, Every: 10}},
	{"misroute,every=9", Fault{Kind: FaultMisroute, Every: 9}},
	{"reorder,every=4", Fault{Kind: FaultReorder, Every: 4}},
	{"delay=20ms", Fault{Kind: FaultDelay, Every: 1, Delay: 20 * ms}},
	{"delay=uniform:10ms-30ms", Fault{Kind: FaultDelay, Every: 1, Delay: 20 * ms, Spread: Spread{Uniform, 20 * ms}}},
	{"delay=uniform:0s-3ns", Fault{Kind: FaultDelay, Every: 1, Delay: 1, Spread: Spread{Uniform, 3}}},
	{"delay=uniform:1ns-2ns", Fault{Kind: FaultDelay, Every: 1, Delay: 1, Spread: Spread{Uniform, 1}}},
	{"delay=exp:20ms", Fault{Kind: FaultDelay, Every: 1, Delay: 20 * ms, Spread: Spread{Shape: Exponential}}},
	{"delay=normal:20ms:5ms,every=2", Fault{Kind: FaultDelay, Every: 2, Delay: 20 * ms, Spread: Spread{Normal, 5 * ms}}},
	{"stall", Fault{Kind: FaultStall, Every: 1}},
	{"stall,after=3,every=20", Fault{Kind: FaultStall, Every: 20, After: 3}},
	{"close", Fault{Kind: FaultClose, Every: 1, After: 1}},
	{"close,after=5,every=10", Fault{Kind: FaultClose, Every: 10, After: 5}},
	{"half,after=2", Fault{Kind: FaultHalf, Every: 1, After: 2}},
	{"garbage,after=2,every=50", Fault{Kind: FaultGarbage, Every: 50, After: 2}},
	{"comments=500,every=10", Fault{Kind: FaultComments, Every: 10, Count: 500}},
	{"refuse,every=3", Fault{Kind: FaultRefuse, Every: 3}},
	{"headers=500ms,every=4", Fault{Kind: FaultHeaders, Every: 4, Delay: 500 * ms}},
	{"freeze=1s,every=2000", Fault{Kind: FaultFreeze, Every: 2000, Delay: time.Second}},
}

func TestParseFault(t *testing.T) {
	for _, c := range parsed {
		got, err := ParseFault(c.text)
		if err != nil || got != c.fault {
			t.Errorf("%s: got %+v, %v; want %+v", c.text, got, err, c.fault)
		}
		if text := c.fault.String(); text != c.text {
			t.Errorf("%+v: got %s, want %s", c.fault, text, c.text)
		}
	}
	for text, canonical := range map[string]string{
		"drop,every=1":           "drop",
		"drop,room=3,every=7":    "drop,every=7,room=3",
		"close,every=2,after=1":  "close,every=2",
		"half,after=0":           "half",
		"comments":               "comments=1000",
		"comments,every=3":       "comments=1000,every=3",
		"delay=0.02s":            "delay=20ms",
		"delay=uniform:0-1000us": "delay=uniform:0s-1ms",
		"drop,room=a;b":          "drop,room=a%3Bb",
	} {
		f, err := ParseFault(text)
		if err != nil || f.String() != canonical {
			t.Errorf("%s: got %s, %v; want %s", text, f, err, canonical)
		}
	}
}

func TestParseFaultErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `unknown kind "": choose one of drop, `},
		{"dorp,every=2", `unknown kind "dorp": choose one of drop, duplicate, reorder, misroute, delay, stall, close, half, garbage, comments, block, refuse, headers, freeze`},
		{"drop=1", `drop takes no value, but has "1"`},
		{"stall=1", `stall takes no value, but has "1"`},
		{"delay", "delay needs a duration, such as delay=20ms"},
		{"freeze,every=3", "freeze needs a duration, such as freeze=20ms"},
		{"headers=", `"" is no duration: write a number with its unit, such as 20ms`},
		{"delay=20", `"20" is no duration`},
		{"delay=0s", "above 0"},
		{"delay=-1s", "above 0"},
		{"delay=25h", "no more than 24h0m0s"},
		{"delay=poisson:3ms", `unknown shape "poisson": write a duration, uniform:FROM-TO, exp:MEAN or normal:MEAN:DEVIATION`},
		{"delay=uniform:3ms", "write uniform:FROM-TO, such as uniform:10ms-30ms"},
		{"delay=uniform:x-3ms", `"x" is no duration`},
		{"delay=uniform:3ms-x", `"x" is no duration`},
		{"delay=uniform:3ms-2ms", "from one of at least 0 to a longer one"},
		{"delay=uniform:3ms-3ms", "from one of at least 0 to a longer one"},
		{"delay=uniform:-3ms-3ms", `"" is no duration`},
		{"delay=uniform:0s-49h", "no more than 24h0m0s"},
		{"delay=exp:", `"" is no duration`},
		{"delay=normal:3ms", "write normal:MEAN:DEVIATION, such as normal:20ms:5ms"},
		{"delay=normal:3ms:x", `"x" is no duration`},
		{"delay=normal:x:3ms", `"x" is no duration`},
		{"delay=normal:3ms:0s", "the deviation of a normal delay must be above 0"},
		{"drop,after=1", `drop has no key "after": it has every and room`},
		{"close,count=1", `close has no key "count": it has after, every and room`},
		{"drop,", `"" is not KEY=VALUE`},
		{"drop,every", `"every" is not KEY=VALUE`},
		{"drop,every=2,every=3", "every is given twice"},
		{"drop,every=two", "every=two: not a whole number"},
		{"drop,every=99999999999999999999", "not a whole number"},
		{"drop,every=0", "every=0: must be at least 1"},
		{"close,after=0", "after=0: must be at least 1"},
		{"stall,after=-1", "after=-1: must be at least 0"},
		{"comments=", "comments=: not a whole number"},
		{"comments=0", "0 comments: must be from 1 to 1000000"},
		{"comments=1000001", "1000001 comments: must be from 1 to 1000000"},
		{"drop,room=", "room= names no room"},
		{"drop,room=100%", `room=100%: invalid URL escape "%"`},
		{"drop,room=" + strings.Repeat("x", MaxRoomName+1), "longer than 256 bytes"},
	} {
		if f, err := ParseFault(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, %v; want %q in the error", c.text, f, err, c.want)
		}
	}
}

// TestFaultCheck is about what only code can ask for.
func TestFaultCheck(t *testing.T) {
	for _, c := range []struct {
		fault Fault
		want  string
	}{
		{Fault{}, `unknown kind ""`},
		{Fault{Kind: FaultDrop}, "every=0"},
		{Fault{Kind: FaultDrop, Every: 1, After: 1}, "drop has no after"},
		{Fault{Kind: FaultDrop, Every: 1, Count: 1}, "drop has no count"},
		{Fault{Kind: FaultDrop, Every: 1, Delay: 1}, "drop has no delay"},
		{Fault{Kind: FaultDrop, Every: 1, Spread: Spread{Shape: Exponential}}, "drop has no delay"},
		{Fault{Kind: FaultDelay, Every: 1, Delay: 1, Spread: Spread{Width: 1}}, "has no width"},
		{Fault{Kind: FaultDelay, Every: 1, Delay: 1, Spread: Spread{Exponential, 1}}, "has no width"},
		{Fault{Kind: FaultDelay, Every: 1, Delay: 1, Spread: Spread{"odd", 1}}, `unknown shape "odd"`},
	} {
		_, err := New(Config{Faults: []Fault{c.fault}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.fault, err, c.want)
		}
	}
}

// FuzzParseFault demands that what is taken can be carried out, and means the same
// when it is written and read again.
func FuzzParseFault(f *testing.F) {
	for _, c := range parsed {
		f.Add(c.text)
	}
	f.Add("drop,every=2,every=3")
	f.Add("delay=uniform:-1s-1h,after=")
	f.Add("comments=0,room=%")
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := ParseFault(text)
		if err != nil {
			if fault != (Fault{}) {
				t.Fatalf("%v comes with an error", fault)
			}
			return
		}
		if err := fault.check(); err != nil {
			t.Fatalf("%v: %v", fault, err)
		}
		written := fault.String()
		again, err := ParseFault(written)
		if err != nil || again != fault {
			t.Fatalf("%q is %+v, but %q is %+v, %v", text, fault, written, again, err)
		}
		carried, err := json.Marshal(fault)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(carried, &again); err != nil || again != fault {
			t.Fatalf("%s is %+v, %v; want %+v", carried, again, err, fault)
		}
	})
}

func TestDraw(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		text        string
		least, most time.Duration
	}{
		{"delay=20ms", 20 * ms, 20 * ms},
		{"delay=uniform:10ms-30ms", 10 * ms, 30 * ms},
		{"delay=exp:20ms", 0, time.Hour},
		{"delay=normal:20ms:5ms", 0, time.Hour},
	} {
		f := wrongs(t, c.text)[0]
		sum, low, high := time.Duration(0), time.Duration(time.Hour), time.Duration(0)
		for range n {
			d := f.draw()
			sum, low, high = sum+d, min(low, d), max(high, d)
		}
		// Ten times the deviation of the widest one's mean.
		if mean := sum / n; mean < 18500*time.Microsecond || mean > 21500*time.Microsecond {
			t.Errorf("%s: mean %v", c.text, mean)
		}
		if low < c.least || high > c.most || f.Spread != (Spread{}) && high-low < 15*ms {
			t.Errorf("%s: from %v to %v", c.text, low, high)
		}
	}
	cut := wrongs(t, "delay=normal:1ms:1h")[0]
	none := 0
	for range 100 {
		if d := cut.draw(); d == 0 {
			none++
		} else if d < 0 {
			t.Fatalf("drew %v", d)
		}
	}
	if none == 0 || none == 100 {
		t.Errorf("%d of 100 were cut off at 0", none)
	}
}
