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

func TestNewcomers(t *testing.T) {
	t.Parallel()
	var n newcomers
	if n.oldest() != nil {
		t.Fatal("an oldest of none")
	}
	var all []*conn
	for range 1000 {
		c := new(conn)
		all = append(all, c)
		n.add(c)
	}
	for i, c := range all {
		if i%3 == 0 {
			c.state = stateOpen
		}
	}
	for i, c := range all {
		if i%3 == 0 {
			continue
		}
		if n.oldest() != c {
			t.Fatalf("the oldest is not number %d", i)
		}
		c.state = stateClosed
	}
	if n.oldest() != nil || len(n.list) > 0 || cap(n.list) > keptNewcomers {
		t.Errorf("%d are left, with room for %d", len(n.list), cap(n.list))
	}
}
