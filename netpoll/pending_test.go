package netpoll

import (
	"net"
	"testing"
)

// Silent sockets as many as there may be, and more: who comes to talk gets in.
func TestSilentSocketsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxSockets = 20 })
	staying := r.connect("alice")
	const silent = 60
	for range silent {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	eventually(t, "the oldest are closed", func() bool {
		s := r.server.Stats()
		return s.TurnedAway["crowded_out"] == silent+1-20 && s.Sockets == 20 // and none was turned away itself
	})
	r.connect("bob")
	r.deliver("alice", `{"type":"n"}`)
	if _, _, err := staying.ReadMessage(); err != nil {
		t.Errorf("who was connected before: %v", err)
	}
}
