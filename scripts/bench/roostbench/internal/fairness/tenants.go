package fairness

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/readers"
	"roost/bench/roostbench/internal/redispub"
	"roost/bench/roostbench/internal/wire"
)

// The user whose notifications many get.
const (
	streamUser  = 100_000
	streamDeaf  = 200 // connections of it that read nothing
	streamBytes = 8000
	streamRate  = 200 // notifications a second
	streamWait  = time.Minute
	streamAhead = streamRate / 2 // notifications that the one who reads has not got: what a machine that stood still catches up with is no flood
)

// sharedStream has one user with many connections that read nothing, and one that does: that one has to get all.
func sharedStream(ctx context.Context, a *attack) {
	fast, err := readers.Open(ctx, a.from(0), streamUser, readers.Full)
	if err != nil {
		a.blame("who reads is not let in: %v", err)
		return
	}
	defer fast.Close()
	p, err := redispub.New(redispub.Config{
		Redis: a.Redis, Rate: streamRate, Pad: streamBytes, Pattern: redispub.Pattern{First: streamUser, Users: 1}, Dialect: a.Dialect,
		Window: streamAhead, Arrived: func() int { return int(fast.Result().Highest) },
	}, note.NewClock())
	if err != nil {
		a.blame("publishing: %v", err)
		return
	}
	defer func() { _ = p.Close() }()
	for fast.Result().Received == 0 && ctx.Err() == nil { // a server may know its client a little later
		if err := p.Burst(streamUser, 1, 0); err != nil {
			a.blame("publishing: %v", err)
			return
		}
		sleep(ctx, pauseBetween)
	}
	sleep(ctx, pauseBetween)
	fast.Expect(p.Published(streamUser))
	var deaf sync.WaitGroup
	for i := range streamDeaf {
		deaf.Go(func() { a.deaf(ctx, i) })
	}
	_, _ = p.RunCount(ctx, streamRate*int(time.Minute.Seconds()))
	published := p.Published(streamUser)
	for end := time.Now().Add(streamWait); fast.Result().Highest < published && time.Now().Before(end); {
		sleep(context.WithoutCancel(ctx), pauseBetween/10)
	}
	if lost := fast.Lost(published); lost > 0 {
		a.blame("who reads has lost %d of %d", lost, published)
	}
	deaf.Wait()
}

// deaf holds one connection that reads nothing until ctx ends. It is not opened again when the server ends it.
func (a *attack) deaf(ctx context.Context, i int) {
	r, err := readers.Open(ctx, a.from(i), streamUser, readers.Stalled)
	if err != nil {
		a.count("refused")
		return
	}
	defer r.Close()
	r.SetSpeed(readers.Stalled)
	a.count("read nothing")
	<-ctx.Done()
}

// Notifications for many.
const (
	manyMembers = 300 // other connections, all in the group
	manyRate    = 100
	manyBytes   = 1000
	manyGroup   = "many"
)

func broadcasts(ctx context.Context, a *attack) {
	a.forMany(ctx, redispub.Everyone, "for everyone")
}

func groupFlood(ctx context.Context, a *attack) {
	a.forMany(ctx, redispub.Group(manyGroup), "for the group")
}

// forMany has many members of a group connect and read, and publishes for them.
func (a *attack) forMany(ctx context.Context, channel, what string) {
	var members sync.WaitGroup
	for i := range manyMembers {
		members.Go(func() {
			target := a.from(i)
			target.Sign = a.member
			r, err := readers.Open(ctx, target, streamUser+1+i, readers.Full)
			if err != nil {
				a.count("refused")
				return
			}
			defer r.Close()
			<-ctx.Done()
		})
	}
	if err := redispub.ForMany(ctx, a.Redis, channel, manyRate, manyBytes, func() { a.count(what) }); err != nil {
		a.blame("publishing: %v", err)
	}
	members.Wait()
}

// member is a good token of a user who is in the group.
func (a *attack) member(user string) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "exp": time.Now().Add(time.Hour).Unix(), "groups": []string{manyGroup},
	})
	text, _ := token.SignedString(a.Target.Secret) // fails for keys of another type only
	return text
}

// octetClients is how many honest clients write a byte at a time.
const (
	octetClients = 20
	octetPause   = 200 * time.Millisecond // a server may bound how much a client says
)

// octets has clients ping whose frames arrive in as many segments as they have bytes, as on a bad network.
func octets(ctx context.Context, a *attack) {
	payload := make([]byte, 125)
	frame := wire.AppendFrame(nil, wire.Ping, payload, mask)
	var all sync.WaitGroup
	for i := range octetClients {
		all.Go(func() {
			conn, err := a.from(i).Open(ctx, fmt.Sprintf("octets-%d", i), 0)
			if err != nil {
				a.blame("a client whose frames come octet by octet is not let in: %v", err)
				return
			}
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
			defer stop()
			for ctx.Err() == nil {
				for at := 0; at < len(frame) && ctx.Err() == nil; at++ {
					if _, err := conn.Write(frame[at : at+1]); err != nil && ctx.Err() == nil {
						a.blame("a client whose frames come octet by octet: %v", err)
						return
					}
					sleep(ctx, 100*time.Microsecond)
				}
				if err := conn.AwaitPong(payload); err != nil && ctx.Err() == nil {
					a.blame("a client whose frames come octet by octet: %v", err)
					return
				}
				a.count("pings")
				sleep(ctx, octetPause)
			}
		})
	}
	all.Wait()
}

// mask hides nothing from anybody here.
const mask = 0x37FA213D
