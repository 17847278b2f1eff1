package result

import "time"

// Schema names the version of the JSON form of a [File].
const Schema = "sseload.result/v1"

// File is what one command recorded, or what several files hold once merged.
type File struct {
	Schema    string    `json:"schema"`
	Tool      Tool      `json:"tool"`
	Command   []string  `json:"command"` // the arguments as typed, program name first
	Host      Host      `json:"host"`
	StartedAt time.Time `json:"started_at"`
	Runs      []Run     `json:"runs"`
	// Costs are what one more client and one more copy cost, for each series of
	// runs that shows it.
	Costs []Costs `json:"costs,omitempty"`
	// Sources lists the files that a merged file was made of, in order; the
	// top-level fields are then those of the first.
	Sources []Source `json:"sources,omitempty"`
}

// Source is where a stretch of a merged file's runs came from.
type Source struct {
	Tool      Tool      `json:"tool"`
	Command   []string  `json:"command"`
	Host      Host      `json:"host"`
	StartedAt time.Time `json:"started_at"`
	Runs      int       `json:"runs"` // how many consecutive runs of the merged file are its
}

// Tool is the program that made a record.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // "unknown" when the build does not say; "+dirty" behind it for a changed tree
	Go      string `json:"go"`
}

// Host is the machine that generated the load.
type Host struct {
	Name        string  `json:"name"`
	OS          string  `json:"os"`
	Arch        string  `json:"arch"`
	Kernel      *string `json:"kernel"`
	CPUModel    *string `json:"cpu_model"`
	Cores       int     `json:"cores"`
	MemoryBytes *int64  `json:"memory_bytes"`
}

// Run is one row of the printed tables.
type Run struct {
	Scenario      string        `json:"scenario"` // "connect" or "rooms"
	StartedAt     time.Time     `json:"started_at"`
	Labels        Labels        `json:"labels"`
	Params        Params        `json:"params"`
	Target        Target        `json:"target"`
	Engine        string        `json:"engine"`
	Clock         *Clock        `json:"clock"` // null in records of early versions
	Connect       Connect       `json:"connect"`
	Reconnect     *Reconnect    `json:"reconnect,omitempty"` // absent when streams that ended were not to be opened again
	Traffic       *Traffic      `json:"traffic"`             // null in records of early versions
	Delivery      *Delivery     `json:"delivery"`            // null when the scenario sends nothing
	IterationTime *Latency      `json:"iteration_time"`      // null when the scenario has no iterations, as in the open model
	TotalNS       int64         `json:"total_ns"`            // first dial to the end of the last phase, without the phases called "profile"
	Generator     Generator     `json:"generator"`
	TargetProcess TargetProcess `json:"target_process"`
	Machine       Machine       `json:"machine"`
	Phases        []Phase       `json:"phases"`
	Samples       []Sample      `json:"samples"`
	Profiles      []Profile     `json:"profiles,omitempty"`
	Affinity      *Affinity     `json:"affinity,omitempty"` // null unless it was asked for
	Interrupted   bool          `json:"interrupted"`        // the user stopped it; figures are partial
	Aborted       *string       `json:"aborted"`            // why the run ended before its time, e.g. the target went away
	Notes         []string      `json:"notes"`              // what a reader must know to read the figures right

	Thresholds []Verdict `json:"thresholds,omitempty"` // what became of them; absent without any
	Repetition *int      `json:"repetition,omitempty"` // which run of the same series it is, from 1; absent when it was not to be repeated
	Step       *string   `json:"step,omitempty"`       // the name of the plan's step that it is of; absent without a plan
}

// Labels are the words of the findings tables that describe a run.
type Labels struct {
	Machine  string `json:"machine"`
	Type     string `json:"type"`     // "Normal": one server process, "Cluster": several
	Env      string `json:"env"`      // "Local" or "Netw"
	Protocol string `json:"protocol"` // "EventSource", and over what if not plain HTTP/1.1: "EventSource (h2)"
	// Extra holds every other label the user gave.
	Extra map[string]string `json:"extra,omitempty"`
}

// Clock says on which clocks the latencies of a run were taken.
type Clock struct {
	// Kind is "monotonic": sends and receipts are times of one process' monotonic
	// clock, to which the kernel's stamps of receipt are converted.
	Kind string `json:"kind"`
	// Receipt is what the times of receipt behind the delivery latency are: "kernel",
	// when the kernel received the bytes; "read", when they were read, so that the
	// generator's delay is in the latency; "mixed". Null: nothing was received.
	Receipt *string `json:"receipt"`
	// OffsetNS is what was added to a sender's times to bring them onto the
	// receiver's clock, and OffsetErrorNS how far off that may be. Null: there is
	// one clock, and nothing to add.
	OffsetNS      *int64 `json:"offset_ns"`
	OffsetErrorNS *int64 `json:"offset_error_ns"`
}

// Traffic is what all clients read, whatever it was.
type Traffic struct {
	Events   int64 `json:"events"`   // dispatched, with a message or without
	Comments int64 `json:"comments"` // lines that begin with a colon: heartbeats, mostly
}

// Params is what was asked for.
type Params struct {
	Clients            int      `json:"clients"`
	Iterations         *int     `json:"iterations"` // null: no iterations in this scenario, or bounded by duration alone
	RoomSize           *int     `json:"room_size"`
	SendersPerRoom     *int     `json:"senders_per_room"`
	Model              *string  `json:"model"`            // "closed": iterations; "open": an arrival rate; null when the scenario sends nothing
	Rate               *float64 `json:"rate"`             // open model: messages per second, over all senders
	Arrivals           *string  `json:"arrivals"`         // open model: "constant" or "poisson"
	SendConnections    *int     `json:"send_connections"` // sends that may be under way at once; null when the scenario sends nothing
	SlowClients        *int     `json:"slow_clients"`     // how many clients were to read slowly; null: none
	SlowRate           *int64   `json:"slow_rate"`        // bytes per second that each of those reads
	IntervalNS         int64    `json:"interval_ns"`
	TimeoutNS          int64    `json:"timeout_ns"`
	HoldNS             int64    `json:"hold_ns"`
	DurationNS         *int64   `json:"duration_ns"`
	ConnectRate        float64  `json:"connect_rate"` // clients per second; 0: as fast as the concurrency allows
	ConnectConcurrency int      `json:"connect_concurrency"`
	PayloadBytes       *int     `json:"payload_bytes"`              // null when the scenario sends nothing
	Payload            *string  `json:"payload"`                    // "marker" or "timestamp"
	EventType          *string  `json:"event_type"`                 // null: every type counts
	NoReconnect        bool     `json:"no_reconnect,omitempty"`     // streams that ended were not to be opened again
	ReconnectJitter    *string  `json:"reconnect_jitter,omitempty"` // what was added to the reconnection time at random: up to so long, or up to that share of it

	HTTP *string `json:"http,omitempty"` // version, "2" or "3"; left out for "1.1"
	// StreamsPerConnection is how many clients were to share a connection; left out
	// with HTTP/1.1, where none do.
	StreamsPerConnection *int `json:"streams_per_connection,omitempty"`
}

// Target is the server under test.
type Target struct {
	URL     string  `json:"url"`
	SendURL *string `json:"send_url"`
	Kind    string  `json:"kind"` // "reference": the bundled server, started for this run; "url": one that was there
	// Proxy is the URL of the proxy in between, without its password.
	Proxy *string `json:"proxy,omitempty"`
	// Faults are what the bundled server was told to do wrong, in order.
	Faults []Fault `json:"faults,omitempty"`
}

// Fault is one thing that the bundled server did wrong on purpose.
type Fault struct {
	Fault    string `json:"fault"`    // as it was asked for, such as "drop,every=7"
	Injected *int64 `json:"injected"` // how often it was done, as the server counts; null when it could not be asked
}

// Connect is what became of the attempts to subscribe.
type Connect struct {
	Attempted int              `json:"attempted"`
	Opened    int              `json:"opened"`
	Failed    int              `json:"failed"`
	ElapsedNS *int64           `json:"elapsed_ns"` // first dial to last open; null when none opened
	Failures  map[string]int   `json:"failures"`   // class to count; the counts add up to Failed
	Dropped   int              `json:"dropped"`    // opened, and not open any more when the run ended
	Drops     map[string]int   `json:"drops"`      // class to count; the counts add up to Dropped
	Examples  []FailureExample `json:"examples"`   // the first failure or drop of each class, in words

	OpenLatency       Latency `json:"open_latency"`        // dial to open, per client
	TCPLatency        Latency `json:"tcp_latency"`         // dial to established TCP connection
	HeaderLatency     Latency `json:"header_latency"`      // request written to response headers read
	FirstEventLatency Latency `json:"first_event_latency"` // dial to first event; count may be less than opened

	// Connections is how many the clients had over the run, where several may share
	// one; left out with HTTP/1.1, where each has its own.
	Connections *int64 `json:"connections,omitempty"`
}

// Reconnect is what became of the streams that ended once they had been open, and of
// the clients that opened theirs again, as an EventSource does.
type Reconnect struct {
	Clients  int            `json:"clients"`  // whose stream ended at least once
	Ends     map[string]int `json:"ends"`     // class to count of streams that ended
	Attempts int64          `json:"attempts"` // to open again
	Failures map[string]int `json:"failures"` // class to count of attempts that failed
	Reopened int64          `json:"reopened"` // attempts that opened
	GaveUp   int            `json:"gave_up"`  // clients that were told never to come again: with 204, another status or a wrong content type
	Away     int            `json:"away"`     // clients that were not back when the run ended; with GaveUp they are [Connect].Dropped
	// FirstEndNS and LastOpenNS are when the first stream ended and when the last one
	// opened again, since the first dial; null: never.
	FirstEndNS *int64  `json:"first_end_ns"`
	LastOpenNS *int64  `json:"last_open_ns"`
	Downtime   Latency `json:"downtime"` // from the end of a stream until the client's next one is open

	// Missed are the copies of messages that were sent while their client was away.
	// Null when the scenario sends nothing, as are the figures below.
	Missed *int64 `json:"missed"`
	// Replayed copies came on a stream that was asked for only after their message
	// had been answered, for the first time; ReplayedTwice are those of [Delivery].Duplicate
	// that came so.
	Replayed      *int64 `json:"replayed"`
	ReplayedTwice *int64 `json:"replayed_twice"` // null too when copies have no names
	// ReplayLatency is of the Replayed; they are in [Delivery].Latency too.
	ReplayLatency *Latency `json:"replay_latency"`
}

// Affinity is which of several servers, the backends, the clients that opened were on:
// those still open at the end of the run, and the others where they were last.
type Affinity struct {
	By       string    `json:"by"`       // what names the backend: "cookie" or "header"
	Name     string    `json:"name"`     // of the cookie or the header
	Backends []Backend `json:"backends"` // those with the most clients first, at most 256
	Other    int       `json:"other"`    // clients on further ones
	Unknown  int       `json:"unknown"`  // clients of which it does not show
	// Rooms are those with a client that opened; the clients of RoomsSplit were on more
	// than one backend.
	Rooms      int `json:"rooms"`
	RoomsSplit int `json:"rooms_split"`
	Moved      int `json:"moved"` // clients that came back to another backend
	// The lost copies by whether their room spans several backends; null when the
	// scenario sends nothing, or what is lost is not known.
	LostInSplitRooms *int64 `json:"lost_in_split_rooms"`
	LostInOtherRooms *int64 `json:"lost_in_other_rooms"`
}

// Backend is one of the servers behind an address, and how many clients it had.
type Backend struct {
	Name    string `json:"name"`
	Clients int    `json:"clients"`
}

// FailureExample is one failure of a class, as the system or server put it.
type FailureExample struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

// Delivery is the account of every copy of every message.
//
// Received counts every copy that arrived and carries this run's name, so that
// Received = Expected - Lost + Duplicate + Misrouted.
type Delivery struct {
	Sends     Sends  `json:"sends"`
	Expected  int64  `json:"expected"`
	Received  int64  `json:"received"`
	Lost      *int64 `json:"lost"`
	Duplicate *int64 `json:"duplicate"`
	Reordered *int64 `json:"reordered"`
	Misrouted *int64 `json:"misrouted"`
	Late      *int64 `json:"late"` // arrived, but after its iteration had ended, or, in the open model, more than the timeout after it was due; not lost

	// Unordered copies came after a later message of the same sender, but the two
	// had been under way at the same time, so that nobody could know their order.
	Unordered   *int64 `json:"unordered"`
	Foreign     *int64 `json:"foreign"`      // carried the name of another run
	OtherEvents int64  `json:"other_events"` // events without a message: greetings, pings

	Iterations    *int     `json:"iterations"` // begun; null in the open model, which has none
	Incomplete    *int     `json:"incomplete"` // begun, but not complete within the timeout; null in the open model
	ElapsedNS     int64    `json:"elapsed_ns"` // the sending phase
	RatePerSecond *float64 `json:"rate_per_second"`
	// Latency is of the copies that reached ordinary clients: those of slow
	// readers are in Slow.
	Latency Latency `json:"latency"`
	Slow    *Slow   `json:"slow"` // null when no client was to read slowly

	ClientsAffected *int           `json:"clients_affected"` // clients with any copy lost, duplicate, reordered or misrouted
	Clients         []ClientDetail `json:"clients"`          // the worst of them, at most 20
}

// Slow is the account of the clients that were made to read slowly, which the
// figures of [Delivery] include but for the latency, and of what they did to
// others.
type Slow struct {
	Clients  int    `json:"clients"` // that opened
	Dropped  int    `json:"dropped"` // of those, ended before the run did
	Expected int64  `json:"expected"`
	Received int64  `json:"received"`
	Lost     *int64 `json:"lost"`
	// Drained are those of Received that were read only once the sending was over
	// and all read freely. They would have taken longer than they did.
	Drained int64 `json:"drained"`
	// Latency is until the slow client read the copy. With drained copies in it, its
	// figures are bounds: the true ones are no less.
	Latency Latency `json:"latency"`
	// Neighbours are the ordinary clients that share a room with a slow one. Their
	// copies are in [Delivery].Latency too.
	NeighboursExpected int64   `json:"neighbours_expected"`
	NeighboursLost     *int64  `json:"neighbours_lost"`
	Neighbours         Latency `json:"neighbours"`
}

// Sends is what became of the messages on their way in.
type Sends struct {
	Attempted     int64            `json:"attempted"`
	Behind        *int64           `json:"behind"`     // begun more than 1 ms after they were due; null in the closed model
	Crowded       *int64           `json:"crowded"`    // came due when each of params.send_connections had a send already; null in the closed model
	CalledOff     int64            `json:"called_off"` // due, but their iteration, or the run, ended before they could begin
	Unanswered    *int64           `json:"unanswered"` // begun, and neither answered nor failed when the run ended; null in records of early versions
	Failed        int64            `json:"failed"`
	Failures      map[string]int   `json:"failures"`
	Examples      []FailureExample `json:"examples"`        // the first failure of each class, in words
	RatePerSecond *float64         `json:"rate_per_second"` // begun, per second of the sending phase
	Latency       Latency          `json:"latency"`         // request written to response read
}

// ClientDetail is one client's account.
type ClientDetail struct {
	Client    int   `json:"client"`
	Room      int   `json:"room"`
	Expected  int64 `json:"expected"`
	Received  int64 `json:"received"`
	Lost      int64 `json:"lost"`
	Duplicate int64 `json:"duplicate"`
	Reordered int64 `json:"reordered"`
	Misrouted int64 `json:"misrouted"`
	Late      int64 `json:"late"`
}

// Latency sums up a distribution of durations. With a count of zero every
// figure is null.
type Latency struct {
	Count  int64    `json:"count"`
	MeanNS *float64 `json:"mean_ns"`
	MinNS  *int64   `json:"min_ns"`
	P50NS  *int64   `json:"p50_ns"`
	P90NS  *int64   `json:"p90_ns"`
	P95NS  *int64   `json:"p95_ns"`
	P99NS  *int64   `json:"p99_ns"`
	P999NS *int64   `json:"p999_ns"`
	MaxNS  *int64   `json:"max_ns"`
	Capped int64    `json:"capped"` // values outside the histogram's range, recorded at its edge
	HDR    string   `json:"hdr"`    // HdrHistogram V2, compressed, base64; empty with a count of zero
}

// Generator is what the load cost the process that made it.
type Generator struct {
	PID               int      `json:"pid"`
	CPUPercent        *float64 `json:"cpu_percent"` // over the main phase: sending, or connecting where nothing is sent
	RSSBytes          *int64   `json:"rss_bytes"`   // the largest seen
	RSSPerClientBytes *float64 `json:"rss_per_client_bytes"`
	// LiveBytesPerClient is what of the heap and of stacks is in use for each client,
	// garbage collected.
	LiveBytesPerClient *float64 `json:"live_bytes_per_client"`
	OpenFiles          *int64   `json:"open_files"`         // the most seen
	CPUPerConnectNS    *float64 `json:"cpu_per_connect_ns"` // as in [TargetProcess]
	CPUPerCopyNS       *float64 `json:"cpu_per_copy_ns"`    // likewise
	ReadLag            *Latency `json:"read_lag"`           // handling minus kernel receive time, per read; null where the engine has no kernel time
	SendLag            *Latency `json:"send_lag"`           // actual minus intended send time, per send; null in the closed model, where they are one
	// DispatchLag is the part of SendLag that is the generator's own: from when a
	// send was due until the generator came to it. What is left is the wait for a
	// connection. Null in the closed model.
	DispatchLag *Latency `json:"dispatch_lag"`
	// RunQueueNS is for how long, over the main phase, the generator's threads were
	// ready to run and waited for a core, summed; null where the system does not
	// say.
	RunQueueNS     *int64  `json:"run_queue_ns"`
	GC             *GC     `json:"gc"`
	Stalls         *Stalls `json:"stalls"`     // null when it was not watched
	Overloaded     *bool   `json:"overloaded"` // null when neither lag nor CPU is known
	OverloadReason *string `json:"overload_reason"`
}

// GC is what the collector of the generator's garbage did over the main phase.
type GC struct {
	Cycles       int64 `json:"cycles"`
	PauseTotalNS int64 `json:"pause_total_ns"` // in which nothing of the generator ran
	PauseMaxNS   int64 `json:"pause_max_ns"`   // the longest; rounded up to the bucket of the runtime's histogram
}

// Stalls are the times in which the generator stood still, whatever the reason: a
// tick that should come each 20 ms came more than 5 ms late. They are of the main
// phase.
type Stalls struct {
	Count   int64 `json:"count"`
	TotalNS int64 `json:"total_ns"` // by how much the ticks were late, summed
	MaxNS   int64 `json:"max_ns"`
}

// TargetProcess is what the load cost the server, workers and children included.
type TargetProcess struct {
	Observed       bool     `json:"observed"`
	PID            *int     `json:"pid"`
	Name           *string  `json:"name"`
	Processes      *int     `json:"processes"`   // the most seen in its tree
	CPUPercent     *float64 `json:"cpu_percent"` // over the main phase
	RSSBytes       *int64   `json:"rss_bytes"`   // the largest seen
	BytesPerClient *float64 `json:"bytes_per_client"`
	OpenFiles      *int64   `json:"open_files"` // the most seen
	// RSSBaseBytes is the resident set before the first client, RSSConnectedBytes
	// that with all of them connected.
	RSSBaseBytes      *int64 `json:"rss_base_bytes"`
	RSSConnectedBytes *int64 `json:"rss_connected_bytes"`
	// CPUPerConnectNS is the CPU time of the connect phase for each client that
	// opened. CPUPerCopyNS is that of the sending, and of the wait for what it left
	// under way, for each copy that arrived; it includes a copy's share of taking
	// the message in.
	CPUPerConnectNS *float64 `json:"cpu_per_connect_ns"`
	CPUPerCopyNS    *float64 `json:"cpu_per_copy_ns"`
}

// Machine is the load on the whole machine that the generator ran on.
type Machine struct {
	CPUPercent        *float64 `json:"cpu_percent"` // over the main phase, in percent of one core
	MemoryUsedBytes   *int64   `json:"memory_used_bytes"`
	MemoryTotalBytes  *int64   `json:"memory_total_bytes"`
	ListenOverflows   *int64   `json:"listen_overflows"`    // connection requests that found a full listen queue during the run
	ListenDrops       *int64   `json:"listen_drops"`        // connection requests that were dropped during the run, for a full listen queue or any other reason
	TCPRetransmits    *int64   `json:"tcp_retransmits"`     // segments sent again during the run
	KernelSocketBytes *int64   `json:"kernel_socket_bytes"` // most memory that TCP sockets held, both sides together

	// What the kernel held with all clients connected, for both ends of each
	// connection where the target is on this machine.
	TCPSockets     *int64 `json:"tcp_sockets"`      // their number in this network namespace
	TCPSocketBytes *int64 `json:"tcp_socket_bytes"` // what those take as objects, without the data in them
	// SocketBytesPerClient is by how much TCPSocketBytes grew while clients connected,
	// for each that opened.
	SocketBytesPerClient *float64 `json:"socket_bytes_per_client"`
}

// Profile says where the target spent its time, or what holds its memory.
type Profile struct {
	Kind      string     `json:"kind"`       // "cpu", "heap", "allocs", "goroutine", "threadcreate", "mutex", "block"
	Phase     string     `json:"phase"`      // that it is of, or at whose end it was taken
	Source    string     `json:"source"`     // "pprof": net/http/pprof; "inspector": of Node; "perf": of Linux
	StartNS   int64      `json:"start_ns"`   // since the run's start
	ElapsedNS int64      `json:"elapsed_ns"` // 0 for a picture of a moment
	File      string     `json:"file"`       // for go tool pprof, or Node's own form; relative to the record's folder
	Flame     string     `json:"flame"`      // the same as collapsed stacks, from which flame graphs are made; likewise
	Unit      string     `json:"unit"`       // of the figures: "nanoseconds", "bytes", "count"
	Total     int64      `json:"total"`      // of all functions
	Samples   int64      `json:"samples"`
	Top       []Function `json:"top"` // the functions with the largest flat figures, at most 20
}

// Function is a function's share of a profile.
type Function struct {
	Name       string `json:"name"`
	Flat       int64  `json:"flat"`       // in the function itself
	Cumulative int64  `json:"cumulative"` // with what it called
}

// Costs is what one more costs, fitted to the runs of a series as straight lines.
// A slope that the runs do not show is null.
type Costs struct {
	Runs []int `json:"runs"` // which of [File].Runs, from 0

	TargetBytesPerClient     *Slope `json:"target_bytes_per_client"`
	TargetCPUPerConnectNS    *Slope `json:"target_cpu_per_connect_ns"`
	TargetCPUPerCopyNS       *Slope `json:"target_cpu_per_copy_ns"`
	GeneratorBytesPerClient  *Slope `json:"generator_bytes_per_client"`
	GeneratorCPUPerConnectNS *Slope `json:"generator_cpu_per_connect_ns"`
	GeneratorCPUPerCopyNS    *Slope `json:"generator_cpu_per_copy_ns"`
	SocketBytesPerClient     *Slope `json:"socket_bytes_per_client"` // of the kernel, both ends
}

// Slope is a straight line through the figures of several runs.
type Slope struct {
	Value float64 `json:"value"` // what one more costs
	Error float64 `json:"error"` // half the width of the value's 95 % confidence interval
	Base  float64 `json:"base"`  // what it costs with none: where the line begins
	Runs  int     `json:"runs"`  // how many the line goes through
}

// Phase is one stretch of a run with what it cost.
type Phase struct {
	Name                string   `json:"name"`       // "connect", "hold", "send"
	StartNS             int64    `json:"start_ns"`   // since the run's start
	ElapsedNS           int64    `json:"elapsed_ns"` //
	TargetCPUPercent    *float64 `json:"target_cpu_percent"`
	GeneratorCPUPercent *float64 `json:"generator_cpu_percent"`
	MachineCPUPercent   *float64 `json:"machine_cpu_percent"`
	GeneratorRunQueueNS *int64   `json:"generator_run_queue_ns"` // as in [Generator]
}

// Sample is the state of a run at a moment; one is taken every second, one at
// the start and one at the end. CPU shares are over the time since the sample
// before and null in the first.
type Sample struct {
	AtNS                int64    `json:"at_ns"` // since the run's start
	Phase               string   `json:"phase"`
	Open                int64    `json:"open"` // clients connected now
	Failed              int64    `json:"failed"`
	Received            int64    `json:"received"` // copies since the run's start
	TargetCPUPercent    *float64 `json:"target_cpu_percent"`
	TargetRSSBytes      *int64   `json:"target_rss_bytes"`
	TargetOpenFiles     *int64   `json:"target_open_files"`
	GeneratorCPUPercent *float64 `json:"generator_cpu_percent"`
	GeneratorRSSBytes   *int64   `json:"generator_rss_bytes"`
	GeneratorOpenFiles  *int64   `json:"generator_open_files"`
	MachineCPUPercent   *float64 `json:"machine_cpu_percent"`
	MachineUsedBytes    *int64   `json:"machine_used_bytes"`

	Away *int64 `json:"away,omitempty"` // clients that lost their stream and will open it again; absent in records of early versions
	Sent *int64 `json:"sent,omitempty"` // sends that succeeded since the run's start; likewise
	// The latency of the copies received since the sample before, or in the last second
	// where samples of a long run have been thinned out; rounded up, by 6 % at most.
	// Absent when there were none.
	LatencyP50NS *int64 `json:"latency_p50_ns,omitempty"`
	LatencyP99NS *int64 `json:"latency_p99_ns,omitempty"`
	LatencyMaxNS *int64 `json:"latency_max_ns,omitempty"`
}

// Verdict is what became of a threshold.
type Verdict struct {
	Threshold string  `json:"threshold"` // as it was asked for, such as "delivery.p99 < 100ms"
	Figure    string  `json:"figure"`    // its full name, such as "delivery.latency.p99"
	Unit      string  `json:"unit"`      // of Limit and Actual: "ns", "bytes", "percent", "per second" or "count"
	Limit     float64 `json:"limit"`
	// Actual is null when it is not known. Of what ended the run early it is the least, or
	// the most, that the figure would have been, where the record does not show that the
	// threshold failed: fewer clients than were to open may have done so in time.
	Actual *float64 `json:"actual"`
	Held   bool     `json:"held"`  // false too when Actual is not known
	Abort  bool     `json:"abort"` // the run was to end when it could not hold any more
}
