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
	want := int(float64(ask.Connections)*sizing.IdlePercent/100) + 1
	return wall("processors", source, fmt.Sprint(n), holds, ask, Fix{Machine, fmt.Sprintf("processors: %d", want)}).
		noting(fmt.Sprintf("idle they take %.0f%% of a core; to connect all again takes %s at least",
			float64(ask.Connections)*sizing.IdlePercent, reconnecting(n, ask)))
}

// reconnecting is how long it takes until all clients are back: as long as the
// processors need for their handshakes, or as the limit on handshakes lets it take.
func reconnecting(processors int, ask Ask) string {
	took := float64(ask.Connections) * sizing.HandshakeMicroseconds / 1e6 / float64(processors)
	if ask.HandshakeRate > 0 {
		limited := float64(ask.Connections-max(ask.HandshakeBurst, ask.HandshakeRate)) / float64(ask.HandshakeRate)
		if limited > took {
			return fmt.Sprintf("%.0f s (WS_HANDSHAKE_RATE)", limited)
		}
	}
	return fmt.Sprintf("%.1f s", took)
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
