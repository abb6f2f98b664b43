// Command gorilla is a notification server made the usual way: net/http,
// gorilla/websocket, and two goroutines and a channel for each connection.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/gorilla/websocket"

	"roost/bench/peers/site"
)

type server struct {
	cfg      site.Config
	gate     *site.Gate
	users    site.Users[*client]
	upgrader websocket.Upgrader
}

func main() {
	cfg, err := site.FromEnvironment()
	if err != nil {
		log.Fatal(err)
	}
	s := &server{cfg: cfg, gate: site.NewGate(cfg.Secret), upgrader: websocket.Upgrader{
		ReadBufferSize: 1024, WriteBufferSize: 1024, CheckOrigin: func(*http.Request) bool { return true },
	}}
	feed := new(site.Feed)
	go func() { log.Fatal(feed.Run(context.Background(), cfg.Redis, s.users.Deliver)) }()
	go func() {
		if err := site.ServeMetrics(); err != nil {
			log.Fatal(err)
		}
	}()
	mux := http.NewServeMux()
	mux.Handle("/health", feed)
	mux.HandleFunc("/ws", s.connect)
	log.Fatal(http.ListenAndServe(cfg.Addr, mux))
}

// connect upgrades, and returns: the connection goes on in its two goroutines.
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
	c := &client{server: s, conn: conn, user: user, send: make(chan []byte, 256)}
	s.users.Add(user, c)
	go c.write()
	go c.read()
}
