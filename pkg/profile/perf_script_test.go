package profile

import (
	"errors"
	"strings"
	"testing"
)

const tinyPerf = "   2004008 \n" +
	"\t          166cde main.(*server).deliver (/usr/bin/my server)\n" +
	"\t            ae77 [unknown] (/usr/bin/dash)\n" +
	"\t    7ffd6b72ccc0 [unknown] ([unknown])\n" +
	"\n" +
	"   1000 \n" +
	"\tffffffff81000000 std::map<int, (anonymous namespace)::T>::find(int) (/tmp/x (deleted))\n" +
	"\n" +
	"   5\n" +
	"\n" +
	"   2004008 \n" +
	"\t          166ccc main.(*server).deliver (/usr/bin/my server)\n" +
	"\t            ae99 [unknown] (/usr/bin/dash)\n" +
	"\t    7ffd6b72ccc1 [unknown] ([unknown])\n"

func TestPerfScript(t *testing.T) {
	p, err := fromPerfScript(strings.NewReader(tinyPerf))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if _, err := fold(&out, p, CPU.shape(), maxAnswer); err != nil {
		t.Fatal(err)
	}
	want := "[unknown] 5\n" +
		"[unknown];[unknown] (dash);main.(*server).deliver 4008016\n" +
		"std::map<int, (anonymous namespace)::T>::find(int) 1000\n"
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	if len(p.Sample) != 3 || p.Sample[0].Value[0] != 2 || p.Sample[1].Location[0].Line[0].Function.Filename != "/tmp/x" {
		t.Errorf("%v", p)
	}
	holds(t, p, CPU)
}

func TestWhatPerfDoesNotSay(t *testing.T) {
	for _, text := range []string{"x", "\tab f (o)\n", "5\n\tab\n", "-5\n", "9999999999999999999999\n"} {
		if p, err := fromPerfScript(strings.NewReader(text)); !errors.Is(err, errNoPerf) || p == nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	// What came before is not lost.
	if p, err := fromPerfScript(strings.NewReader(tinyPerf + "\nx\n")); err == nil || len(p.Sample) != 3 {
		t.Errorf("%d samples, %v", len(p.Sample), err)
	}
	if _, err := fromPerfScript(strings.NewReader(strings.Repeat("1", maxPerfLine+1))); err == nil {
		t.Error("a line has no end")
	}
	if _, err := fromPerfScript(strings.NewReader("1\n" + strings.Repeat("\tf f (x)\n", maxDepth+1))); err == nil {
		t.Error("a stack has no end")
	}
}

func FuzzPerfScript(f *testing.F) {
	f.Add(tinyPerf)
	f.Add("7\n\ta  (x)\n\ta ((deleted))\n")
	f.Fuzz(func(t *testing.T, text string) {
		if p, _ := fromPerfScript(strings.NewReader(text)); p != nil {
			holds(t, p, CPU)
		}
	})
}
