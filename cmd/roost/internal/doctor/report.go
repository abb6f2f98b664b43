package doctor

// Report is the judgement of a host.
type Report struct {
	Connections int       `json:"connections"`          // that were asked for
	Holds       int       `json:"holds"`                // that the host holds
	OK          bool      `json:"ok"`                   // it holds those that were asked for
	FirstWall   string    `json:"first_wall,omitempty"` // the name of the finding that stops at Holds
	Findings    []Finding `json:"findings"`
}

// Judge says what the host holds. Without a single wall that can be read it holds
// nothing: there is no ground to say otherwise.
func Judge(h Host, ask Ask) Report {
	r := Report{Connections: ask.Connections}
	for _, judge := range []func(Host, Ask) Finding{
		openFiles, nrOpen, fileMax, epollWatches,
		available, group, slowClients,
		tcpMem, tcpRmem, tcpWmem, wmemMax,
		somaxconn, synBacklog, conntrack, sourcePorts,
		processors, maxConnections,
	} {
		r.add(judge(h, ask))
	}
	r.OK = r.FirstWall != "" && r.Holds >= ask.Connections
	return r
}

func (r *Report) add(f Finding) {
	r.Findings = append(r.Findings, f)
	if f.Wall && (r.FirstWall == "" || f.Holds < r.Holds) {
		r.Holds, r.FirstWall = f.Holds, f.Name
	}
}
