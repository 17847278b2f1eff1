package observe

// machineReading is one look at the whole machine.
type machineReading struct {
	reading           // cpu: busy time of all cores together; the rest unused
	cores       int64 // 0: unknown
	used, total opt   // memory, bytes
	sockets     opt   // memory that the kernel holds for TCP data, bytes
}

// networkCounters are running totals since the machine started.
type networkCounters struct {
	overflows   opt
	drops       opt
	retransmits opt
}

// since gives how much a counter has grown.
func (o opt) since(before opt) opt {
	if !o.ok || !before.ok {
		return opt{}
	}
	return known(max(0, o.v-before.v))
}

// machineShare is share, held to what the cores can give: at the border of two
// ticks it may seem to be more.
func machineShare(from, to machineReading) *float64 {
	percent := share(from.reading, to.reading)
	if percent != nil && to.cores > 0 {
		*percent = min(*percent, float64(100*to.cores))
	}
	return percent
}
