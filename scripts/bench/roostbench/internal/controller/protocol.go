package controller

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"roost/bench/roostbench/internal/swarm"
)

// Command is what a worker is told, as one line.
type Command string

// The commands.
const (
	Open    Command = "open"    // begin to open all connections
	Status  Command = "status"  // say how things are
	Measure Command = "measure" // forget latencies so far
	Results Command = "results" // say what was missing and how long things took; each user was to get one notification
)

// State is a worker's response.
type State struct {
	Stats     swarm.Stats            `json:"stats"`
	Problems  map[string]int         `json:"problems,omitempty"`
	Missing   int                    `json:"missing"`             // after Results
	Latencies *hdrhistogram.Snapshot `json:"latencies,omitempty"` // after Results
	Error     string                 `json:"error,omitempty"`     // of opening
}
