package main

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// The contenders where sseload is measured. All but the floor are its engines.
const (
	floorName = "floor"
	judged    = "epoll" // the engine that the budgets are for
)

// decoderName is what -run knows the decoder by, which is no shape.
const decoderName = "decoder"

// shape is one load that every contender makes.
type shape struct {
	Name       string        `json:"name"`
	What       string        `json:"what"` // in words
	Clients    int           `json:"clients"`
	Before     []int         `json:"before,omitempty"` // the clients of runs that go before, so that lines show what one more costs
	RoomSize   int           `json:"room_size"`
	Iterations int           `json:"iterations,omitempty"` // at full speed
	Rate       float64       `json:"rate,omitempty"`       // messages per second
	Duration   time.Duration `json:"duration_ns,omitempty"`
	// Contenders are measured by the first of them.
	Contenders []string `json:"contenders"`
	// Budget is the most that the judged engine may need, in terms of the floor.
	Budget float64 `json:"budget"`
	// Memory tells that the memory of a client is judged here too.
	Memory bool `json:"memory,omitempty"`
}

// shapes are all there are; the quick ones only show that everything works.
func shapes(quick bool) []shape {
	few, many, roomed, wide := 5000, 15000, 4000, 600
	rate, duration, iterations, wideIterations := 10000.0, 5*time.Second, 25, 500
	if quick {
		few, many, roomed, wide = 50, 100, 60, 60
		rate, duration, iterations, wideIterations = 1000, 200*time.Millisecond, 3, 3
	}
	// messages per second for that many copies, rounded as one types it
	messages := func(size int) float64 { return math.Round(rate/float64(size)*100) / 100 }
	all, lean := []string{floorName, judged, "conn", "nethttp", "r3labs"}, []string{floorName, judged}
	return []shape{
		{Name: "connect-few", What: "connecting " + grouped(few) + " clients", Clients: few, RoomSize: 6, Contenders: all, Budget: 1.3},
		{Name: "connect-many", What: "connecting " + grouped(many) + " clients", Clients: many, RoomSize: 6, Contenders: all, Budget: 1.3, Memory: true},
		{Name: "rooms-rate", What: "rooms of 6, " + grouped(int(rate)) + " copies/s", Clients: roomed, RoomSize: 6, Rate: math.Round(messages(6)), Duration: duration, Contenders: all, Budget: 1.5},
		{Name: "rooms-full", What: "rooms of 6, full speed", Clients: roomed, RoomSize: 6, Iterations: iterations, Contenders: all, Budget: 1.5},
		{Name: "wide-rate", What: "a room of " + grouped(wide) + ", " + grouped(int(rate)) + " copies/s", Clients: wide, RoomSize: wide, Rate: messages(wide), Duration: duration, Contenders: lean, Budget: 1.5},
		{Name: "wide-full", What: "a room of " + grouped(wide) + ", full speed", Clients: wide, RoomSize: wide, Iterations: wideIterations, Contenders: lean, Budget: 1.5},
	}
}

// sends reports whether messages go through the clients, beyond connecting them.
func (s *shape) sends() bool { return s.Iterations > 0 || s.Rate > 0 }

func (s *shape) rooms() int { return (s.Clients + s.RoomSize - 1) / s.RoomSize }

// messages is how many there are, of one sender a room. At a rate, message k is due
// k / rate seconds after the start.
func (s *shape) messages() int {
	if s.Rate > 0 {
		return int(math.Ceil(s.Rate * s.Duration.Seconds()))
	}
	return s.Iterations * s.rooms()
}

// copies is how many copies of them there must be.
func (s *shape) copies() int64 {
	copies := s.messages() / s.rooms() * s.Clients
	for room := range s.messages() % s.rooms() {
		copies += min(s.RoomSize, s.Clients-room*s.RoomSize)
	}
	return int64(copies)
}

// order is in which order round, from 1, takes the contenders: each comes to each
// place in turn.
func (s *shape) order(round int) []string {
	first := (round - 1) % len(s.Contenders)
	return append(s.Contenders[first:len(s.Contenders):len(s.Contenders)], s.Contenders[:first]...)
}

// command is that of both programs.
func (s *shape) command() string {
	if s.sends() {
		return "rooms"
	}
	return "connect"
}

// runs are the clients of each run of the load; the last is the load itself.
func (s *shape) runs() []int { return append(s.Before[:len(s.Before):len(s.Before)], s.Clients) }

// sseload are the arguments of sseload for this load, on the bundled server when there
// is no URL.
func (s *shape) sseload(url string, how ...string) []string {
	args := []string{s.command()}
	if url != "" {
		args = append(args, url)
	}
	var clients []string
	for _, n := range s.runs() {
		clients = append(clients, strconv.Itoa(n))
	}
	args = append(args, "-c", strings.Join(clients, ","))
	if s.sends() {
		args = append(args, "--room-size", strconv.Itoa(s.RoomSize))
	}
	switch {
	case s.Rate > 0:
		args = append(args, "--rate", decimal(s.Rate)+"/s", "--duration", s.Duration.String())
	case s.sends():
		args = append(args, "-n", strconv.Itoa(s.Iterations))
	}
	return append(append(args, how...), "-o", "json=-", "-q")
}

// floor are the arguments of floor for the same.
func (s *shape) floor(addr string) []string {
	args := []string{s.command(), "-addr", addr, "-c", strconv.Itoa(s.Clients), "-room-size", strconv.Itoa(s.RoomSize)}
	switch {
	case s.Rate > 0:
		args = append(args, "-rate", decimal(s.Rate), "-duration", s.Duration.String())
	case s.sends():
		args = append(args, "-messages", strconv.Itoa(s.messages()))
	}
	return args
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// grouped writes n with a comma before each three digits.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
