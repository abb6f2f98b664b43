package redispub

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// Where Roost listens for what is for all users, and for a group.
const (
	Everyone = "user_noti_all"
	group    = "group_noti:"
)

// Group is where Roost listens for what is for a group.
func Group(name string) string { return group + name }

// ForMany publishes notifications of size bytes on a channel of Roost's for many users, so many a second, until ctx ends.
// Published is called after each.
func ForMany(ctx context.Context, redis netip.AddrPort, channel string, perSecond, size int, published func()) error {
	l, err := dial(redis)
	if err != nil {
		return err
	}
	defer func() { _ = l.close() }()
	command := appendPublish(nil, plain, []byte(channel), []byte(`{"type":"many","payload":"`+strings.Repeat("x", size)+`"}`))
	turn := time.NewTicker(time.Second / time.Duration(perSecond))
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.awaitAnswers(0)
		case <-turn.C:
		}
		if err := l.send(command, 1); err != nil {
			return err
		}
		published()
	}
}
