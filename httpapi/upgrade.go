package httpapi

import (
	"net/http"
	"time"
)

// Upgrade is which process serves, and how upgrades of it went. It is the JSON of /upgrade, which `roost upgrade` reads.
type Upgrade struct {
	Pid        int    `json:"pid"`         // as this process sees itself: in a container not as the host does
	StartTicks uint64 `json:"start_ticks"` // of the process, field 22 of /proc/<pid>/stat: tells it from another one with this pid
	Version    string `json:"version"`     // of the program that runs
	Program    string `json:"program"`     // that an upgrade starts; empty: it is not there
	Blocked    string `json:"blocked,omitempty"`
	Busy       string `json:"busy,omitempty"`

	Drains string           `json:"drains,omitempty"` // why no new process can take over the connections; empty: one can
	Agree  []UpgradeSetting `json:"agree,omitempty"`  // on which a new process that takes them over has to agree
	Open   int              `json:"open,omitempty"`   // connections now

	Began       string `json:"began"` // start, handover or drain: how this process came to serve
	Before      int    `json:"before,omitempty"`
	Connections int    `json:"connections,omitempty"` // that it took over
	TookMS      int64  `json:"took_ms,omitempty"`     // from its start until it served
	PausedMS    int64  `json:"paused_ms,omitempty"`   // of these: while nobody read or wrote

	Attempts uint64        `json:"attempts"` // upgrades of this process that have ended, all without success
	Last     *UpgradeError `json:"last,omitempty"`
}

// UpgradeSetting is a setting of this process.
type UpgradeSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// UpgradeError is why an upgrade did not come about.
type UpgradeError struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// serveUpgrade answers /upgrade.
func (s *Server) serveUpgrade(w http.ResponseWriter, _ *http.Request) {
	if s.cfg.Upgrade == nil {
		writeError(w, http.StatusNotImplemented, "this server can't be upgraded")
		return
	}
	writeJSON(w, http.StatusOK, marshal(s.cfg.Upgrade()))
}
