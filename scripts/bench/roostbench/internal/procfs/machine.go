package procfs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Machine is how long all cores together have been busy, and idle, since the start, in ticks of 10 ms.
type Machine struct{ Busy, Idle time.Duration }

// ReadMachine looks at the machine.
func ReadMachine() (Machine, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Machine{}, fmt.Errorf("looking at the machine: %w", err)
	}
	return parseMachine(string(text))
}

// parseMachine reads the first line of /proc/stat: "cpu user nice system idle iowait irq softirq steal guest guest_nice".
// Time that another machine has stolen is no idle time, and guests' is in user and nice.
func parseMachine(text string) (Machine, error) {
	line, _, _ := strings.Cut(text, "\n")
	words := strings.Fields(line)
	if len(words) < 9 || words[0] != "cpu" {
		return Machine{}, fmt.Errorf("/proc/stat: %w", errUnexpected)
	}
	var m Machine
	for i, word := range words[1:9] {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return m, fmt.Errorf("/proc/stat: %w", errUnexpected)
		}
		if took := time.Duration(n) * tick; i == 3 || i == 4 {
			m.Idle += took
		} else {
			m.Busy += took
		}
	}
	return m, nil
}

// BusySince is the share of all cores' time that was not idle since an earlier look, 0 to 1.
func (m Machine) BusySince(earlier Machine) float64 {
	busy, idle := m.Busy-earlier.Busy, m.Idle-earlier.Idle
	if busy+idle <= 0 {
		return 0
	}
	return float64(busy) / float64(busy+idle)
}
