// Command nbio is a notification server on github.com/lesismal/nbio's event
// loops: no goroutine a connection.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"

	"roost/bench/peers/site"
)

type server struct {
	gate     *site.Gate
	users    site.Users[*client]
	pings    *site.Pings[*client]
	upgrader *websocket.Upgrader
}

func main() {
	cfg, err := site.FromEnvironment()
	if err != nil {
		log.Fatal(err)
	}
	logging.SetLevel(logging.LevelError)
	s := &server{gate: site.NewGate(cfg.Secret), pings: site.NewPings[*client](cfg.PingInterval, cfg.PongWait), upgrader: websocket.NewUpgrader()}
	feed := new(site.Feed)
	mux := http.NewServeMux()
	mux.Handle("/health", feed)
	mux.HandleFunc("/ws", s.connect)
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp", Addrs: []string{cfg.Addr}, Handler: mux, MaxLoad: 100_000, IOMod: nbhttp.IOModNonBlocking,
		ReadBufferSize: 4096, ReleaseWebsocketPayload: true, SupportServerOnly: true,
	})
	s.configure(engine, cfg.MaxMessage)
	if err := engine.Start(); err != nil {
		log.Fatal(err)
	}
	go s.pings.Run()
	go func() {
		if err := site.ServeMetrics(); err != nil {
			log.Fatal(err)
		}
	}()
	log.Fatal(feed.Run(context.Background(), cfg.Redis, s.users.Deliver))
}

// configure sets what happens to a connection. It has no read deadline, which
// would be a timer each: site.Pings looks for those that went silent.
func (s *server) configure(engine *nbhttp.Engine, maxMessage int64) {
	u := s.upgrader
	u.Engine, u.KeepaliveTime, u.MessageLengthLimit = engine, 0, int(maxMessage)
	u.CheckOrigin = func(*http.Request) bool { return true }
	u.SetPongHandler(func(conn *websocket.Conn, _ string) {
		if c, ok := conn.Session().(*client); ok {
			s.pings.Ponged(c)
		}
	})
	u.OnClose(func(conn *websocket.Conn, _ error) {
		if c, ok := conn.Session().(*client); ok {
			s.users.Remove(c.user, c)
			s.pings.Remove(c)
		}
	})
}

func (s *server) connect(w http.ResponseWriter, r *http.Request) {
	user, err := s.gate.User(r.URL.Query().Get("token"))
	if err != nil {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &client{conn: conn, user: user}
	s.pings.Add(c)
	conn.SetSession(c)
	s.users.Add(user, c)
}

type client struct {
	site.PingState
	conn *websocket.Conn
	user string
}

// Send writes on the feed's goroutine; what the kernel does not take waits in
// nbio.
func (c *client) Send(envelope []byte) { _ = c.conn.WriteMessage(websocket.TextMessage, envelope) }

// Ping is site.Pings'.
func (c *client) Ping() { _ = c.conn.WriteMessage(websocket.PingMessage, nil) }

// Close is site.Pings'.
func (c *client) Close() { _ = c.conn.Close() }
