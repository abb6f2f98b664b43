package redisfeed

import (
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"roost/redisfeed/internal/redisnet"
)

// feedSocket says what is special about the subscription's socket.
type feedSocket struct {
	silence time.Duration // a read that gets nothing for so long fails with errSilent
	excused func() bool   // reports that nothing could be sent that would have been answered
	flush   func()        // called before each read, by the reader
	arrived func()        // called after each read that brought something, by the reader
	window  time.Duration // between two reads
}

// wrap puts the layers of a subscription's socket around it.
func (f *feedSocket) wrap(conn net.Conn) (net.Conn, error) {
	thread, err := redisnet.NewThreadConn(conn, f.silence)
	if err != nil {
		return nil, fmt.Errorf("taking over the socket: %w", err)
	}
	return &batchConn{
		Conn:  &redisnet.WatchedConn{Conn: thread, Limit: f.silence, Excused: f.excused},
		flush: f.flush, arrived: f.arrived, window: f.window, sleep: sleepOnThread,
	}, nil
}

// sleepOnThread sleeps to the tenth of a millisecond, where Go's timers, when nothing else goes on, count whole ones.
func sleepOnThread(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
}
