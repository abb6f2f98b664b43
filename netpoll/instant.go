package netpoll

import "time"

// instant is a moment in the past, in milliseconds since the server started
// modulo 2^32: half the size of a time.Duration, and good for 49 days of silence.
type instant uint32

// longestWait bounds Config.PingInterval and Config.PongWait.
const longestWait = 40 * 24 * time.Hour

// instantOf returns when a moment, in time since the server started, is. It may
// lie before the start.
func instantOf(moment time.Duration) instant { return instant(moment / time.Millisecond) }

// ago returns how long before now an instant was.
func (i instant) ago(now time.Duration) time.Duration {
	return time.Duration(instantOf(now)-i) * time.Millisecond
}
