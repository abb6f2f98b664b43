package doctor

import (
	"fmt"

	"roost/cmd/roost/internal/sizing"
)

// processors judges whether idle connections leave some CPU, and says how long it
// takes at least until all are back.
func processors(h Host, ask Ask) Finding {
	source := reading{file: "GOMAXPROCS"}
	n := max(h.Processors, 1)
	holds := int(float64(n) * 100 / sizing.IdlePercent)
	seconds := float64(ask.Connections) * sizing.HandshakeMicroseconds / 1e6 / float64(n)
	want := int(float64(ask.Connections)*sizing.IdlePercent/100) + 1
	return wall("processors", source, fmt.Sprint(n), holds, ask, Fix{Machine, fmt.Sprintf("processors: %d", want)}).
		noting(fmt.Sprintf("idle they take %.0f%% of a core, and to connect all again %.1f s at least",
			float64(ask.Connections)*sizing.IdlePercent, seconds))
}

// maxConnections judges Roost's own limit.
func maxConnections(_ Host, ask Ask) Finding {
	const name = "Roost's own limit"
	source := reading{file: "WS_MAX_CONNECTIONS"}
	fix := Fix{Environment, fmt.Sprintf("WS_MAX_CONNECTIONS=%d", ask.Connections)}
	found := thousands(uint64(ask.MaxConnections))
	if ask.MaxIsSet {
		return wall(name, source, found, ask.MaxConnections, ask, fix)
	}
	f := Finding{Name: name, Source: source.file, Found: found, State: OK}
	if ask.MaxConnections < ask.Connections {
		f = f.warn("the default: it is not set in this environment", fix)
	}
	return f
}
