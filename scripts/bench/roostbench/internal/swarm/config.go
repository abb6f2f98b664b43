package swarm

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"roost/bench/roostbench/internal/dialect"
)

// MaxConnections is how many connections one process may hold: the usual hard
// limit on open files is 20,000.
const MaxConnections = 19_000

// tokenTTL is how long tokens are good for: longer than any run.
const tokenTTL = 2 * time.Hour

// Config says where to connect and how. It is static.
type Config struct {
	Server      netip.AddrPort // on this machine's loopback
	Path        string         // of the WebSocket endpoint
	Secret      []byte         // that tokens are signed with
	Loops       int            // event loops; 0 is 1
	PerUser     int            // connections of each user; 0 is 1
	FirstUser   int            // number of the first user
	FirstSource int            // source addresses to leave out
	Sources     int            // source addresses, from 127.0.0.2 on; 0 is 32
	Dialect     dialect.Dialect
	TLS         bool // wss://
	Resume      bool // TLS sessions, once there is one
	ComeBack    bool // connections that are opened again ask for what they have missed, by the last id of Roost's that they had
	Asides      bool // messages that are no notification of ours are nothing wrong
	Stalled     int  // the first so many connections stop reading once they are open
}

// ErrNotLoopback refuses to load anything but this machine.
var ErrNotLoopback = errors.New("the target is not a loopback address")

// maxSources is how many source addresses there are: 127.0.0.2 to 127.0.0.251.
const maxSources = 250

var errSources = errors.New("too many source addresses")

func (c Config) withDefaults() (Config, error) {
	if !c.Server.Addr().Is4() || !c.Server.Addr().IsLoopback() {
		return c, fmt.Errorf("%w: %s (it has to be in 127.0.0.0/8)", ErrNotLoopback, c.Server)
	}
	c.Loops, c.PerUser = max(c.Loops, 1), max(c.PerUser, 1)
	if c.Sources <= 0 {
		c.Sources = 32
	}
	c.Sources = min(c.Sources, maxSources)
	if c.FirstSource < 0 || c.FirstSource+c.Sources > maxSources {
		return c, fmt.Errorf("%w: %d after %d (%d at most)", errSources, c.Sources, c.FirstSource, maxSources)
	}
	return c, nil
}

// user is the number of the user whose connection number n is.
func (c Config) user(n int) int { return c.FirstUser + n/c.PerUser }

// Pace is how fast connections are opened.
type Pace struct {
	Rate     float64 // a second; 0 is as fast as InFlight lets
	InFlight int     // not answered yet, at once; 0 is 256
}
