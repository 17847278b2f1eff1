package stream

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/sseload/sseload/pkg/target"
)

// idle runs an engine that has nothing to do but what a test asks for.
func idle(t *testing.T, k Kind) *probe {
	t.Helper()
	return start(t, k, Config{Target: at(t, target.Spec{URL: refusedURL(t)})})
}

func TestAlarm(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		p := idle(t, k)
		for _, in := range []time.Duration{math.MinInt64, -time.Hour, -1, 0, 1, time.Microsecond, 20 * time.Millisecond} {
			rang := make(chan int64, 1)
			at, within := int64(math.MinInt64), true
			p.do(func() {
				if in != math.MinInt64 {
					at = p.now() + int64(in)
				}
				p.eng.Alarm(at, func() {
					p.calls++ // in the engine's context
					if within {
						t.Errorf("in %s: f was called within Alarm", in)
					}
					rang <- p.now()
				})
				within = false
			})
			if now := await(t, rang); now < at {
				t.Errorf("in %s: went off %d ns too early", in, at-now)
			}
		}
	})
}

// TestAlarmReplaced: what was replaced never goes off, be it due or not.
func TestAlarmReplaced(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		p := idle(t, k)
		for _, c := range []struct{ first, second time.Duration }{
			{-1, -1}, {-1, time.Millisecond}, {2 * time.Millisecond, 4 * time.Millisecond}, {time.Hour, time.Millisecond}, {math.MaxInt64, -1},
		} {
			rang := make(chan struct{})
			p.do(func() {
				now := p.now()
				p.eng.Alarm(now+min(int64(c.first), math.MaxInt64-now), func() { t.Errorf("%v: the first one went off", c) })
				p.eng.Alarm(now+int64(c.second), func() { close(rang) })
			})
			await(t, rang)
		}
		rang := make(chan struct{})
		p.do(func() { p.eng.Alarm(0, func() { close(rang) }) })
		await(t, rang)
		p.quiet()
	})
}

// TestAlarmChain sets the next alarm when the last one goes off.
func TestAlarmChain(t *testing.T) {
	for _, c := range []struct {
		name string
		step int64
	}{{"due", 0}, {"soon", int64(20 * time.Microsecond)}} {
		t.Run(c.name, func(t *testing.T) {
			everyEngine(t, func(t *testing.T, k Kind) {
				p := idle(t, k)
				left, at := 1000, int64(0)
				done := make(chan struct{})
				var f func()
				f = func() {
					if now := p.now(); now < at {
						t.Errorf("went off %d ns too early", at-now)
					}
					if left--; left == 0 {
						close(done)
						return
					}
					at = p.now() + c.step
					p.eng.Alarm(at, f)
				}
				p.do(func() { p.eng.Alarm(at, f) })
				await(t, done)
				p.quiet()
			})
		})
	}
}

// TestAlarmShares: an alarm that is always due, and sockets that always have
// something, do not keep each other waiting.
func TestAlarmShares(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		s := serve(t, func(c *peer) {
			c.request()
			c.say(head)
			for c.say("data: a\n\n") {
				continue
			}
		})
		const clients, enough = 10, 50
		var p *probe
		rang, heard := 0, [clients]int{}
		done := make(chan struct{})
		over := false
		check := func() {
			if !over && rang >= enough && slices.Min(heard[:]) >= enough {
				over = true
				close(done)
			}
		}
		p = &probe{t: t, on: func(f fact) {
			if f.text == `message "a"` {
				heard[f.id]++
				check()
			}
		}}
		startWith(t, k, Config{Target: at(t, target.Spec{URL: s.url("/")}), Clients: clients}, p)
		var f func()
		f = func() {
			rang++
			check()
			p.eng.Alarm(0, f)
		}
		p.do(func() {
			for id := range clients {
				p.eng.Subscribe(id, nil)
			}
			p.eng.Alarm(0, f)
		})
		await(t, done)
		p.do(func() { p.eng.Unsubscribe(0) }) // Do has its turn too
		p.eng.Close()
	})
}

// TestAlarmAndClose: nothing goes off after Close.
func TestAlarmAndClose(t *testing.T) {
	everyEngine(t, func(t *testing.T, k Kind) {
		p := idle(t, k)
		p.do(func() { p.eng.Alarm(p.now()+int64(time.Hour), func() { t.Error("went off an hour early") }) })
		p.eng.Close()

		p = idle(t, k)
		begun := make(chan struct{}, 1)
		var f func()
		f = func() {
			p.calls++ // the race detector sees one that comes too late
			select {
			case begun <- struct{}{}:
			default:
			}
			p.eng.Alarm(0, f)
		}
		p.do(func() { p.eng.Alarm(0, f) })
		await(t, begun)
		p.eng.Close()
		calls := p.calls
		p.eng.Close() // twice does no harm
		if p.calls != calls {
			t.Error("went off after Close")
		}
	})
}

// TestBellOutOfTime: one that rings early makes no difference, and one that rings
// too late has nothing to say.
func TestBellOutOfTime(t *testing.T) {
	checkLeaks(t)
	p := idle(t, Conn)
	c, ok := p.eng.(*conn)
	if !ok {
		t.Fatalf("engine conn is a %T", p.eng)
	}
	rang := make(chan int64, 1)
	var at int64
	p.do(func() {
		at = p.now() + int64(5*time.Millisecond)
		p.eng.Alarm(at, func() { rang <- p.now() })
		c.bell.set(0)
	})
	if now := await(t, rang); now < at {
		t.Errorf("went off %d ns too early", at-now)
	}
	c.Close()
	c.alarm = alarm{f: func() { t.Error("went off after Close") }}
	c.ring()
}

// TestBells: each kind that there is on this system.
func TestBells(t *testing.T) {
	for name, b := range map[string]bell{"best": newBell(), "soft": newSoftBell()} {
		t.Run(name, func(t *testing.T) {
			rang := make(chan time.Time)
			go func() {
				defer close(rang)
				for b.wait() {
					rang <- time.Now()
				}
			}()
			for _, d := range []time.Duration{0, time.Millisecond, -1} {
				begun := time.Now()
				b.set(time.Hour) // which is forgotten
				b.set(d)
				if took := await(t, rang).Sub(begun); took < d {
					t.Errorf("rang after %s, want %s", took, d)
				}
			}
			b.set(time.Hour)
			b.close()
			if at, again := <-rang; again {
				t.Errorf("rang at %s, after it was closed", at)
			}
		})
	}
}

// BenchmarkAlarm goes off every 200 µs and reports how late that is.
func BenchmarkAlarm(b *testing.B) {
	for _, k := range engines() {
		b.Run(string(k), func(b *testing.B) {
			tg, err := target.New(target.Spec{URL: "http://127.0.0.1:1/"})
			if err != nil {
				b.Fatal(err)
			}
			clock := NewClock()
			eng, err := New(k, Config{Target: tg, Clients: 1, Handler: new(probe), Clock: clock, Timeout: patience})
			if err != nil {
				b.Fatal(err)
			}
			defer eng.Close()
			late := make([]int64, 0, b.N)
			done := make(chan struct{})
			at := int64(0)
			var f func()
			f = func() {
				if late = append(late, clock.Now()-at); len(late) == b.N {
					close(done)
					return
				}
				at = clock.Now() + int64(200*time.Microsecond)
				eng.Alarm(at, f)
			}
			b.ReportAllocs()
			b.ResetTimer()
			eng.Do(func() {
				at = clock.Now()
				eng.Alarm(at, f)
			})
			<-done
			slices.Sort(late)
			quantile := func(q float64) float64 { return float64(late[int(q*float64(len(late)-1))]) }
			b.ReportMetric(quantile(0.5), "late-p50-ns")
			b.ReportMetric(quantile(0.99), "late-p99-ns")
			b.ReportMetric(quantile(1), "late-max-ns")
		})
	}
}
