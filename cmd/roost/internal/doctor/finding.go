package doctor

import "roost/cmd/roost/internal/sizing"

// Ask is what the host has to hold, and the part of Roost's configuration that
// matters.
type Ask struct {
	Connections    int
	Reserved       int  // descriptors that Roost opens beyond its clients'
	MaxConnections int  // WS_MAX_CONNECTIONS
	MaxIsSet       bool // it is in the environment; otherwise its default is judged mildly
	Memory         sizing.Bounds
	HandshakeRate  int // WS_HANDSHAKE_RATE, a second; 0: no limit
	HandshakeBurst int // WS_HANDSHAKE_BURST
	ProxyAddresses int // of Roost, to which a proxy on the same machine connects; 0: there is none
	Certificates   []Certificate
	OldTLS         bool // TLS 1.2 is served
	Resume         Resume
}

// State is how a limit is.
type State string

const (
	OK      State = "ok"
	Bad     State = "bad"     // clients can't connect, or Roost can't start
	Short   State = "short"   // it stops Roost before the connections that were asked for
	Warn    State = "warn"    // it holds them, and is slow or loses something at bad moments
	Info    State = "info"    // it would count if something were otherwise
	Unknown State = "unknown" // it can't be read
)

// Finding is the judgement of one limit.
type Finding struct {
	Name   string `json:"name"`
	Source string `json:"source"` // file or setting
	Found  string `json:"found"`  // its value, for people
	State  State  `json:"state"`
	Wall   bool   `json:"wall"`  // it bounds the number of connections
	Holds  int    `json:"holds"` // at so many, if it is a wall
	Note   string `json:"note,omitempty"`
	Fixes  []Fix  `json:"fixes,omitempty"`
}

// Fix is a line that mends something, and where it belongs.
type Fix struct {
	Where Where  `json:"where"`
	Line  string `json:"line"`
}

// Where a Fix belongs.
type Where string

const (
	Sysctl      Where = "/etc/sysctl.d/60-roost.conf"
	Systemd     Where = "systemd unit, [Service]"
	Docker      Where = "docker run"
	Environment Where = "Roost's environment"
	Proxy       Where = "the proxy"
	Machine     Where = "the machine"
)

// unknown is the finding of a limit that can't be read.
func unknown(name string, r reading) Finding {
	return Finding{Name: name, Source: r.source(), Found: "?", State: Unknown, Note: r.err.Error()}
}

// wall is the finding of a limit that stops at so many connections. The fixes are
// for when that is too few.
func wall(name string, r reading, found string, holds int, ask Ask, fixes ...Fix) Finding {
	f := Finding{Name: name, Source: r.source(), Found: found, State: OK, Wall: true, Holds: max(holds, 0)}
	if f.Holds < ask.Connections {
		f.State, f.Fixes = Short, fixes
	}
	return f
}

// warn makes an ok finding a warning.
func (f Finding) warn(note string, fixes ...Fix) Finding {
	if f.State == OK {
		f.State, f.Note, f.Fixes = Warn, note, fixes
	}
	return f
}

// noting adds a remark if there is none yet.
func (f Finding) noting(note string) Finding {
	if f.Note == "" {
		f.Note = note
	}
	return f
}
