package doctor

import (
	"fmt"
	"time"
)

// Resume is what clients that come back have to find.
type Resume struct {
	Window    time.Duration // WS_RESUME_WINDOW; 0: they can't resume
	Bytes     int           // WS_RESUME_BYTES
	Published int           // notifications a second, for all users together, at the busiest; 0: not known
	Payload   int           // bytes of one, as it is published
}

// The share of WS_RESUME_BYTES that a notification takes, see hub/internal/ring.
const (
	resumeEntry    = 56 // beside its payload and the name of its user
	resumeName     = 24 // a user's name, as a rule
	leastEntry     = 64
	indexedEntry   = 70 // bytes for each leastEntry, with the index
	usualPayload   = 300
	resumeHeadroom = 4 // a quarter more than is needed is suggested
)

// size is what one notification takes, with its part of the index.
func (r Resume) size() int {
	size := max(leastEntry, (resumeEntry+resumeName+r.Payload+7)&^7)
	return (size*indexedEntry + leastEntry - 1) / leastEntry
}

// rate is how many notifications a second the bytes are enough for.
func (r Resume) rate() int { return int(float64(r.Bytes/r.size()) / r.Window.Seconds()) }

// finding judges whether the memory is enough for the window.
func (r Resume) finding() Finding {
	if r.Payload == 0 {
		r.Payload = usualPayload
	}
	f := Finding{Name: "resume", Source: "WS_RESUME_BYTES", State: OK, Found: fmt.Sprintf("%s for %s", mebibytes(uint64(r.Bytes)), shortWindow(r.Window))}
	enough := fmt.Sprintf("enough for %s notifications of %d bytes a second", thousands(uint64(r.rate())), r.Payload)
	if r.Published > r.rate() {
		need := uint64(float64(r.Published) * r.Window.Seconds() * float64(r.size()))
		f = f.warn(enough+": clients that were away for longer are told of a gap",
			Fix{Environment, fmt.Sprintf("WS_RESUME_BYTES=%d", (need+need/resumeHeadroom)>>20<<20)})
	}
	if r.Published == 0 {
		enough += "; --published says how many there are"
	}
	return f.noting(enough)
}

// shortWindow is a window as the variable has it.
func shortWindow(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
