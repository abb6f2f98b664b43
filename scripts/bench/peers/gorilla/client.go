package main

import (
	"time"

	"github.com/gorilla/websocket"
)

type client struct {
	server *server
	conn   *websocket.Conn
	user   string
	send   chan []byte
}

// Send queues an envelope, or drops it where the queue is full.
func (c *client) Send(envelope []byte) {
	select {
	case c.send <- envelope:
	default:
	}
}

// read is a goroutine: it notices pongs and the end. Nobody else closes send,
// and nothing is sent once the client is removed.
func (c *client) read() {
	defer func() {
		c.server.users.Remove(c.user, c)
		close(c.send)
		_ = c.conn.Close()
	}()
	wait := c.server.cfg.PongWait
	c.conn.SetReadLimit(c.server.cfg.MaxMessage)
	_ = c.conn.SetReadDeadline(time.Now().Add(wait))
	c.conn.SetPongHandler(func(string) error { return c.conn.SetReadDeadline(time.Now().Add(wait)) })
	for {
		if _, _, err := c.conn.ReadMessage(); err != nil {
			return
		}
	}
}

// write is a goroutine: it is the only one that writes, but for control frames
// that answer.
func (c *client) write() {
	ticker := time.NewTicker(c.server.cfg.PingInterval)
	defer func() { ticker.Stop(); _ = c.conn.Close() }()
	for {
		kind, data := websocket.PingMessage, []byte(nil)
		select {
		case envelope, ok := <-c.send:
			if !ok {
				return
			}
			kind, data = websocket.TextMessage, envelope
		case <-ticker.C:
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteWait))
		if err := c.conn.WriteMessage(kind, data); err != nil {
			return
		}
	}
}
