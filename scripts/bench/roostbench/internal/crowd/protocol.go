package crowd

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"roost/bench/roostbench/internal/swarm"
)

// Order is what a member is told, as one line.
type Order string

// The orders.
const (
	Open    Order = "open"    // begin to open all connections
	Look    Order = "look"    // say how things are
	Measure Order = "measure" // forget latencies so far
	Results Order = "results" // say what was missing and how long things took; each user was to get one notification
)

// State is a member's answer.
type State struct {
	Stats     swarm.Stats            `json:"stats"`
	Problems  map[string]int         `json:"problems,omitempty"`
	Missing   int                    `json:"missing"`             // after Results
	Latencies *hdrhistogram.Snapshot `json:"latencies,omitempty"` // after Results
	Error     string                 `json:"error,omitempty"`     // of opening
}
