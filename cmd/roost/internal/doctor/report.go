package doctor

import (
	"slices"

	"roost/cmd/roost/internal/sizing"
)

// The names of findings without which nothing is certain.
const (
	nameOpenFiles = "open files"
	nameMemory    = "memory"
)

// Report is the judgement of a host.
type Report struct {
	Connections int       `json:"connections"`          // that were asked for
	Holds       int       `json:"holds"`                // that the host holds
	OK          bool      `json:"ok"`                   // it holds those that were asked for
	FirstWall   string    `json:"first_wall,omitempty"` // the name of the finding that stops at Holds
	Unread      []string  `json:"unread,omitempty"`     // the names of findings that can't be read
	Findings    []Finding `json:"findings"`

	Worst sizing.Worst `json:"worst_case"` // with the connections that were asked for
}

// Judge says what the host holds, as far as it can be read. A host whose open files
// or memory can't be read is not said to hold what was asked for.
func Judge(h Host, ask Ask) Report {
	r := Report{Connections: ask.Connections, Worst: worstCase(h, ask)}
	for _, judge := range []func(Host, Ask) Finding{
		openFiles, nrOpen, fileMax, epollWatches,
		available, group, slowClients, broadcasts, pendingHandshakes, everything,
		tcpMem, tcpRmem, tcpWmem,
		somaxconn, synBacklog, conntrack, sourcePorts,
		processors, maxConnections,
	} {
		r.add(judge(h, ask))
	}
	for _, c := range ask.Certificates {
		r.add(c.finding())
	}
	if ask.OldTLS {
		r.add(oldTLS(ask))
	}
	if ask.Resume.Window > 0 {
		r.add(ask.Resume.finding())
	}
	r.OK = r.Holds >= ask.Connections && !r.has(Bad) && !slices.Contains(r.Unread, nameOpenFiles) && !slices.Contains(r.Unread, nameMemory)
	return r
}

// has reports whether there is a finding of a state.
func (r *Report) has(state State) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.State == state })
}

func (r *Report) add(f Finding) {
	r.Findings = append(r.Findings, f)
	if f.State == Unknown {
		r.Unread = append(r.Unread, f.Name)
	}
	if f.Wall && (r.FirstWall == "" || f.Holds < r.Holds) {
		r.Holds, r.FirstWall = f.Holds, f.Name
	}
}
