package figure

import (
	"math"
	"testing"

	"github.com/sseload/sseload/pkg/result"
)

func TestDistribution(t *testing.T) {
	run := &result.Run{Connect: result.Connect{OpenLatency: latency(t, 5000)}}
	for name, want := range map[string]float64{"connect.open.p50": 0.5, "delivery.p99.9": 0.999, "delivery.p999": 0.999, "iteration.p42": 0.42} {
		f, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		of, q, ok := f.Distribution()
		if !ok || math.Abs(q-want) > 1e-12 {
			t.Errorf("%s: %v, %v", name, q, ok)
		} else if l := of(run); (l != nil) != (name == "connect.open.p50") {
			t.Errorf("%s: of %+v", name, l)
		}
	}
	for _, name := range []string{"delivery.mean", "delivery.max", "delivery.lost", "target.cpu"} {
		f, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := f.Distribution(); ok {
			t.Errorf("%s is a quantile", name)
		}
	}
}
