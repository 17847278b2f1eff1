package load

import (
	"cmp"
	"slices"

	"github.com/sseload/sseload/pkg/metric"
)

// Totals is the account of a Population.
type Totals struct {
	Connect  Connect
	Sends    Sends
	Delivery Delivery
	Slow     SlowReading
	// Reconnect is of clients that come back; empty when none are to.
	Reconnect Reconnecting
	Traffic   Traffic
	ReadLag   metric.Histogram // handling minus kernel receive time, per read; ns
}

// Traffic is what the clients read, whatever it was.
type Traffic struct{ Events, Comments int64 }

// Connect is what became of the subscriptions. Times are on the run's clock.
type Connect struct {
	Attempted, Opened   int
	Failures, Drops     map[string]int    // by class
	Texts               map[string]string // the first failure or drop of each class, in words
	FirstDial, LastOpen int64
	// Dial to open, dial to TCP connection, request to response head, dial to
	// first event.
	Open, TCP, Header, FirstEvent metric.Histogram
}

// Sends is what became of the sends.
type Sends struct {
	Due          int64            // Attempted + CalledOff
	Attempted    int64            // begun
	CalledOff    int64            // their iteration, or the run, ended before they could begin
	Behind       int64            // begun more than [BehindAfter] after they were due
	Crowded      int64            // came due when each connection for sends had one
	Lag          metric.Histogram // due to begun, in the open model; ns
	DispatchLag  metric.Histogram // the part of Lag until the generator came to them; ns
	Unanswered   int64            // begun, and neither answered nor failed when the run ended
	Failures     map[string]int
	Texts        map[string]string // the first failure of each class, in words
	Latency      metric.Histogram  // request written to response read
	PayloadBytes int               // of the longest payload
}

// Delivery is what became of the copies.
// Received = Expected - Lost + Duplicate + Misrouted.
type Delivery struct {
	Expected, Received                          int64
	Lost, Duplicate, Reordered, Misrouted, Late int64
	Unordered                                   int64 // a later one came first, but both had been under way at once
	Foreign                                     int64 // messages of another run
	Other                                       int64 // events without a message
	Stamped                                     int64 // copies in Latency that the kernel stamped
	Latency                                     metric.Histogram
	Affected                                    int      // clients with anything but copies in order
	Worst                                       []Client // the worst of those
}

// Client is the account of one client.
type Client struct {
	Client, Room                                int
	Expected, Received                          int64
	Lost, Duplicate, Reordered, Misrouted, Late int64
}

// mostWorst bounds Delivery.Worst.
const mostWorst = 20

func newTotals() Totals {
	return Totals{
		Connect: Connect{Failures: map[string]int{}, Drops: map[string]int{}, Texts: map[string]string{}},
		Sends:   Sends{Failures: map[string]int{}, Texts: map[string]string{}},

		Reconnect: newReconnecting(),
	}
}

// Failed is how many clients never opened.
func (c *Connect) Failed() int { return sum(c.Failures) }

// Dropped is how many clients opened and were not open any more when the run ended.
func (c *Connect) Dropped() int { return sum(c.Drops) }

// Failed is how many sends failed.
func (s *Sends) Failed() int64 { return int64(sum(s.Failures)) }

func sum(counts map[string]int) int {
	n := 0
	for _, c := range counts {
		n += c
	}
	return n
}

func add(to, from map[string]int) {
	for class, n := range from {
		to[class] += n
	}
}

func (t *Totals) merge(o *Totals) {
	c := &t.Connect
	c.Attempted += o.Connect.Attempted
	c.Opened += o.Connect.Opened
	add(c.Failures, o.Connect.Failures)
	add(c.Drops, o.Connect.Drops)
	for class, text := range o.Connect.Texts {
		keepFirst(c.Texts, class, text)
	}
	if first := o.Connect.FirstDial; first != 0 && (c.FirstDial == 0 || first < c.FirstDial) {
		c.FirstDial = first
	}
	c.LastOpen = max(c.LastOpen, o.Connect.LastOpen)
	c.Open.Merge(&o.Connect.Open)
	c.TCP.Merge(&o.Connect.TCP)
	c.Header.Merge(&o.Connect.Header)
	c.FirstEvent.Merge(&o.Connect.FirstEvent)

	t.Sends.Due += o.Sends.Due
	t.Sends.Attempted += o.Sends.Attempted
	t.Sends.CalledOff += o.Sends.CalledOff
	t.Sends.Unanswered += o.Sends.Unanswered
	t.Sends.Behind += o.Sends.Behind
	t.Sends.Crowded += o.Sends.Crowded
	t.Sends.Lag.Merge(&o.Sends.Lag)
	t.Sends.DispatchLag.Merge(&o.Sends.DispatchLag)
	add(t.Sends.Failures, o.Sends.Failures)
	for class, text := range o.Sends.Texts {
		keepFirst(t.Sends.Texts, class, text)
	}
	t.Sends.PayloadBytes = max(t.Sends.PayloadBytes, o.Sends.PayloadBytes)
	t.Sends.Latency.Merge(&o.Sends.Latency)

	d := &t.Delivery
	d.Expected += o.Delivery.Expected
	d.Received += o.Delivery.Received
	d.Lost += o.Delivery.Lost
	d.Duplicate += o.Delivery.Duplicate
	d.Reordered += o.Delivery.Reordered
	d.Misrouted += o.Delivery.Misrouted
	d.Unordered += o.Delivery.Unordered
	d.Stamped += o.Delivery.Stamped
	d.Late += o.Delivery.Late
	d.Foreign += o.Delivery.Foreign
	d.Other += o.Delivery.Other
	d.Latency.Merge(&o.Delivery.Latency)
	d.Affected += o.Delivery.Affected
	d.Worst = worst(append(d.Worst, o.Delivery.Worst...))

	t.Slow.merge(&o.Slow)
	t.Reconnect.merge(&o.Reconnect)
	t.Traffic.Events += o.Traffic.Events
	t.Traffic.Comments += o.Traffic.Comments
	t.ReadLag.Merge(&o.ReadLag)
}

// keepFirst puts text under class unless there is one.
func keepFirst(texts map[string]string, class, text string) {
	if _, ok := texts[class]; !ok {
		texts[class] = text
	}
}

// worst keeps the clients that lost or confused the most.
func worst(clients []Client) []Client {
	slices.SortFunc(clients, func(a, b Client) int {
		return cmp.Or(cmp.Compare(b.score(), a.score()), cmp.Compare(a.Client, b.Client))
	})
	return clients[:min(len(clients), mostWorst)]
}

func (c Client) score() int64 { return c.Lost + c.Duplicate + c.Reordered + c.Misrouted + c.Late }

// finish works out what each client should have received, once nothing can come
// any more.
func (s *shard) finish() {
	d, sends := &s.recorder.Delivery, &s.recorder.Sends
	sends.CalledOff = sends.Due - sends.Attempted
	sends.Unanswered = sends.Attempted - sends.Latency.Count() - sends.Failed()
	s.finishAbsences()
	var affected []Client
	for id := range s.clients {
		c := &s.clients[id]
		if !c.opened() {
			continue
		}
		v := s.Vars(id)
		a := Client{Client: v.Client, Room: v.Room, Expected: int64(s.roomOf(id).sends)}
		d.Expected += a.Expected
		slow, beside := s.isSlow(id), s.roomOf(id).hasOne
		switch {
		case slow:
			s.recorder.Slow.add(c.state, a.Expected)
		case beside:
			s.recorder.Slow.NeighboursExpected += a.Expected
		}
		if s.p.cfg.Payload == Timestamp {
			continue // copies have no names: what is lost cannot be told
		}
		for place := range s.p.sendersPerRoom {
			a.Received += int64(s.entry(id, place).count())
		}
		a.Lost = a.Expected - a.Received
		d.Lost += a.Lost
		if m := s.recorder.perClient[id]; m != nil {
			a.Duplicate, a.Reordered, a.Misrouted, a.Late = m.duplicate, m.reordered, m.misrouted, m.late
			a.Received += a.Duplicate + a.Misrouted
		}
		switch {
		case slow:
			s.recorder.Slow.Lost += a.Lost
		case beside:
			s.recorder.Slow.NeighboursLost += a.Lost
		}
		if a.score() > 0 {
			affected = append(affected, a)
		}
	}
	d.Affected = len(affected)
	d.Worst = worst(affected)
}
