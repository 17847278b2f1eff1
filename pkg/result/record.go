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
	Connect       Connect       `json:"connect"`
	Delivery      *Delivery     `json:"delivery"`       // null when the scenario sends nothing
	IterationTime *Latency      `json:"iteration_time"` // null when the scenario has no iterations
	TotalNS       int64         `json:"total_ns"`       // first dial to the end of the last phase
	Generator     Generator     `json:"generator"`
	TargetProcess TargetProcess `json:"target_process"`
	Machine       Machine       `json:"machine"`
	Phases        []Phase       `json:"phases"`
	Samples       []Sample      `json:"samples"`
	Interrupted   bool          `json:"interrupted"` // the user stopped it; figures are partial
	Aborted       *string       `json:"aborted"`     // why the run ended before its time, e.g. the target went away
	Notes         []string      `json:"notes"`       // what a reader must know to read the figures right
}

// Labels are the words of the findings tables that describe a run.
type Labels struct {
	Machine  string `json:"machine"`
	Type     string `json:"type"`     // "Normal": one server process, "Cluster": several
	Env      string `json:"env"`      // "Local" or "Netw"
	Protocol string `json:"protocol"` // "EventSource"
	// Extra holds every other label the user gave.
	Extra map[string]string `json:"extra,omitempty"`
}

// Params is what was asked for.
type Params struct {
	Clients            int     `json:"clients"`
	Iterations         *int    `json:"iterations"` // null: no iterations in this scenario, or bounded by duration alone
	RoomSize           *int    `json:"room_size"`
	SendersPerRoom     *int    `json:"senders_per_room"`
	IntervalNS         int64   `json:"interval_ns"`
	TimeoutNS          int64   `json:"timeout_ns"`
	HoldNS             int64   `json:"hold_ns"`
	DurationNS         *int64  `json:"duration_ns"`
	ConnectRate        float64 `json:"connect_rate"` // clients per second; 0: as fast as the concurrency allows
	ConnectConcurrency int     `json:"connect_concurrency"`
	PayloadBytes       *int    `json:"payload_bytes"` // null when the scenario sends nothing
	Payload            *string `json:"payload"`       // "marker" or "timestamp"
	EventType          *string `json:"event_type"`    // null: every type counts
}

// Target is the server under test.
type Target struct {
	URL     string  `json:"url"`
	SendURL *string `json:"send_url"`
	Kind    string  `json:"kind"` // "reference": the bundled server, started for this run; "url": one that was there
}

// Connect is what became of the attempts to subscribe.
type Connect struct {
	Attempted int              `json:"attempted"`
	Opened    int              `json:"opened"`
	Failed    int              `json:"failed"`
	ElapsedNS *int64           `json:"elapsed_ns"` // first dial to last open; null when none opened
	Failures  map[string]int   `json:"failures"`   // class to count; the counts add up to Failed
	Dropped   int              `json:"dropped"`    // opened, then ended before the run did
	Drops     map[string]int   `json:"drops"`      // class to count; the counts add up to Dropped
	Examples  []FailureExample `json:"examples"`   // the first failure or drop of each class, in words

	OpenLatency       Latency `json:"open_latency"`        // dial to open, per client
	TCPLatency        Latency `json:"tcp_latency"`         // dial to established TCP connection
	HeaderLatency     Latency `json:"header_latency"`      // request written to response headers read
	FirstEventLatency Latency `json:"first_event_latency"` // dial to first event; count may be less than opened
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
	Late      *int64 `json:"late"` // arrived, but after its iteration had ended; not lost

	Foreign     *int64 `json:"foreign"`      // carried the name of another run
	OtherEvents int64  `json:"other_events"` // events without a message: greetings, pings

	Iterations    int      `json:"iterations"` // begun
	Incomplete    int      `json:"incomplete"` // begun, but not complete within the timeout
	ElapsedNS     int64    `json:"elapsed_ns"` // the sending phase
	RatePerSecond *float64 `json:"rate_per_second"`
	Latency       Latency  `json:"latency"`

	ClientsAffected *int           `json:"clients_affected"` // clients with any copy lost, duplicate, reordered or misrouted
	Clients         []ClientDetail `json:"clients"`          // the worst of them, at most 20
}

// Sends is what became of the messages on their way in.
type Sends struct {
	Attempted int64            `json:"attempted"`
	CalledOff int64            `json:"called_off"` // due, but their iteration ended before they could begin
	Failed    int64            `json:"failed"`
	Failures  map[string]int   `json:"failures"`
	Examples  []FailureExample `json:"examples"` // the first failure of each class, in words
	Latency   Latency          `json:"latency"`  // request written to response read
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
	OpenFiles         *int64   `json:"open_files"` // the most seen
	ReadLag           *Latency `json:"read_lag"`   // handling minus kernel receive time, per read; null where the engine has no kernel time
	SendLag           *Latency `json:"send_lag"`   // actual minus intended send time; null in the closed model, where they are one
	Overloaded        *bool    `json:"overloaded"` // null when neither lag nor CPU is known
	OverloadReason    *string  `json:"overload_reason"`
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
}

// Machine is the load on the whole machine that the generator ran on.
type Machine struct {
	CPUPercent        *float64 `json:"cpu_percent"` // over the main phase, in percent of one core
	MemoryUsedBytes   *int64   `json:"memory_used_bytes"`
	MemoryTotalBytes  *int64   `json:"memory_total_bytes"`
	ListenOverflows   *int64   `json:"listen_overflows"`    // connection requests that found a full listen queue during the run
	TCPRetransmits    *int64   `json:"tcp_retransmits"`     // segments sent again during the run
	KernelSocketBytes *int64   `json:"kernel_socket_bytes"` // most memory that TCP sockets held, both sides together
}

// Phase is one stretch of a run with what it cost.
type Phase struct {
	Name                string   `json:"name"`       // "connect", "hold", "send"
	StartNS             int64    `json:"start_ns"`   // since the run's start
	ElapsedNS           int64    `json:"elapsed_ns"` //
	TargetCPUPercent    *float64 `json:"target_cpu_percent"`
	GeneratorCPUPercent *float64 `json:"generator_cpu_percent"`
	MachineCPUPercent   *float64 `json:"machine_cpu_percent"`
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
}
