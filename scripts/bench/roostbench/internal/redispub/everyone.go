package redispub

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// everyone is where Roost listens for what is for all users.
const everyone = "user_noti_all"

// Everyone publishes notifications of size bytes for all users, so many a second, until ctx ends. Published is called
// after each.
func Everyone(ctx context.Context, redis netip.AddrPort, perSecond, size int, published func()) error {
	l, err := dial(redis)
	if err != nil {
		return err
	}
	defer func() { _ = l.close() }()
	command := appendPublish(nil, plain, []byte(everyone), []byte(`{"type":"everyone","payload":"`+strings.Repeat("x", size)+`"}`))
	turn := time.NewTicker(time.Second / time.Duration(perSecond))
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.settle(0)
		case <-turn.C:
		}
		if err := l.send(command, 1); err != nil {
			return err
		}
		published()
	}
}
