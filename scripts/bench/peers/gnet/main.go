// Command gnet is Roost's first design to the letter: gnet's engine with its event loops and its listener,
// gobwas/ws for handshakes and frames, a mailbox for each loop, and no goroutine, timer or buffer for an idle connection.
package main

import (
	"context"
	"log"
	"runtime"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

	"roost/bench/peers/site"
)

// sendBuffer bounds what the kernel keeps for a client that does not read.
const sendBuffer = 16 << 10

func main() {
	cfg, err := site.FromEnvironment()
	if err != nil {
		log.Fatal(err)
	}
	s := &server{
		cfg: cfg, gate: site.NewGate(cfg.Secret), feed: new(site.Feed), loops: map[gnet.EventLoop]*loop{},
		pings: site.NewPings[*client](cfg.PingInterval, cfg.PongWait),
	}
	s.users.Frame = func(envelope []byte) []byte { return ws.MustCompileFrame(ws.NewTextFrame(envelope)) }
	go s.pings.Run()
	go func() { log.Fatal(s.feed.Run(context.Background(), cfg.Redis, s.deliver)) }()
	go func() {
		if err := site.ServeMetrics(); err != nil {
			log.Fatal(err)
		}
	}()
	log.Fatal(gnet.Run(s, "tcp4://"+cfg.Addr, gnet.WithMulticore(true), gnet.WithNumEventLoop(runtime.GOMAXPROCS(0)),
		gnet.WithReuseAddr(true), gnet.WithSocketSendBuffer(sendBuffer), gnet.WithLogLevel(logging.ErrorLevel)))
}
